//! The host's network, as far as virtual machines change it.

use std::collections::BTreeSet;
use std::io;
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;

pub(super) fn collect(things: &mut BTreeSet<String>) {
    things.extend(links().into_iter().map(|name| format!("network link {name}")));
    for table in listed(&["nft", "-j", "list", "tables"], "/nftables").iter().filter_map(nft_table)
    {
        things.insert(table);
    }
    for rule in listed(&["ip", "-j", "rule"], "") {
        things.insert(format!("routing rule {rule}"));
    }
}

/// The links of this thread's network namespace.
fn links() -> Vec<String> {
    let text = fs_err::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    // Two lines of headings.
    let names = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}

fn nft_table(entry: &Value) -> Option<String> {
    let table = entry.get("table")?;
    let (family, name) = (table.get("family")?.as_str()?, table.get("name")?.as_str()?);
    Some(format!("nftables table {family} {name}"))
}

/// The list at `pointer` in the JSON that a command prints; none, visibly, when it cannot be run.
fn listed(command: &[&'static str], pointer: &str) -> Vec<Value> {
    match run(command) {
        Ok(output) => match output.pointer(pointer) {
            Some(Value::Array(entries)) => entries.clone(),
            _ => Vec::new(),
        },
        Err(error) => {
            tell_once(command[0], &error);
            Vec::new()
        }
    }
}

fn run(command: &[&str]) -> io::Result<Value> {
    let output = Command::new(command[0]).args(&command[1..]).output()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(format!("`{}` says: {message}", command.join(" "))));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Says once a process what is not checked.
fn tell_once(program: &'static str, error: &io::Error) {
    static TOLD: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().expect("nothing panics while it holds this lock");
    if told.insert(program) {
        #[expect(clippy::print_stderr, reason = "a check that is left out must be seen")]
        {
            eprintln!("leak check: skipping what `{program}` would list: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_loopback_link_is_seen() {
        assert!(links().iter().any(|name| name == "lo"));
    }

    #[test]
    fn only_tables_of_nft_count() {
        let table = json!({ "table": { "family": "inet", "name": "smartvm", "handle": 7 } });
        assert_eq!(nft_table(&table), Some("nftables table inet smartvm".to_owned()));
        assert_eq!(nft_table(&json!({ "metainfo": { "version": "1.0.6" } })), None);
    }

    #[test]
    fn a_missing_program_lists_nothing() {
        assert!(listed(&["no-such-program"], "").is_empty());
    }
}
