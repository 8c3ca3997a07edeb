//! Making a network, or joining it.

use std::sync::Mutex;

use super::handle::{Kernel, Network};
use super::open_error::{OpenNetworkError, no_gateway};
use super::options::NetworkOptions;
use super::report;
use super::restore::restore;
use super::step::StepHook;
use super::take_down;
use super::watch::Watch;
use crate::link::{FoundLink, FoundRoute, LinkKind, Links};
use crate::netlink::NetlinkError;
use crate::nft::Verified;
use crate::state::{ForwardingNeed, HostState, Locked, NetworkRecord, NetworkState, StateError};
use crate::wireguard::{SetUpWireGuardError, WireGuardWay};
use crate::{Subnet, names};

/// Addresses that no guest can have, and what they are.
const UNFIT: [([u8; 4], u8, &str); 5] = [
    ([0, 0, 0, 0], 8, "addresses of none"),
    ([127, 0, 0, 0], 8, "loopback addresses"),
    ([169, 254, 0, 0], 16, "link-local addresses"),
    ([224, 0, 0, 0], 4, "addresses of groups"),
    ([240, 0, 0, 0], 4, "reserved addresses"),
];

pub(super) fn open(options: &NetworkOptions) -> Result<Network, OpenNetworkError> {
    let host = HostState::open(&options.state_dir)?;
    let state = NetworkState::new(&host, &options.bridge);
    let mut kernel = Kernel::open()?;
    let (in_use, watch) = {
        let locked = state.lock()?;
        let made = make(options, &host, &locked, &mut kernel).and_then(|()| {
            let in_use = locked.enter()?;
            // Last of all: it ends only when the lock is free.
            let watch = || {
                let wireguard = options.wireguard.as_ref();
                Watch::start(&options.bridge, &host, &state, wireguard)
            };
            let watch = options.watch.then(watch).transpose()?;
            Ok((in_use, watch))
        });
        match made {
            Ok(used) => {
                warn_of_others(options, &locked);
                used
            }
            Err(error) => {
                let made_by_others = locked.state().record()?.is_some_and(|_| {
                    !locked.is_unused().unwrap_or(false)
                        || locked.state().guests().map_or(true, |guests| !guests.is_empty())
                });
                if !made_by_others && let Err(error) = take_down::all(&host, locked, &mut kernel) {
                    tracing::warn!(%error, "cannot undo what was made of a network");
                }
                return Err(error);
            }
        }
    };
    let bridge = kernel.links.find(&options.bridge)?;
    let gone = || OpenNetworkError::NotABridge { bridge: options.bridge.clone() };
    Ok(Network {
        watch,
        bridge_index: bridge.ok_or_else(gone)?.index,
        bridge: options.bridge.clone(),
        subnet: options.subnet,
        host,
        state,
        on_step: options.on_step.clone(),
        wireguard: options.wireguard.clone(),
        kernel: Mutex::new(kernel),
        in_use,
    })
}

/// Says once for a network in use that another program's firewall stops its guests. It may be that it is to.
fn warn_of_others(options: &NetworkOptions, locked: &Locked<'_>) {
    let record = options.record(true);
    let guests = locked.state().guests().unwrap_or_default();
    match report::foreign_blocks(&record, &guests) {
        Ok(blocks) => {
            for block in blocks {
                let (network, remedy) = (&options.bridge, block.remedies.join("; "));
                tracing::warn!(%network, "{block}; let them through with: {remedy}");
            }
        }
        Err(error) => tracing::debug!(%error, "cannot look at the firewalls of other programs"),
    }
}

