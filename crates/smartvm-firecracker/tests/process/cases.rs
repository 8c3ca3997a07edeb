//! What is expected of a process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use smartvm_firecracker::{
    FirecrackerBinary, FirecrackerProcess, LaunchError, LaunchSpec, ProcessExit, StopStep,
    TERM_THEN_KILL,
};
use tempfile::TempDir;

pub(crate) type Case = (&'static str, fn());

macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) const ALL: &[Case] = &[$((stringify!($name), || block_on($name()))),*];
    };
}

pub(crate) use cases;

cases![
    all_output_is_kept_when_the_end_is_told,
    any_number_may_wait_for_the_end,
    what_is_typed_reaches_the_program_and_its_answer_the_reader,
    a_flood_nobody_reads_neither_blocks_nor_fills_memory,
    dropping_kills_reaps_and_removes_the_socket,
    a_patient_step_that_fails_is_followed_by_the_next,
    termination_of_an_ended_process_sends_nothing,
    a_late_socket_is_waited_for,
    an_end_before_the_answer_is_told_with_the_log,
    nonsense_in_place_of_an_answer_is_told,
    one_that_never_listens_and_one_that_never_answers_are_not_waited_for_without_end,
    another_program_is_not_firecracker,
    a_socket_path_too_long_is_refused_before_the_start,
    what_is_at_the_sockets_path_is_not_touched,
    an_id_that_firecracker_would_refuse_is_refused_before_the_start,
];

pub(crate) fn block_on(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let deadline = Duration::from_secs(30);
    runtime.block_on(async { tokio::time::timeout(deadline, case).await.expect("in time") });
}

pub(crate) fn this_program() -> FirecrackerBinary {
    FirecrackerBinary::open(&std::env::current_exe().unwrap()).unwrap()
}

pub(crate) fn spec(dir: &Path, id: &str) -> LaunchSpec {
    LaunchSpec {
        working_dir: None,
        socket_path: dir.join("socket"),
        instance_id: id.to_owned(),
        vm: None,
        log_level: None,
        log: None,
        metrics: None,
        enable_pci: false,
        console_capacity: 4096,
        die_with_parent: true,
    }
}

pub(crate) struct Fake {
    pub(crate) process: FirecrackerProcess,
    dir: TempDir,
}

impl Fake {
    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }
}

pub(crate) async fn fake(id: &str) -> Fake {
    let dir = tempfile::tempdir().unwrap();
    let process = FirecrackerProcess::launch(&this_program(), spec(dir.path(), id)).await.unwrap();
    Fake { process, dir }
}

async fn refusal(spec: LaunchSpec) -> LaunchError {
    FirecrackerProcess::launch(&this_program(), spec).await.unwrap_err()
}

async fn all_output_is_kept_when_the_end_is_told() {
    let fake = fake("says-all-and-exits-148").await;
    let exit = fake.process.exited().await;
    let output = "console\nlog\n".to_owned();
    assert_eq!(exit, ProcessExit { code: Some(148), signal: None, output });
    assert_eq!(fake.process.log_tail(), "log\n");
    assert_eq!(fake.process.console().tail(5), b"sole\n");
    let mut reader = fake.process.console().reader();
    assert_eq!(reader.next().await.unwrap().bytes, b"console\n");
    assert_eq!(reader.next().await, None);
}

async fn any_number_may_wait_for_the_end() {
    let fake = fake("waits").await;
    assert_eq!(fake.process.try_exited(), None);
    let wait = || fake.process.exited();
    let kill = async { fake.process.signal(Signal::KILL).unwrap() };
    let (first, second, ()) = tokio::join!(wait(), wait(), kill);
    assert_eq!(first.signal, Some(9));
    assert_eq!((Some(first), Some(second)), (fake.process.try_exited(), fake.process.try_exited()));
    fake.process.signal(Signal::TERM).expect("to have ended already is success");
}

async fn what_is_typed_reaches_the_program_and_its_answer_the_reader() {
    let fake = fake("echoes").await;
    let console = fake.process.console();
    let mut reader = console.reader();
    console.write(b"hello").await.unwrap();
    let mut heard = Vec::new();
    while heard != b"hello" {
        heard.extend(reader.next().await.unwrap().bytes);
    }
}

async fn a_flood_nobody_reads_neither_blocks_nor_fills_memory() {
    let fake = fake("floods").await;
    let mut reader = fake.process.console().reader();
    while fake.process.log_tail() != "flooded\n" {
        tokio::task::yield_now().await;
    }
    fake.process.signal(Signal::KILL).unwrap();
    fake.process.exited().await;
    let chunk = reader.next().await.unwrap();
    assert_eq!((chunk.lost, chunk.bytes.len()), (1024 * 1024 - 4096, 4096));
}

