use smartvm::control::ControlCall;
use smartvm_firecracker::{Answer, LogLine, MetricsFlush, MetricsTotals};
use smartvm_testkit::memory::{Bound, assert_reading_is_bounded};

const BOUND: Bound = Bound { per_byte: 100, fixed: 1 << 20 };

fn repeated(begin: &str, each: &str, end: &str, count: usize) -> Vec<u8> {
    [begin, &each.repeat(count), end].concat().into_bytes()
}

#[test]
fn an_answer_takes_memory_as_its_text_does() {
    let bound = Bound { per_byte: 3, fixed: 64 << 10 };
    let head = "HTTP/1.1 400 \r\n";
    let read = |bytes: &[u8]| {
        let answer = Answer::parse(bytes, true);
        answer.map(|answer| answer.map(|(answer, _)| answer.fault_message()))
    };
    let body = |count| repeated(head, "x", "", count).into_iter().collect();
    assert_reading_is_bounded("no end of headers", 20_000, bound, body, read);
    let headers = |count| repeated(head, "a: b\r\n", "\r\n", count);
    assert_reading_is_bounded("headers", 20_000, bound, headers, read);
    let body = |count| repeated(&format!("{head}\r\n"), "\u{1}", "", count);
    assert_reading_is_bounded("a body", 20_000, Bound { per_byte: 60, ..bound }, body, read);
    let fault =
        |count| repeated(&format!("{head}\r\n{{\"fault_message\":\""), "\u{1}", "\"}", count);
    assert_reading_is_bounded("a fault", 20_000, Bound { per_byte: 60, ..bound }, fault, read);
}

#[test]
fn a_line_of_the_log_takes_memory_as_it_is_long() {
    for (what, begin, each, end) in [
        ("noise", "", "\u{fffd}", ""),
        ("a message", "2026-11-29T12:00:00.000000000 [vm:main] ", "x", ""),
        ("brackets", "2026-11-29T12:00:00.000000000 ", "[", "]"),
        ("words", "", "a ", ""),
    ] {
        let make = |count| repeated(begin, each, end, count);
        let read = |line: &[u8]| LogLine::parse(line).to_string();
        assert_reading_is_bounded(what, 10_000, Bound { per_byte: 10, ..BOUND }, make, read);
    }
}

#[test]
fn metrics_take_memory_as_a_line_does_and_their_sums_no_more_than_the_largest() {
    let read = |lines: &[u8]| {
        let mut totals = MetricsTotals::new();
        for line in lines.split(|byte| *byte == b'\n') {
            if let Ok(flush) = MetricsFlush::parse(line) {
                totals.add(flush);
            }
        }
        totals.snapshot().to_prometheus("vm")
    };
    let bound = Bound { per_byte: 100, fixed: 16 << 20 };
    let names = |count| {
        let each: String = (0..count).map(|n| format!("\"n{n}\":{n},")).collect();
        repeated("{\"utc_timestamp_ms\":1,", &each, "\"x\":1}", 1)
    };
    assert_reading_is_bounded("names", 20_000, bound, names, read);
    // Each line has names of its own.
    let lines = |count| {
        let line = |n: usize| format!("{{\"utc_timestamp_ms\":1,\"group{n}\":{{\"a{n}\":1}}}}\n");
        (0..count).map(line).collect::<String>().into_bytes()
    };
    assert_reading_is_bounded("lines", 20_000, bound, lines, read);
    let cut = |count| repeated("", "{\"utc_timestamp_ms\":", "", count);
    assert_reading_is_bounded("beginnings", 2000, bound, cut, read);
}

#[test]
fn a_request_of_another_process_takes_memory_as_its_text_does() {
    for (what, begin, each, end) in [
        ("depth", "", "[", ""),
        ("numbers", "{\"call\":[", "1,", "1]}"),
        ("keys", "{", "\"a\":1,", "\"call\":1}"),
    ] {
        let make = |count| repeated(begin, each, end, count);
        assert_reading_is_bounded(what, 5000, BOUND, make, ControlCall::parse);
    }
}
