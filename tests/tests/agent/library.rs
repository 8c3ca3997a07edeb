//! The host's library over the real agent.

use std::time::Duration;

use smartvm_guest::{Dial, Dialling, Guest, Role, Stdio, TerminalSize, Unreachable, WriteOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::world::{DEADLINE, World, wait_for};

#[derive(Debug)]
struct Socket(std::path::PathBuf);

impl Dial for Socket {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            let connected = UnixStream::connect(&self.0).await;
            connected.map_err(|error| Unreachable::new("AGENT_NOT_READY", None, error))
        })
    }
}

fn guest(world: &World) -> Guest {
    Guest::new(Socket(world.socket()))
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("it ends in time")
}

#[tokio::test]
async fn a_program_is_run_with_all_that_it_was_given() {
    let world = World::new();
    let guest = guest(&world);
    let script = "printf '%s|' \"$@\" \"$NAME\" \"$(pwd)\" \"$(id -u)\"; echo bad >&2; exit 3";
    let command = guest.command("sh").args(["-c", script, "sh", "a b", ""]);
    let command = command.env("NAME", "va=lue").current_dir("/tmp").user("65534:65534");
    let output = within(command.output()).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a b||va=lue|/tmp|65534|");
    assert_eq!((output.stderr, output.status.code()), (b"bad\n".to_vec(), Some(3)));
    let error = within(guest.command("no-such-program").status()).await.unwrap_err();
    assert_eq!((error.code(), error.shell_code()), ("GUEST_NO_PROGRAM", Some(127)));
    let error = within(guest.command("/etc/passwd").status()).await.unwrap_err();
    assert_eq!((error.code(), error.shell_code()), ("GUEST_NOT_EXECUTABLE", Some(126)));
}

#[tokio::test]
async fn more_than_memory_holds_goes_through_a_program_and_back() {
    const LENGTH: usize = 32 << 20;
    let world = World::new();
    let mut child = within(guest(&world).command("cat").stdin(Stdio::Piped).spawn()).await.unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let writing = tokio::spawn(async move {
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..LENGTH >> 20 {
            stdin.write_all(&piece).await.unwrap();
        }
        stdin.shutdown().await.unwrap();
    });
    let reading = async {
        let mut read = 0;
        let mut piece = vec![0; 1 << 16];
        loop {
            match stdout.read(&mut piece).await.unwrap() {
                0 => return read,
                more => read += more,
            }
        }
    };
    assert_eq!(within(reading).await, LENGTH);
    writing.await.unwrap();
    assert!(within(child.ended()).await.unwrap().success());
}

