//! Programs in a guest whose agent is played, well or badly. The real agent is run by the tests of `tests`.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::time::Duration;

use smartvm_guest::{Child, Dial, Dialling, Guest, GuestError, Stdio};
use smartvm_protocol::agent::{Ended, Exit, Started, StdinCredit, Welcome};
use smartvm_protocol::{
    AgentFrame, Decoder, Features, Frame, HostFrame, Refusal, RefusalCode, STDIN_WINDOW,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// The agent's end of a connection.
struct Agent {
    stream: UnixStream,
    decoder: Decoder<HostFrame>,
    unread: Vec<u8>,
}

impl Agent {
    /// The host's next frame; none when it has closed.
    async fn next(&mut self) -> Option<HostFrame> {
        loop {
            let mut bytes = &self.unread[..];
            let frame = self.decoder.next(&mut bytes).unwrap();
            self.unread = bytes.to_vec();
            if frame.is_some() {
                return frame;
            }
            let mut piece = vec![0; 70_000];
            match self.stream.read(&mut piece).await {
                Ok(0) | Err(_) => return None,
                Ok(read) => self.unread.extend(&piece[..read]),
            }
        }
    }

    async fn send(&mut self, frames: impl IntoIterator<Item = AgentFrame>) {
        let mut bytes = Vec::new();
        frames.into_iter().for_each(|frame| frame.encode(&mut bytes).unwrap());
        self.raw(&bytes).await;
    }

    async fn raw(&mut self, bytes: &[u8]) {
        // The host may be gone, which is its right.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Lets the program that is asked for begin.
    async fn start(&mut self) {
        assert!(matches!(self.next().await, Some(HostFrame::Hello(_))));
        assert!(matches!(self.next().await, Some(HostFrame::StartExec(_))));
        self.send([welcome(1), AgentFrame::Started(Started { exec: 7, pid: 42 })]).await;
    }
}

fn welcome(generation: u16) -> AgentFrame {
    let features = Features::default();
    AgentFrame::Welcome(Welcome { generation, features, sessions_max: 8, vm_generation: 0 })
}

fn stdout(bytes: &[u8]) -> AgentFrame {
    AgentFrame::Stdout(bytes.into())
}

fn stderr(bytes: &[u8]) -> AgentFrame {
    AgentFrame::Stderr(bytes.into())
}

fn exit(code: u8) -> AgentFrame {
    AgentFrame::Exit(Exit {
        ended: Ended::Code(code),
        timed_out: false,
        oom_kills: 0,
        truncated: false,
        user_us: 0,
        system_us: 0,
        peak_rss: 0,
    })
}

#[derive(Debug)]
struct Played(mpsc::Sender<UnixStream>);

impl Dial for Played {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            let (host, guest) = UnixStream::pair().unwrap();
            self.0.send(guest).await.unwrap();
            Ok(host)
        })
    }
}

/// A guest, each of whose connections is played by `play`.
fn guest<Play>(play: impl Fn(Agent) -> Play + Send + 'static) -> Guest
where
    Play: Future<Output = ()> + Send + 'static,
{
    let (sender, mut connections) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Some(stream) = connections.recv().await {
            let agent = Agent { stream, decoder: Decoder::default(), unread: Vec::new() };
            tokio::spawn(play(agent));
        }
    });
    Guest::new(Played(sender))
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, work).await.expect("it ends")
}

#[tokio::test]
async fn output_and_errors_come_apart_and_the_end_after_them() {
    let guest = guest(async |mut agent| {
        agent.start().await;
        let more = vec![b'x'; 60_000];
        let frames = [stdout(b"one"), stderr(b"bad"), stdout(&more), stderr(b"ness"), exit(3)];
        agent.send(frames).await;
    });
    let output = within(guest.command("make").arg("test").output()).await.unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(3), b"badness".to_vec()));
    assert_eq!(output.stdout.len(), 60_003);
    let status = within(guest.command("make").status()).await.unwrap();
    assert_eq!(status.code(), Some(3), "output that nobody wants holds nothing up");
}

