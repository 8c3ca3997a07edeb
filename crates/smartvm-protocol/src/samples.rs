//! One frame of every kind, filled with what a test gives.

#![expect(clippy::cast_possible_truncation, reason = "any number will do")]

use std::net::IpAddr;

use crate::agent::{self, Ended};
use crate::generation::{Feature, SessionKind};
use crate::host::{self, Target};
use crate::refusal::{Refusal, RefusalCode};
use crate::shared::{Lost, Prefix, Role, Stream, TerminalSize};
use crate::{AgentFrame, HostFrame};

/// Every frame of the host, with these bytes and this number wherever there are some.
pub(crate) fn host(bytes: &[u8], number: u64) -> Vec<HostFrame> {
    let some = || bytes.to_vec();
    let word = number as u32;
    let size = TerminalSize { rows: number as u16, columns: 80 };
    let address: IpAddr =
        if number.is_multiple_of(2) { [10, 0, 0, 1].into() } else { [7_u8; 16].into() };
    vec![
        HostFrame::Hello(host::Hello {
            generation: number as u16,
            features: [Feature::Exec].into_iter().collect(),
            session: SessionKind::Exec,
        }),
        HostFrame::StartExec(host::StartExec {
            argv: vec![b"/bin/echo".to_vec(), some(), Vec::new()],
            env: vec![bytes.into()],
            cwd: Some(some()),
            user: number.is_multiple_of(3).then(some),
            groups: vec![some(), some()],
            terminal: number.is_multiple_of(2).then_some(size.clone()),
            stdin: number % 2 == 1,
            lost: Lost::Keep,
            timeout_ms: Some(number),
            memory_max: None,
            pids_max: Some(number),
            cpu_max_permille: Some(word),
        }),
        HostFrame::StartAttach(host::StartAttach {
            exec: number,
            stdout_from: number,
            stderr_from: 0,
        }),
        HostFrame::Stdin(bytes.into()),
        HostFrame::StdinEnd(host::StdinEnd {}),
        HostFrame::Resize(host::Resize { size }),
        HostFrame::Signal(host::Signal { number: word }),
        HostFrame::Detach(host::Detach {}),
        HostFrame::StartRead(host::StartRead { path: some(), tree: true }),
        HostFrame::StartWrite(host::StartWrite {
            path: some(),
            tree: false,
            mode: Some(word),
            uid: None,
            gid: Some(word),
            atomic: true,
            parents: false,
        }),
        HostFrame::Data(bytes.into()),
        HostFrame::DataEnd(host::DataEnd { bytes: number }),
        HostFrame::StartForward(host::StartForward {
            target: if number.is_multiple_of(2) {
                Target::Tcp { address, port: number as u16 }
            } else {
                Target::Unix { path: some() }
            },
        }),
        HostFrame::Ping(host::Ping { nonce: number }),
        HostFrame::Facts(host::Facts {}),
        HostFrame::Shutdown(host::Shutdown { grace_ms: number, signal: Some(word) }),
        HostFrame::Quiesce(host::Quiesce {}),
        HostFrame::Thaw(host::Thaw {}),
        HostFrame::Renew(host::Renew {
            vm_generation: number,
            entropy: bytes.into(),
            clock_ns: number,
            hostname: Some(some()),
            machine_id: Some([number as u8; 16]),
            devices: vec![host::Device {
                name: b"eth0".to_vec(),
                mac: Some([2; 6]),
                addresses: vec![Prefix { address, length: 24 }],
                gateways: vec![address],
            }],
            resolvers: vec![address, address],
        }),
    ]
}

/// Every frame of the agent.
pub(crate) fn agent(bytes: &[u8], number: u64) -> Vec<AgentFrame> {
    let some = || bytes.to_vec();
    let word = number as u32;
    vec![
        AgentFrame::Welcome(agent::Welcome {
            generation: number as u16,
            features: [Feature::Renew].into_iter().collect(),
            sessions_max: word,
            vm_generation: number,
        }),
        AgentFrame::Refused(Refusal {
            code: RefusalCode::NoUser,
            errno: number.is_multiple_of(2).then_some(word),
            text: some(),
        }),
        AgentFrame::Started(agent::Started { exec: number, pid: word }),
        AgentFrame::Stdout(bytes.into()),
        AgentFrame::Stderr(bytes.into()),
        AgentFrame::StdinCredit(agent::StdinCredit { bytes: word }),
        AgentFrame::Gap(agent::Gap { stream: Stream::Stderr, bytes: number }),
        AgentFrame::Exit(agent::Exit {
            ended: if number.is_multiple_of(2) {
                Ended::Code(number as u8)
            } else {
                Ended::Signal { number: 9, core: number.is_multiple_of(3) }
            },
            timed_out: false,
            oom_kills: number,
            truncated: true,
            user_us: number,
            system_us: 0,
            peak_rss: number,
        }),
        AgentFrame::ReadStarted(agent::ReadStarted {
            size: None,
            mode: word,
            uid: word,
            gid: 0,
            mtime: -1,
        }),
        AgentFrame::Data(bytes.into()),
        AgentFrame::DataEnd(agent::DataEnd { bytes: number }),
        AgentFrame::WriteStarted(agent::WriteStarted {}),
        AgentFrame::Written(agent::Written { bytes: number }),
        AgentFrame::ForwardStarted(agent::ForwardStarted {}),
        AgentFrame::Pong(agent::Pong { nonce: number }),
        AgentFrame::FactsAre(agent::FactsAre {
            agent: some(),
            kernel: some(),
            hostname: some(),
            role: Role::Beside,
            uptime_ms: number,
            vm_generation: number,
            execs: word,
            frozen: number.is_multiple_of(2),
        }),
        AgentFrame::ShuttingDown(agent::ShuttingDown {}),
        AgentFrame::Quiesced(agent::Quiesced {}),
        AgentFrame::Thawed(agent::Thawed {}),
        AgentFrame::Renewed(agent::Renewed { vm_generation: number, took_us: number }),
    ]
}
