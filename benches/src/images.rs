//! Downloads beside `curl` and `sha256sum`, what a base image in the cache costs, and staging.
//!
//! Promised: a verified download at 0.9 times the rate of the slower of `curl` to a file and `sha256sum`
//! of it; a hit on an unchanged bundle of 500 MiB in 5 ms; a forced verification at 0.9 times the rate of
//! `sha256sum`. All in memory, so that no disk decides.

mod staging;

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use smartvm::images::base_image::{
    Arch, Artifact, BaseImageManager, BaseImageManagerOptions, EnsureBaseImage, HostedManifest,
    ManifestLocation, RootfsType, Verify,
};
use smartvm::images::{Download, Downloader, DownloaderOptions, ReleaseVersion, Sha256Digest};
use smartvm::{DriveConfig, JailMode};

use crate::sample::Sample;
use crate::setup::Setup;

const SIZE: usize = 500 << 20;
const ROUNDS: usize = 5;
const HITS: usize = 50;
const RUNS: usize = 10;

/// The word that makes this program a server.
pub(crate) const SERVE: &str = "serve-a-file";

pub(crate) fn run() -> anyhow::Result<()> {
    let home = tempfile::Builder::new().prefix("svb").tempdir_in("/dev/shm")?;
    let file = home.path().join("served");
    write_noise(&file)?;
    let server = Server::start(&file)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(downloads(home.path(), &file, &server.url))?;
    fs_err::remove_file(home.path().join("ours")).ok();
    fs_err::remove_file(home.path().join("curls")).ok();
    runtime.block_on(cached(home.path(), &file))?;
    staging::run()
}

async fn downloads(home: &Path, file: &Path, url: &str) -> anyhow::Result<()> {
    let expected = Sha256Digest::of_file(file)?;
    let (ours, curls) = (home.join("ours"), home.join("curls"));
    let (mut verified, mut curl, mut hash) =
        (Sample::default(), Sample::default(), Sample::default());
    for _ in 0..ROUNDS {
        fs_err::remove_file(&curls).ok();
        let curls_text = curls.to_str().context("the path is text")?;
        curl.add(timed(Command::new("curl").args(["-sSf", "-o", curls_text, url]))?);
        hash.add(timed(Command::new("sha256sum").arg(&curls))?);
        fs_err::remove_file(&curls)?;

        fs_err::remove_file(&ours).ok();
        let request = Download::new(url.parse()?, &ours, u64::MAX).with_sha256(Some(expected));
        let downloader = Downloader::new(DownloaderOptions::default());
        let began = Instant::now();
        let done = downloader.download(&request, &()).await?;
        verified.add(began.elapsed());
        ensure!(done.sha256 == expected && !done.was_there, "it was not downloaded whole");
    }
    println!(
        "images: a download of {} MiB over the loopback interface, {ROUNDS} rounds",
        SIZE >> 20
    );
    let (verified, curl, hash) =
        (verified.percentile_ms(50), curl.percentile_ms(50), hash.percentile_ms(50));
    println!("curl {}, sha256sum {}, verified {}", rate(curl), rate(hash), rate(verified));
    let ratio = curl.max(hash) / verified;
    println!("verified download: {ratio:.2} x the slower of curl and sha256sum (promised >= 0.9)");
    Ok(())
}

