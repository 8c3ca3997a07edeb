//! A process that writes as much as it can, everywhere.

use std::io::{Write, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use smartvm_firecracker::{
    BoundedFile, Fifo, FirecrackerProcess, LaunchSpec, LogFile, LogPipe, MetricsPipe,
};

use crate::cases::{Case, block_on, cases, spec, this_program};

cases![hundreds_of_mebibytes_on_every_way_cost_a_few];

/// What is written to each of console, standard error, log and metrics.
const FLOOD: usize = 128 << 20;

/// What a copy in a file may take.
const LIMIT: u64 = 1 << 20;

/// The memory that all of it may cost: some times what is in pipes, rings and lines under way.
const COST: u64 = 16 << 20;

/// Floods everything, as the process.
pub(crate) fn all(log: &str, metrics: &str) -> ExitCode {
    let open = |path: &str| fs_err::OpenOptions::new().write(true).open(path).unwrap();
    let (log, metrics) = (open(log), open(metrics));
    let line = |length: usize| [vec![b'x'; length - 1], b"\n".to_vec()].concat();
    thread::scope(|scope| {
        // Metrics in lines that are too long, the log in lines that are not.
        scope.spawn(|| pour(log, &line(4096)));
        scope.spawn(|| pour(metrics, &line(1 << 20)));
        scope.spawn(|| pour(stderr(), &line(128 << 10)));
        scope.spawn(|| pour(stdout(), &line(80)));
    });
    ExitCode::SUCCESS
}

fn pour(mut to: impl Write, line: &[u8]) {
    let piece = line.repeat((64_usize << 10).div_ceil(line.len()));
    for _ in 0..FLOOD / piece.len() {
        to.write_all(&piece).unwrap();
    }
    to.flush().unwrap();
}

async fn hundreds_of_mebibytes_on_every_way_cost_a_few() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let fifo = |name: &str| Fifo::create(at(name), name).unwrap();
    let copy = |name: &str| BoundedFile::open(&at(name), LIMIT).unwrap();
    let log_copy = LogFile { file: copy("fc.log"), show_level: true };
    let log =
        LogPipe { fifo: fifo("log.fifo"), show_origin: false, module: None, file: Some(log_copy) };
    let metrics = MetricsPipe {
        fifo: fifo("metrics.fifo"),
        file: Some(copy("metrics.json")),
        at_launch: true,
    };
    let spec = LaunchSpec {
        working_dir: Some(dir.path().to_owned()),
        log: Some(log),
        metrics: Some(metrics),
        ..spec(dir.path(), "floods-everything")
    };
    let before = peak_anew();
    let process = FirecrackerProcess::launch(&this_program(), spec).await.unwrap();
    let recording = process.console().record(copy("console.log"));
    let idle = process.console().reader();
    let exit = process.exited().await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    recording.finished().await;
    let after = peak();
    println!("a flood of {} MiB took {} KiB", FLOOD >> 18, after.saturating_sub(before) >> 10);
    assert!(after < before + COST, "{before} bytes became {after}");

    let lines = process.log().lines().len() as u64 + process.log().lost();
    assert_eq!(
        lines,
        ((FLOOD / 4096) + (FLOOD / (128 << 10))) as u64,
        "each line is accounted for"
    );
    let metrics = process.metrics().unwrap().latest();
    assert_eq!(metrics.damaged_lines, (FLOOD >> 20) as u64);
    for name in ["console.log", "fc.log"] {
        let size = size(&at(name)).expect("something was copied");
        assert!(size <= LIMIT, "{name} has {size} bytes");
        // A copy that is slower than the flood leaves some out, and may never be full.
        let former = size_of_former(&at(name));
        assert!(former <= LIMIT, "what {name} was has {former} bytes");
    }
    drop(idle);
}

fn size(path: &Path) -> Option<u64> {
    Some(fs_err::metadata(path).ok()?.len())
}

fn size_of_former(path: &Path) -> u64 {
    let mut former = path.as_os_str().to_owned();
    former.push(".1");
    size(Path::new(&former)).unwrap_or(0)
}

/// The most memory that this process had at once, in bytes, from now on; what it has now.
fn peak_anew() -> u64 {
    fs_err::write("/proc/self/clear_refs", "5").unwrap();
    peak()
}

fn peak() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}
