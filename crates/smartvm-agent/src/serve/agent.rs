//! What all sessions share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rustix::process::Rlimit;
use smartvm_protocol::shared::Role;
use smartvm_protocol::{Feature, Features, Refusal, RefusalCode};

use super::cgroup::Groups;
use super::children::Children;
use super::exec::Kept;
use super::open_files;
use super::refused::refused;

/// How many sessions may be open at once.
pub(crate) const SESSIONS: usize = 512;

/// The agent, for as long as the guest lives.
#[derive(Debug)]
pub(crate) struct Agent {
    role: Role,
    children: Children,
    groups: Option<Groups>,
    kept: Kept,
    execs: AtomicU64,
    sessions: AtomicUsize,
    is_going_down: AtomicBool,
    program_files: Rlimit,
}

/// A place among the open sessions, free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Agent>);

impl Agent {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            children: Children::default(),
            groups: Groups::open(role),
            kept: Kept::default(),
            execs: AtomicU64::new(0),
            sessions: AtomicUsize::new(0),
            is_going_down: AtomicBool::new(false),
            program_files: open_files::raise(),
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn children(&self) -> &Children {
        &self.children
    }

    pub(crate) fn groups(&self) -> Option<&Groups> {
        self.groups.as_ref()
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// How many files a program may have open.
    pub(crate) fn program_files(&self) -> Rlimit {
        self.program_files
    }

    /// A number that no program has had.
    pub(crate) fn next_exec(&self) -> u64 {
        self.execs.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// What this agent can do in this guest.
    pub(crate) fn features(&self) -> Features {
        let always = [
            Feature::Exec,
            Feature::Terminal,
            Feature::Keep,
            Feature::Read,
            Feature::Write,
            Feature::Forward,
            Feature::Shutdown,
        ];
        let groups = self.groups.as_ref().map(|_| Feature::ControlGroups);
        always.into_iter().chain(groups).collect()
    }

    /// Whether a program may be started now.
    pub(crate) fn admit(&self) -> Result<(), Refusal> {
        if self.is_going_down.load(Ordering::Acquire) {
            let what = "run a program: the guest is being shut down";
            return Err(refused(RefusalCode::GoingDown, what));
        }
        Ok(())
    }

    /// No program is started any more. False when that was so already.
    pub(crate) fn begin_to_go_down(&self) -> bool {
        !self.is_going_down.swap(true, Ordering::AcqRel)
    }
}

impl Place {
    /// A place for one more session, if there is one.
    pub(crate) fn of(agent: &Arc<Agent>) -> Option<Self> {
        let more = |count| (count < SESSIONS).then_some(count + 1);
        let entered = agent.sessions.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        entered.is_ok().then(|| Self(Arc::clone(agent)))
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.sessions.fetch_sub(1, Ordering::AcqRel);
    }
}
