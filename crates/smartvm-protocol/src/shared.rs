//! Parts of messages of both sides.

use std::net::IpAddr;

use crate::choice::{choices, strict_choices};
use crate::field::{FieldFault, Value};
use crate::message::messages;

choices! {
    /// What becomes of a program whose session's connection ends before it does.
    Lost {
        /// It is killed, with its children.
        1 Kill,
        /// It goes on, its output is kept in a ring, and `Attach` finds it.
        2 Keep,
    }

    /// Which output of a program.
    Stream {
        /// Its standard output, or all that a terminal shows.
        1 Stdout,
        /// Its standard error.
        2 Stderr,
    }

    /// How the agent lives in its guest.
    Role {
        /// It is process 1: the VM's job is a command.
        1 Init,
        /// It was started by the initramfs and lives beside the init of a distribution.
        2 Beside,
        /// It is a service of the guest's init.
        3 Service,
    }
}

strict_choices!(Lost, Stream, Role);

messages! {
    /// The size of a terminal, in characters.
    pub TerminalSize {
        /// Lines.
        1 rows: u16,
        /// Characters a line.
        2 columns: u16,
    }

    /// An address on a network.
    pub Prefix {
        /// The address, of either version.
        1 address: IpAddr,
        /// How many bits of it are the network's.
        2 length: u16,
    }
}

/// Its 4 or 16 bytes, in network order.
impl Value for IpAddr {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(address) => out.extend(address.octets()),
            Self::V6(address) => out.extend(address.octets()),
        }
    }

    fn get(bytes: &[u8]) -> Result<Self, FieldFault> {
        let four = <[u8; 4]>::try_from(bytes).map(Self::from);
        let sixteen = <[u8; 16]>::try_from(bytes).map(Self::from);
        four.or(sixteen).map_err(|_| FieldFault::Length)
    }
}