/// Makes what is missing. The caller undoes it when it fails.
fn make(
    options: &NetworkOptions,
    host: &HostState,
    locked: &Locked<'_>,
    kernel: &mut Kernel,
) -> Result<(), OpenNetworkError> {
    let bridge = &options.bridge;
    let step = |step| {
        options.on_step.reach(step).map_err(|source| OpenNetworkError::Step {
            bridge: bridge.clone(),
            step,
            source,
        })
    };
    locked.set_aside_damaged()?;
    let found = kernel.links.find(bridge)?;
    if let Some(link) = &found
        && link.kind != LinkKind::Bridge
    {
        return Err(OpenNetworkError::NotABridge { bridge: bridge.clone() });
    }
    let mut found = found;
    let mut before = locked.state().record()?;
    let guests = locked.state().guests()?;
    let shared = !guests.is_empty() || !locked.is_unused()?;
    if let Some(before) = before.as_ref().filter(|_| shared) {
        compare(before, options)?;
    }
    // What is left of another network of that name, which nobody uses.
    if let Some(other) = before.take_if(|it| *it != options.record(it.bridge_is_ours)) {
        step("remove an unused network")?;
        take_down::parts(host, &other, kernel)
            .map_err(|error| OpenNetworkError::Undo(Box::new(error)))?;
        found = kernel.links.find(bridge)?;
    }
    // Ours when we made it: with its first user dead it may have been written down and not made,
    // or made and be found now.
    let ours = match (&before, &found) {
        (Some(before), _) => before.bridge_is_ours,
        (None, None) => true,
        (None, Some(link)) => take_down::is_our_bridge(link, &guests, &mut kernel.links)?,
    };
    check_place(options, ours, found.as_ref(), &mut kernel.links)?;

    let record = options.record(ours);
    if before.as_ref() != Some(&record) {
        step("write the record")?;
        locked.write_record(&record)?;
    }
    let rules = super::reload::ruleset(&record, &guests, &mut kernel.links)?;
    let in_force = before.is_some() && kernel.nftables.verify(&rules, Verified::Everything).is_ok();
    if !in_force {
        step("put rules in force")?;
        kernel.nftables.replace(&rules)?;
        kernel.nftables.verify(&rules, Verified::Rules)?;
    }
    if let Some(wireguard) = &options.wireguard {
        ensure_wireguard(&record, wireguard, &options.on_step)?;
    }
    if ours {
        make_bridge(&record, &mut kernel.links, &step)?;
    }
    restore(&record, &guests, kernel)?;
    need_forwarding(&record, host, kernel, &options.on_step)?;
    Ok(())
}

/// Has the host forward for a network, and for nobody else.
pub(super) fn need_forwarding(
    record: &NetworkRecord,
    host: &HostState,
    kernel: &mut Kernel,
    on_step: &StepHook,
) -> Result<(), StateError> {
    let need = ForwardingNeed { network: &record.bridge, only: record.only_out_of.as_ref() };
    host.need_forwarding(need, &mut kernel.for_forwarding(), &|step| on_step.reach(step))
}

/// Makes the way out through WireGuard, when the rules that close all others are in force.
pub(super) fn ensure_wireguard(
    record: &NetworkRecord,
    wireguard: &WireGuardWay,
    on_step: &StepHook,
) -> Result<(), SetUpWireGuardError> {
    record.wireguard_egress().ensure_stepwise(wireguard, &mut |step| {
        let failed = |source| NetlinkError::new(step.name(), "as planned", source);
        on_step.reach(step.name()).map_err(failed)
    })
}

