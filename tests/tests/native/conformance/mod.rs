//! Conformance: every endpoint and every field of Firecracker's API, tried against the real one.
//!
//! * `expected` is the API as it is specified, transcribed,
//! * `samples` has a value of each schema and our type for it, `wire_form` compares the two,
//! * `session` tries a request in all its variants, `record` notes each,
//! * `live` makes a machine with everything, before and after boot, and a snapshot of it.
//!
//! Where `SMARTVM_NEWER_FIRECRACKER` names another Firecracker, for what the fixture is too old for, the tier tries that as
//! well; else it counts as ignored. The table of what ran is printed: run with `--no-capture` to see it.

mod expected;
mod live;
mod record;
mod samples;
mod session;
mod wire_form;
