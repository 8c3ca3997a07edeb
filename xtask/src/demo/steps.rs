//! What took how long.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Steps in the order in which they were done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Steps(Vec<Step>);

#[derive(Debug, Serialize, Deserialize)]
struct Step {
    what: String,
    took: Duration,
}

impl Steps {
    /// Does a step and notes its time; one that fails has none.
    pub(super) fn time<T>(
        &mut self,
        what: &str,
        step: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        let value = step()?;
        self.add(what, began.elapsed());
        Ok(value)
    }

    pub(super) fn add(&mut self, what: &str, took: Duration) {
        self.0.push(Step { what: what.to_owned(), took });
    }

    pub(super) fn append(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    pub(super) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec(self).context("write down the steps")?;
        Ok(fs_err::write(file, text)?)
    }

    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        serde_json::from_slice(&fs_err::read(file)?).context("read the steps of the guest's part")
    }

    /// One line a step.
    pub(super) fn table(&self) -> String {
        let width = self.0.iter().map(|step| step.what.chars().count()).max().unwrap_or(0);
        let lines: Vec<_> = self
            .0
            .iter()
            .map(|step| format!("{:<width$}  {:>9}", step.what, shown(step.took)))
            .collect();
        lines.join("\n")
    }
}

fn shown(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{:.1} ms", took.as_secs_f64() * 1000.0)
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned() {
        let mut steps = Steps::default();
        steps.add("build", Duration::from_millis(61_520));
        steps.add("start it", Duration::from_micros(8_640));
        assert_eq!(steps.table(), "build        61.5 s\nstart it     8.6 ms");
    }

    #[test]
    fn a_failed_step_has_no_time() {
        let mut steps = Steps::default();
        steps.time("fail", || anyhow::bail!("no") as anyhow::Result<()>).unwrap_err();
        assert_eq!(steps.table(), "");
    }
}
