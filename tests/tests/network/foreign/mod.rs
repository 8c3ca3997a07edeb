//! Firewalls of other programs beside ours: ours are neither broken by them nor break them.

mod legacy;
mod program;
mod published;
mod real;
mod scene;
mod told;