#[tokio::test]
async fn signals_deadlines_and_drops_end_a_program_with_all_that_it_started() {
    let world = World::new();
    let guest = guest(&world);
    let sleeps = || guest.command("sh").args(["-c", "sleep 600 & sleep 600"]);

    let mut child = within(sleeps().spawn()).await.unwrap();
    child.kill().await.unwrap();
    let status = within(child.wait()).await.unwrap();
    assert_eq!((status.signal(), status.shell_code()), (Some(9), 137));

    let status = within(sleeps().timeout(Duration::from_millis(50)).status()).await.unwrap();
    assert!(status.timed_out() && !status.success());

    let child = within(sleeps().spawn()).await.unwrap();
    wait_for("the program", || (!world.others().is_empty()).then_some(()));
    drop(child);
    // The runtime must go on to close the connection.
    let gone = async {
        while !world.others().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    within(gone).await;
}

#[tokio::test]
async fn a_program_with_a_terminal_sees_its_size_and_the_next() {
    let world = World::new();
    let size = TerminalSize { rows: 33, columns: 111 };
    let command = guest(&world).command("sh").args(["-c", "stty size; read line; stty size"]);
    let mut child = within(command.terminal(size).spawn()).await.unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut said = Vec::new();
    while !said.ends_with(b"33 111\r\n") {
        assert_ne!(within(stdout.read_buf(&mut said)).await.unwrap(), 0);
    }
    child.resize(TerminalSize { rows: 5, columns: 40 }).await.unwrap();
    stdin.write_all(b"\n").await.unwrap();
    within(stdout.read_to_end(&mut said)).await.unwrap();
    assert!(said.ends_with(b"5 40\r\n"), "{}", said.escape_ascii());
    assert!(within(child.ended()).await.unwrap().success());
}

#[tokio::test]
async fn a_program_that_is_let_go_runs_on() {
    let world = World::new();
    let command = guest(&world).command("sleep").arg("600").keep();
    let child = within(command.spawn()).await.unwrap();
    within(child.detach()).await.unwrap();
    assert!(!world.others().is_empty());
}

#[tokio::test]
async fn the_agent_answers_for_itself_and_ends_the_guest() {
    let mut world = World::new();
    let guest = guest(&world);
    within(guest.ping()).await.unwrap();
    let facts = within(guest.facts()).await.unwrap();
    assert_eq!((facts.role, facts.execs, facts.frozen), (Role::Init, 0, false));
    within(guest.shut_down(Duration::from_secs(1), None)).await.unwrap();
    world.wait_for_end();
}

#[tokio::test]
async fn a_file_goes_into_the_guest_and_comes_back() {
    let world = World::new();
    let guest = guest(&world);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("file");
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let options = WriteOptions { mode: Some(0o640), atomic: true, ..WriteOptions::default() };
    let mut writer = within(guest.create_file(&path, options)).await.unwrap();
    within(writer.write(&content)).await.unwrap();
    assert!(!path.exists(), "it is put in its place when it is whole");
    assert_eq!(within(writer.finish()).await.unwrap(), content.len() as u64);

    let mut file = within(guest.open_file(&path)).await.unwrap();
    let found = file.found();
    assert_eq!((found.mode & 0o777, found.size), (0o640, Some(content.len() as u64)));
    let mut read = Vec::new();
    while let Some(piece) = within(file.next()).await.unwrap() {
        read.extend(piece);
    }
    assert!(read == content, "{} bytes came back", read.len());

    // One that is given up leaves nothing.
    let other = place.path().join("other");
    let mut writer = within(guest.create_file(&other, options)).await.unwrap();
    within(writer.write(b"half")).await.unwrap();
    drop(writer);
    wait_for("the end of the draft", || {
        (fs_err::read_dir(place.path()).unwrap().count() == 1).then_some(())
    });
    let error = within(guest.open_file(&other)).await.unwrap_err();
    assert_eq!(error.code(), "GUEST_NO_FILE");
    let error = within(guest.open_file(place.path())).await.unwrap_err();
    assert_eq!(error.code(), "GUEST_WRONG_KIND_OF_FILE");
}

#[tokio::test]
async fn a_tree_comes_out_of_the_guest_and_goes_in_elsewhere() {
    let world = World::new();
    let guest = guest(&world);
    let place = tempfile::tempdir().unwrap();
    let (source, target) = (place.path().join("source"), place.path().join("target"));
    fs_err::create_dir_all(source.join("a/b")).unwrap();
    fs_err::create_dir(&target).unwrap();
    fs_err::write(source.join("a/b/file"), vec![7; 200_000]).unwrap();
    std::os::unix::fs::symlink("b/file", source.join("a/link")).unwrap();
    let mut out = within(guest.open_tree(&source)).await.unwrap();
    let mut into = within(guest.unpack_tree(&target, WriteOptions::default())).await.unwrap();
    while let Some(piece) = within(out.next()).await.unwrap() {
        within(into.write(&piece)).await.unwrap();
    }
    within(into.finish()).await.unwrap();
    assert_eq!(fs_err::read(target.join("source/a/b/file")).unwrap(), vec![7; 200_000]);
    let link = fs_err::read_link(target.join("source/a/link")).unwrap();
    assert_eq!(link, std::path::Path::new("b/file"));

    let damaged = async {
        let mut into = guest.unpack_tree(&target, WriteOptions::default()).await?;
        into.write(&vec![b'x'; 4096]).await?;
        into.finish().await
    };
    assert_eq!(within(damaged).await.unwrap_err().code(), "GUEST_ARCHIVE_REFUSED");
}

#[tokio::test]
async fn a_port_of_the_guest_is_reached_without_a_network_and_each_half_ends_by_itself() {
    let world = World::new();
    let guest = guest(&world);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("service.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).await.unwrap();
        // It answers after the end of the question.
        stream.write_all(&asked.repeat(2)).await.unwrap();
    });
    let forwarded = within(guest.connect_unix(&path)).await.unwrap();
    let mut answer = Vec::new();
    within(forwarded.carry(&b"question"[..], &mut answer)).await.unwrap();
    assert_eq!(answer, b"questionquestion");
    let error = within(guest.connect_tcp([127, 0, 0, 1].into(), 1)).await.unwrap_err();
    assert_eq!(error.code(), "GUEST_FAILED");
}
