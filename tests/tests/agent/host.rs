//! The host of these tests: it speaks the protocol over a Unix socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use smartvm_protocol::agent::{Exit, Started, Welcome};
use smartvm_protocol::host::{Hello, StartExec};
use smartvm_protocol::{
    AgentFrame, Decoder, Features, Frame, GENERATION, HostFrame, Lost, Refusal, SessionKind, Step,
};

use crate::world::{DEADLINE, World};

/// A connection to the agent, which checks the order of all that comes.
pub(crate) struct Session {
    pub(crate) stream: UnixStream,
    decoder: Decoder<AgentFrame>,
    step: Step,
    kind: SessionKind,
    unread: Vec<u8>,
}

impl Session {
    /// Connects and says `Hello`, and with it whatever else.
    pub(crate) fn open(world: &World, kind: SessionKind, more: &[HostFrame]) -> Self {
        let stream = UnixStream::connect(world.socket()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let session = Self {
            stream,
            decoder: Decoder::default(),
            step: Step::Opening,
            kind,
            unread: Vec::new(),
        };
        let hello = Hello { generation: GENERATION, features: Features::default(), session: kind };
        let mut bytes = Vec::new();
        HostFrame::Hello(hello).encode(&mut bytes).unwrap();
        more.iter().for_each(|frame| frame.encode(&mut bytes).unwrap());
        match (&session.stream).write_all(&bytes) {
            // The agent may have refused it and closed before it was asked anything.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written.unwrap(),
        }
        session
    }

    #[track_caller]
    pub(crate) fn send(&self, frame: &HostFrame) {
        self.try_send(frame).unwrap();
    }

    pub(crate) fn try_send(&self, frame: &HostFrame) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).unwrap();
        (&self.stream).write_all(&bytes)
    }

    /// The next frame; none when the agent has closed.
    pub(crate) fn try_next(&mut self) -> Option<AgentFrame> {
        loop {
            let mut rest = self.unread.as_slice();
            let frame = self.decoder.next(&mut rest).unwrap();
            let taken = self.unread.len() - rest.len();
            self.unread.drain(..taken);
            if let Some(frame) = frame {
                self.step = self.step.after_agent(frame.kind(), self.kind).unwrap();
                return Some(frame);
            }
            let mut chunk = [0; 65_536];
            match (&self.stream).read(&mut chunk) {
                Ok(0) => return None,
                Ok(length) => self.unread.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came: {error}"),
            }
        }
    }

    #[track_caller]
    pub(crate) fn next(&mut self) -> AgentFrame {
        self.try_next().expect("the agent closed the connection")
    }

    #[track_caller]
    pub(crate) fn welcome(&mut self) -> Welcome {
        match self.next() {
            AgentFrame::Welcome(welcome) => welcome,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn started(&mut self) -> Started {
        self.welcome();
        match self.next() {
            AgentFrame::Started(started) => started,
            AgentFrame::Refused(refusal) => panic!("{}", refusal.told()),
            other => panic!("{other:?}"),
        }
    }

    /// Reads output until `text` was in it, and gives all that came.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.contains(text) {
            match self.next() {
                AgentFrame::Stdout(bytes) => seen.push_str(&String::from_utf8_lossy(&bytes)),
                AgentFrame::StdinCredit(_) | AgentFrame::Gap(_) => {}
                other => panic!("{text:?} did not come, but {other:?} after {seen:?}"),
            }
        }
        seen
    }

    /// Reads all to the end, unless the session is refused.
    pub(crate) fn finish_or_refused(mut self) -> Option<Outcome> {
        self.welcome();
        match self.next() {
            AgentFrame::Started(_) => Some(self.finish()),
            _ => None,
        }
    }

    /// Reads all to the end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Outcome {
        let mut outcome = Outcome { stdout: Vec::new(), stderr: Vec::new(), exit: None, lost: 0 };
        while let Some(frame) = self.try_next() {
            match frame {
                AgentFrame::Stdout(bytes) => outcome.stdout.extend_from_slice(&bytes),
                AgentFrame::Stderr(bytes) => outcome.stderr.extend_from_slice(&bytes),
                AgentFrame::Exit(exit) => outcome.exit = Some(exit),
                AgentFrame::Gap(gap) => outcome.lost += gap.bytes,
                AgentFrame::Welcome(_) | AgentFrame::Started(_) | AgentFrame::StdinCredit(_) => {}
                other => panic!("{other:?}"),
            }
        }
        outcome
    }
}

/// What came of a program.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) exit: Option<Exit>,
    pub(crate) lost: u64,
}

impl Outcome {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn exit(&self) -> &Exit {
        self.exit.as_ref().expect("an exit came")
    }

    /// As a shell tells it.
    #[track_caller]
    pub(crate) fn code(&self) -> u8 {
        self.exit().ended.shell_code()
    }
}

/// A request without anything special.
pub(crate) fn request(argv: &[&str]) -> StartExec {
    StartExec {
        argv: argv.iter().map(|text| text.as_bytes().to_vec()).collect(),
        env: Vec::new(),
        cwd: None,
        user: None,
        groups: Vec::new(),
        terminal: None,
        stdin: false,
        lost: Lost::Kill,
        timeout_ms: None,
        memory_max: None,
        pids_max: None,
        cpu_max_permille: None,
    }
}

/// A request for a shell's script.
pub(crate) fn script(text: &str) -> StartExec {
    request(&["sh", "-c", text])
}

impl World {
    pub(crate) fn exec(&self, request: StartExec) -> Session {
        Session::open(self, SessionKind::Exec, &[HostFrame::StartExec(request)])
    }

    /// Runs a shell's script to its end.
    #[track_caller]
    pub(crate) fn sh(&self, text: &str) -> Outcome {
        self.exec(script(text)).finish()
    }

    /// What the agent says instead of running it.
    #[track_caller]
    pub(crate) fn refused(&self, request: StartExec) -> Refusal {
        let mut session = self.exec(request);
        session.welcome();
        match session.next() {
            AgentFrame::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn control(&self) -> Session {
        let mut session = Session::open(self, SessionKind::Control, &[]);
        session.welcome();
        session
    }

    /// How many sessions may be open at once.
    pub(crate) fn sessions_max(&self) -> u32 {
        Session::open(self, SessionKind::Control, &[]).welcome().sessions_max
    }
}
