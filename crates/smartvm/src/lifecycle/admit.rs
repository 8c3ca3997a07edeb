//! The policy.

use super::call::Call;
use super::state::VmState;

/// A call that the VM's state does not allow. Code `INVALID_STATE`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {call} a VM that is {state}; allowed when {}", names(allowed))]
pub struct InvalidState {
    /// The call.
    pub call: Call,
    /// The state it met.
    pub state: VmState,
    /// The states that allow it.
    pub allowed: Vec<VmState>,
}

/// Whether `call` is allowed in `state`.
pub(crate) fn admit(state: VmState, call: Call) -> Result<(), InvalidState> {
    if allows(state, call) {
        return Ok(());
    }
    let allowed = VmState::ALL.into_iter().filter(|state| allows(*state, call)).collect();
    Err(InvalidState { call, state, allowed })
}

fn allows(state: VmState, call: Call) -> bool {
    match call {
        Call::Start => state == VmState::Created,
        Call::Pause => state == VmState::Running,
        Call::Resume => state == VmState::Paused,
        Call::Snapshot => matches!(state, VmState::Running | VmState::Paused),
        // Stopping what has stopped already is no error: the guest may have ended a moment before.
        Call::Stop => match state {
            VmState::Running | VmState::Paused | VmState::Stopped | VmState::Error => true,
            VmState::Created | VmState::Configuring => false,
        },
        Call::Kill | Call::Cleanup => true,
        Call::Live(_) => matches!(state, VmState::Running | VmState::Paused),
    }
}

fn names(states: &[VmState]) -> String {
    states.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}
