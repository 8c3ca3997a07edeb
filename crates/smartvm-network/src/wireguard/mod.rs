//! WireGuard: the option, the text that describes an interface, and the way out through it.
//!
//! [`WireGuardOptions`] is what was written down, [`WireGuardSpec`] what was found valid,
//! [`WireGuardEgress`] what is made of it on the host. Keys are in values that show nothing of
//! themselves and are overwritten when they are dropped; they leave only towards the kernel.

mod config;
mod device;
mod digest;
mod egress;
mod endpoint;
mod interface;
mod key;
mod options;
mod record;
mod spec;
mod way;

pub use config::{
    ConfigBreach, ConfigRule, Field, InvalidWireGuardConfig, PeerConfig, Section, WireGuardConfig,
};
pub use egress::{
    RemoveWireGuardError, SetUpWireGuardError, WireGuardEgress, WireGuardPeerReport,
    WireGuardReport, WireGuardStep,
};
pub use endpoint::Endpoint;
pub use key::{ParseKeyError, PublicKey, SecretKey};
pub use options::{WireGuardOptions, WireGuardText};
pub use record::WireGuardRecord;
pub use spec::{DEFAULT_INTERFACE, DEFAULT_ROUTE_TABLE, InvalidWireGuard, WireGuardSpec};
pub use way::WireGuardWay;
