//! `smartvm kernel`: the kernels that guests boot.
//!
//! With `--json`, `list` prints an array and `import` and `show` one object of
//! [`StoredKernel`]'s form: `name`, `version`, `vmlinux` and `initramfs` (paths),
//! `sourceSha256`, `vmlinuxSha256`, `initramfsSha256`, `modules`, `builtInModules`,
//! `missingModules` and `importedAtMs` (since 1970). A kernel without modules has no
//! `initramfs` and `initramfsSha256`. `rm` prints `{"removed":"NAME"}`.

mod import;
mod list;
mod rm;
mod show;

use clap::Subcommand;
use smartvm_images::StoredKernel;

use crate::exit_code::Exit;
use crate::failure::Failure;
use crate::leaving;
use crate::printer::Printer;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  smartvm kernel import /boot/vmlinuz-6.1.0-56-amd64 --modules /lib/modules/6.1.0-56-amd64
  smartvm kernel list
  smartvm kernel show 6.1.0-56-amd64 --json
  smartvm kernel rm 6.1.0-56-amd64

With --json: objects with name, version, vmlinux, initramfs, sourceSha256, vmlinuxSha256,
initramfsSha256, modules, builtInModules, missingModules, importedAtMs.";

/// Import, list and remove guest kernels
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KernelArgs {
    #[command(subcommand)]
    pub(crate) verb: KernelVerb,
}

/// What to do with kernels.
#[derive(Debug, Subcommand)]
pub(crate) enum KernelVerb {
    Import(import::ImportArgs),
    /// List the imported kernels
    #[command(after_help = "Examples:\n  smartvm kernel list\n  smartvm kernel list --json")]
    List,
    /// Show one imported kernel
    #[command(after_help = "Examples:\n  smartvm kernel show 6.1.0-56-amd64")]
    Show {
        /// Its name, as `smartvm kernel list` shows it
        name: String,
    },
    /// Remove an imported kernel
    #[command(after_help = "Examples:\n  smartvm kernel rm 6.1.0-56-amd64")]
    Rm {
        /// Its name, as `smartvm kernel list` shows it
        name: String,
    },
}

/// Does what the verb says.
pub(crate) fn perform(
    verb: &KernelVerb,
    settings: &Settings,
    printer: Printer,
) -> Result<Exit, Failure> {
    let store = settings.kernels()?;
    if matches!(verb, KernelVerb::Import(_)) {
        settings.admit_image()?;
        leaving::remove_drafts_on_signals()?;
    }
    match verb {
        KernelVerb::Import(args) => import::perform(args, &store, settings, printer)?,
        KernelVerb::List => list::perform(&store, printer)?,
        KernelVerb::Show { name } => show::perform(&store, name, printer)?,
        KernelVerb::Rm { name } => rm::perform(&store, name, printer)?,
    }
    Ok(Exit::Ok)
}

/// What `import` and `show` say of a kernel to a person.
fn describe(kernel: &StoredKernel) -> String {
    let initramfs = match &kernel.initramfs {
        Some(path) => format!("{} ({})", path.display(), modules(kernel.modules.len())),
        None => "none".to_owned(),
    };
    let mut text = format!(
        "name       {}\nversion    {}\nvmlinux    {}\ninitramfs  {initramfs}\nSHA-256    {}",
        kernel.name,
        kernel.version,
        kernel.vmlinux.display(),
        kernel.vmlinux_sha256,
    );
    if !kernel.missing_modules.is_empty() {
        text.push_str(&format!("\nlacks      {}", kernel.missing_modules.join(", ")));
    }
    text
}

fn modules(count: usize) -> String {
    if count == 1 { "1 module".to_owned() } else { format!("{count} modules") }
}
