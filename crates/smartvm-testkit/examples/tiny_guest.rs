//! Writes a tiny guest to a file, for trials by hand:
//! `cargo run -p smartvm-testkit --example tiny_guest -- echoes /dev/shm/kernel`.

use std::path::Path;

use anyhow::{Context, bail};
use smartvm_testkit::TinyGuest;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [behaviour, path] = arguments.as_slice() else {
        bail!("usage: tiny_guest BEHAVIOUR FILE");
    };
    let text = "hello from a tiny guest\r\n";
    let guest = match behaviour.as_str() {
        "halts" => TinyGuest::halts(),
        "resets" => TinyGuest::resets(),
        "prints" => TinyGuest::prints(text),
        "prints-then-resets" => TinyGuest::prints_then_resets(text),
        "echoes" => TinyGuest::echoes(),
        "floods" => TinyGuest::floods(),
        "spins" => TinyGuest::spins(),
        other => bail!("no guest is called {other}"),
    };
    guest.write_to(Path::new(path)).with_context(|| format!("failed to write {path}"))
}
