//! Foreign text in a message.

use std::fmt;

/// How much of it is shown.
const SHOWN: usize = 80;

/// Shows text that others wrote: in backticks, without control characters, not without end.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.chars().take(SHOWN).flat_map(char::escape_debug);
        write!(f, "`")?;
        shown.try_for_each(|part| write!(f, "{part}"))?;
        write!(f, "{}`", if self.0.chars().nth(SHOWN).is_some() { "…" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_move_the_cursor_or_fill_the_screen() {
        assert_eq!(Quoted("a\x1b[2Jb").to_string(), "`a\\u{1b}[2Jb`");
        let long = Quoted(&"x".repeat(1000)).to_string();
        assert!(long.len() < 100 && long.ends_with("…`"), "{long}");
    }
}
