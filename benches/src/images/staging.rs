//! How long a private copy of a drive of 1 GiB takes.
//!
//! Promised: sharing its blocks at most 5 ms; a sparse copy of a drive of which a quarter is allocated
//! at most 1.2 times copying that quarter alone.

use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::ensure;
use smartvm::images::{StagingMethod, stage_drive};
use smartvm_testkit::LoopFs;

use crate::sample::Sample;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;
const ROUNDS: usize = 15;
const WARM_UP: usize = 2;

pub(crate) fn run() -> anyhow::Result<()> {
    share()?;
    copy()
}

/// On XFS: our way beside the one system call.
fn share() -> anyhow::Result<()> {
    let xfs = LoopFs::xfs(3072);
    let (source, target) = (xfs.path().join("source"), xfs.path().join("target"));
    fill(&source, MIB, GIB)?;
    sync(xfs.path())?;
    let (mut ours, mut floor) = (Sample::default(), Sample::default());
    for round in 0..ROUNDS + WARM_UP {
        let shared = timed(&target, || {
            let staged = stage_drive(&source, &target)?;
            ensure!(staged.method == StagingMethod::Reflink, "the blocks were not shared");
            Ok(())
        })?;
        let alone = timed(&target, || {
            let from = fs_err::File::open(&source)?;
            let to = fs_err::File::create_new(&target)?;
            Ok(rustix::fs::ioctl_ficlone(&to, &from)?)
        })?;
        if round >= WARM_UP {
            ours.add(shared);
            floor.add(alone);
        }
    }
    println!("staging: a drive of 1 GiB, all of it allocated, on XFS");
    print(&[("FICLONE alone", &floor), ("smartvm (stage_drive)", &ours)]);
    println!("smartvm: median {:.2} ms (promised <= 5)", ours.percentile_ms(50));
    Ok(())
}

/// From a disk into memory, where the files of VMs are by default.
fn copy() -> anyhow::Result<()> {
    let disk = tempfile::tempdir()?;
    let memory = tempfile::Builder::new().prefix("svb").tempdir_in("/dev/shm")?;
    let (source, quarter) = (disk.path().join("source"), disk.path().join("quarter"));
    let target = memory.path().join("target");
    // A MiB of data, three of nothing: as in an image that is partly used.
    fill(&source, 4 * MIB, GIB)?;
    fill(&quarter, MIB, GIB / 4)?;
    sync(disk.path())?;
    let (mut ours, mut floor, mut seed) = (Sample::default(), Sample::default(), Sample::default());
    for round in 0..ROUNDS + WARM_UP {
        let sparse = timed(&target, || {
            let staged = stage_drive(&source, &target)?;
            ensure!(staged.bytes_copied == GIB / 4, "{} bytes were copied", staged.bytes_copied);
            Ok(())
        })?;
        let alone = timed(&target, || Ok(fs_err::copy(&quarter, &target).map(drop)?))?;
        let whole = timed(&target, || copy_whole(&source, &target))?;
        if round >= WARM_UP {
            ours.add(sparse);
            floor.add(alone);
            seed.add(whole);
        }
    }
    println!(
        "staging: a drive of 1 GiB, a quarter of it allocated, from a disk's cache into memory"
    );
    print(&[
        ("copying that quarter alone", &floor),
        ("smartvm (stage_drive)", &ours),
        ("the original's way (all of it)", &seed),
    ]);
    let ratio = |percent| ours.percentile_ms(percent) / floor.percentile_ms(percent);
    println!("ratio smartvm / quarter alone: median {:.2} (promised <= 1.20)", ratio(50));
    println!(
        "ratio original / smartvm:      median {:.2}",
        seed.percentile_ms(50) / ours.percentile_ms(50)
    );
    Ok(())
}

fn print(rows: &[(&str, &Sample)]) {
    println!("{:<34} {:>6} {:>11} {:>11}", "", "rounds", "median ms", "p99 ms");
    for (name, sample) in rows {
        let (median, p99) = (sample.percentile_ms(50), sample.percentile_ms(99));
        println!("{name:<34} {:>6} {median:>11.2} {p99:>11.2}", sample.len());
    }
}

/// Measures what makes `target`, which is removed after.
fn timed(target: &PathBuf, make: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    make()?;
    let took = begun.elapsed();
    fs_err::remove_file(target)?;
    Ok(took)
}

/// Makes a file of `size` bytes with a MiB of data each `step` bytes.
fn fill(path: &Path, step: u64, size: u64) -> anyhow::Result<()> {
    let file = fs_err::File::create_new(path)?;
    file.set_len(size)?;
    let data: Vec<u8> = (1..=251).cycle().take(usize::try_from(MIB)?).collect();
    for at in (0..size).step_by(usize::try_from(step)?) {
        file.file().write_all_at(&data, at)?;
    }
    Ok(())
}

/// Copies everything, holes as zeros, as the original does it.
fn copy_whole(source: &Path, target: &Path) -> anyhow::Result<()> {
    let (mut from, mut to) = (fs_err::File::open(source)?, fs_err::File::create_new(target)?);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => to.write_all(&buffer[..count])?,
        }
    }
}

fn sync(dir: &Path) -> anyhow::Result<()> {
    Ok(rustix::fs::syncfs(fs_err::File::open(dir)?)?)
}
