//! F19: what a server of the public network names is fetched from the public network, over HTTPS, wherever it is sent
//! on to.
//!
//! The public network, a private one and the names of both are a network namespace with addresses of each, and a
//! `/etc/hosts` that only the command sees.

use std::net::Ipv4Addr;
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};

use serde_json::json;
use smartvm::images::Sha256Digest;
use smartvm::images::base_image::Arch;
use smartvm_testkit::http::{Answer, Certificate, HttpServer, Request};
use smartvm_testkit::{NetNamespace, TestHome, fixtures};

const KERNEL: &[u8] = b"a kernel";
const ROOT: &[u8] = b"a root file system";

/// Who serves manifests, and another one; and a host of the private network.
const IMAGES: (&str, Ipv4Addr) = ("images.example", Ipv4Addr::new(1, 1, 1, 1));
const MIRROR: (&str, Ipv4Addr) = ("mirror.example", Ipv4Addr::new(8, 8, 4, 4));
const INTERN: (&str, Ipv4Addr) = ("intern.example", Ipv4Addr::new(10, 9, 9, 9));

/// Ports of servers, which are known when all of them listen.
#[derive(Debug, Clone, Copy)]
struct Ports {
    images: u16,
    mirror: u16,
    intern: u16,
    local: u16,
    plain: u16,
}

struct World {
    net: NetNamespace,
    home: TestHome,
    ports: Ports,
    images: HttpServer,
    /// Whom nobody of the public may have us ask.
    private: [HttpServer; 2],
    /// It does not speak HTTPS.
    plain: HttpServer,
    _mirror: HttpServer,
}

impl World {
    fn new() -> Self {
        let (net, home) = (NetNamespace::new(), TestHome::new());
        for (_, address) in [IMAGES, MIRROR, INTERN] {
            net.ip(&format!("addr add {address}/32 dev lo"));
        }
        let addresses = ["127.0.0.1", "10.9.9.9", "localhost"];
        let hosts = [&[IMAGES.0, MIRROR.0, INTERN.0][..], &addresses].concat();
        let certificate = Certificate::for_hosts("ours", &hosts);
        fs_err::write(home.path().join("authority.pem"), certificate.authority()).unwrap();
        let names = [IMAGES, MIRROR, INTERN, ("localhost", Ipv4Addr::LOCALHOST)];
        let names = names.map(|(name, address)| format!("{address} {name}\n")).concat();
        fs_err::write(home.path().join("hosts"), names).unwrap();

        let known: Arc<OnceLock<Ports>> = Arc::default();
        let serve = |address, certificate: Option<&Certificate>| {
            let known = Arc::clone(&known);
            let handler = move |request: &Request| answer(request, *known.wait());
            net.run(move || HttpServer::start_at(address, certificate, handler))
        };
        let images = serve(IMAGES.1, Some(&certificate));
        let mirror = serve(MIRROR.1, Some(&certificate));
        let private = [INTERN.1, Ipv4Addr::LOCALHOST].map(|it| serve(it, Some(&certificate)));
        let plain = serve(IMAGES.1, None);
        let ports = Ports {
            images: images.port(),
            mirror: mirror.port(),
            intern: private[0].port(),
            local: private[1].port(),
            plain: plain.port(),
        };
        known.set(ports).unwrap();
        Self { net, home, ports, images, private, plain, _mirror: mirror }
    }

    /// Pulls the image whose kernel is where `/{way}` leads.
    fn pull(&self, way: &str, more: &[&str]) -> Output {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""])
            .arg(self.home.path().join("hosts"))
            .arg(fixtures::command())
            // No proxy of the caller's.
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("SSL_CERT_FILE", self.home.path().join("authority.pem"))
            .arg("--data-dir")
            .arg(self.home.data_dir())
            .arg("--runtime-dir")
            .arg(self.home.runtime_dir())
            .args(["image", "pull"])
            .args(more)
            .arg(format!("https://{}:{}/{way}/manifest.json", IMAGES.0, self.ports.images));
        self.net.run(move || command.output()).unwrap()
    }

    #[track_caller]
    fn is_pulled(&self, way: &str, more: &[&str]) {
        let done = self.pull(way, more);
        assert!(done.status.success(), "{way}: {}", String::from_utf8_lossy(&done.stderr));
        let bundle = self.home.data_dir().join("base-images").join(way);
        assert_eq!(fs_err::read(bundle.join("kernel")).unwrap(), KERNEL, "{way}");
    }

    /// It is refused for that reason, nobody else was asked, and nothing is kept.
    #[track_caller]
    fn is_refused(&self, way: &str, more: &[&str], reason: &str) {
        let done = self.pull(way, more);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(!done.status.success(), "{way}");
        assert!(said.contains(reason), "{way}: {said}");
        assert!(!self.home.data_dir().join("base-images").join(way).exists(), "{way}");
        let asked = self.private.iter().chain([&self.plain]);
        let asked: usize = asked.map(HttpServer::connections).sum();
        assert_eq!(asked, 0, "{way}: somebody was asked");
    }
}