async fn dropping_kills_reaps_and_removes_the_socket() {
    let fake = fake("answers-late").await;
    let client = fake.process.ready().await.unwrap();
    let identity = fake.process.identity();
    assert!(identity.is_alive() && fake.socket().exists());
    let Fake { process, dir } = fake;
    drop(process);
    assert!(!Path::new(&format!("/proc/{}", identity.pid)).exists(), "not even a zombie is left");
    assert!(!dir.path().join("socket").exists());
    client.version().await.expect_err("nobody is there any more");
}

async fn a_patient_step_that_fails_is_followed_by_the_next() {
    let fake = fake("waits").await;
    let ignored = StopStep { signal: Signal::CONT, patience: Duration::from_millis(1) };
    let termination = fake.process.terminate(&[ignored]).await;
    assert_eq!((termination.exit, termination.ended_by), (None, None));
    let [_, kill] = TERM_THEN_KILL;
    let termination = fake.process.terminate(&[ignored, kill]).await;
    assert_eq!(termination.ended_by, Some(Signal::KILL));
    assert_eq!(termination.exit.unwrap().meaning(), "killed by SIGKILL");
}

async fn termination_of_an_ended_process_sends_nothing() {
    let fake = fake("says-all-and-exits-148").await;
    fake.process.exited().await;
    let termination = fake.process.terminate(&TERM_THEN_KILL).await;
    assert_eq!(termination.ended_by, None);
    assert_eq!(termination.exit.unwrap().code, Some(148));
}

async fn a_late_socket_is_waited_for() {
    let fake = fake("answers-late").await;
    fake.process.ready().await.unwrap();
}

async fn an_end_before_the_answer_is_told_with_the_log() {
    let fake = fake("listens-and-exits-1").await;
    let error = fake.process.ready().await.unwrap_err();
    assert_eq!(error.code(), "PROCESS_EXITED");
    assert_eq!(fake.process.try_exited().unwrap().output, "no KVM\n");
}

async fn nonsense_in_place_of_an_answer_is_told() {
    let fake = fake("answers-nonsense").await;
    let error = fake.process.ready().await.unwrap_err();
    assert_eq!(error.code(), "SOCKET_REQUEST_FAILED");
}

async fn one_that_never_listens_and_one_that_never_answers_are_not_waited_for_without_end() {
    let (deaf, dumb) = (fake("never-listens").await, fake("listens-and-never-answers").await);
    let (deaf_said, dumb_said) = tokio::join!(deaf.process.ready(), dumb.process.ready());
    assert_eq!(deaf_said.unwrap_err().code(), "SOCKET_TIMEOUT");
    assert_eq!(dumb_said.unwrap_err().code(), "API_TIMEOUT");
    for late in [deaf, dumb] {
        assert!(late.process.try_exited().is_none(), "it is its caller's to end");
        let ended = late.process.terminate(TERM_THEN_KILL.as_slice()).await;
        assert!(ended.exit.is_some());
    }
}

async fn another_program_is_not_firecracker() {
    let dir = tempfile::tempdir().unwrap();
    let binary = FirecrackerBinary::open("/bin/false".as_ref()).unwrap();
    let process = FirecrackerProcess::launch(&binary, spec(dir.path(), "vm")).await.unwrap();
    assert_eq!(process.ready().await.unwrap_err().code(), "NOT_FIRECRACKER");
}

async fn a_socket_path_too_long_is_refused_before_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let room = 107 - dir.path().as_os_str().len() - 1;
    let with_name = |length: usize| LaunchSpec {
        socket_path: dir.path().join("s".repeat(length)),
        ..spec(dir.path(), "waits")
    };
    assert_eq!(refusal(with_name(room + 1)).await.code(), "SOCKET_PATH_TOO_LONG");
    let longest = FirecrackerProcess::launch(&this_program(), with_name(room)).await;
    drop(longest.expect("107 bytes are possible"));
}

async fn what_is_at_the_sockets_path_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(dir.path(), "waits");
    fs_err::write(&spec.socket_path, b"precious").unwrap();
    let socket_path = spec.socket_path.clone();
    assert_eq!(refusal(spec).await.code(), "SOCKET_EXISTS");
    assert_eq!(fs_err::read(socket_path).unwrap(), b"precious");
}

async fn an_id_that_firecracker_would_refuse_is_refused_before_the_start() {
    let dir = tempfile::tempdir().unwrap();
    for id in ["", "under_score", "a b", "ä", &"x".repeat(65)] {
        assert_eq!(refusal(spec(dir.path(), id)).await.code(), "INSTANCE_ID_INVALID", "{id}");
    }
}
