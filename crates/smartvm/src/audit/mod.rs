//! Who asked what of which VM, written down for good.
//!
//! `<dataDir>/audit/audit.jsonl`, mode 0600, one JSON object a line. A request has two lines: one before
//! it is carried out, one when it is answered.
//!
//! | key | value |
//! |---|---|
//! | `time` | when, RFC 3339 in UTC, to the microsecond |
//! | `uid`, `pid` | who asked: of this process, or of the other end of a control socket as the kernel says |
//! | `loginUid` | as whom a person logged in before becoming `uid`, where the kernel keeps it |
//! | `way` | `process`, the library or the command; `control-socket` |
//! | `vm` | the VM's id |
//! | `action` | `start`, `restore`, `pause`, `resume`, `snapshot`, `stop`, `kill`, `cleanup`; `set-firewall` and the other changes of a running VM; `api`; `ended`, which nobody asked for; `lost`, as many lines as `detail` says |
//! | `phase` | `asked` or `done` |
//! | `outcome` | `ok`, the stable code of what went wrong, or `unknown` when nobody waited; for `ended` the cause |
//! | `ms` | how long it took, in milliseconds |
//! | `detail` | the snapshot's name, or an API request's method and resource |
//!
//! Nothing else of a request is written: no argument, path, address, metadata or command line, and so no
//! secret. At 8 MiB the file becomes `audit.jsonl.1`, that one `.2` and so on; four are kept. Several
//! processes write to the same file, each line at once. A process that is killed leaves at most a last
//! line that is cut; who reads, skips what is no JSON.
//!
//! Writing never holds a request up: lines go to a thread, and those that it has no room for are counted.
//!
//! * `entry` is a line, `log` takes them, `file` keeps them, `read` gets them back.

mod entry;
mod file;
mod log;
mod read;

pub(crate) use entry::Asker;
pub use entry::{AuditEntry, AuditPhase, AuditWay};
pub use log::{AuditLog, AuditedRequest};
pub use read::{ReadAuditError, read_audit};
