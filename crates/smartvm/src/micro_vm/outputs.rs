//! What a VM's Firecracker writes for us: its console, its log, its metrics and its serial port.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use smartvm_firecracker::api::Metrics;
use smartvm_firecracker::{
    ApiClient, BoundedFile, Fifo, FirecrackerProcess, LogFile, LogPipe, MetricsPipe, PipeCopy,
};

use super::call::call;
use super::files::SERIAL;
use super::handle::VmSetup;
use crate::home::WorkDir;
use crate::smart_vm_error::SmartVmError;

/// The names of the pipes in the work directory.
const LOG: &str = "log.fifo";
const METRICS: &str = "metrics.fifo";

/// The files that copies were asked for in, open.
#[derive(Debug)]
pub(super) struct Copies {
    pub(super) console: Option<BoundedFile>,
    log: Option<BoundedFile>,
    metrics: Option<BoundedFile>,
    serial: Option<BoundedFile>,
}

/// What Firecracker writes to by name.
pub(super) struct Pipes {
    pub(super) log: LogPipe,
    pub(super) metrics: MetricsPipe,
    /// What the guest writes to its serial port, on its way to a file.
    pub(super) serial: Option<PipeCopy>,
}

impl Copies {
    /// Opens the files, so that a start that could not write them fails before anything is made.
    pub(super) fn open(setup: &VmSetup) -> Result<Self, SmartVmError> {
        let config = setup.spec.config();
        let open = |path: Option<&Path>| {
            path.map(|path| BoundedFile::open(path, setup.options.output_file_limit)).transpose()
        };
        let log = config.logger.as_ref().and_then(|logger| logger.log_path.as_deref());
        let metrics = config.metrics.as_ref().and_then(|metrics| metrics.metrics_path.as_deref());
        Ok(Self {
            console: open(config.console_file.as_deref())?,
            log: open(log)?,
            metrics: open(metrics)?,
            serial: open(serial_file(setup))?,
        })
    }

    /// Makes the pipes that Firecracker writes its log and its metrics to.
    pub(super) fn pipes(self, setup: &VmSetup, work_dir: &WorkDir) -> std::io::Result<Pipes> {
        let logger = setup.spec.config().logger.clone().unwrap_or_default();
        let show_level = logger.show_level.unwrap_or_default();
        let log = LogPipe {
            fifo: pipe(work_dir, LOG)?,
            show_origin: logger.show_log_origin.unwrap_or_default(),
            module: logger.module,
            file: self.log.map(|file| LogFile { file, show_level }),
        };
        let metrics = MetricsPipe {
            fifo: pipe(work_dir, METRICS)?,
            file: self.metrics,
            at_launch: metrics_request(setup).is_none(),
        };
        let serial = self.serial.map(|file| PipeCopy::begin(&pipe(work_dir, SERIAL)?, file));
        Ok(Pipes { log, metrics, serial: serial.transpose()? })
    }
}

/// The file that the guest's serial port is to be copied to, in place of the console. Somebody's pipe or
/// terminal is none: its reader decides what becomes of it.
pub(super) fn serial_file(setup: &VmSetup) -> Option<&Path> {
    let serial = setup.spec.config().serial.as_ref()?;
    let path = serial.serial_out_path.as_deref()?;
    let is_special = fs_err::metadata(path)
        .is_ok_and(|found| found.file_type().is_fifo() || found.file_type().is_char_device());
    (!is_special).then_some(path)
}

/// What those files may come to take in all: twice the limit each.
pub(super) fn most_bytes(setup: &VmSetup) -> u64 {
    let config = setup.spec.config();
    let files = [
        config.console_file.is_some(),
        config.logger.as_ref().is_some_and(|logger| logger.log_path.is_some()),
        config.metrics.as_ref().is_some_and(|metrics| metrics.metrics_path.is_some()),
        serial_file(setup).is_some(),
    ];
    let count = files.into_iter().filter(|is_there| *is_there).count() as u64;
    setup.options.output_file_limit.saturating_mul(2 * count)
}

/// Says what Firecracker's command line has no flags for, when there is something to say.
pub(super) async fn describe_metrics(
    setup: &VmSetup,
    process: &FirecrackerProcess,
    client: &ApiClient,
) -> Result<(), SmartVmError> {
    match metrics_request(setup) {
        None => Ok(()),
        Some(request) => call(process, "configure the metrics", client.put_metrics(&request)).await,
    }
}

fn metrics_request(setup: &VmSetup) -> Option<Metrics> {
    let config = setup.spec.config().metrics.as_ref()?;
    let properties = (!config.properties.is_empty()).then(|| config.properties.clone());
    let is_needed = config.emit_id.is_some() || properties.is_some();
    is_needed.then(|| Metrics { metrics_path: METRICS.into(), emit_id: config.emit_id, properties })
}

fn pipe(work_dir: &WorkDir, name: &str) -> std::io::Result<Fifo> {
    let name = Path::new(name);
    let fifo = Fifo::create(work_dir.place(name)?, name)?;
    work_dir.adopt(name)?;
    Ok(fifo)
}