/// Brings our bridge to what it should be, from wherever a process that was killed left it.
pub(super) fn make_bridge(
    record: &NetworkRecord,
    links: &mut Links,
    step: &dyn Fn(&'static str) -> Result<(), OpenNetworkError>,
) -> Result<(), OpenNetworkError> {
    let (bridge, subnet) = (&record.bridge, record.subnet);
    let link = match links.find(bridge)? {
        Some(link) => link,
        None => {
            step("make bridge")?;
            let (mac, alias) = (names::bridge_mac(bridge), names::bridge_alias(bridge));
            links.make_bridge(bridge, mac, record.mtu, &alias)?;
            let made = links.find(bridge)?;
            made.ok_or_else(|| OpenNetworkError::NotABridge { bridge: bridge.clone() })?
        }
    };
    if !link.up {
        step("turn off IPv6 on bridge")?;
        turn_off_ipv6(bridge);
    }
    let gateway = (subnet.gateway(), subnet.prefix());
    if !links.addresses(link.index)?.contains(&gateway) {
        step("add gateway address")?;
        links.add_address(link.index, gateway.0, gateway.1, subnet.broadcast())?;
    }
    if !link.up {
        step("bring up bridge")?;
        links.set_up(bridge, true)?;
    }
    Ok(())
}

/// The host says nothing of itself over IPv6 on our bridge. The rules let nothing of it pass
/// either way, so that it cannot be turned off is no harm.
fn turn_off_ipv6(bridge: &crate::InterfaceName) {
    // A dot in a name is a slash's stand-in in other ways to these settings, not in their path.
    let path = format!("/proc/sys/net/ipv6/conf/{bridge}/disable_ipv6");
    if let Err(error) = fs_err::write(path, "1") {
        tracing::debug!(%error, "IPv6 stays on for the bridge; the rules drop it");
    }
}

/// Whether the network can be there.
fn check_place(
    options: &NetworkOptions,
    ours: bool,
    found: Option<&FoundLink>,
    links: &mut Links,
) -> Result<(), OpenNetworkError> {
    let (bridge, subnet) = (&options.bridge, options.subnet);
    for (first, prefix, what) in UNFIT {
        let range = FoundRoute { destination: first.into(), prefix, link: None };
        if range.meets(subnet) {
            return Err(OpenNetworkError::SubnetUnfit { subnet, what });
        }
    }
    if !ours {
        let unfit = |lack: &str, remedy: String| OpenNetworkError::BridgeUnfit {
            bridge: bridge.clone(),
            lack: lack.to_owned(),
            remedy,
        };
        let remedy = format!("make it again with `ip link add {bridge} type bridge`");
        let link = found.ok_or_else(|| unfit("it is gone", remedy))?;
        if !link.up {
            return Err(unfit("it is down", format!("`ip link set {bridge} up`")));
        }
        if !links.addresses(link.index)?.contains(&(subnet.gateway(), subnet.prefix())) {
            return Err(no_gateway(bridge, subnet.gateway(), subnet.prefix()));
        }
    }
    let own = found.map(|link| link.index);
    let routes = links.routes()?;
    let elsewhere = |route: &&FoundRoute| route.link.is_none() || route.link != own;
    let met = routes.iter().filter(elsewhere).find(|route| route.meets(subnet));
    let Some(route) = met else { return Ok(()) };
    Err(OpenNetworkError::SubnetInUse {
        subnet,
        route: format!("{}/{}", route.destination, route.prefix),
        free: free_subnet(&routes),
    })
}

/// A subnet that meets no route.
fn free_subnet(routes: &[FoundRoute]) -> Option<Subnet> {
    let private = (16..32).map(|second| format!("172.{second}.0.0/24"));
    let private = private.chain((0..=255).map(|third| format!("10.{third}.30.0/24")));
    let mut subnets = private.filter_map(|text| text.parse::<Subnet>().ok());
    subnets.find(|subnet| !routes.iter().any(|route| route.meets(*subnet)))
}

/// A network that is in use cannot be another one for us.
fn compare(before: &NetworkRecord, options: &NetworkOptions) -> Result<(), OpenNetworkError> {
    let wanted = options.record(before.bridge_is_ours);
    let what = if before.subnet != wanted.subnet {
        "subnet"
    } else if before.isolation != wanted.isolation {
        "isolation"
    } else if before.egress != wanted.egress {
        "firewall"
    } else if before.only_out_of != wanted.only_out_of {
        "egress interface"
    } else if before.wireguard != wanted.wireguard {
        "WireGuard"
    } else if before.mtu != wanted.mtu {
        "MTU"
    } else if before.bounds != wanted.bounds {
        "bounds of guests"
    } else {
        return Ok(());
    };
    Err(OpenNetworkError::Differs { bridge: options.bridge.clone(), what })
}
