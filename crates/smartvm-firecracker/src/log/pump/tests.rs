use std::io::Write;
use std::path::Path;

use rustix::pipe::{PipeFlags, pipe_with};

use super::*;
use crate::log::Severity;
use crate::stream::{BoundedFile, Fifo};

struct Bench {
    pump: LogPump,
    log: FirecrackerLog,
    text: Output,
    stderr: Option<fs_err::File>,
    fifo: fs_err::File,
}

fn start_in(dir: &Path, file: Option<LogFile>) -> Bench {
    let path = dir.join("log.fifo");
    let fifo = Fifo::create(path.as_path(), "log.fifo").unwrap();
    let (stderr, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let pipe = Some(LogPipe { fifo, show_origin: false, module: None, file });
    let (pump, log, text) = start(LogSources {
        vm: "vm".into(),
        instance: "vm-1900000000".into(),
        stderr,
        pipe,
        capacity: 1000,
    })
    .unwrap();
    Bench {
        pump,
        log,
        text,
        stderr: Some(fs_err::File::from_parts(writer.into(), "stderr")),
        fifo: fs_err::OpenOptions::new().write(true).open(path).unwrap(),
    }
}

const LINE: &str = "2026-11-23T23:24:43.7 [vm:main:ERROR] it failed\n";

#[tokio::test]
async fn both_ways_of_the_log_are_read_to_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = start_in(dir.path(), None);
    bench.fifo.write_all(LINE.as_bytes()).unwrap();
    let mut stderr = bench.stderr.take().unwrap();
    stderr.write_all(b"thread 'main' panicked\nwithout an end").unwrap();
    drop(stderr);
    bench.pump.finish().await;
    let lines = bench.log.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().any(|line| line.level == Some(Severity::Error)));
    let text = bench.text.tail_text(1000);
    assert!(text.contains(LINE) && text.contains("panicked\nwithout an end\n"), "{text}");
}

#[tokio::test]
async fn a_standard_error_that_somebody_keeps_open_does_not_hold_up_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = start_in(dir.path(), None);
    bench.stderr.as_mut().unwrap().write_all(b"said\n").unwrap();
    bench.pump.finish().await;
    assert_eq!(bench.log.lines()[0].message, "said");
}

#[tokio::test]
async fn a_flood_costs_bounded_memory_and_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fc.log");
    let limit = 64 * 1024;
    let file = LogFile { file: BoundedFile::open(&path, limit).unwrap(), show_level: false };
    let bench = start_in(dir.path(), Some(file));
    let mut fifo = bench.fifo;
    let lines = 20_000;
    tokio::task::spawn_blocking(move || {
        for number in 0..lines {
            writeln!(fifo, "2026-11-23T23:24:43.7 [vm:main:TRACE] line {number:0100}").unwrap();
        }
        fifo.write_all(&vec![b'x'; 2 * LINE_LIMIT]).unwrap();
        writeln!(fifo).unwrap();
    })
    .await
    .unwrap();
    bench.pump.finish().await;
    let kept = bench.log.lines();
    assert_eq!(kept.len() as u64 + bench.log.lost(), lines + 1);
    assert!(kept.iter().map(LogLine::weight).sum::<usize>() <= 64 * 1024);
    assert!(bench.text.kept() <= 1000);
    for name in ["fc.log", "fc.log.1"] {
        let text = fs_err::read_to_string(dir.path().join(name)).unwrap();
        assert!(text.len() as u64 <= limit);
        assert!(text.lines().all(|line| line.starts_with("2026-11-23T23:24:43.7 [vm:main] line ")));
    }
    assert!(fs_err::read_to_string(&path).unwrap().ends_with("019999\n"));
}

/// What was emitted on this thread.
#[derive(Clone, Default)]
struct Emitted(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Write for Emitted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_flood_is_passed_on_in_part_and_the_rest_is_counted_and_told() {
    let emitted = Emitted::default();
    let writer = emitted.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    let dir = tempfile::tempdir().unwrap();
    let bench = start_in(dir.path(), None);
    let mut fifo = bench.fifo;
    let lines = 50_000;
    tokio::task::spawn_blocking(move || {
        for number in 0..lines {
            writeln!(fifo, "2026-11-23T23:24:43.7 [vm:main:TRACE] quiet {number}").unwrap();
            writeln!(fifo, "2026-11-23T23:24:43.7 [vm:main:WARN] loud {number}").unwrap();
        }
    })
    .await
    .unwrap();
    bench.pump.finish().await;
    let emitted = String::from_utf8(emitted.0.lock().unwrap().clone()).unwrap();
    let of_the_vm =
        |line: &&str| line.contains(r#"vm="vm""#) && line.contains(r#"instance="vm-1900000000""#);
    let passed = emitted.lines().filter(|line| line.contains("loud")).filter(of_the_vm).count();
    let left_out: usize = emitted
        .lines()
        .filter_map(|line| {
            line.split_once("left_out=")?.1.split_whitespace().next()?.parse::<usize>().ok()
        })
        .sum();
    assert_eq!(passed + left_out, lines, "each line is there or counted");
    assert!(passed > 100 && passed < lines / 2, "{passed}");
    assert!(emitted.contains("grows too fast") && !emitted.contains("quiet"), "{emitted}");
}
