//! The life of a program: one loop that waits for all that can happen to it.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use smartvm_protocol::agent::{Exit, Gap, Started, StdinCredit};
use smartvm_protocol::host::{StartAttach, StartExec};
use smartvm_protocol::{AgentFrame, HostFrame, Lost, RefusalCode};

use super::kept::Mailbox;
use super::output::Output;
use super::start::{self, Running};
use super::terminal;
use crate::serve::agent::Agent;
use crate::serve::cgroup::Group;
use crate::serve::connection::{Connection, Gone};
use crate::serve::refused::{failed, refused};

/// How long something that a program left behind may be silent before nobody listens to it any more.
const SILENCE: Duration = Duration::from_millis(100);

/// How long what it left behind is listened to at most.
const DRAIN: Duration = Duration::from_secs(5);

/// How long is waited for the end of what was killed.
const DEATH: Duration = Duration::from_secs(2);

/// A program and all that belongs to it.
#[derive(Debug)]
struct Session<'a> {
    agent: &'a Agent,
    exec: u64,
    request: StartExec,
    running: Running,
    /// None once nobody is attached.
    host: Option<Connection>,
    mailbox: Arc<Mailbox>,
    keep: bool,
    /// Whether the process has become the program.
    has_started: bool,
    deadline: Option<Instant>,
    timed_out: bool,
    ended_at: Option<Instant>,
    truncated: bool,
}

/// Runs a program for a host, until its end or, when it is kept, beyond its host's.
pub(crate) fn run(agent: &Agent, mut connection: Connection, request: StartExec) {
    if let Err(refusal) = agent.admit() {
        // Whoever is gone needs no answer.
        let _ = connection.send(&AgentFrame::Refused(refusal));
        return;
    }
    let exec = agent.next_exec();
    let prepared = Mailbox::new()
        .map_err(|error| failed(RefusalCode::Failed, "keep a program", error))
        .and_then(|mailbox| {
            if request.lost == Lost::Keep && !agent.kept().insert(exec, &mailbox) {
                let what = "keep a program: as many are kept as can be, and all of them run";
                return Err(refused(RefusalCode::TooManySessions, what));
            }
            Ok((mailbox, start::start(agent, exec, &request)?))
        });
    match prepared {
        Ok((mailbox, running)) => {
            let deadline = request.timeout_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
            let keep = request.lost == Lost::Keep;
            let mut session = Session {
                agent,
                exec,
                request,
                running,
                host: Some(connection),
                mailbox,
                keep,
                has_started: false,
                deadline,
                timed_out: false,
                ended_at: None,
                truncated: false,
            };
            session.live();
        }
        Err(refusal) => {
            let _ = connection.send(&AgentFrame::Refused(refusal));
        }
    }
    agent.kept().remove(exec);
}

/// What was found when the loop woke up.
#[derive(Debug, Default)]
struct Woken {
    report: bool,
    mail: bool,
    host: bool,
    input: bool,
    outputs: [bool; 2],
}

