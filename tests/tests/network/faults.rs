//! Failure and death at every step.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Signal, getpid, kill_process};
use smartvm_network::policy::FirewallConfig;
use smartvm_network::{AttachGuest, Network, NetworkOptions, StepHook};

use super::lifecycle::{host_of, state_files};
use super::world::World;

/// Tells the process that is to die at which step, and where.
const DIE_AT: &str = "SMARTVM_TEST_DIE_AT";
const STATE_DIR: &str = "SMARTVM_TEST_STATE_DIR";

/// A whole life, with everything that an interface can have.
fn live(options: &NetworkOptions, request: &AttachGuest) -> Result<(), Box<dyn std::error::Error>> {
    let network = Network::open(options)?;
    let made = network.attach(request)?;
    network.detach(&made.tap)?;
    network.close()?;
    Ok(())
}

fn full(mut request: AttachGuest) -> AttachGuest {
    request.published = vec!["8080:80".parse().unwrap()];
    let policy = r#"{"egress":{"defaultAction":"deny"}}"#;
    request.egress = Some(FirewallConfig::from_json(policy).unwrap());
    request
}

/// A hook that does `what` at the step with this number.
fn at(
    number: usize,
    what: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> (StepHook, Arc<AtomicUsize>) {
    let reached = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reached);
    let hook = StepHook::new(move |_| {
        if counter.fetch_add(1, Ordering::Relaxed) == number { what() } else { Ok(()) }
    });
    (hook, reached)
}

fn count_steps() -> usize {
    let mut world = World::new();
    let (hook, reached) = at(usize::MAX, || Ok(()));
    world.options.on_step = hook;
    world.host.run(|| live(&world.options, &full(world.request("web"))).unwrap());
    reached.load(Ordering::Relaxed)
}

#[test]
fn an_error_at_any_step_leaves_the_host_as_it_was() {
    let steps = count_steps();
    assert!(steps >= 15, "{steps}");
    for step in 0..steps {
        let mut world = World::new();
        let before = host_of(&world);
        let (hook, _) = at(step, || Err(io::Error::other("as the test wants")));
        world.options.on_step = hook;
        let request = full(world.request("web"));
        world.host.run(|| {
            // The handle of the network is dropped, as by a manager that gives up.
            live(&world.options, &request).unwrap_err();
            Network::sweep(&world.options.state_dir).unwrap();
        });
        assert_eq!(host_of(&world), before, "step {step}");
        let left = state_files(&world);
        assert!(left.iter().all(|file| file.ends_with(".lock")), "step {step}: {left:?}");
    }
}

#[test]
fn a_start_that_fails_undoes_itself_without_a_sweep() {
    let steps = count_steps();
    let mut failed = 0;
    for step in 0..steps {
        let mut world = World::new();
        let before = host_of(&world);
        let (hook, _) = at(step, || Err(io::Error::other("as the test wants")));
        world.options.on_step = hook;
        let request = full(world.request("web"));
        let done = world.host.run(|| {
            let Ok(network) = Network::open(&world.options) else { return false };
            let attached = network.attach(&request).is_ok();
            attached || network.close().unwrap()
        });
        if step > 0 && host_of(&world) == before {
            failed += 1;
        }
        // Later steps are those of the end, of which the other test knows.
        if !done {
            assert_eq!(host_of(&world), before, "step {step}");
        }
    }
    assert!(failed >= 8, "{failed} of {steps} steps");
}

#[test]
fn a_kill_at_any_step_is_swept_by_the_next_process() {
    for step in 0..count_steps() {
        let world = World::new();
        let before = host_of(&world);
        let child = world.host.run(|| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--ignored", "--exact", "faults::lives_until_it_is_killed"]);
            command.env(DIE_AT, step.to_string()).env(STATE_DIR, &world.options.state_dir);
            command.output().unwrap()
        });
        assert_eq!(child.status.signal(), Some(Signal::KILL.as_raw()), "step {step}: {child:?}");
        let swept = world.host.run(|| Network::sweep(&world.options.state_dir).unwrap());
        assert!(swept.failed.is_empty(), "step {step}: {swept:?}");
        assert_eq!(host_of(&world), before, "step {step}");
        let left = state_files(&world);
        assert!(left.iter().all(|file| file.ends_with(".lock")), "step {step}: {left:?}");
    }
}

#[test]
fn after_a_kill_at_any_step_the_next_start_works() {
    for step in 0..count_steps() {
        let world = World::new();
        let before = host_of(&world);
        world.host.run(|| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--ignored", "--exact", "faults::lives_until_it_is_killed"]);
            command.env(DIE_AT, step.to_string()).env(STATE_DIR, &world.options.state_dir);
            command.output().unwrap();
            // Another VM, without a sweep, and then the same one after it.
            let network = Network::open(&world.options).unwrap();
            let other = network.attach(&world.request("other")).unwrap();
            Network::sweep(&world.options.state_dir).unwrap();
            let _ = network.detach(&other.tap);
            let again = network.attach(&full(world.request("web"))).unwrap();
            network.detach(&again.tap).unwrap();
            assert!(network.close().unwrap());
        });
        assert_eq!(host_of(&world), before, "step {step}");
    }
}

/// Not a test of its own: the process that the others kill.
#[test]
#[ignore = "is run by others, which kill it"]
#[expect(clippy::disallowed_methods, reason = "there is no other way to tell a test something")]
fn lives_until_it_is_killed() {
    let step: usize = std::env::var(DIE_AT).unwrap().parse().unwrap();
    let (on_step, _) = at(step, || {
        kill_process(getpid(), Signal::KILL)?;
        Ok(())
    });
    let state_dir = std::env::var(STATE_DIR).unwrap().into();
    let request = AttachGuest {
        vm: "web".to_owned(),
        iface: "eth0".to_owned(),
        scope: "scope".to_owned(),
        owner: "/nobody".into(),
        owner_process: None,
        uid: 0,
        gid: 0,
        mac: None,
        address: None,
        egress: None,
        published: Vec::new(),
        bounds: None,
        resolvers: Default::default(),
    };
    let options = NetworkOptions { state_dir, on_step, ..NetworkOptions::default() };
    live(&options, &full(request)).unwrap();
    panic!("it should have been killed at step {step}");
}
