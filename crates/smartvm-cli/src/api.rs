//! `smartvm api`: a request to a running VM's Firecracker, by hand.
//!
//! With `--json`, the answer is printed as Firecracker gave it, on one line; an answer without
//! words prints nothing in either form.

mod body;

use std::time::Duration;

use clap::ValueEnum;
use smartvm::FoundVm;
use smartvm_firecracker::{ApiClient, ApiError, capability, is_stopped};

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::printer::Printer;
use crate::run;
use crate::settings::Settings;

const AFTER_HELP: &str = "\
The request goes to Firecracker as it is, past the `smartvm run` that owns the VM, which is not
told. So a guest paused here still counts as running there (`Ctrl-] p` twice sets that right), a
drive changed here is not the drive that a snapshot or a report knows of, and Firecracker finds
files by the names that it has for them, below its own directory.

The exit code is 0 when Firecracker did what it was asked, 1 when it refused, 3 when there is no
such VM, 4 when the VM's owner has died.

Examples:
  smartvm api web GET /
  smartvm api web GET /vm/config --json
  smartvm api web PATCH /machine-config '{\"mem_size_mib\": 512}'
  smartvm api web PUT /mmds @metadata.json
  echo '{\"action_type\": \"FlushMetrics\"}' | smartvm api web PUT /actions -";

/// A person waits for it: longer than any request takes that a person makes by hand.
const DEADLINE: Duration = Duration::from_secs(60);

/// Send a request to a running VM's Firecracker, and print the answer
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ApiArgs {
    /// The VM's id
    vm: String,
    /// What to do
    #[arg(ignore_case = true)]
    method: Method,
    /// The resource, as /drives/rootfs
    #[arg(value_parser = path)]
    path: String,
    /// The body: JSON, @FILE, or - for standard input
    #[arg(value_name = "JSON|@FILE|-")]
    body: Option<String>,
}

/// The methods that Firecracker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
enum Method {
    Get,
    Put,
    Patch,
    Delete,
}

/// Finds the VM, makes the request, prints the answer.
pub(crate) fn perform(
    args: &ApiArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    let method = method(args)?;
    let body = args.body.as_deref().map(body::read).transpose()?;
    let vm = FoundVm::find(&settings.runtime_dir, &args.vm)
        .map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if changes_state(args) {
        printer.warning("the `smartvm run` that owns the VM is not told whether it is paused");
    }
    let audit = settings.audit_log();
    let asked = audit.asked(&args.vm, "api", Some(&format!("{method} {}", resource(&args.path))));
    let answer = run::runtime()?.block_on(async {
        let client = ApiClient::connect_to(&vm.socket_path(), vm.process_id())
            .await
            .map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
        client
            .with_deadline(DEADLINE)
            .request(method, &args.path, body.as_ref())
            .await
            .map_err(|error| unanswered(&error, vm.process_id()))
    });
    asked.done(answer.as_ref().err().map(Failure::code));
    audit.flush_blocking();
    match answer? {
        Some(answer) if printer.wants_json() => printer.data(&answer.to_string())?,
        Some(answer) => printer.json(&answer)?,
        None => printer.status("done"),
    }
    Ok(Exit::Ok)
}

/// What went wrong with the request to the Firecracker with this process id.
fn unanswered(error: &ApiError, pid: u32) -> Failure {
    let failure = Failure::of(error, error.code(), error.hint());
    if matches!(error, ApiError::TimedOut { .. }) && is_stopped(pid) {
        failure.with_hint(format!(
            "Firecracker, process {pid}, is stopped: let it go on with `kill -CONT {pid}`"
        ))
    } else {
        failure
    }
}

/// The method for the library; an error when it takes no body and one was given.
fn method(args: &ApiArgs) -> Result<capability::Method, Failure> {
    let method = match args.method {
        Method::Get => capability::Method::Get,
        Method::Put => capability::Method::Put,
        Method::Patch => capability::Method::Patch,
        Method::Delete => capability::Method::Delete,
    };
    if args.body.is_some() && matches!(args.method, Method::Get | Method::Delete) {
        return Err(Failure::new("USAGE", format!("{method} takes no body")));
    }
    Ok(method)
}

/// What may be written down of a path: not what comes behind a question mark.
fn resource(path: &str) -> &str {
    path.split_once('?').map_or(path, |(resource, _)| resource)
}

/// Whether it pauses or resumes the guest behind its owner's back.
fn changes_state(args: &ApiArgs) -> bool {
    args.method == Method::Patch && args.path == "/vm"
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') && !text.contains(char::is_whitespace) {
        return Ok(text.to_owned());
    }
    Err("a resource begins with `/` and has no spaces".to_owned())
}
