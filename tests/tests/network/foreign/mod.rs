//! Firewalls of other programs beside ours: ours are neither broken by them nor break them.

mod legacy;
mod published;
mod scene;
mod told;