async fn cached(home: &Path, file: &Path) -> anyhow::Result<()> {
    let manifest = home.join("manifest.json");
    let artifact = || Artifact::at_path(file);
    let version = ReleaseVersion::new(1, 12, 1);
    let kernel = home.join("kernel");
    fs_err::write(&kernel, "kernel")?;
    let described = HostedManifest::new(
        "bench".parse()?,
        Arch::HOST,
        version,
        RootfsType::Ext4,
        Artifact::at_path(&kernel),
        artifact(),
    )?;
    fs_err::write(&manifest, serde_json::to_vec(&described)?)?;
    let options = BaseImageManagerOptions::new(home.join("cache"));
    let manager = BaseImageManager::new(options, Downloader::new(DownloaderOptions::default()))?;
    let mut request = EnsureBaseImage {
        manifest: Some(ManifestLocation::Path(manifest)),
        ..EnsureBaseImage::default()
    };
    let image = manager.ensure(&request, &()).await?;
    let root = image.bundle.rootfs_path.clone();

    let mut hit = Sample::default();
    for _ in 0..HITS {
        let began = Instant::now();
        let image = manager.ensure(&request, &()).await?;
        hit.add(began.elapsed());
        ensure!(image.was_cached, "it is in the cache");
    }
    let after_runs = hits_after_runs(&manager, &request).await?;
    request.verify = Some(Verify::Always);
    let (mut forced, mut hash) = (Sample::default(), Sample::default());
    for _ in 0..ROUNDS {
        hash.add(timed(Command::new("sha256sum").arg(&root))?);
        let began = Instant::now();
        let image = manager.ensure(&request, &()).await?;
        forced.add(began.elapsed());
        ensure!(image.was_cached, "it is in the cache");
    }
    let (median, worst) = (hit.percentile_ms(50), hit.percentile_ms(99));
    println!("images: a bundle of {} MiB in the cache", SIZE >> 20);
    println!("a hit: {median:.2} ms, 99th percentile {worst:.2} ms (promised <= 5)");
    let (median, worst) = (after_runs.percentile_ms(50), after_runs.percentile_ms(99));
    println!("a hit after each jailed run of it: {median:.2} ms, 99th percentile {worst:.2} ms");
    let (forced, hash) = (forced.percentile_ms(50), hash.percentile_ms(50));
    println!("sha256sum {}, forced verification {}", rate(hash), rate(forced));
    println!("forced verification: {:.2} x sha256sum (promised >= 0.9)", hash / forced);
    Ok(())
}

/// What a hit costs after a jailed VM had the image.
async fn hits_after_runs(
    manager: &BaseImageManager,
    request: &EnsureBaseImage,
) -> anyhow::Result<Sample> {
    let setup = Setup::new()?;
    let vms = setup.manager_with(JailMode::Required)?;
    let mut hit = Sample::default();
    for _ in 0..RUNS {
        let began = Instant::now();
        let image = manager.ensure(request, &()).await?;
        hit.add(began.elapsed());
        let mut config = setup.config();
        config.drives = vec![DriveConfig {
            drive_id: "root".to_owned(),
            path_on_host: image.bundle.rootfs_path.clone(),
            is_read_only: Some(true),
            ..DriveConfig::default()
        }];
        let vm = vms.create_vm(&config)?;
        vm.start().await?;
        vm.cleanup().await?;
    }
    Ok(hit)
}

fn rate(milliseconds: f64) -> String {
    let mib = f64::from(u32::try_from(SIZE >> 20).unwrap_or(u32::MAX));
    format!("{:.0} MiB/s", mib / (milliseconds / 1e3))
}

fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    command.stdout(Stdio::null());
    let began = Instant::now();
    let status = command.status().with_context(|| format!("start {:?}", command.get_program()))?;
    let took = began.elapsed();
    ensure!(status.success(), "{:?} failed", command.get_program());
    Ok(took)
}

/// Writes what no compression and no sparse copy makes smaller.
fn write_noise(file: &Path) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(fs_err::File::create(file)?);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..SIZE / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.write_all(&state.to_le_bytes())?;
    }
    Ok(out.flush()?)
}

/// This program again, serving a file: a process of its own, as `curl` is one.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(file: &Path) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut port = String::new();
        let stdout = child.stdout.take().context("it was piped")?;
        io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut port)?;
        Ok(Self { child, url: format!("http://127.0.0.1:{}/file", port.trim()) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Serves one file until it is ended, to one client after the other.
pub(crate) fn serve(file: &Path) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        // A client that breaks off is no fault of ours.
        drop(answer(stream?, file));
    }
    Ok(())
}

fn answer(mut stream: TcpStream, file: &Path) -> io::Result<()> {
    let mut line = String::new();
    let mut reader = io::BufReader::new(stream.try_clone()?);
    while io::BufRead::read_line(&mut reader, &mut line)? > 2 {
        line.clear();
    }
    let mut file = fs_err::File::open(file)?;
    let length = file.metadata()?.len();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")?;
    // The kernel copies.
    io::copy(file.file_mut(), &mut stream).map(drop)
}
