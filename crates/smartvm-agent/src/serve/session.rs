//! A connection from its first frame on.

use std::time::{Duration, Instant};

use smartvm_protocol::agent::Welcome;
use smartvm_protocol::{
    AgentFrame, GENERATION, HostFrame, LOWEST_GENERATION, Refusal, RefusalCode,
};

use super::agent::{Agent, SESSIONS};
use super::connection::{Connection, Gone};
use super::refused::refused;
use super::{control, exec, files, forward};

/// How long a host may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves one connection to its end.
pub(crate) fn run(agent: &Agent, mut connection: Connection) {
    match welcome(agent, &mut connection) {
        Ok(Ok(())) => {}
        Ok(Err(refusal)) => {
            let _ = connection.send(&AgentFrame::Refused(refusal));
            return;
        }
        Err(Gone) => return,
    }
    if connection.is_control() {
        control::run(agent, connection);
        return;
    }
    let Ok(start) = connection.frame(Some(Instant::now() + PATIENCE)) else { return };
    match start {
        HostFrame::StartExec(request) => exec::run(agent, connection, request),
        HostFrame::StartAttach(request) => {
            if let Err(refused_to) = agent.kept().attach(connection, request) {
                let (mut connection, code) = *refused_to;
                let refusal = refused(code, "go on with a program");
                let _ = connection.send(&AgentFrame::Refused(refusal));
            }
        }
        HostFrame::StartRead(request) => files::read::run(connection, &request),
        HostFrame::StartWrite(request) => files::write::run(connection, &request),
        HostFrame::StartForward(request) => forward::run(connection, &request),
        // The order of frames lets no other come here.
        _ => {}
    }
}

/// Agrees on a generation.
fn welcome(agent: &Agent, connection: &mut Connection) -> Result<Result<(), Refusal>, Gone> {
    let HostFrame::Hello(hello) = connection.frame(Some(Instant::now() + PATIENCE))? else {
        return Err(Gone);
    };
    let generation = hello.generation.min(GENERATION);
    if generation < LOWEST_GENERATION {
        let what = format_args!("speak generation {}", hello.generation);
        return Ok(Err(refused(RefusalCode::Generation, what)));
    }
    connection.queue(&AgentFrame::Welcome(Welcome {
        generation,
        features: agent.features(),
        sessions_max: u32::try_from(SESSIONS).unwrap_or(u32::MAX),
        vm_generation: 0,
    }));
    Ok(Ok(()))
}
