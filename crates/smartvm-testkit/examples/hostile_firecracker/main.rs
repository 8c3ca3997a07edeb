//! A Firecracker that a guest has taken over, or the next thing to it: it takes Firecracker's arguments, opens its API and
//! lies as the VM's id says. `smartvm_testkit::HostileFirecracker` builds it, alone and static, so that it runs in a jail.
//!
//! What it needs to know of the host, it is told on the guest's command line: `lie=PATH`.
#![expect(
    unsafe_code,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that has nothing but std"
)]

mod uffd;

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Mutex;
use std::thread;

unsafe extern "C" {
    fn mkfifo(path: *const std::ffi::c_char, mode: u32) -> i32;
    fn signal(number: i32, handler: usize) -> usize;
}

/// `SIGTERM` and `SIG_IGN` of Linux.
const SIGTERM: i32 = 15;
const SIG_IGN: usize = 1;

/// What was asked of it.
struct Arguments {
    lie: String,
    socket: String,
    log: Option<String>,
    metrics: Option<String>,
}

/// What it was told of its VM.
#[derive(Default)]
struct Told {
    /// The bodies of `PUT /drives/ID`.
    drives: Vec<String>,
    /// `lie=` of the guest's command line.
    target: Option<String>,
}

static TOLD: Mutex<Told> = Mutex::new(Told { drives: Vec::new(), target: None });

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--version") {
        println!("Firecracker v1.12.1\n");
        return;
    }
    let after = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1).cloned()
    };
    let id = after("--id").unwrap();
    // A jail's id is the VM's and a user's.
    let lie = id.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-').to_owned();
    let arguments = Arguments {
        lie,
        socket: after("--api-sock").unwrap(),
        log: after("--log-path"),
        metrics: after("--metrics-path"),
    };
    // SAFETY: the number and the handler are ones that there are.
    unsafe { signal(SIGTERM, SIG_IGN) };
    if arguments.lie == "swaps-drives" {
        // Its root directory is its own until its API answers.
        fs::rename("drives", "moved").unwrap();
        symlink("/etc", "drives").unwrap();
    }
    let listener = UnixListener::bind(&arguments.socket).unwrap();
    open_outputs(&arguments);
    loop {
        let Ok((stream, _)) = listener.accept() else { continue };
        let lie = arguments.lie.clone();
        thread::spawn(move || converse(stream, &lie));
    }
}

/// Firecracker opens both, and so it must: whoever reads them waits for that.
fn open_outputs(arguments: &Arguments) {
    let (flood_log, flood_metrics) =
        (arguments.lie == "floods-log", arguments.lie == "floods-metrics");
    let floods = [(&arguments.log, flood_log), (&arguments.metrics, flood_metrics)];
    for (path, is_flooded) in floods {
        let Some(path) = path.clone() else { continue };
        thread::spawn(move || {
            let mut file = File::options().write(true).open(path).unwrap();
            // A line without an end, and then lines without an end of them.
            while is_flooded && file.write_all(&[b'x'; 64 << 10]).is_ok() {}
            loop {
                thread::park();
            }
        });
    }
    if arguments.lie == "floods-console" {
        thread::spawn(|| while std::io::stdout().write_all(&[b'x'; 64 << 10]).is_ok() {});
    }
}

/// Serves one connection.
fn converse(mut stream: UnixStream, lie: &str) {
    while let Some((method, path, body)) = read_request(&mut stream) {
        remember(&method, &path, &body);
        let is_start = path == "/version" || (method == "PUT" && !path.starts_with("/snapshot"));
        if is_start {
            if path == "/version" && lie == "version-endless" {
                answer_endlessly(&mut stream);
            }
            let version = match lie {
                "version-path" => "../../../../etc/shadow".to_owned(),
                "version-long" => "1".repeat(1 << 19),
                _ => "1.12.1".to_owned(),
            };
            let body = format!("{{\"firecracker_version\":\"{version}\"}}");
            answer(&mut stream, if path == "/version" { &body } else { "" });
            if path == "/actions" {
                after_start(lie);
                if lie == "moves-socket" {
                    return;
                }
            }
            continue;
        }
        if !lies(&mut stream, lie, &method, &path, &body) {
            return;
        }
    }
}

/// What it does as soon as its guest "runs".
fn after_start(lie: &str) {
    let target = TOLD.lock().unwrap().target.clone();
    match lie {
        "moves-socket" => {
            let _ = fs::remove_file("firecracker.sock");
            symlink(target.unwrap(), "firecracker.sock").unwrap();
        }
        "litters" => litter(),
        "moves-outputs" => {
            // All that is its own: the pipes that it was given, and what its own outputs are called.
            let target = target.unwrap();
            for name in ["log.fifo", "metrics.fifo", "stderr.fifo", "firecracker.pid"] {
                let _ = fs::remove_file(name);
                let _ = symlink(&target, name);
            }
        }
        "plants-names" => {
            // The names that a save and a device's change use.
            let target = target.unwrap();
            for name in ["save.memory", "save.vmstate", "restore.memory", "uffd.sock"] {
                let _ = symlink(&target, name);
            }
            let _ = symlink(&target, "drives/new");
        }
        _ => {}
    }
}

