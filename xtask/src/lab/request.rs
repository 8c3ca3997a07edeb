//! What the two halves of the lab tell each other, as files in the run's directory.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

const REQUEST: &str = "request.json";
const OUTCOME: &str = "outcome.json";

/// What to run in the lab.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) directory: PathBuf,
    /// Files that are read again and again.
    pub(super) in_memory: Vec<PathBuf>,
}

/// How that went.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// The exit code, or 128 and the number of the signal.
    pub(super) code: u8,
    /// How long it ran, in milliseconds of the lab's clock.
    pub(super) ran_ms: u64,
}

impl Request {
    pub(super) fn write(&self, run_dir: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec(self).context("write down the command")?;
        Ok(fs_err::write(run_dir.join(REQUEST), text)?)
    }

    pub(super) fn read(run_dir: &Path) -> anyhow::Result<Self> {
        let text = fs_err::read(run_dir.join(REQUEST))?;
        serde_json::from_slice(&text).context("read what to run")
    }
}

impl Outcome {
    /// Writes it so that it is there whole, even if the lab dies the next moment.
    pub(super) fn write(&self, run_dir: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec(self).context("write down how the command ended")?;
        let partial = run_dir.join("outcome.partial");
        fs_err::write(&partial, text)?;
        let file: File = fs_err::File::open(&partial)?.into_parts().0;
        file.sync_all().context("write the command's outcome to the host")?;
        Ok(fs_err::rename(partial, run_dir.join(OUTCOME))?)
    }
}

/// How the command ended, if it did.
pub(super) fn read_outcome(run_dir: &Path) -> Option<Outcome> {
    serde_json::from_slice(&fs_err::read(run_dir.join(OUTCOME)).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_outcome(dir.path()).is_none());
        Outcome { code: 7, ran_ms: 1234 }.write(dir.path()).unwrap();
        let outcome = read_outcome(dir.path()).expect("it was written");
        assert_eq!((outcome.code, outcome.ran_ms), (7, 1234));
    }

    #[test]
    fn half_an_outcome_is_none() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join(OUTCOME), "{\"code\":0").unwrap();
        assert!(read_outcome(dir.path()).is_none());
    }
}
