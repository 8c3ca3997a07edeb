//! `smartvm kernel import`.

use std::path::{Path, PathBuf};

use smartvm_images::{ImportKernel, KernelStore};

use crate::failure::Failure;
use crate::printer::Printer;
use crate::settings::{Settings, absolute};

/// The program that an initramfs starts as the guest's first process.
const AGENT: &str = "smartvm-agent";

/// Take a distribution's kernel into the kernel store
///
/// Extracts the vmlinux that Firecracker boots out of a vmlinuz. With --modules, also
/// packs the modules that a microVM needs (virtio, vsock, squashfs, overlay) and the
/// program that loads them into an initramfs, which `smartvm run` then uses.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  smartvm kernel import /boot/vmlinuz-6.1.0-56-amd64 --modules /lib/modules/6.1.0-56-amd64
  smartvm kernel import ./vmlinux --name mine

The init is --init, else SMARTVM_AGENT, else smartvm-agent beside the smartvm program, else
../libexec/smartvm/smartvm-agent from there.")]
pub(crate) struct ImportArgs {
    /// The kernel: a vmlinuz (bzImage) or an ELF vmlinux
    #[arg(value_name = "VMLINUZ")]
    image: PathBuf,
    /// The kernel's modules, such as /lib/modules/VERSION
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// The static program that becomes the guest's first process
    #[arg(long, value_name = "PATH", requires = "modules")]
    init: Option<PathBuf>,
    /// What to call the kernel [default: its version]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Imports the kernel and shows what became of it.
pub(super) fn perform(
    args: &ImportArgs,
    store: &KernelStore,
    settings: &Settings,
    printer: Printer,
) -> Result<(), Failure> {
    let init = match (&args.modules, &args.init) {
        (None, _) => None,
        (Some(_), Some(init)) => Some(absolute(init)?),
        (Some(_), None) => Some(find_agent(settings)?),
    };
    let request = ImportKernel {
        image: absolute(&args.image)?,
        modules: args.modules.as_deref().map(absolute).transpose()?,
        init,
        name: args.name.clone(),
    };
    let kernel =
        store.import(&request).map_err(|error| Failure::of(&error, error.code(), error.hint()))?;
    if printer.wants_json() {
        return printer.json(&kernel);
    }
    printer.status(&format!("imported {}", kernel.name));
    printer.data(&super::describe(&kernel))
}

fn find_agent(settings: &Settings) -> Result<PathBuf, Failure> {
    if let Some(agent) = &settings.agent {
        return absolute(agent);
    }
    let program = std::env::current_exe().unwrap_or_default();
    let candidates = agent_candidates(&program);
    candidates.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let tried = candidates.iter().map(|path| format!("`{}`", path.display()));
        let tried = tried.collect::<Vec<_>>().join(" and ");
        Failure::new("AGENT_NOT_FOUND", format!("no guest init: {tried} do not exist"))
            .with_hint("say where smartvm-agent is with --init or SMARTVM_AGENT")
    })
}

/// Beside the program (a build tree) and where a package puts it.
fn agent_candidates(program: &Path) -> Vec<PathBuf> {
    let dir = program.parent();
    let beside = dir.map(|dir| dir.join(AGENT));
    let prefix = dir.and_then(Path::parent);
    let packaged = prefix.map(|prefix| prefix.join("libexec/smartvm").join(AGENT));
    beside.into_iter().chain(packaged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_looked_for_beside_the_program_and_in_libexec() {
        assert_eq!(
            agent_candidates(Path::new("/usr/bin/smartvm")),
            [Path::new("/usr/bin/smartvm-agent"), Path::new("/usr/libexec/smartvm/smartvm-agent")]
        );
    }
}