#[tokio::test]
async fn a_program_is_asked_for_as_it_was_described() {
    let guest = guest(async |mut agent| {
        agent.next().await;
        let Some(HostFrame::StartExec(start)) = agent.next().await else { panic!("no start") };
        assert_eq!(start.argv, [b"printf".to_vec(), b"%s".to_vec(), vec![0xff]]);
        assert_eq!(start.env.len(), 1);
        assert_eq!(&*start.env[0], b"A=b=c");
        assert_eq!((start.cwd, start.user), (Some(b"/tmp".to_vec()), Some(b"nobody".to_vec())));
        assert_eq!((start.timeout_ms, start.stdin), (Some(1500), false));
        agent.send([welcome(1), AgentFrame::Started(Started { exec: 1, pid: 2 }), exit(0)]).await;
    });
    let odd = std::os::unix::ffi::OsStringExt::from_vec(vec![0xff]);
    let odd: std::ffi::OsString = odd;
    let command = guest.command("printf").arg("%s").arg(odd).env("A", "b=c");
    let command = command.current_dir("/tmp").user("nobody").timeout(Duration::from_millis(1500));
    assert!(within(command.status()).await.unwrap().success());
}

#[tokio::test]
async fn input_stays_within_its_window_and_a_signal_is_not_stuck_behind_it() {
    let (full, mut is_full) = mpsc::channel(1);
    let guest = guest(move |mut agent| {
        let full = full.clone();
        async move {
            agent.start().await;
            let mut taken = 0;
            // It reads nothing: the window fills, and then only the signal comes.
            loop {
                match agent.next().await {
                    Some(HostFrame::Stdin(bytes)) => {
                        taken += bytes.len();
                        if taken == STDIN_WINDOW as usize {
                            full.send(()).await.unwrap();
                        }
                    }
                    Some(HostFrame::Signal(signal)) => break assert_eq!(signal.number, 15),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(taken, STDIN_WINDOW as usize);
            // What it reads after all is followed by as much.
            let mut left = 1_000_000 - taken;
            while left > 0 {
                agent.send([AgentFrame::StdinCredit(StdinCredit { bytes: STDIN_WINDOW })]).await;
                let mut room = STDIN_WINDOW as usize;
                while left > 0 && room > 0 {
                    let Some(HostFrame::Stdin(bytes)) = agent.next().await else {
                        panic!("no input")
                    };
                    room -= bytes.len();
                    left -= bytes.len();
                }
            }
            assert!(matches!(agent.next().await, Some(HostFrame::StdinEnd(_))));
            agent.send([exit(0)]).await;
        }
    });
    let mut child: Child = guest.command("cat").stdin(Stdio::Piped).spawn().await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writing = tokio::spawn(async move {
        stdin.write_all(&vec![b'i'; 1_000_000]).await.unwrap();
    });
    within(is_full.recv()).await.unwrap();
    child.signal(15).await.unwrap();
    assert!(within(child.wait()).await.unwrap().success());
    within(writing).await.unwrap();
}

#[tokio::test]
async fn a_child_that_is_dropped_closes_its_connection() {
    let (closed, mut is_closed) = mpsc::channel(1);
    let guest = guest(move |mut agent| {
        let closed = closed.clone();
        async move {
            agent.start().await;
            assert_eq!(agent.next().await, None);
            closed.send(()).await.unwrap();
        }
    });
    let child = guest.command("sleep").stdin(Stdio::Piped).spawn().await.unwrap();
    drop(child);
    within(is_closed.recv()).await.unwrap();
    // So does a call that is given up.
    let given_up = tokio::time::timeout(Duration::from_millis(50), guest.command("x").output());
    given_up.await.unwrap_err();
    within(is_closed.recv()).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_lost_is_no_end_of_the_output() {
    let guest = guest(async |mut agent| {
        agent.start().await;
        agent.send([stdout(b"half")]).await;
    });
    let mut child = guest.command("tar").spawn().await.unwrap();
    let mut read = Vec::new();
    let error = within(child.stdout.take().unwrap().read_to_end(&mut read)).await.unwrap_err();
    assert_eq!((read, error.kind()), (b"half".to_vec(), std::io::ErrorKind::ConnectionReset));
    let error = within(child.wait()).await.unwrap_err();
    assert_eq!(error.code(), "GUEST_CONNECTION_LOST");
}

#[tokio::test]
async fn what_cannot_be_started_is_said_as_a_shell_would() {
    let guest = guest(async |mut agent| {
        agent.next().await;
        let Some(HostFrame::StartExec(start)) = agent.next().await else { panic!("no start") };
        let code = match &start.argv[0][..] {
            b"nothing" => RefusalCode::NoProgram,
            b"/etc" => RefusalCode::NotExecutable,
            _ => RefusalCode::Frozen,
        };
        let text = b"execute \x1b[2J".to_vec();
        let refusal = Refusal { code, errno: Some(2), text };
        agent.send([welcome(1), AgentFrame::Refused(refusal)]).await;
    });
    let cases =
        [("nothing", "GUEST_NO_PROGRAM", Some(127)), ("/etc", "GUEST_NOT_EXECUTABLE", Some(126))];
    for (program, code, shell) in cases {
        let error = within(guest.command(program).status()).await.unwrap_err();
        assert_eq!((error.code(), error.shell_code()), (code, shell));
        assert!(!error.to_string().contains('\x1b'), "{error}");
    }
    let error = within(guest.command("x").spawn()).await.unwrap_err();
    assert_eq!((error.code(), error.shell_code()), ("GUEST_FROZEN", None));
}

#[tokio::test]
async fn a_program_that_is_let_go_is_not_killed() {
    let guest = guest(async |mut agent| {
        agent.start().await;
        assert!(matches!(agent.next().await, Some(HostFrame::Detach(_))));
    });
    let child = guest.command("sleep").keep().spawn().await.unwrap();
    assert_eq!(within(child.detach()).await.unwrap(), 7);
}

/// What a hostile agent says instead of something, and what becomes of it.
async fn lied(lie: impl Fn() -> Vec<u8> + Clone + Send + Sync + 'static) -> GuestError {
    let guest = guest(move |mut agent| {
        let lie = lie();
        async move {
            agent.start().await;
            agent.raw(&lie).await;
            while agent.next().await.is_some() {}
        }
    });
    within(guest.command("x").output()).await.unwrap_err()
}

#[tokio::test]
async fn lies_of_an_agent_end_its_session_and_nothing_else() {
    let encoded = |frame: AgentFrame| {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).unwrap();
        bytes
    };
    let lies = [
        encoded(welcome(1)),
        encoded(AgentFrame::Started(Started { exec: 1, pid: 1 })),
        encoded(AgentFrame::StdinCredit(StdinCredit { bytes: 1 })),
        encoded(AgentFrame::StdinCredit(StdinCredit { bytes: u32::MAX })),
        encoded(AgentFrame::Data(b"x".as_slice().into())),
        vec![0xff, 0xff, 0xff, 0xff, 131],
        vec![0, 0, 0, 0, 1],
    ];
    for lie in lies {
        let error = lied(move || lie.clone()).await;
        assert_eq!(error.code(), "GUEST_PROTOCOL_VIOLATED", "{error:?}");
    }
}

#[tokio::test]
async fn a_generation_that_was_not_offered_is_refused() {
    for generation in [0, 2, u16::MAX] {
        let guest = guest(move |mut agent| async move { agent.send([welcome(generation)]).await });
        let error = within(guest.command("x").spawn()).await.unwrap_err();
        assert_eq!(error.code(), "GUEST_PROTOCOL_VIOLATED", "{generation}");
    }
}
