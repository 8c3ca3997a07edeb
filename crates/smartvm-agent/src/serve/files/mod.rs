//! Files of the guest, out of it and into it.

mod pack;
mod place;
mod stream;
mod unpack;

pub(crate) mod read;
pub(crate) mod write;
