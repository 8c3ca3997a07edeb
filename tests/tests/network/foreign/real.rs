//! The same with the programs themselves, whose rules are played elsewhere.

use smartvm_network::Network;
use smartvm_network::nft::{ForeignProgram, GuestTraffic};

use super::super::world::{HOST, INTERNET, World, no_tcp_from, tcp_from};
use super::program::{Docker, Firewalld};
use super::scene::{assert_closed, assert_isolated, blocks, of_others, second_network, stage};

use GuestTraffic::{Answers, Connections, Published};

/// F4: with the real Docker.
#[test]
fn guests_do_not_reach_a_container_that_the_real_docker_publishes() {
    let world = World::new();
    let docker = Docker::start(&world.host);
    docker.publish(8081);
    assert!(tcp_from(&world.internet, HOST, 8081));
    let theirs = of_others(&world.host);
    let (network, guest, other, servers) = stage(&world);
    let (second_network, second) = second_network(&world);
    assert_closed([&guest, &second], 8081);
    assert!(guest.no_tcp([172, 17, 0, 1].into(), 8081));
    assert!(guest.no_tcp(INTERNET, 80) && no_tcp_from(&world.internet, HOST, 8080));
    let [block] = &blocks(&world)[..] else { panic!("one chain") };
    assert_eq!(block.program, ForeignProgram::Docker);
    assert_eq!(block.stops, [Connections, Answers, Published]);
    assert_isolated(&world, &guest, &other);
    assert_eq!(of_others(&world.host), theirs);

    // What is told lets guests through, and opens nothing else.
    for remedy in &block.remedies {
        world.host.command(remedy);
    }
    assert_eq!(blocks(&world), []);
    assert!(guest.tcp(INTERNET, 80) && tcp_from(&world.internet, HOST, 8080));
    assert_closed([&guest, &second], 8081);
    assert!(guest.no_tcp([172, 17, 0, 1].into(), 8081));
    assert_isolated(&world, &guest, &other);

    // Docker goes on beside us, with what it is told later.
    docker.publish(8082);
    assert!(tcp_from(&world.internet, HOST, 8082));
    assert_closed([&guest, &second], 8082);
    let theirs = of_others(&world.host);
    drop((servers, guest, other, second));
    let swept = world.host.run(|| {
        drop((network, second_network));
        Network::sweep(&world.options.state_dir).unwrap()
    });
    assert_eq!((swept.interfaces.len(), swept.networks.len()), (3, 2));
    assert_eq!(of_others(&world.host), theirs);
    assert!(tcp_from(&world.internet, HOST, 8081) && tcp_from(&world.internet, HOST, 8082));
}

/// F4: with the real firewalld.
#[test]
fn the_real_firewalld_stops_guests_and_is_told_with_what_mends_it() {
    let world = World::new();
    let firewalld = Firewalld::start(&world.host);
    let theirs = of_others(&world.host);
    let (network, guest, other, servers) = stage(&world);
    assert!(guest.no_tcp(INTERNET, 80) && tcp_from(&world.internet, HOST, 8080));
    let [block] = &blocks(&world)[..] else { panic!("one chain") };
    assert_eq!(block.program, ForeignProgram::Firewalld);
    assert_eq!(block.stops, [Connections]);
    assert_isolated(&world, &guest, &other);
    assert_eq!(of_others(&world.host), theirs);

    let [remedy] = &block.remedies[..] else { panic!("one command") };
    firewalld.run(remedy.strip_prefix("firewall-cmd ").unwrap());
    assert_eq!(blocks(&world), []);
    assert!(guest.tcp(INTERNET, 80));
    assert_isolated(&world, &guest, &other);
    // What the host opens is open to beyond it, and not to guests.
    firewalld.run("--add-port=80/tcp");
    assert!(tcp_from(&world.internet, HOST, 80));
    assert_isolated(&world, &guest, &other);

    // Told to begin anew, it forgets the remedy, and our rules stay.
    firewalld.run("--reload");
    assert_eq!(blocks(&world)[0].stops, [Connections]);
    assert_isolated(&world, &guest, &other);
    let theirs = of_others(&world.host);
    drop((servers, guest, other));
    let swept = world.host.run(|| {
        drop(network);
        Network::sweep(&world.options.state_dir).unwrap()
    });
    assert_eq!((swept.interfaces.len(), swept.networks.len()), (2, 1));
    assert_eq!(of_others(&world.host), theirs);
}
