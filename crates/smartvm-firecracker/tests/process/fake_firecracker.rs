//! A program that takes Firecracker's arguments and behaves as its instance id says.

use std::io::{Read, Write, stderr, stdin, stdout};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::thread::{park, sleep};
use std::time::Duration;

use rustix::process::{Signal, getpgrp, getpid, parent_process_death_signal};

use crate::flood;

pub(crate) fn is_meant(arguments: &[String]) -> bool {
    arguments.first().is_some_and(|first| first == "--version" || first == "--id")
}

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    if arguments[0] == "--version" {
        println!("Firecracker v1.12.1\n");
        return ExitCode::SUCCESS;
    }
    let Some((arguments, more)) = arguments.split_at_checked(9) else {
        return ExitCode::from(153);
    };
    let [id_flag, id, socket_flag, socket, log_flag, log, level_flag, _level, show] = arguments
    else {
        return ExitCode::from(153);
    };
    if let [flag, metrics] = more
        && flag == "--metrics-path"
        && log == "log.fifo"
    {
        return flood::all(log, metrics);
    }
    let flags = [id_flag, socket_flag, log_flag, level_flag, show].map(String::as_str);
    let expected = ["--id", "--api-sock", "--log-path", "--level", "--show-level"];
    if flags != expected || !more.is_empty() || log != "/proc/self/fd/2" {
        return ExitCode::from(153);
    }
    behave(id, socket)
}

fn behave(id: &str, socket: &str) -> ExitCode {
    match id {
        "says-all-and-exits-148" => {
            println!("console");
            eprintln!("log");
            ExitCode::from(148)
        }
        "echoes" => {
            let mut byte = [0];
            while stdin().read(&mut byte).is_ok_and(|n| n == 1) {
                stdout().write_all(&byte).unwrap();
                stdout().flush().unwrap();
            }
            ExitCode::SUCCESS
        }
        "floods" => {
            for _ in 0..1024 {
                stdout().write_all(&[b'x'; 1024]).unwrap();
            }
            stdout().flush().unwrap();
            eprintln!("flooded");
            wait()
        }
        "tells-its-environment" => {
            let count = std::env::vars_os().count();
            let descriptors = fs_err::read_dir("/proc/self/fd").unwrap().count();
            let leads_its_group = getpgrp() == getpid();
            let death_signal = parent_process_death_signal().unwrap().map(Signal::as_raw);
            // Three, and the directory itself.
            println!("{count} variables, {} descriptors", descriptors - 1);
            println!("own group: {leads_its_group}, death signal: {death_signal:?}");
            ExitCode::SUCCESS
        }
        "answers-late" => {
            sleep(Duration::from_millis(400));
            serve(socket, "{\"firecracker_version\":\"1.12.1\"}")
        }
        "answers-nonsense" => serve(socket, "<html>"),
        "listens-and-exits-1" => {
            let _listener = UnixListener::bind(socket).unwrap();
            stderr().write_all(b"no KVM\n").unwrap();
            ExitCode::from(1)
        }
        "listens-and-never-answers" => {
            let _listener = UnixListener::bind(socket).unwrap();
            wait()
        }
        _ => wait(),
    }
}

fn wait() -> ExitCode {
    loop {
        park();
    }
}

fn serve(socket: &str, body: &str) -> ExitCode {
    let listener = UnixListener::bind(socket).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = [0; 1024];
    let _length = stream.read(&mut request).unwrap();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    wait()
}
