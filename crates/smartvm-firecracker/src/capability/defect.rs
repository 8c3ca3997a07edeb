//! Versions with defects that matter to us.

use crate::FirecrackerVersion;

/// A defect of some versions of Firecracker or of its jailer.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownDefect {
    /// The defect's name in public: a CVE, or an issue of Firecracker's.
    pub name: &'static str,
    /// Which program has it.
    pub program: Program,
    /// What it does, as a clause.
    pub effect: &'static str,
    /// The first versions without it, for people.
    pub fixed_in: &'static str,
    bites: &'static [Use],
    /// Each from the first with it to before the first without it.
    ranges: &'static [(Release, Release)],
}

type Release = (u16, u16, u16);

/// The program that a defect is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Firecracker itself.
    Firecracker,
    /// Its jailer, which is released with it.
    Jailer,
}

/// What is about to be done with a program, as far as a defect may bite there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    /// A start with `--enable-pci`.
    Pci,
    /// The restoring of a snapshot whose guest has a vsock.
    RestoreWithVsock,
    /// A diff snapshot of a guest whose memory KVM holds in several slots: one of more than 3 GiB
    /// on x86_64, or one with memory that was hotplugged.
    DiffSnapshotOfManySlots,
}

const KNOWN: [KnownDefect; 4] = [
    KnownDefect {
        name: "CVE-2026-5747",
        program: Program::Firecracker,
        effect: "a guest can write outside its memory when started with `--enable-pci`",
        fixed_in: "1.14.4 and 1.15.1",
        bites: &[Use::Pci],
        ranges: &[((1, 13, 0), (1, 14, 4)), ((1, 15, 0), (1, 15, 1))],
    },
    KnownDefect {
        name: "issue 5958",
        program: Program::Firecracker,
        effect: "after a restore the guest cannot connect through vsock",
        fixed_in: "1.16.1",
        bites: &[Use::RestoreWithVsock],
        ranges: &[((1, 16, 0), (1, 16, 1))],
    },
    KnownDefect {
        name: "pull request 5705",
        program: Program::Firecracker,
        effect: "a diff snapshot of a guest with more than 3 GiB or with hotplugged memory is \
                 corrupt",
        fixed_in: "1.14.2",
        bites: &[Use::DiffSnapshotOfManySlots],
        ranges: &[((1, 14, 0), (1, 14, 2))],
    },
    KnownDefect {
        name: "CVE-2026-1386",
        program: Program::Jailer,
        effect: "a link planted in a jail lets its start overwrite files of the host",
        fixed_in: "1.13.2, 1.14.1 and 1.15.0",
        // Only where something could be planted: our jails are made anew for each start, below a
        // directory that nobody else may write to.
        bites: &[],
        ranges: &[((0, 0, 0), (1, 13, 2)), ((1, 14, 0), (1, 14, 1))],
    },
];

impl KnownDefect {
    /// The defects of a version of a program.
    pub fn of(
        program: Program,
        version: &FirecrackerVersion,
    ) -> impl Iterator<Item = &'static Self> {
        let release = (version.major, version.minor, version.patch);
        KNOWN.iter().filter(move |defect| {
            let has = |(first, fixed): &(Release, Release)| (*first..*fixed).contains(&release);
            defect.program == program && defect.ranges.iter().any(has)
        })
    }

    /// Whether the defect matters to this use.
    #[must_use]
    pub fn bites(&self, usage: Use) -> bool {
        self.bites.contains(&usage)
    }

    /// Refuses a use that a defect of this version bites, unless `overridden` names the defect (or
    /// is `*`, which stands for all).
    ///
    /// # Errors
    /// With the defect that bites.
    pub fn refuse<S: AsRef<str>>(
        program: Program,
        version: &FirecrackerVersion,
        usage: Use,
        overridden: &[S],
    ) -> Result<(), KnownBadError> {
        let is_overridden = |name: &str| {
            overridden.iter().any(|o| o.as_ref() == "*" || o.as_ref().eq_ignore_ascii_case(name))
        };
        let biting = Self::of(program, version).find(|d| d.bites(usage) && !is_overridden(d.name));
        match biting {
            Some(defect) => Err(KnownBadError { defect, version: version.clone() }),
            None => Ok(()),
        }
    }
}

/// What was asked for is not safe with this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} of {} {version}: {}", defect.name, defect.program.name(), defect.effect)]
pub struct KnownBadError {
    defect: &'static KnownDefect,
    version: FirecrackerVersion,
}

impl KnownBadError {
    /// The defect that bites.
    #[must_use]
    pub const fn defect(&self) -> &'static KnownDefect {
        self.defect
    }

    /// A stable name of the kind of failure.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "FIRECRACKER_KNOWN_BAD"
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let KnownDefect { name, fixed_in, .. } = self.defect;
        Some(format!(
            "it is fixed in {fixed_in}; to go on all the same, accept the defect `{name}`"
        ))
    }
}

impl Program {
    /// The program's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firecracker => "Firecracker",
            Self::Jailer => "jailer",
        }
    }
}

#[cfg(test)]
mod tests;