impl Session<'_> {
    fn live(&mut self) {
        while !self.is_over() {
            let woken = self.wait();
            if woken.report && !self.finish_start() {
                return;
            }
            if woken.mail {
                self.take_mail();
            }
            if woken.host {
                self.hear_host();
            }
            if woken.input {
                self.running.input.write();
            }
            self.look_at_time();
            self.look_at_child();
            self.move_output(&woken);
            self.tell_host();
        }
        self.end();
    }

    /// Whether nothing more can come of it.
    fn is_over(&self) -> bool {
        if self.ended_at.is_none() || !self.has_started {
            return false;
        }
        let outputs = &self.running.outputs;
        match &self.host {
            Some(_) => outputs.iter().all(|output| !output.is_open() && !output.has_more()),
            None => !self.keep || self.mailbox.is_forgotten(),
        }
    }

    fn wait(&self) -> Woken {
        let Running { child, report, input, outputs, .. } = &self.running;
        let mut polled = Vec::with_capacity(7);
        let mut slots = Vec::with_capacity(7);
        let mut add = |slot: usize, entry| {
            slots.push(slot);
            polled.push(entry);
        };
        if !self.has_started {
            add(0, PollFd::new(report, PollFlags::IN));
        }
        if self.keep {
            add(1, PollFd::from_borrowed_fd(self.mailbox.as_fd(), PollFlags::IN));
        }
        if let Some(host) = &self.host {
            add(2, host.interest());
        }
        if let Some(sink) = input.sink() {
            add(3, PollFd::new(sink, PollFlags::OUT));
        }
        for (at, output) in outputs.iter().enumerate() {
            if let Some(source) = output.source(self.host.is_some())
                && self.has_started
                && (self.keep || !self.is_host_busy())
            {
                add(4 + at, PollFd::new(source, PollFlags::IN));
            }
        }
        if self.ended_at.is_none() {
            add(6, PollFd::from_borrowed_fd(child.as_fd(), PollFlags::IN));
        }
        let timeout = self.patience().and_then(|patience| Timespec::try_from(patience).ok());
        if poll(&mut polled, timeout.as_ref()).is_err() {
            return Woken::default();
        }
        let mut woken = Woken::default();
        for (slot, entry) in slots.into_iter().zip(polled) {
            let found = !entry.revents().is_empty();
            match slot {
                0 => woken.report = found,
                1 => woken.mail = found,
                2 => woken.host = found,
                3 => woken.input = found,
                at @ (4 | 5) => woken.outputs[at - 4] = found,
                _ => {}
            }
        }
        woken
    }

    /// Whether the host has not taken yet what it was sent.
    fn is_host_busy(&self) -> bool {
        self.host.as_ref().is_some_and(Connection::has_output)
    }

    /// How long nothing needs to be done.
    fn patience(&self) -> Option<Duration> {
        let now = Instant::now();
        let until = |moment: Instant| moment.saturating_duration_since(now);
        let deadline = self.deadline.filter(|_| !self.timed_out && self.ended_at.is_none());
        let open = || self.running.outputs.iter().filter(|output| output.is_open());
        let drain = self.ended_at.filter(|_| open().any(|output| !output.owes()));
        let silence = match self.ended_at {
            Some(_) if !self.is_host_busy() => {
                open().filter_map(|output| output.until_silent(SILENCE, now)).min()
            }
            _ => None,
        };
        let moments = [deadline.map(until), drain.map(|ended| until(ended + DRAIN)), silence];
        moments.into_iter().flatten().min()
    }

    /// The process has become the program, or says why not.
    fn finish_start(&mut self) -> bool {
        let mut report = [0; 8];
        let length = match rustix::io::read(&self.running.report, &mut report) {
            Err(Errno::INTR | Errno::AGAIN) => return true,
            other => other.unwrap_or(0),
        };
        if let Some(refusal) = self.running.refusal(&self.request, &report[..length]) {
            if let Some(host) = &mut self.host {
                let _ = host.send(&AgentFrame::Refused(refusal));
            }
            return false;
        }
        self.has_started = true;
        let started = self.started();
        if let Some(host) = &mut self.host {
            host.queue(&started);
        }
        true
    }

    fn started(&self) -> AgentFrame {
        let pid = self.running.child.pid().as_raw_nonzero().get().unsigned_abs();
        AgentFrame::Started(Started { exec: self.exec, pid })
    }

    /// Somebody goes on with it.
    fn take_mail(&mut self) {
        let Some((mut host, StartAttach { stdout_from, stderr_from, .. })) = self.mailbox.take()
        else {
            return;
        };
        host.queue(&self.started());
        for (output, from) in self.running.outputs.iter_mut().zip([stdout_from, stderr_from]) {
            let bytes = output.go_on_from(from);
            if bytes > 0 {
                host.queue(&AgentFrame::Gap(Gap { stream: output.stream, bytes }));
            }
        }
        self.host = Some(host);
        // What it had said before it handed over its connection was read with that.
        self.hear_host();
    }

    fn hear_host(&mut self) {
        let Some(host) = &mut self.host else { return };
        let Ok(frames) = host.frames() else {
            self.lose_host();
            return;
        };
        for frame in frames {
            if self.obey(frame).is_err() {
                self.lose_host();
                return;
            }
        }
    }

    fn obey(&mut self, frame: HostFrame) -> Result<(), Gone> {
        match frame {
            HostFrame::Stdin(bytes) => self.running.input.push(&bytes).map_err(|_| Gone)?,
            HostFrame::StdinEnd(_) => self.running.input.end(),
            HostFrame::Resize(resize) => {
                if let Some(terminal) = &self.running.terminal {
                    // A size that the kernel does not take changes nothing.
                    let _ = terminal::resize(terminal, &resize.size);
                }
            }
            HostFrame::Signal(signal) => self.signal(signal.number),
            HostFrame::Detach(_) => {
                self.keep = self.keep || self.agent.kept().insert(self.exec, &self.mailbox);
                self.running.outputs.iter_mut().for_each(Output::keep);
                return Err(Gone);
            }
            // The order of frames lets none of the others come here.
            _ => return Err(Gone),
        }
        Ok(())
    }

    fn signal(&self, number: u32) {
        if number == Signal::KILL.as_raw().unsigned_abs() {
            self.kill();
        } else if let Some(signal) = i32::try_from(number).ok().and_then(Signal::from_named_raw) {
            // Who has ended gets none.
            let _ = self.agent.children().signal(&self.running.child, signal);
        }
    }

    /// Ends the program and all that it has started.
    fn kill(&self) {
        if let Some(group) = &self.running.group {
            group.kill();
        }
        let _ = self.agent.children().signal(&self.running.child, Signal::KILL);
    }

    fn lose_host(&mut self) {
        // Before the connection closes: whoever sees that may go on with the program.
        self.mailbox.detach();
        self.host = None;
        if !self.keep {
            self.kill();
        }
    }

    fn look_at_time(&mut self) {
        let is_late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if is_late && !self.timed_out && self.ended_at.is_none() {
            self.timed_out = true;
            self.kill();
        }
    }

    fn look_at_child(&mut self) {
        if self.ended_at.is_none() && self.has_started && self.running.child.end().is_some() {
            self.ended_at = Some(Instant::now());
            self.running.input.close();
            self.running.outputs.iter_mut().for_each(Output::note_end);
            self.mailbox.note_end();
        }
    }

    fn move_output(&mut self, woken: &Woken) {
        let now = Instant::now();
        let busy = self.is_host_busy();
        let late = self.ended_at.is_some_and(|ended| now >= ended + DRAIN);
        for (output, readable) in self.running.outputs.iter_mut().zip(woken.outputs) {
            if readable {
                output.read(self.host.as_mut());
            } else if self.ended_at.is_some() && output.is_open() {
                let silent = output.until_silent(SILENCE, now) == Some(Duration::ZERO);
                let nobody = self.host.is_none() && !self.keep;
                if (silent && !busy) || nobody {
                    output.close();
                }
            }
            if late && output.is_open() && !output.owes() {
                output.close();
                self.truncated = true;
            }
        }
    }

    fn tell_host(&mut self) {
        let credit = self.running.input.take_credit();
        let Some(host) = &mut self.host else { return };
        if let Some(bytes) = credit {
            host.queue(&AgentFrame::StdinCredit(StdinCredit { bytes }));
        }
        loop {
            match host.flush() {
                Ok(true) => {}
                Ok(false) => return,
                Err(Gone) => {
                    self.lose_host();
                    return;
                }
            }
            for output in &mut self.running.outputs {
                output.send(host);
            }
            if !host.has_output() {
                return;
            }
        }
    }

    /// Ends what is left, and tells how the program ended.
    fn end(&mut self) {
        if !self.keep {
            match &self.running.group {
                Some(group) => {
                    group.kill();
                    group.wait_until_empty(Instant::now() + DEATH);
                }
                None => self.agent.children().kill_rest(&self.running.child),
            }
        }
        let Some(end) = self.running.child.end() else { return };
        let oom_kills = self.running.group.as_ref().map_or(0, Group::oom_kills);
        let exit = Exit {
            ended: end.ended,
            timed_out: self.timed_out,
            oom_kills,
            truncated: self.truncated,
            user_us: end.user_us,
            system_us: end.system_us,
            peak_rss: end.peak_rss,
        };
        // Nobody can go on with it any more once its end was told.
        self.agent.kept().remove(self.exec);
        if let Some(host) = &mut self.host {
            let _ = host.send(&AgentFrame::Exit(exit));
        }
    }
}
