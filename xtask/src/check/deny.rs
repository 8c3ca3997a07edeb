//! Licences, sources and versions of dependencies, and known faults in them where the list of
//! those can be had. The rules are in `deny.toml`.

use crate::cargo_tool::DENY;
use crate::run::Run;
use crate::{say, workspace};

pub(super) fn check() -> anyhow::Result<()> {
    DENY.ensure()?;
    deny(&["check", "bans", "licenses", "sources"]).show()?;
    // The list is a repository that not every machine reaches; waiting for it has an end.
    let fetched = Run::new("timeout")
        .args(["60".as_ref(), workspace::cargo().as_os_str()])
        .args(["deny", "fetch", "db"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .succeeds();
    if !fetched {
        say::step("the database of advisories cannot be fetched here: advisories are NOT checked");
        return Ok(());
    }
    deny(&["check", "--disable-fetch", "advisories"]).show()
}

fn deny(args: &[&str]) -> Run {
    Run::new(workspace::cargo()).args(["deny", "--locked", "--log-level", "error"]).args(args)
}
