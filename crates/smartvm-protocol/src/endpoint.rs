//! Where the two find each other on the virtual socket.

/// The guest's port that the agent listens on.
///
/// Below 1024, as to take such a port needs `CAP_NET_BIND_SERVICE` in the guest's first user namespace: an ordinary
/// process of the guest cannot pretend to be the agent.
pub const AGENT_PORT: u32 = 1023;

/// The host's port that the agent connects to, and closes without a word, when it can be dialled.
///
/// With Firecracker the host listens for it on the Unix socket of the device with `_1` behind its name, from before
/// the guest starts. Any process of the guest can ring, as often as it likes.
pub const DOORBELL_PORT: u32 = 1;

/// The context identifier of the host, the only one that the agent takes connections of.
pub const HOST_CID: u32 = 2;
