use super::*;

/// The table in this module's documentation, so that it cannot drift from the policy.
#[test]
fn the_documented_table_is_the_policy() {
    let documentation = include_str!("mod.rs");
    for state in VmState::ALL {
        let mut allowed: Vec<_> = Call::ALL
            .into_iter()
            .filter(|call| admit(state, *call).is_ok())
            .map(|call| call.to_string())
            .collect();
        let live = LiveCall::ALL.map(|call| admit(state, Call::Live(call)).is_ok());
        if live.contains(&true) {
            assert!(!live.contains(&false), "live calls have one rule, also when {state}");
            allowed.push("live calls".to_owned());
        }
        let row = format!("| {state} | ");
        let line = documentation
            .lines()
            .find(|line| line.contains(&row))
            .unwrap_or_else(|| panic!("no row for {state}"));
        assert!(
            line.trim_end().ends_with(&format!("| {} |", allowed.join(", "))),
            "the row of {state} should allow: {}",
            allowed.join(", ")
        );
    }
}

#[test]
fn a_refusal_names_the_call_the_state_and_the_states_that_allow_it() {
    let refused = admit(VmState::Created, Call::Stop).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cannot stop a VM that is created; allowed when running or paused or stopped or error"
    );
}

#[test]
fn a_refused_live_call_is_named() {
    let refused = admit(VmState::Created, Call::Live(LiveCall::UpdateDrive)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cannot update a drive of a VM that is created; allowed when running or paused"
    );
}
