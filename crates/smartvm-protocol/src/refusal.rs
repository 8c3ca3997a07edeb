//! What the agent says instead of doing what it was asked.

use crate::choice::choices;
use crate::field::{FieldFault, Value};
use crate::message::messages;

choices! {
    /// Why something was refused, for programs.
    RefusalCode {
        /// It failed for another reason; the error number of the system call may tell it.
        0 Failed,
        /// The agent cannot do such a thing, see its [`Features`](crate::Features).
        1 Unsupported,
        /// It speaks no generation as low as the host's.
        2 Generation,
        /// A frame came that may not come here, or says what makes no sense.
        3 Protocol,
        /// As many sessions are open as the agent keeps.
        4 TooManySessions,
        /// The guest waits for `Renew`, after a snapshot was loaded or `Renew` had failed.
        5 Frozen,
        /// No such program, neither as a path nor in the directories of `PATH`.
        6 NoProgram,
        /// The program is there and cannot be executed.
        7 NotExecutable,
        /// The guest has no user of that name.
        8 NoUser,
        /// The guest has no group of that name.
        9 NoGroup,
        /// The working directory is missing or none.
        10 NoDirectory,
        /// No kept program has that number.
        11 NoExec,
        /// Another session is attached to that program.
        12 Attached,
        /// There is no such file.
        13 NoFile,
        /// It is not of the kind that was asked for: a directory instead of a file, a device instead of either.
        14 WrongKind,
        /// The stream of the tree is damaged, or holds what may not be unpacked.
        15 Archive,
        /// The guest's system is being shut down.
        16 GoingDown,
    }
}

/// A number that is not known, of a newer agent, is still a refusal.
impl Value for RefusalCode {
    fn put(&self, out: &mut Vec<u8>) {
        self.number().put(out);
    }

    fn get(bytes: &[u8]) -> Result<Self, FieldFault> {
        Ok(Self::of_number(u16::get(bytes)?).unwrap_or(Self::Failed))
    }
}

messages! {
    /// Something was not done, and nothing of it is left.
    pub Refusal {
        /// Why, for programs.
        1 code: RefusalCode,
        /// The error number of the system call that failed.
        2 errno: Option<u32>,
        /// What was being done, for people: words of the guest, to be shown by [`Refusal::told`].
        3 text: Vec<u8>,
    }
}

/// The longest part of a guest's words that is shown.
const SHOWN: usize = 1024;

impl Refusal {
    /// Its words, cut to a length that can be shown, with what is not printable escaped.
    pub fn told(&self) -> String {
        let text = String::from_utf8_lossy(&self.text[..self.text.len().min(SHOWN)]);
        text.chars()
            .flat_map(|char| {
                let escaped = char.is_control().then(|| char.escape_default());
                let plain = (!char.is_control()).then_some(char);
                escaped.into_iter().flatten().chain(plain)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_words_cannot_steer_a_terminal_or_flood_it() {
        let text = b"\x1b]0;title\x07 caf\xc3\xa9 \xff\n".to_vec();
        let refusal = Refusal { code: RefusalCode::Failed, errno: None, text };
        assert_eq!(refusal.told(), "\\u{1b}]0;title\\u{7} caf\u{e9} \u{fffd}\\n");
        let flood = Refusal { text: vec![b'x'; 60_000], ..refusal };
        assert_eq!(flood.told().len(), SHOWN);
    }

    #[test]
    fn a_code_of_a_newer_agent_is_read_as_a_failure() {
        assert_eq!(RefusalCode::get(&999_u16.to_le_bytes()), Ok(RefusalCode::Failed));
    }
}
