//! Linux guests on a network that is made for them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use smartvm::NetworkInterfaceConfig;
use smartvm_testkit::{NetNamespace, fixtures};

use crate::guest::{DEADLINE, Guest, Lab, in_huge_pages};

const HOST: &str = "198.51.100.1";
const INTERNET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

fn host(line: &str) -> String {
    let mut words = line.split_whitespace();
    let done = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// What lies beyond the host, on the other end of a cable.
fn internet() -> NetNamespace {
    let internet = NetNamespace::new();
    host("ip link add svuplink type veth peer name svnet0");
    internet.adopt("svnet0");
    host(&format!("ip addr add {HOST}/32 dev svuplink"));
    host("ip link set svuplink up");
    host(&format!("ip route add {INTERNET}/32 dev svuplink src {HOST}"));
    internet.ip(&format!("addr add {INTERNET}/24 dev svnet0"));
    internet.ip("link set svnet0 up");
    internet
}

/// What a network changes on its host.
fn state() -> String {
    ["ip -o link", "ip -4 -o addr", "nft list ruleset", "sysctl net.ipv4.ip_forward"]
        .map(|line| {
            let text = host(line);
            // Names and addresses, not counters and times.
            text.lines().filter_map(|it| it.split_whitespace().nth(1)).collect::<Vec<_>>().join(" ")
        })
        .join("\n")
}

async fn reaches(guest: &mut Guest, address: &str) -> bool {
    let said = guest.run(&format!("ping -c 1 -W 3 {address} >/dev/null 2>&1; echo $?")).await;
    match said.as_str() {
        "0" => true,
        "1" => false,
        other => panic!("ping says {other}"),
    }
}

#[tokio::test]
async fn two_guests_reach_the_internet_and_neither_each_other_nor_the_host() {
    let internet = internet();
    let lab = Lab::with(|options, home| {
        options.network_state_dir = home.path().join("net");
        options.dns = Some(vec![INTERNET]);
    });
    let before = state();
    let config = |published: &[&str]| {
        let mut config = in_huge_pages(lab.config(fixtures::rootfs_ext4(), false));
        config.network_interfaces = vec![NetworkInterfaceConfig {
            iface_id: "net".into(),
            published_ports: published.iter().map(ToString::to_string).collect(),
            ..NetworkInterfaceConfig::default()
        }];
        config
    };
    let mut one = lab.boot_config(&config(&[])).await;
    let mut two = lab.boot_config(&config(&["8080:80"])).await;
    // The init has done as the command line says.
    let address = one.run("ip -4 -o addr show dev eth0").await;
    assert!(address.contains("inet 172.30.0.2/24"), "{address}");
    assert_eq!(one.run("cat /etc/resolv.conf").await.trim(), format!("nameserver {INTERNET}"));
    for guest in [&mut one, &mut two] {
        assert!(reaches(guest, &INTERNET.to_string()).await);
        for closed in ["172.30.0.1", HOST] {
            assert!(!reaches(guest, closed).await, "{closed}");
        }
    }
    let second = two.run("ip -4 -o addr show dev eth0").await;
    let second = second.split("inet ").nth(1).unwrap().split('/').next().unwrap().to_owned();
    assert!(!reaches(&mut one, &second).await);
    // A port of the host leads to the second.
    two.run("{ (echo there | nc -l -p 80) & } 2>/dev/null").await;
    let deadline = Instant::now() + DEADLINE;
    let answer = loop {
        assert!(Instant::now() < deadline, "the published port does not answer");
        let answer = internet.run(|| {
            let to = (HOST.parse::<Ipv4Addr>().unwrap(), 8080).into();
            let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(5)).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).ok().filter(|length| *length > 0).map(|_| text)
        });
        if let Some(answer) = answer {
            break answer;
        }
    };
    assert_eq!(answer.trim(), "there");
    // What the guest opens is answered through the host.
    let listener = internet.run(|| TcpListener::bind((INTERNET, 7)).unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, from) = listener.accept().unwrap();
        stream.write_all(b"hello\n").unwrap();
        from.ip().to_string()
    });
    let said = one.run(&format!("nc -w 20 {INTERNET} 7 </dev/null")).await;
    assert!(said.contains("hello"), "{said}");
    assert_eq!(server.join().unwrap(), HOST, "by the host's address");
    for guest in [one, two] {
        guest.vm.stop_within(DEADLINE).await.unwrap();
        guest.vm.cleanup().await.unwrap();
    }
    lab.smartvm.cleanup().await.unwrap();
    assert_eq!(state(), before);
    host("ip link del svuplink");
}
