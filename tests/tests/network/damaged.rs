//! Records that somebody damaged, or took away.

use std::path::PathBuf;

use smartvm_network::{InterfaceName, Network, NetworkReport};

use super::lifecycle::{host_of, state_files};
use super::world::{INTERNET, Server, World};

fn record_of(world: &World, tap: &InterfaceName) -> PathBuf {
    world.options.state_dir.join(format!("svbr0/guests/{tap}.json"))
}

fn sweep(world: &World) -> smartvm_network::NetworkSweep {
    world.host.run(|| Network::sweep(&world.options.state_dir).unwrap())
}

fn remove(world: &World, tap: &InterfaceName) {
    let (dir, network) = (&world.options.state_dir, "svbr0".parse().unwrap());
    world.host.run(|| Network::remove_interface(dir, &network, tap).unwrap());
}

/// F16, C16: the other VMs neither see it nor wait for it.
#[test]
fn a_damaged_record_of_a_guest_names_its_file_and_blocks_nobody_else() {
    let world = World::new();
    let before = host_of(&world);
    let (owner, _alive) = world.owner("alive");
    let request = |vm: &str| {
        let mut request = world.request(vm);
        request.owner = owner.clone();
        request
    };
    let network = world.open();
    let _server = Server::new(&world.internet, 80);
    let mut published = request("broken");
    published.published = vec!["8080:80".parse().unwrap()];
    let broken = world.attach(&network, &published);
    let other = world.attach(&network, &request("other"));
    assert!(broken.tcp(INTERNET, 80));
    let file = record_of(&world, &broken.attachment.tap);
    fs_err::write(&file, "{").unwrap();

    let damaged = || NetworkReport::damaged(&world.options.state_dir).unwrap();
    assert_eq!(damaged(), std::slice::from_ref(&file));
    let reports = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap());
    let [guest] = &reports[0].guests[..] else { panic!("one guest") };
    assert_eq!(guest.tap, other.attachment.tap);
    let third = world.attach(&network, &request("third"));
    assert!(third.tcp(INTERNET, 80) && other.tcp(INTERNET, 80));

    // Set aside, it is closed. Its VM lives, so that its TAP stays.
    let swept = sweep(&world);
    assert_eq!((swept.interfaces.len(), swept.failed.len()), (0, 0));
    let [aside] = &damaged()[..] else { panic!("one file") };
    assert_ne!(*aside, file);
    assert_eq!(fs_err::read_to_string(aside).unwrap(), "{");
    let reports = world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap());
    assert!(reports[0].rules_in_force);
    assert!(broken.no_tcp(INTERNET, 80) && other.tcp(INTERNET, 80));
    let tap = broken.attachment.tap.clone();
    assert!(world.host.ip("-br link").contains(tap.as_str()));

    // It ends as any other, and its name, address and port are free again.
    let address = broken.address();
    drop(broken);
    remove(&world, &tap);
    assert!(!world.host.ip("-br link").contains(tap.as_str()));
    published.address = Some(address);
    let again = world.attach(&network, &published);
    assert_eq!(again.attachment.tap, tap);
    assert!(again.tcp(INTERNET, 80));
    for guest in [other, third, again] {
        let tap = guest.attachment.tap.clone();
        drop(guest);
        remove(&world, &tap);
    }
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(host_of(&world), before);
}

/// A record that is damaged when its VM ends, before anybody has looked.
#[test]
fn a_vm_whose_record_is_damaged_ends_as_any_other() {
    let world = World::new();
    let before = host_of(&world);
    let network = world.open();
    let tap = world.host.run(|| network.attach(&world.request("web")).unwrap().tap);
    fs_err::write(record_of(&world, &tap), "").unwrap();
    remove(&world, &tap);
    remove(&world, &tap);
    assert!(!world.host.ip("-br link").contains(tap.as_str()));
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(host_of(&world), before);
}

#[test]
fn a_tap_whose_damaged_vm_has_died_is_swept() {
    let world = World::new();
    let before = host_of(&world);
    let network = world.open();
    let tap = world.host.run(|| network.attach(&world.request("web")).unwrap().tap);
    fs_err::write(record_of(&world, &tap), "null").unwrap();
    assert!(sweep(&world).failed.is_empty());
    assert!(!world.host.ip("-br link").contains(tap.as_str()));
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(host_of(&world), before);
}

