//! What guests may do, as values: pure, and the same for the kernel, a model and a person.

mod bound_rules;
mod cidr;
mod egress_chain;
mod egress_policy;
mod firewall_config;
mod forwarding_rules;
mod guest_bounds;
mod guest_rules;
mod isolation;
mod neighbourhood;
mod network_rules;
mod published_port;
mod rule_groups;

pub use cidr::Cidr;
pub use egress_policy::{
    Action, Decision, EgressPolicy, EgressRule, Flow, FlowProtocol, RuleProtocol,
};
pub use firewall_config::{
    EgressConfig, EgressRuleConfig, FirewallConfig, InvalidFirewallConfig, PortsConfig,
};
pub use forwarding_rules::ForwardingRules;
pub use guest_bounds::GuestBounds;
pub use guest_rules::GuestRules;
pub use isolation::{HostService, Isolation};
pub use neighbourhood::Neighbourhood;
pub use network_rules::NetworkRules;
pub use published_port::{InvalidPublishedPort, PublishedPort, Transport};
pub(crate) use rule_groups::groups;
