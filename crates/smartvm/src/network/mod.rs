//! The network of a manager's VMs.
//!
//! * `manager_network` is made with the first VM that needs it, and goes with the manager,
//! * `interfaces` makes what a VM's configuration asks for,
//! * `interface_record` removes it again, by whichever process,
//! * `resolvers` finds out whom guests ask for names.

mod interface_record;
mod interfaces;
mod manager_network;
mod resolvers;

pub(crate) use interface_record::InterfaceRecord;
pub(crate) use interfaces::{Attached, Plan};
pub(crate) use manager_network::ManagerNetwork;
