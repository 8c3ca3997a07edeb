//! Stages a drive and prints how it was done: `cargo run --example stage_drive -- SOURCE TARGET`.
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [source, target] = arguments.as_slice() else {
        return Err("expected: SOURCE TARGET".into());
    };
    let staged = smartvm_images::stage_drive(source, target)?;
    println!("{}", serde_json::to_string_pretty(&staged)?);
    Ok(())
}
