//! Telling dead VMs from living ones, and removing them without being in anybody's way.
//!
//! ```text
//! <runtimeDir>/.dead/web~0      of a VM that has ended, or whose owner died; being removed, or to be
//! <runtimeDir>/.damaged/web~0   of a VM that had ended, and whose record cannot be read; for a person
//! ```
//!
//! A directory is set aside by a rename, with the lock of the whole held for that moment, and removed
//! afterwards. Whoever removes it holds its own lock meanwhile. So nobody who starts a VM waits for the
//! removal of others, and what is left of a removal that was killed goes with the next sweep.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use smartvm_dir::{HeldLock, LockState, PrivateDir};
use smartvm_network::InterfaceName;

use super::link::Link;
use super::record::{Found, VmRecord};
use super::runtime_dir::{LOCK, RuntimeDir};
use crate::network::InterfaceRecord;
use crate::vm_id::VmId;

/// Where directories of dead VMs are removed.
pub(super) const DEAD: &str = ".dead";
/// Where those are kept whose record cannot be read.
pub(super) const DAMAGED: &str = ".damaged";

/// How long the last child of a dead owner may take to follow it.
const DYING_PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks at a lock that is about to become free.
const DYING_PAUSE: Duration = Duration::from_millis(1);

/// What is known of the owner of a VM's directory.
#[derive(Debug)]
enum Owner {
    /// It holds the lock, or is the process that the record names.
    Lives,
    /// It died, and something that it has started still has the lock, for a moment.
    Dying,
    /// It is dead, or has let go. The lock, where there was one, is ours.
    Dead(Option<HeldLock>),
}

/// A dead VM's directory that nobody else removes meanwhile.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) id: VmId,
    /// Its name in the directory of dead ones.
    name: String,
    /// None where the owner itself removes it, who has the lock.
    _lock: Option<HeldLock>,
    /// What belongs to it, where that was read already.
    record: Option<Box<VmRecord>>,
}

/// Interfaces that are no more, each by its network and its TAP.
pub(crate) type Gone = HashSet<(InterfaceName, InterfaceName)>;

/// What came of a look at a VM's directory.
#[derive(Debug)]
pub(super) enum SetAside {
    /// It waits for its removal.
    Dead(Remains),
    /// What belongs to it is not known, as its record cannot be read; it was put here.
    Damaged(PathBuf),
    /// There was no such directory.
    Gone,
}

/// A dead owner is one whose lock is free *and* whose process has ended: a lock that somebody removed
/// says nothing.
fn owner(dir: &PrivateDir) -> io::Result<Owner> {
    let lock = dir.try_lock(LOCK)?;
    let lives = match VmRecord::find(dir)? {
        Found::Record(record) => record.owner.lives()?,
        // Nobody is named; the lock alone must tell.
        Found::Nothing | Found::Damaged(_) => matches!(lock, LockState::Held),
    };
    Ok(match lock {
        _ if lives => Owner::Lives,
        LockState::Held => Owner::Dying,
        LockState::Ours(lock) => Owner::Dead(Some(lock)),
        _ => Owner::Dead(None),
    })
}

/// Whether the owner of a VM's directory lives.
pub(super) fn owner_lives(dir: &PrivateDir) -> io::Result<bool> {
    Ok(matches!(owner(dir)?, Owner::Lives))
}

/// Sets the directory of VM `id` aside if its owner is dead; none while it lives, or is dying. The
/// caller holds the lock of the whole, so that nobody makes or removes it meanwhile.
pub(super) fn set_aside(home: &RuntimeDir, id: &VmId) -> io::Result<Option<SetAside>> {
    let Some(dir) = home.dir().dir(id.as_str())? else { return Ok(Some(SetAside::Gone)) };
    let Owner::Dead(lock) = owner(&dir)? else { return Ok(None) };
    let record = match VmRecord::find(&dir)? {
        Found::Damaged(error) => {
            let path = keep_damaged(home, home.dir(), id.as_str(), id, &error)?;
            return Ok(Some(SetAside::Damaged(path)));
        }
        Found::Nothing => None,
        Found::Record(record) => Some(record),
    };
    // By a lock others know that it is being removed.
    let lock = match lock {
        Some(lock) => lock,
        None => dir.create_lock(LOCK)?,
    };
    let name = move_to(home.dir(), id.as_str(), id, &home.dir().ensure_dir(DEAD)?)?;
    Ok(Some(SetAside::Dead(Remains { id: id.clone(), name, _lock: Some(lock), record })))
}

