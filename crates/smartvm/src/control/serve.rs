//! One connection to a control socket.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::process::geteuid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::descriptor::send;
use super::request::{Answer, ConnectGuestCall, ControlCall, MAX_LINE, Refusal};
use crate::audit::Asker;
use crate::micro_vm::MicroVm;
use crate::smart_vm_error::SmartVmError;

/// How long a request may take to come, and an answer to be read. Work takes as long as it takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves the requests of one connection until it is closed or breaks a rule.
pub(super) async fn serve(vm: MicroVm, stream: UnixStream) {
    let vm = match stream.peer_cred() {
        Ok(peer) if peer.uid() == 0 || peer.uid() == geteuid().as_raw() => {
            vm.on_behalf_of(Asker::peer(peer.uid(), peer.pid()))
        }
        Ok(peer) => {
            tracing::warn!(vm = %vm.id(), uid = peer.uid(), "a stranger asked to control the VM");
            return;
        }
        Err(error) => {
            tracing::warn!(vm = %vm.id(), %error, "nobody knows who asks to control the VM");
            return;
        }
    };
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let (answer, connection) = match timeout(PATIENCE, read_line(&mut stream, &mut line)).await
        {
            Ok(Ok(true)) => match ControlCall::parse(&line) {
                Ok(call) => perform(&vm, call).await,
                Err(error) => (Answer::Error(Refusal::bad_request(error)), None),
            },
            Ok(Ok(false)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::debug!(vm = %vm.id(), %error, "a control connection ends");
                return;
            }
        };
        let mut text = serde_json::to_vec(&answer).unwrap_or_default();
        text.push(b'\n');
        let sending = async {
            match connection {
                Some(connection) => send(stream.get_mut(), &text, connection.as_fd()).await,
                None => stream.get_mut().write_all(&text).await,
            }
        };
        if !matches!(timeout(PATIENCE, sending).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// Reads one line, without its end. False at the end of the connection.
pub(super) async fn read_line(
    from: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    from.take(limit).read_until(b'\n', line).await?;
    if line.pop_if(|last| *last == b'\n').is_some() {
        return Ok(true);
    }
    if line.is_empty() {
        return Ok(false);
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a line that is cut off or too long"))
}

/// The answer to a call, and the connection that goes along with it.
async fn perform(vm: &MicroVm, call: ControlCall) -> (Answer, Option<UnixStream>) {
    let done = match call {
        ControlCall::ConnectGuest(call) => return connect_guest(vm, call).await,
        ControlCall::Info => info(vm).await,
        ControlCall::Pause => vm.pause().await.map(|()| json!({ "state": vm.state() })),
        ControlCall::Resume => vm.resume().await.map(|()| json!({ "state": vm.state() })),
        ControlCall::Metrics => vm.flush_metrics().await.map(|metrics| json!(*metrics)),
        ControlCall::SnapshotCreate(call) => {
            vm.create_snapshot(call.into()).await.map(|snapshot| json!(snapshot.manifest()))
        }
    };
    let answer = match done {
        Ok(value) => Answer::Ok(value),
        Err(error) => Answer::Error(Refusal::of(&error)),
    };
    (answer, None)
}

async fn connect_guest(
    vm: &MicroVm,
    ConnectGuestCall { port, patience_ms }: ConnectGuestCall,
) -> (Answer, Option<UnixStream>) {
    let connected = async {
        vm.wait_for_agent(Duration::from_millis(patience_ms.into())).await?;
        vm.connect_guest(port).await
    };
    match connected.await {
        Ok(stream) => (Answer::Ok(json!({ "port": port })), Some(stream)),
        Err(error) => {
            let refusal = Refusal::told(&error, error.code(), error.hint());
            (Answer::Error(refusal), None)
        }
    }
}

async fn info(vm: &MicroVm) -> Result<Value, SmartVmError> {
    let version = vm.version().await?;
    Ok(json!({
        "id": vm.id(),
        "state": vm.state(),
        "pid": vm.process_id().ok(),
        "firecrackerVersion": version,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_and_whole() {
        let mut line = Vec::new();
        let mut two = &b"one\ntwo\n"[..];
        assert!(read_line(&mut two, &mut line).await.unwrap());
        assert_eq!(line, b"one");
        line.clear();
        assert!(read_line(&mut two, &mut line).await.unwrap());
        line.clear();
        assert!(!read_line(&mut two, &mut line).await.unwrap());
        assert!(read_line(&mut &b"cut"[..], &mut line).await.is_err());
        line.clear();
        let endless = vec![b'x'; MAX_LINE + 2];
        assert!(read_line(&mut &endless[..], &mut line).await.is_err());
        assert!(line.len() <= MAX_LINE);
    }
}
