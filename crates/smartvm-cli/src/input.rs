//! Reading standard input without holding anything else up.

use std::io::{self, Read};
use std::thread;

use tokio::sync::mpsc;

/// Largest piece that is read at once.
const PIECE: usize = 4096;

/// Bytes from standard input. The thread behind it ends with the input or the process, since
/// a read that waits cannot be called off.
pub(crate) fn read_input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut piece = [0; PIECE];
        loop {
            match stdin.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => {
                    if sender.blocking_send(piece[..length].to_vec()).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(%error, "standard input cannot be read any more");
                    return;
                }
            }
        }
    });
    receiver
}