/// Sets a directory aside whose owner we are. Nobody else touches it, so that no lock of others is
/// needed.
pub(super) fn retire(home: &RuntimeDir, record: VmRecord) -> io::Result<Remains> {
    let id = record.id.clone();
    let name = move_to(home.dir(), id.as_str(), &id, &home.dir().ensure_dir(DEAD)?)?;
    Ok(Remains { id, name, _lock: None, record: Some(Box::new(record)) })
}

/// Puts a directory where a person finds it: what is not known cannot be removed, and must not be taken
/// for nothing.
fn keep_damaged(
    home: &RuntimeDir,
    parent: &PrivateDir,
    name: &str,
    id: &VmId,
    error: &io::Error,
) -> io::Result<PathBuf> {
    let damaged = home.dir().ensure_dir(DAMAGED)?;
    let path = damaged.path().join(move_to(parent, name, id, &damaged)?);
    tracing::warn!(
        vm = %id, path = %path.display(), %error,
        "the record of a dead VM cannot be read; its directory was set aside"
    );
    Ok(path)
}

/// Moves a VM's directory to where it has the first free number.
fn move_to(parent: &PrivateDir, old: &str, id: &VmId, target: &PrivateDir) -> io::Result<String> {
    for number in 0_u32.. {
        let name = format!("{id}~{number}");
        if target.stat(&name)?.is_some() {
            continue;
        }
        match parent.rename_into(old, target, &name) {
            // Somebody was faster with another one of this id.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
                ) => {}
            moved => return moved.map(|()| name),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Waits until something that a dead owner has started is gone as well. False when its owner lives.
pub(super) fn wait_for_end(home: &RuntimeDir, id: &VmId) -> io::Result<bool> {
    let deadline = Instant::now() + DYING_PATIENCE;
    loop {
        let Some(dir) = home.dir().dir(id.as_str())? else { return Ok(true) };
        match owner(&dir)? {
            Owner::Dead(_) => return Ok(true),
            Owner::Dying if Instant::now() < deadline => thread::sleep(DYING_PAUSE),
            Owner::Lives | Owner::Dying => return Ok(false),
        }
    }
}

/// What others have set aside and do not remove, as they were killed or failed.
pub(super) fn left_aside(home: &RuntimeDir) -> io::Result<Vec<Remains>> {
    let mut left = Vec::new();
    let Some(dead) = home.dead()? else { return Ok(left) };
    for entry in dead.entries()? {
        let Some(name) = entry.name().to_str().filter(|_| entry.is_dir()) else { continue };
        let Some(id) = id_of(name) else { continue };
        if let Some(lock) = lock_remains(&dead, name)? {
            left.push(Remains { id, name: name.to_owned(), _lock: Some(lock), record: None });
        }
    }
    Ok(left)
}

fn id_of(name: &str) -> Option<VmId> {
    name.rsplit_once('~')?.0.parse().ok()
}

/// The lock of a directory that was set aside; none when somebody removes that.
fn lock_remains(dead: &PrivateDir, name: &str) -> io::Result<Option<HeldLock>> {
    let Some(dir) = dead.dir(name)? else { return Ok(None) };
    match dir.try_lock(LOCK)? {
        LockState::Held => Ok(None),
        LockState::Ours(lock) => Ok(Some(lock)),
        // The removal had come as far as that.
        _ => match dir.create_lock(LOCK) {
            Ok(lock) => Ok(Some(lock)),
            Err(_) => Ok(None),
        },
    }
}

/// Removes what is left of earlier VMs of this id, waiting for whoever is about it.
pub(super) fn remove_all_of(home: &RuntimeDir, id: &VmId) -> io::Result<()> {
    let Some(dead) = home.dead()? else { return Ok(()) };
    for entry in dead.entries()? {
        let Some(name) = entry.name().to_str().filter(|name| id_of(name).as_ref() == Some(id))
        else {
            continue;
        };
        let Some(dir) = dead.dir(name)? else { continue };
        let lock = match dir.lock(LOCK) {
            Ok(lock) => lock,
            // It went meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut remains =
            Remains { id: id.clone(), name: name.to_owned(), _lock: Some(lock), record: None };
        remains.remove(home)?;
    }
    Ok(())
}

impl Remains {
    /// Ends the VM's Firecracker and removes all that its record names, and the directory. What cannot
    /// be removed stays for the next sweep. Blocks.
    pub(super) fn remove(&mut self, home: &RuntimeDir) -> io::Result<()> {
        self.end(home)?;
        self.forget(home, &Gone::default())
    }

    /// The first half: the VM's Firecracker, and its jail. Of its network nothing is touched, so that somebody
    /// else may be at that meanwhile. Blocks.
    pub(super) fn end(&mut self, home: &RuntimeDir) -> io::Result<()> {
        let Some((dead, dir)) = self.open(home)? else { return Ok(()) };
        if self.record.is_none() {
            self.record = match VmRecord::find(&dir)? {
                Found::Record(record) => Some(record),
                // It was never finished and names nothing: Firecracker is ended with its owner by the
                // kernel, and the record only covers what the kernel did not get to.
                Found::Nothing => None,
                Found::Damaged(error) => {
                    let path = keep_damaged(home, &dead, &self.name, &self.id, &error)?;
                    let text = format!("its record cannot be read; see {}", path.display());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
            };
        }
        let Some(record) = &self.record else { return Ok(()) };
        end_firecracker(record, &dir, home)?;
        record.jail.as_ref().map_or(Ok(()), |jail| jail.remove(&home.jails))
    }

    /// The second half: what is left of its network, but for what has `gone` already, and the directory. Blocks.
    pub(super) fn forget(&self, home: &RuntimeDir, gone: &Gone) -> io::Result<()> {
        let Some((dead, _)) = self.open(home)? else { return Ok(()) };
        if let Some(record) = &self.record {
            let interfaces = record.interfaces.iter();
            let mut left =
                interfaces.filter(|it| !gone.contains(&(it.network.clone(), it.tap.clone())));
            left.try_for_each(InterfaceRecord::remove)?;
            let links = record.links.iter();
            links.filter(|link| link.leads_into(record, home)).try_for_each(Link::remove)?;
        }
        dead.remove_dir_all(&self.name)
    }

    fn open(&self, home: &RuntimeDir) -> io::Result<Option<(PrivateDir, PrivateDir)>> {
        let Some(dead) = home.dead()? else { return Ok(None) };
        Ok(dead.dir(&self.name)?.map(|dir| (dead, dir)))
    }
}

/// Ends the process that the record names if it is one of this VM: nothing that only has the number.
fn end_firecracker(record: &VmRecord, dir: &PrivateDir, home: &RuntimeDir) -> io::Result<()> {
    let Some(process) = &record.firecracker else { return Ok(()) };
    let root = match &record.jail {
        Some(jail) => jail.root(&home.jails)?,
        None => None,
    };
    let ours = process.is_in(dir)? || root.map_or(Ok(false), |root| process.is_in(&root))?;
    if !ours {
        process.wait_if_ending();
    }
    if ours && process.kill()? {
        tracing::info!(vm = %record.id, "ended the Firecracker of a dead owner");
    }
    Ok(())
}
