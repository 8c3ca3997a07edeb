//! Imports a kernel into a store and prints what came of it:
//! `cargo run --example import_kernel -- STORE VMLINUZ [MODULES INIT]`.
#![expect(clippy::print_stdout, reason = "an example shows what it did")]

use std::path::{Path, PathBuf};

use smartvm_images::{ImportKernel, KernelStore};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [store, image, rest @ ..] = arguments.as_slice() else {
        return Err("expected: STORE VMLINUZ [MODULES INIT]".into());
    };
    let request = ImportKernel {
        image: image.clone(),
        modules: rest.first().cloned(),
        init: rest.get(1).cloned(),
        name: None,
    };
    let kernel = KernelStore::open(Path::new(store))?.import(&request)?;
    kernel.verify()?;
    println!("{}", serde_json::to_string_pretty(&kernel)?);
    Ok(())
}
