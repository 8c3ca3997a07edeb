//! The agent of guests, the very program, as process 1 of namespaces of its own: what the host asks of it comes over a
//! Unix socket instead of a virtual one.
//!
//! Covers: programs with pipes and terminals, their ends, orphans, kept programs, users, files and trees, forwarded
//! streams, hostile hosts, the end of the guest. Needs root, and a hierarchy of control groups of version 2; no Firecracker and no guest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod crowds;
mod ends;
mod files;
mod forwards;
mod host;
mod input;
mod keeping;
mod library;
mod output;
mod shutdown;
mod starts;
mod terminals;
mod world;
