use super::*;
use crate::generation::SessionKind as S;

/// Every step that frames of a side can lead to in a session, with the frames that may come there.
fn walk<K: Copy>(
    session: S,
    kinds: &[K],
    next: impl Fn(Step, K, S) -> Result<Step, OutOfOrder>,
    name: impl Fn(K) -> &'static str,
) -> Vec<(Step, Vec<&'static str>)> {
    let mut steps = vec![(Step::Opening, Vec::new())];
    let mut at = 0;
    while at < steps.len() {
        for kind in kinds {
            if let Ok(step) = next(steps[at].0, *kind, session) {
                steps[at].1.push(name(*kind));
                if steps.iter().all(|(known, _)| *known != step) {
                    steps.push((step, Vec::new()));
                }
            }
        }
        at += 1;
    }
    steps
}

fn host(session: S) -> Vec<(Step, Vec<&'static str>)> {
    walk(session, HostKind::ALL, Step::after_host, HostKind::name)
}

fn agent(session: S) -> Vec<(Step, Vec<&'static str>)> {
    walk(session, AgentKind::ALL, Step::after_agent, AgentKind::name)
}

#[test]
fn a_program_is_started_fed_and_ended_in_order() {
    assert_eq!(
        host(S::Exec),
        [
            (Step::Opening, vec!["Hello"]),
            (Step::Starting(S::Exec), vec!["StartExec"]),
            (Step::Running(S::Exec), vec!["Stdin", "StdinEnd", "Resize", "Signal", "Detach"]),
            (Step::WithoutInput(S::Exec), vec!["Resize", "Signal", "Detach"]),
            (Step::Ended, vec![]),
        ]
    );
    assert_eq!(
        agent(S::Exec),
        [
            (Step::Opening, vec!["Welcome", "Refused"]),
            (Step::Starting(S::Exec), vec!["Refused", "Started"]),
            (Step::Ended, vec![]),
            (Step::Running(S::Exec), vec!["Stdout", "Stderr", "StdinCredit", "Gap", "Exit"]),
        ]
    );
}

#[test]
fn every_session_has_an_end_that_nothing_follows_but_questions_have_none() {
    for (_, session, _) in S::ALL {
        for steps in [host(*session), agent(*session)] {
            let ended = steps.iter().find(|(step, _)| *step == Step::Ended);
            assert!(ended.is_none_or(|(_, frames)| frames.is_empty()));
            let raw = steps.iter().find(|(step, _)| *step == Step::Raw);
            assert_eq!(raw.is_some(), *session == S::Forward);
            assert!(raw.is_none_or(|(_, frames)| frames.is_empty()));
        }
        let has_end = host(*session).iter().any(|(step, _)| *step == Step::Ended);
        assert_eq!(has_end, !matches!(session, S::Control | S::Forward), "{session:?}");
    }
}

/// The drawing in the crate's documentation names every frame, beside the sessions that it belongs to.
#[test]
fn the_drawing_of_the_order_is_true() {
    let text = include_str!("../lib.rs");
    let drawing = text.split("```text").nth(2).unwrap().split("```").next().unwrap();
    let lines: Vec<_> = drawing.lines().map(|line| line.trim_start_matches("//!")).collect();
    let column = lines[1].chars().position(|char| char == 'a').unwrap();
    let mut sessions: Vec<S> = Vec::new();
    let mut drawn = [Vec::new(), Vec::new()];
    for line in &lines[3..] {
        if line.contains('▼') {
            let names = line.split('▼').nth(1).unwrap();
            let is = |session: &&(u16, S, &str)| names.split([' ', ',']).any(|it| it == session.2);
            sessions = S::ALL.iter().filter(is).map(|(_, session, _)| *session).collect();
            assert!(!sessions.is_empty(), "{line}");
            continue;
        }
        for (side, part) in [
            line.chars().take(column).collect::<String>(),
            line.chars().skip(column).collect::<String>(),
        ]
        .iter()
        .enumerate()
        {
            let words = part.split(|char: char| !char.is_ascii_alphabetic());
            for word in words.filter(|word| word.starts_with(char::is_uppercase)) {
                drawn[side].push((sessions.clone(), word.to_owned()));
            }
        }
    }
    for (side, walked) in [(0, host as fn(S) -> _), (1, agent)] {
        for (_, session, _) in S::ALL {
            let steps: Vec<(Step, Vec<&str>)> = walked(*session);
            let mut real: Vec<&str> = steps.into_iter().flat_map(|(_, frames)| frames).collect();
            let mut shown: Vec<&str> = drawn[side]
                .iter()
                .filter(|(sessions, _)| sessions.is_empty() || sessions.contains(session))
                .map(|(_, word)| word.as_str())
                .collect();
            // `Attach` and `Exec` share a part of the drawing, and differ in how they start.
            shown.retain(|word| real.contains(word) || !word.starts_with("Start") || side == 1);
            real.sort_unstable();
            real.dedup();
            shown.sort_unstable();
            shown.dedup();
            assert_eq!(shown, real, "{session:?}, side {side}");
        }
    }
}
