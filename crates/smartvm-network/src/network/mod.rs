//! A network on the host: made, used by VMs, taken down.
//!
//! * `options` is what is wanted, `open` makes it so,
//! * `attach` and `detach` make and remove the interface of a VM,
//! * `change` changes the policy of what runs, `cut` ends what that closes, `reload` puts the rules back,
//! * `watch` notices what others do to the rules, links, addresses and routes (`host_changes`, `damage`), and mends it (`restore`),
//! * `sweep` removes what dead owners left, `take_down` the network itself,
//! * `report` says what there is.
//!
//! The order is what keeps it closed: rules before links, a guest's entry before its TAP is up;
//! and back in reverse order. Everything is written down before it is made.

mod attach;
mod attach_error;
mod change;
mod cut;
mod damage;
mod detach;
mod handle;
mod host_changes;
mod open;
mod open_error;
mod options;
mod reload;
mod remove_many;
mod report;
mod restore;
mod step;
mod sweep;
mod take_down;
mod watch;

pub use attach::{AttachGuest, Attachment};
pub use attach_error::{AttachError, MacHolder};
pub use change::ChangePolicyError;
pub use damage::NetworkDamage;
pub use detach::DetachError;
pub use handle::Network;
pub use open_error::OpenNetworkError;
pub use options::NetworkOptions;
pub use report::{BoundsReport, NetworkReport, PolicyReport, RefusedReport, RuleReport};
pub use step::StepHook;
pub use sweep::NetworkSweep;
