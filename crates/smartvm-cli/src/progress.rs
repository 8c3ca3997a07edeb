//! Downloads, as the person at the terminal sees them.
//!
//! Bars with rate and time left where standard error is a terminal, a few plain lines where it is not,
//! nothing with `--quiet` or `--json`.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use smartvm_images::{Progress, ProgressEvent};

use crate::printer::Printer;

/// With a length, and before it is known.
const BAR: &str = "{prefix}  [{bar:30}] {binary_bytes:>10} of {binary_total_bytes:<10}  \
                   {binary_bytes_per_sec:>12}  {eta:>4} left";
const SPINNER: &str = "{prefix}  {spinner} {binary_bytes:>10}  {binary_bytes_per_sec:>12}";

/// A line that is not on a terminal comes at each of this many parts of a download.
const PARTS: u64 = 4;

/// How often a bar is drawn although nothing comes.
const TICK: Duration = Duration::from_millis(250);

/// Shows downloads.
pub(crate) struct ProgressDisplay {
    printer: Printer,
    bars: Option<MultiProgress>,
    downloads: Mutex<HashMap<String, Shown>>,
}

/// One download.
#[derive(Default)]
struct Shown {
    bar: Option<ProgressBar>,
    total: Option<u64>,
    parts_told: u64,
}

impl ProgressDisplay {
    /// As the flags and the terminal say.
    pub(crate) fn new(printer: Printer) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        let bars = (on_terminal && printer.shows_status()).then(MultiProgress::new);
        Self { printer, bars, downloads: Mutex::default() }
    }

    fn started(&self, shown: &mut Shown, what: &str, done: u64, total: Option<u64>) {
        shown.total = total;
        let Some(bars) = &self.bars else {
            let size = total.map_or(String::new(), |total| format!(", {}", HumanBytes(total)));
            let from = if done == 0 { "downloading" } else { "going on with" };
            self.printer.status(&format!("{from} {what}{size}"));
            shown.parts_told = part(done, total);
            return;
        };
        let bar = shown.bar.get_or_insert_with(|| bars.add(ProgressBar::no_length()));
        let style = ProgressStyle::with_template(if total.is_some() { BAR } else { SPINNER });
        bar.set_style(style.expect("the templates are right"));
        bar.set_prefix(what.to_owned());
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
        // A transfer that stalls shows that it does.
        bar.enable_steady_tick(TICK);
        // What was there already did not come at this rate.
        bar.reset_eta();
    }

    fn advanced(&self, shown: &mut Shown, what: &str, done: u64) {
        if let Some(bar) = &shown.bar {
            return bar.set_position(done);
        }
        let parts = part(done, shown.total);
        if parts > shown.parts_told && parts < PARTS {
            shown.parts_told = parts;
            self.printer.status(&format!("{what}: {} %", parts * 100 / PARTS));
        }
    }
}

impl Progress for ProgressDisplay {
    fn report(&self, event: &ProgressEvent<'_>) {
        if !self.printer.shows_status() {
            return;
        }
        let mut downloads = self.downloads.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ProgressEvent::Waiting { what } => {
                self.printer
                    .status(&format!("waiting for another process that has {what} in hand"));
            }
            ProgressEvent::Started { what, done, total } => {
                let shown = downloads.entry((*what).to_owned()).or_default();
                self.started(shown, what, *done, *total);
            }
            ProgressEvent::Advanced { what, done } => {
                if let Some(shown) = downloads.get_mut(*what) {
                    self.advanced(shown, what, *done);
                }
            }
            ProgressEvent::Retrying { what, problem, after } => {
                let text = format!("{what}: {problem}; again in {}", HumanDuration(*after));
                match &self.bars {
                    Some(bars) => bars.suspend(|| self.printer.status(&text)),
                    None => self.printer.status(&text),
                }
            }
            ProgressEvent::Finished { what, size } => {
                let shown = downloads.remove(*what);
                match shown.and_then(|shown| shown.bar) {
                    Some(bar) => bar.finish_and_clear(),
                    None => self.printer.status(&format!("{what}: done, {}", HumanBytes(*size))),
                }
            }
            _ => {}
        }
    }
}

/// How many parts of a download are there.
fn part(done: u64, total: Option<u64>) -> u64 {
    total.filter(|total| *total > 0).map_or(0, |total| done.saturating_mul(PARTS) / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_right() {
        for template in [BAR, SPINNER] {
            ProgressStyle::with_template(template).unwrap();
        }
    }

    #[test]
    fn a_download_has_four_parts_when_its_length_is_known() {
        assert_eq!(part(99, Some(400)), 0);
        assert_eq!(part(100, Some(400)), 1);
        assert_eq!(part(400, Some(400)), 4);
        assert_eq!(part(100, None), 0);
        assert_eq!(part(0, Some(0)), 0);
    }
}
