//! Ending by a signal without leaving what was being made.

use std::sync::mpsc;
use std::thread;

use smartvm_images::abandon_drafts;

use crate::failure::Failure;
use crate::run::interrupts::Interrupts;

/// From now on SIGINT, SIGTERM and SIGHUP remove every draft before they end the command, with the exit code that
/// stands for them. Programs of the host that were run end with it.
///
/// # Errors
/// `NO_SIGNALS` when they cannot be caught.
pub(crate) fn remove_drafts_on_signals() -> Result<(), Failure> {
    let failed = |error| Failure::new("NO_SIGNALS", "failed to catch signals").caused_by(&error);
    let (tell, told) = mpsc::channel();
    let wait = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(tell.send(Err(error))),
        };
        runtime.block_on(async {
            let interrupts = Interrupts::catch();
            let (interrupts, caught) = match interrupts {
                Ok(interrupts) => (Some(interrupts), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // The command may have ended.
            let _ = tell.send(caught);
            if let Some(mut interrupts) = interrupts {
                let exit = interrupts.next().await.exit();
                abandon_drafts();
                leave(exit.number());
            }
        });
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(failed)?;
    told.recv().unwrap_or(Ok(())).map_err(failed)
}

#[expect(clippy::exit, reason = "the other threads wait for what comes no more")]
fn leave(code: u8) {
    std::process::exit(i32::from(code));
}
