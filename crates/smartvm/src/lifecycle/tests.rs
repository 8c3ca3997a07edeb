use super::*;

/// The table in this module's documentation, so that it cannot drift from the policy.
#[test]
fn the_documented_table_is_the_policy() {
    let documentation = include_str!("mod.rs");
    for state in VmState::ALL {
        let allowed: Vec<_> = Call::ALL
            .into_iter()
            .filter(|call| admit(state, *call).is_ok())
            .map(|call| call.to_string())
            .collect();
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
