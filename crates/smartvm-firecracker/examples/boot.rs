//! Boots a guest on a Firecracker that listens on a socket, with nothing but the client.
//!
//! ```text
//! firecracker --api-sock /tmp/firecracker.socket &
//! cargo run --example boot -- /tmp/firecracker.socket vmlinux root.ext4
//! ```
#![expect(clippy::print_stdout, reason = "an example says what it does")]

use std::error::Error;
use std::path::Path;

use smartvm_firecracker::api::{Balloon, BootSource, Drive, MachineConfiguration, VmRunState};
use smartvm_firecracker::{ApiClient, ApiError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [socket, kernel, root] = args.as_slice() else {
        return Err("give the socket, a kernel and a root file system".into());
    };
    let client = ApiClient::connect(Path::new(socket)).await?;
    let version = client.version().await?;
    println!("Firecracker {version} is {}", client.instance_info().await?.state);
    // From here on, what this version does not know is not even sent.
    let client = client.with_version(version);

    client.put_machine_config(&MachineConfiguration::new(2.try_into()?, 256)).await?;
    let boot_source = BootSource {
        kernel_image_path: kernel.into(),
        boot_args: Some("console=ttyS0 reboot=k panic=1".to_owned()),
        ..BootSource::default()
    };
    client.put_boot_source(&boot_source).await?;
    let root = Drive { is_root_device: true, ..Drive::new("rootfs".parse()?, root) };
    client.put_drive(&root).await?;

    let reporting = Balloon { free_page_reporting: Some(true), ..Balloon::default() };
    match client.put_balloon(&reporting).await {
        Err(error @ ApiError::TooOld { .. }) => println!("without a balloon: {error}"),
        other => other?,
    }

    client.instance_start().await?;
    client.set_vm_state(VmRunState::Paused).await?;
    println!("booted, and {}", client.instance_info().await?.state);
    Ok(())
}
