//! How much of the host's tables one guest may take.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// How much of the host's tables, which all share, one guest may take.
///
/// With the defaults a guest holds at most some 17,000 of the 262,144 connections that Linux tracks on a host of
/// 4 GB or more: those that are open, and those that have ended, which the kernel remembers for up to 120
/// seconds. And as each neighbour that the host is made to look for takes a new connection, and is looked for
/// three seconds long, at most 500 of the 1,024 neighbours that it remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GuestBounds {
    /// How many connections may be open at once that it began; by default 4,096.
    pub connections: NonZeroU32,
    /// How many it may begin in a second, and twice as many at first; by default 100.
    pub new_connections_per_second: NonZeroU32,
}

impl Default for GuestBounds {
    fn default() -> Self {
        const CONNECTIONS: NonZeroU32 = NonZeroU32::new(4096).expect("it is not zero");
        const NEW: NonZeroU32 = NonZeroU32::new(100).expect("it is not zero");
        Self { connections: CONNECTIONS, new_connections_per_second: NEW }
    }
}

impl GuestBounds {
    /// What both allow: of each bound the tighter one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            connections: self.connections.min(other.connections),
            new_connections_per_second: self
                .new_connections_per_second
                .min(other.new_connections_per_second),
        }
    }

    /// How many it may begin at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.new_connections_per_second.get().saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_the_default_and_nothing_else_is_understood() {
        let read = serde_json::from_str::<GuestBounds>;
        assert_eq!(read("{}").unwrap(), GuestBounds::default());
        let few = read(r#"{"connections":7}"#).unwrap();
        assert_eq!((few.connections.get(), few.new_connections_per_second.get()), (7, 100));
        assert_eq!(few.and(read(r#"{"newConnectionsPerSecond":3}"#).unwrap()).burst(), 6);
        for text in [r#"{"connections":0}"#, r#"{"neighbours":1}"#, r#"{"connections":-1}"#] {
            read(text).unwrap_err();
        }
    }
}
