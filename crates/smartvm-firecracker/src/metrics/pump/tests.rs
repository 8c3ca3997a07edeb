use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::stream::{BoundedFile, Fifo};

fn started(dir: &Path, file: Option<BoundedFile>) -> (MetricsPump, Metrics, fs_err::File) {
    let path = dir.join("metrics.fifo");
    let fifo = Fifo::create(path.as_path(), "metrics.fifo").unwrap();
    let (pump, metrics) = start(MetricsPipe { fifo, file, at_launch: true }).unwrap();
    (pump, metrics, fs_err::OpenOptions::new().write(true).open(path).unwrap())
}

async fn next(metrics: &mut Metrics) -> Arc<MetricsSnapshot> {
    tokio::time::timeout(Duration::from_secs(20), metrics.next()).await.unwrap().unwrap()
}

fn line(failures: u64) -> String {
    format!("{{\"utc_timestamp_ms\":7,\"vcpu\":{{\"failures\":{failures}}}}}\n")
}

#[tokio::test]
async fn lines_are_added_up_as_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let (pump, mut metrics, mut writer) = started(dir.path(), None);
    assert_eq!(*metrics.latest(), MetricsSnapshot::default());
    let whole = line(2);
    let (begin, end) = whole.split_at(9);
    writer.write_all(begin.as_bytes()).unwrap();
    writer.write_all(end.as_bytes()).unwrap();
    assert_eq!(next(&mut metrics).await.get("vcpu.failures"), Some(2));
    writer.write_all(line(3).as_bytes()).unwrap();
    assert_eq!(next(&mut metrics).await.get("vcpu.failures"), Some(5));
    drop(writer);
    pump.finish().await;
    assert_eq!(metrics.next().await, None);
    assert_eq!(metrics.latest().flushes, 2);
}

#[tokio::test]
async fn what_is_in_the_pipe_at_the_end_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (pump, metrics, mut writer) = started(dir.path(), None);
    // No task runs between the write and the end.
    writer.write_all(line(1).repeat(100).as_bytes()).unwrap();
    pump.finish().await;
    assert_eq!(metrics.latest().get("vcpu.failures"), Some(100));
}

#[tokio::test]
async fn rubbish_is_counted_and_does_not_hide_what_follows() {
    let dir = tempfile::tempdir().unwrap();
    let (pump, mut metrics, mut writer) = started(dir.path(), None);
    writer.write_all(b"rubbish \xff\x00\n{}\n").unwrap();
    assert_eq!(next(&mut metrics).await.damaged_lines, 2);
    tokio::task::spawn_blocking(move || {
        // More than the pipe holds and more than a line may have.
        for _ in 0..=LINE_LIMIT / 1024 {
            writer.write_all(&[b'x'; 1024]).unwrap();
        }
        writer.write_all(format!("\n{}", line(4)).as_bytes()).unwrap();
    })
    .await
    .unwrap();
    loop {
        let now = next(&mut metrics).await;
        if now.flushes == 1 {
            assert_eq!((now.damaged_lines, now.get("vcpu.failures")), (3, Some(4)));
            break;
        }
    }
    pump.finish().await;
}

#[tokio::test]
async fn a_copy_is_kept_as_received_within_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.json");
    let limit = 10 * line(0).len() as u64;
    let file = BoundedFile::open(&path, limit).unwrap();
    let (pump, metrics, mut writer) = started(dir.path(), Some(file));
    for number in 0..9 {
        writer.write_all(line(number).as_bytes()).unwrap();
    }
    pump.finish().await;
    let expected: String = (0..9).map(line).collect();
    assert_eq!(fs_err::read_to_string(&path).unwrap(), expected);
    assert_eq!(metrics.latest().flushes, 9);
}
