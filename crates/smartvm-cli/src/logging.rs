//! What the libraries log, on stderr.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use crate::printer::LogWriter;

/// Shows logs up to the level that the number of `-v` asks for: warnings without
/// any, then info, debug, trace.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Nobody else sets one up in this process.
    let _ = fmt().with_max_level(level).with_writer(LogWriter::default).without_time().try_init();
}
