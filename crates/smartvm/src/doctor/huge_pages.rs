//! What pages larger than 4 KiB there are for guest memory.

use super::host::Host;
use super::report::{Check, Subject};

const SUBJECT: Subject = Subject { id: "huge-pages", title: "Huge pages" };

pub(super) fn check(host: &Host) -> Check {
    let transparent = host.value("sys/kernel/mm/transparent_hugepage/enabled");
    let transparent = transparent.as_deref().and_then(chosen).unwrap_or("not available");
    let reserved = host.value("proc/sys/vm/nr_hugepages").and_then(|text| text.parse().ok());
    let reserved: u64 = reserved.unwrap_or(0);
    let check = SUBJECT
        .info(format!("transparent: {transparent}; reserved: {reserved}"))
        .figure("reservedPages", reserved);
    if reserved > 0 {
        return check;
    }
    check.remedy("for machines with `hugePages`, reserve pages by `sysctl vm.nr_hugepages=N`")
}

/// The choice in brackets of `always [madvise] never`.
fn chosen(choices: &str) -> Option<&str> {
    let (_, rest) = choices.split_once('[')?;
    rest.split_once(']').map(|(choice, _)| choice)
}

#[cfg(test)]
mod tests {
    use super::super::host::made_up;
    use super::*;

    #[test]
    fn the_choice_and_the_reserve_are_told() {
        let made = made_up::host(&[
            ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            ("proc/sys/vm/nr_hugepages", "512\n"),
        ]);
        let check = check(&made.host);
        assert_eq!(check.found, "transparent: madvise; reserved: 512");
        assert_eq!((check.figures["reservedPages"], check.remedy), (512, None));
    }

    #[test]
    fn without_a_reserve_the_remedy_says_how_to_make_one() {
        let check = check(&made_up::host(&[]).host);
        assert_eq!(check.found, "transparent: not available; reserved: 0");
        assert!(check.remedy.unwrap().contains("vm.nr_hugepages"));
    }
}
