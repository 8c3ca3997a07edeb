//! Questions and orders to the agent itself.

use std::time::Duration;

use smartvm_protocol::agent::{FactsAre, Pong, ShuttingDown};
use smartvm_protocol::{AgentFrame, HostFrame, RefusalCode};

use super::agent::Agent;
use super::connection::Connection;
use super::refused::refused;
use super::shutdown;

/// Answers until the host is gone.
pub(crate) fn run(agent: &Agent, mut connection: Connection) {
    while let Ok(frame) = connection.frame(None) {
        let answer = match frame {
            HostFrame::Ping(ping) => AgentFrame::Pong(Pong { nonce: ping.nonce }),
            HostFrame::Facts(_) => AgentFrame::FactsAre(facts(agent)),
            HostFrame::Shutdown(order) => {
                let is_first = agent.begin_to_go_down();
                // Said before the end, with which the connection ends. Who has asked and gone has asked all the same.
                let said = connection.send(&AgentFrame::ShuttingDown(ShuttingDown {}));
                if is_first {
                    let grace = Duration::from_millis(order.grace_ms);
                    shutdown::perform(agent, grace, order.signal);
                }
                if said.is_err() {
                    return;
                }
                continue;
            }
            _ => AgentFrame::Refused(refused(RefusalCode::Unsupported, "do what this asks for")),
        };
        if connection.send(&answer).is_err() {
            return;
        }
    }
}

fn facts(agent: &Agent) -> FactsAre {
    let names = rustix::system::uname();
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(uptime.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(uptime.tv_nsec).unwrap_or(0);
    FactsAre {
        agent: env!("CARGO_PKG_VERSION").into(),
        kernel: names.release().to_bytes().to_vec(),
        hostname: names.nodename().to_bytes().to_vec(),
        role: agent.role(),
        uptime_ms: seconds * 1000 + nanoseconds / 1_000_000,
        vm_generation: 0,
        execs: u32::try_from(agent.children().count()).unwrap_or(u32::MAX),
        frozen: false,
    }
}