/// C16: the network's own record.
#[test]
fn a_damaged_record_of_a_network_keeps_nobody_from_starting_or_ending() {
    let world = World::new();
    let before = host_of(&world);
    let file = world.options.state_dir.join("svbr0/network.json");
    let network = world.open();
    let tap = world.host.run(|| network.attach(&world.request("web")).unwrap().tap);
    fs_err::write(&file, "[").unwrap();
    let damaged = NetworkReport::damaged(&world.options.state_dir).unwrap();
    assert_eq!(damaged, std::slice::from_ref(&file));
    assert!(world.host.run(|| NetworkReport::all(&world.options.state_dir).unwrap()).is_empty());
    let error = world.host.run(|| network.attach(&world.request("two")).unwrap_err());
    let told = error.to_string();
    assert!(told.contains(file.to_str().unwrap()), "{told}");
    // The next one makes it anew, around the guest that is there.
    let second = world.open();
    let _server = Server::new(&world.internet, 80);
    let guest = world.attach(&second, &world.request("two"));
    assert!(guest.tcp(INTERNET, 80));
    fs_err::write(&file, "[").unwrap();
    let two = guest.attachment.tap.clone();
    drop(guest);
    remove(&world, &two);
    remove(&world, &tap);
    assert!(!world.host.run(|| network.close().unwrap()));
    assert!(world.host.run(|| second.close().unwrap()));
    assert_eq!(host_of(&world), before);
}

#[test]
fn a_damaged_record_of_forwarding_keeps_nobody_from_starting_or_ending() {
    let world = World::new();
    let network = world.open();
    fs_err::write(world.options.state_dir.join(".forwarding"), "{").unwrap();
    let second = world.open();
    let _server = Server::new(&world.internet, 80);
    let guest = world.attach(&second, &world.request("web"));
    assert!(guest.tcp(INTERNET, 80));
    let tap = guest.attachment.tap.clone();
    drop(guest);
    remove(&world, &tap);
    fs_err::write(world.options.state_dir.join(".forwarding"), "").unwrap();
    assert!(!world.host.run(|| network.close().unwrap()));
    assert!(world.host.run(|| second.close().unwrap()));
    assert!(!world.host.ip("-br link").contains("svbr0"));
    let [aside] = &NetworkReport::damaged(&world.options.state_dir).unwrap()[..] else {
        panic!("one file")
    };
    assert!(aside.ends_with(".damaged/forwarding"), "{aside:?}");
}

/// C15: a directory that is gone takes nothing with it that stays for good.
#[test]
fn a_network_whose_directory_was_removed_is_taken_down_all_the_same() {
    let world = World::new();
    let before = host_of(&world);
    let network = world.open();
    let tap = world.host.run(|| network.attach(&world.request("web")).unwrap().tap);
    fs_err::remove_dir_all(world.options.state_dir.join("svbr0")).unwrap();
    world.host.run(|| network.detach(&tap).unwrap());
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(host_of(&world), before);
    // Also where its process was killed: the next one knows its bridge again.
    let network = world.open();
    fs_err::remove_dir_all(world.options.state_dir.join("svbr0")).unwrap();
    drop(network);
    let network = world.open();
    assert!(world.host.run(|| network.close().unwrap()));
    assert_eq!(host_of(&world), before);
    let left = state_files(&world);
    assert!(left.iter().all(|file| file.ends_with(".lock")), "{left:?}");
}

/// C14: a start that finds no room for its files leaves nothing, wherever the room ends.
#[test]
fn a_start_without_room_for_its_files_leaves_nothing() {
    let world = World::new();
    let before = host_of(&world);
    let mut made = 0;
    for inodes in 2..16 {
        let room = smartvm_testkit::LoopFs::files(inodes);
        let options = smartvm_network::NetworkOptions {
            state_dir: room.path().join("state"),
            ..world.options.clone()
        };
        world.host.run(|| match Network::open(&options) {
            Ok(network) => {
                let tap = network.attach(&world.request("web"));
                if let Ok(tap) = &tap {
                    network.detach(&tap.tap).unwrap();
                    made += 1;
                }
                assert!(network.close().unwrap());
            }
            Err(error) => assert_eq!(error.code(), "NETWORK_STATE_FAILED", "{inodes}: {error}"),
        });
        let left = host_of(&world);
        assert_eq!(left, before, "{inodes} files");
        let swept = world.host.run(|| Network::sweep(&options.state_dir));
        assert!(swept.unwrap().failed.is_empty(), "{inodes} files");
    }
    assert!(made > 0, "there was room in the end");
}