/// What every server answers: it is its address that matters.
fn answer(request: &Request, ports: Ports) -> Answer {
    let Ports { images, mirror, intern, local, plain } = ports;
    let path = request.path.trim_start_matches('/');
    let (way, file) = path.split_once('/').unwrap_or((path, ""));
    let own = format!("https://{}:{images}/{way}/kernel", IMAGES.0);
    let root = format!("https://{}:{images}/x/root", IMAGES.0);
    let elsewhere = match way {
        "mirror" => format!("https://{}:{mirror}/x/served", MIRROR.0),
        "plain" => format!("http://{}:{plain}/x/served", IMAGES.0),
        "number" => format!("https://{}:{intern}/x/served", INTERN.1),
        "name" => format!("https://{}:{intern}/x/served", INTERN.0),
        "loopback" => format!("https://127.0.0.1:{local}/x/served"),
        "localhost" => format!("https://localhost:{local}/x/served"),
        // Two steps, of which the first is public.
        "detour" => format!("https://{}:{mirror}/name/kernel", MIRROR.0),
        _ => own.clone(),
    };
    match file {
        "manifest.json" => {
            // Named by the manifest itself, or by who serves what it names.
            let (way, named) = match way.strip_prefix("direct-") {
                Some("name") => (way, format!("https://{}:{intern}/x/served", INTERN.0)),
                Some("number") => (way, format!("https://{}:{intern}/x/served", INTERN.1)),
                Some("plain") => (way, format!("http://{}:{plain}/x/served", IMAGES.0)),
                _ => (way, own),
            };
            let manifest = json!({
                "schemaVersion": 1, "bundleId": way, "arch": Arch::HOST.as_str(),
                "firecrackerVersion": "v1.12.1", "rootfsType": "ext4",
                "kernel": {
                    "url": named, "fileName": "kernel",
                    "sha256": Sha256Digest::of(KERNEL).to_string(),
                },
                "rootfs": { "url": root, "sha256": Sha256Digest::of(ROOT).to_string() },
            });
            Answer::new(200, manifest.to_string())
        }
        "root" => Answer::new(200, ROOT),
        "served" => Answer::new(200, KERNEL),
        "kernel" => Answer::redirect(&elsewhere),
        _ => Answer::not_found(),
    }
}

#[test]
fn an_artifact_that_the_public_names_is_fetched_wherever_the_public_sends_us_over_https() {
    let world = World::new();
    world.is_pulled("mirror", &[]);
    for (way, reason) in [
        ("plain", "it is not https"),
        ("number", "10.9.9.9 is not a public address"),
        ("name", "`intern.example` resolves to 10.9.9.9"),
        ("loopback", "127.0.0.1 is not a public address"),
        ("localhost", "`localhost` resolves to 127.0.0.1"),
        ("detour", "`intern.example` resolves to 10.9.9.9"),
        ("direct-name", "`intern.example` resolves to 10.9.9.9"),
        ("direct-number", "10.9.9.9 is not a public address"),
        ("direct-plain", "https addresses alone"),
    ] {
        world.is_refused(way, &[], reason);
    }
    assert!(world.images.count("/name/kernel") >= 1, "the redirect was followed to its end");
}

#[test]
fn who_opts_in_is_sent_to_private_hosts_but_never_away_from_https() {
    let world = World::new();
    let opted_in = ["--allow-private-artifacts"];
    world.is_refused("plain", &opted_in, "leaves HTTPS");
    for way in ["number", "name", "loopback", "localhost", "detour", "direct-name", "direct-plain"]
    {
        world.is_pulled(way, &opted_in);
    }
}