fn lies(stream: &mut UnixStream, lie: &str, method: &str, path: &str, body: &str) -> bool {
    let is_config = path == "/vm/config";
    match lie {
        "is-silent" => loop {
            thread::park();
        },
        "answers-half" => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"dri");
            return false;
        }
        "endless-body" => answer_endlessly(stream),
        "endless-head" => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            while stream.write_all(b"X-More: of the same\r\n").is_ok() {}
            return false;
        }
        "says-yes" => answer(stream, "{}"),
        "names-shadow" if is_config => {
            answer(stream, &drive_config("../../../../../../../../etc/shadow"));
        }
        "names-kmsg" if is_config => answer(stream, &drive_config("/proc/kmsg")),
        "names-target" if is_config => {
            let target = TOLD.lock().unwrap().target.clone();
            answer(stream, &drive_config(&target.unwrap()));
        }
        "names-thousands" if is_config => {
            let drives: Vec<_> = (0..10_000).map(|n| drive_named(&format!("d{n}"), "x")).collect();
            answer(stream, &format!("{{\"drives\":[{}]}}", drives.join(",")));
        }
        _ if is_config => {
            let drives = TOLD.lock().unwrap().drives.join(",");
            answer(stream, &format!("{{\"drives\":[{drives}]}}"));
        }
        "moves-uffd" if path == "/snapshot/load" => {
            fs::remove_file("uffd.sock").unwrap();
            symlink("/etc/passwd", "uffd.sock").unwrap();
            answer(stream, "");
        }
        _ if path == "/snapshot/create" => {
            save(lie, body);
            answer(stream, "");
        }
        _ if path == "/snapshot/load" && body.contains("\"Uffd\"") => {
            if !uffd::load(lie, &value(body, "backend_path").unwrap()) {
                // The handler has been told, and is what has to end this.
                loop {
                    thread::park();
                }
            }
            answer(stream, "");
        }
        _ if method == "GET" => {
            answer(
                stream,
                "{\"id\":\"x\",\"state\":\"Running\",\"vmm_version\":\"1.12.1\",\"app_name\":\"Firecracker\"}",
            );
        }
        _ => answer(stream, ""),
    }
    true
}

fn drive_named(id: &str, path: &str) -> String {
    format!(
        "{{\"drive_id\":\"{id}\",\"is_root_device\":false,\"is_read_only\":false,\"path_on_host\":\"{path}\"}}"
    )
}

fn drive_config(path: &str) -> String {
    format!("{{\"drives\":[{}]}}", drive_named("own", path))
}

/// "Writes" a snapshot.
fn save(lie: &str, body: &str) {
    let (memory, state) =
        (value(body, "mem_file_path").unwrap(), value(body, "snapshot_path").unwrap());
    let target = TOLD.lock().unwrap().target.clone();
    let replace = |name: &str| {
        let _ = fs::remove_file(name);
    };
    match lie {
        "saves-nothing" => return,
        "saves-link" => {
            replace(&memory);
            symlink(target.unwrap(), &memory).unwrap();
        }
        "saves-link-of-both" => {
            let target = target.unwrap();
            for name in [&memory, &state] {
                replace(name);
                symlink(&target, name).unwrap();
            }
            return;
        }
        "saves-pipe" => {
            replace(&memory);
            let name = CString::new(memory).unwrap();
            // SAFETY: the path is a string that ends with a zero byte.
            assert_eq!(unsafe { mkfifo(name.as_ptr(), 0o666) }, 0);
        }
        "saves-directory" => {
            replace(&memory);
            fs::create_dir(&memory).unwrap();
        }
        "saves-too-much" => {
            let file = File::options().write(true).open(&memory).unwrap();
            // As large as the file system lets it be.
            let _ = (40..63).rev().find(|power| file.set_len(1 << power).is_ok());
        }
        "saves-huge-state" => {
            let file = File::options().write(true).open(&state).unwrap();
            file.set_len(1 << 34).unwrap();
            File::options().write(true).open(&memory).unwrap().set_len(32 << 20).unwrap();
            return;
        }
        _ => File::options().write(true).open(&memory).unwrap().set_len(32 << 20).unwrap(),
    }
    fs::write(state, "state").unwrap();
}

/// Makes of its directory what is hard to remove.
fn litter() {
    let mut deep = String::from("deep");
    // As deep as a path can say, and links to where nobody should go.
    while deep.len() < 3900 && fs::create_dir(&deep).is_ok() {
        let _ = symlink("/", format!("{deep}/root"));
        deep.push_str("/d");
    }
    for number in 0..2000 {
        let _ = symlink("/etc", format!("link-{number}"));
        let _ = File::create(format!("file-{number}"));
    }
    let name = CString::new("pipe").unwrap();
    // SAFETY: the path is a string that ends with a zero byte.
    unsafe { mkfifo(name.as_ptr(), 0o666) };
}

fn answer(stream: &mut UnixStream, body: &str) {
    let head = if body.is_empty() {
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
    } else {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())
    };
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body.as_bytes());
}

/// An answer that announces no length and has no end.
fn answer_endlessly(stream: &mut UnixStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
    while stream.write_all(&[b' '; 64 << 10]).is_ok() {}
}

fn remember(method: &str, path: &str, body: &str) {
    if method != "PUT" {
        return;
    }
    let mut told = TOLD.lock().unwrap();
    if path.starts_with("/drives/") {
        told.drives.push(body.to_owned());
    }
    if path == "/boot-source" {
        let args = value(body, "boot_args").unwrap_or_default();
        let target = args.split(' ').find_map(|arg| arg.strip_prefix("lie=").map(str::to_owned));
        told.target = target;
    }
}

/// The text of a key, in JSON that escapes nothing.
fn value(json: &str, key: &str) -> Option<String> {
    let rest = json.split_once(&format!("\"{key}\":\""))?.1;
    Some(rest.split_once('"')?.0.to_owned())
}

fn read_request(stream: &mut UnixStream) -> Option<(String, String, String)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
            let length = text.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().ok())?
            });
            let end = head + 4 + length.unwrap_or(0);
            if bytes.len() >= end {
                let mut words = text.split(' ');
                let method = words.next()?.to_owned();
                let path = words.next()?.to_owned();
                return Some((method, path, String::from_utf8_lossy(&bytes[head + 4..end]).into()));
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}
