//! What people read of `xtask`: steps on standard error, results on standard output.

use std::io::Write;

/// Says what is being done, and why where that is not plain.
pub(crate) fn step(what: impl AsRef<str>) {
    to_stderr(&format!("xtask: {}\n", what.as_ref()));
}

/// Prints a line of a result.
pub(crate) fn result(line: impl AsRef<str>) {
    let mut stdout = std::io::stdout().lock();
    // A reader that has gone away is not an error of ours.
    let _ = writeln!(stdout, "{}", line.as_ref()).and_then(|()| stdout.flush());
}

/// Prints an error with everything that led to it.
pub(crate) fn error(error: &anyhow::Error) {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  caused by: {cause}\n"));
    }
    to_stderr(&text);
}

fn to_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
