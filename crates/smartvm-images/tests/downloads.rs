//! Downloads from servers that behave, and from those that do not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use smartvm_images::{
    Download, DownloadError, Downloader, DownloaderOptions, Progress, ProgressEvent, Sha256Digest,
};
use smartvm_testkit::http::{Answer, HttpServer, Request};

const TAG: &str = "\"one\"";
const LIMIT: u64 = 64 << 20;

fn downloader() -> Downloader {
    Downloader::new(DownloaderOptions {
        tries: 4,
        first_pause: Duration::from_millis(1),
        ..DownloaderOptions::default()
    })
}

/// For servers that never answer.
fn impatient() -> Downloader {
    let stall_timeout = Duration::from_secs(2);
    Downloader::new(DownloaderOptions { stall_timeout, ..DownloaderOptions::default() })
}

/// Bytes that do not repeat where a range could be mistaken.
fn content(length: usize) -> Arc<Vec<u8>> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    Arc::new(std::iter::repeat_with(next).take(length).collect())
}

struct Case {
    dir: tempfile::TempDir,
    server: HttpServer,
}

impl Case {
    fn new(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), server: HttpServer::start(handler) }
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("file")
    }

    fn request(&self) -> Download {
        Download::new(self.server.url("/file").parse().unwrap(), &self.target(), LIMIT)
    }

    fn request_for(&self, content: &[u8]) -> Download {
        self.request().with_sha256(Some(Sha256Digest::of(content)))
    }

    /// What is in the directory.
    fn names(&self) -> Vec<String> {
        let entries = fs_err::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Where each request began.
    fn starts(&self) -> Vec<usize> {
        self.server.requests().iter().map(|request| request.range_start().unwrap_or(0)).collect()
    }
}

/// A number that counts the requests before this one.
fn counter() -> impl Fn() -> usize + Send + Sync {
    let count = AtomicUsize::new(0);
    move || count.fetch_add(1, Ordering::SeqCst)
}

#[tokio::test]
async fn a_file_appears_whole_with_its_hash_and_nothing_beside_it() {
    let bytes = content(3 << 20);
    let served = Arc::clone(&bytes);
    let case = Case::new(move |request| Answer::file(request, &served, TAG));
    let done = downloader().download(&case.request_for(&bytes), &()).await.unwrap();
    assert_eq!((done.sha256, done.size), (Sha256Digest::of(&bytes), 3 << 20));
    assert!(!done.was_there);
    assert_eq!(fs_err::read(case.target()).unwrap(), *bytes);
    assert_eq!(case.names(), ["file"]);
    // It is what was asked for: it is not fetched again.
    assert!(downloader().download(&case.request_for(&bytes), &()).await.unwrap().was_there);
    assert_eq!(case.server.count("/file"), 1);
}

#[tokio::test]
async fn a_transfer_that_breaks_off_goes_on_where_it_stopped() {
    let bytes = content(1 << 20);
    let (served, before) = (Arc::clone(&bytes), counter());
    let case = Case::new(move |request| {
        let answer = Answer::file(request, &served, TAG);
        if before() < 3 { answer.cut_after(200_000) } else { answer }
    });
    let request = case.request().with_size(Some(bytes.len() as u64));
    let done = downloader().download(&request, &()).await.unwrap();
    assert_eq!(done.sha256, Sha256Digest::of(&bytes));
    assert_eq!(case.starts(), [0, 200_000, 400_000, 600_000]);
    let tags: Vec<_> =
        case.server.requests().iter().map(|r| r.header("if-range").map(str::to_owned)).collect();
    assert_eq!(tags[0], None);
    assert!(tags[1..].iter().all(|tag| tag.as_deref() == Some(TAG)), "{tags:?}");
}

#[tokio::test]
async fn a_server_that_stalls_is_asked_again() {
    let bytes = content(500_000);
    let (served, before) = (Arc::clone(&bytes), counter());
    let case = Case::new(move |request| {
        let answer = Answer::file(request, &served, TAG);
        if before() == 0 { answer.stalled_after(100_000) } else { answer }
    });
    impatient().download(&case.request_for(&bytes), &()).await.unwrap();
    assert_eq!(case.starts()[..2], [0, 100_000]);
    assert_eq!(fs_err::read(case.target()).unwrap(), *bytes);
}

#[tokio::test]
async fn a_server_error_that_passes_is_waited_for_and_another_is_told_at_once() {
    let bytes = content(1000);
    for (status, asked) in [(500, 3), (503, 3), (429, 3), (404, 1), (403, 1), (410, 1)] {
        let (served, before) = (Arc::clone(&bytes), counter());
        let case = Case::new(move |request| {
            if before() < 2 {
                Answer::new(status, "no")
            } else {
                Answer::file(request, &served, TAG)
            }
        });
        let done = downloader().download(&case.request_for(&bytes), &()).await;
        assert_eq!(done.is_ok(), asked == 3, "{status}: {done:?}");
        assert_eq!(case.server.requests().len(), asked, "{status}");
        if let Err(error) = done {
            assert_eq!(error.code(), "DOWNLOAD_FAILED");
            assert!(error.to_string().contains(&status.to_string()), "{error}");
            assert!(!case.target().exists());
        }
    }
}

#[tokio::test]
async fn a_server_that_is_never_well_is_given_up() {
    let case = Case::new(|_| Answer::new(503, "no"));
    let error = downloader().download(&case.request(), &()).await.unwrap_err();
    assert!(matches!(error, DownloadError::Status { status: 503, .. }), "{error}");
    assert_eq!(case.server.requests().len(), 4);
}

#[tokio::test]
async fn a_wrong_range_is_not_built_upon() {
    let bytes = content(300_000);
    for wrong in ["bytes 0-299999/300000", "bytes 99999-299999/300000", "bytes x", ""] {
        let (served, before) = (Arc::clone(&bytes), counter());
        let case = Case::new(move |request| match before() {
            0 => Answer::file(request, &served, TAG).cut_after(100_000),
            1 => Answer::new(206, &served[..]).with_header("content-range", wrong),
            _ => Answer::file(request, &served, TAG),
        });
        let done = downloader().download(&case.request_for(&bytes), &()).await.unwrap();
        assert_eq!(done.sha256, Sha256Digest::of(&bytes));
        assert_eq!(case.starts(), [0, 100_000, 0], "{wrong}");
    }
}

#[tokio::test]
async fn a_file_that_changes_between_two_answers_is_fetched_from_the_start() {
    let (old, new) = (content(300_000), Arc::new(vec![7; 200_000]));
    let (old_served, new_served, before) = (old, Arc::clone(&new), counter());
    let case = Case::new(move |request| match before() {
        0 => Answer::file(request, &old_served, TAG).cut_after(100_000),
        _ => Answer::file(request, &new_served, "\"two\""),
    });
    let done = downloader().download(&case.request(), &()).await.unwrap();
    assert_eq!(done.sha256, Sha256Digest::of(&new));
    assert_eq!(fs_err::read(case.target()).unwrap(), *new);
}

#[tokio::test]
async fn pieces_of_two_files_are_noticed_by_the_hash_and_fetched_once_more() {
    let (old, new) = (Arc::new(vec![1; 300_000]), content(300_000));
    let (served, before) = (Arc::clone(&new), counter());
    let case = Case::new(move |request| {
        let from = if before() == 0 { &old } else { &served };
        // A server that knows no tags.
        let answer = Answer::file(request, from, TAG).without_header("etag");
        if request.range_start().is_none() && Arc::ptr_eq(from, &old) {
            return answer.cut_after(100_000);
        }
        answer
    });
    let done = downloader().download(&case.request_for(&new), &()).await.unwrap();
    assert_eq!(done.sha256, Sha256Digest::of(&new));
    assert_eq!(case.starts(), [0, 100_000, 0]);
}

#[tokio::test]
async fn a_content_that_is_wrong_leaves_nothing() {
    let case = Case::new(|request| Answer::file(request, &Arc::new(b"evil".to_vec()), TAG));
    let error = downloader().download(&case.request_for(b"good"), &()).await.unwrap_err();
    assert!(matches!(error, DownloadError::WrongHash { .. }), "{error}");
    assert_eq!(case.server.requests().len(), 1, "it would be as wrong again");
    assert!(
        !case.names().iter().any(|name| name.contains("part") || name == "file"),
        "{:?}",
        case.names()
    );
}

#[tokio::test]
async fn a_wrong_length_is_refused_before_a_byte_is_kept() {
    let bytes = content(1000);
    let served = Arc::clone(&bytes);
    let case = Case::new(move |request| Answer::file(request, &served, TAG));
    let request = case.request().with_size(Some(999));
    let error = downloader().download(&request, &()).await.unwrap_err();
    assert!(
        matches!(error, DownloadError::WrongSize { expected: 999, found: 1000, .. }),
        "{error}"
    );

    let short = Download::new(case.server.url("/file").parse().unwrap(), &case.target(), 999);
    let error = downloader().download(&short, &()).await.unwrap_err();
    assert!(matches!(error, DownloadError::TooLarge { limit: 999, .. }), "{error}");
    assert!(!case.target().exists());
}

#[tokio::test]
async fn a_length_that_promises_too_much_is_not_believed_at_the_end() {
    let case = Case::new(|_| Answer::new(200, "four").with_header("content-length", "1000"));
    let error = downloader().download(&case.request(), &()).await.unwrap_err();
    assert!(matches!(error, DownloadError::Transport { .. }), "{error}");
    assert!(!case.target().exists());
}

#[tokio::test]
async fn a_body_without_end_is_stopped_at_the_limit() {
    let case = Case::new(|_| Answer::new(200, vec![0; 64 << 10]).endless());
    let limit = 5 << 20;
    let request = Download::new(case.server.url("/file").parse().unwrap(), &case.target(), limit);
    let error = downloader().download(&request, &()).await.unwrap_err();
    assert!(matches!(error, DownloadError::TooLarge { .. }), "{error}");
    assert!(!case.names().iter().any(|name| name.contains("part")), "{:?}", case.names());
}

#[tokio::test]
async fn an_end_that_cannot_be_told_from_a_break_is_accepted_only_with_a_hash() {
    let bytes = content(10_000);
    let served = Arc::clone(&bytes);
    let case = Case::new(move |request| Answer::file(request, &served, TAG).unannounced());
    let error = downloader().download(&case.request(), &()).await.unwrap_err();
    assert!(matches!(error, DownloadError::BadAnswer { .. }), "{error}");
    let done = downloader().download(&case.request_for(&bytes), &()).await.unwrap();
    assert_eq!(done.size, 10_000);
}

#[tokio::test]
async fn redirects_are_followed_to_an_end_and_not_without_one() {
    let bytes = content(1000);
    let served = Arc::clone(&bytes);
    let case = Case::new(move |request| match request.path.as_str() {
        "/file" => Answer::redirect("/there"),
        "/there" => Answer::file(request, &served, TAG),
        "/loop" => Answer::redirect("/loop"),
        _ => Answer::not_found(),
    });
    downloader().download(&case.request_for(&bytes), &()).await.unwrap();
    let url = case.server.url("/loop").parse().unwrap();
    let looping = Download::new(url, &case.dir.path().join("loop"), LIMIT);
    let error = downloader().download(&looping, &()).await.unwrap_err();
    assert!(matches!(error, DownloadError::Transport { .. }), "{error}");
    assert!(case.server.count("/loop") <= 12, "{}", case.server.count("/loop"));
    assert!(error.hint().unwrap().contains("without end"), "{error:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_over_https() {
    let case = Case::new(|_| Answer::new(200, "plain"));
    let url = case.server.url("/file").replace("http://", "https://");
    let request = Download::new(url.parse().unwrap(), &case.target(), LIMIT);
    let error = downloader().download(&request, &()).await.unwrap_err();
    assert!(matches!(error, DownloadError::Transport { .. }), "{error}");
    assert!(!case.target().exists());
}

#[tokio::test]
async fn an_encoded_answer_is_refused() {
    let case = Case::new(|_| Answer::new(200, "x").with_header("content-encoding", "gzip"));
    let error = downloader().download(&case.request(), &()).await.unwrap_err();
    assert!(matches!(error, DownloadError::BadAnswer { .. }), "{error}");
}

#[tokio::test]
async fn an_abandoned_download_leaves_a_part_that_the_next_goes_on_with() {
    let bytes = content(1 << 20);
    let (served, before) = (Arc::clone(&bytes), counter());
    let case = Case::new(move |request| {
        let answer = Answer::file(request, &served, TAG);
        if before() == 0 { answer.stalled_after(700_000) } else { answer }
    });
    let patient = Downloader::new(DownloaderOptions::default());
    let watch = Arc::new(Watch::default());
    let request = case.request();
    let abandoned = tokio::spawn({
        let (request, watch) = (request.clone(), Arc::clone(&watch));
        async move { patient.download(&request, &*watch).await.map(drop) }
    });
    let part = case.dir.path().join("~file.part");
    tokio::task::spawn_blocking(move || {
        smartvm_testkit::eventually(Duration::from_secs(20), "the bytes have come", || {
            (fs_err::metadata(&part).ok()?.len() == 700_000).then_some(())
        });
    })
    .await
    .unwrap();
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    assert!(!case.target().exists());
    let done = downloader().download(&request, &()).await.unwrap();
    assert_eq!(done.sha256, Sha256Digest::of(&bytes));
    assert_eq!(case.starts(), [0, 700_000]);
    assert_eq!(case.names(), ["file"]);
}

#[tokio::test]
async fn many_callers_cause_one_download() {
    let bytes = content(2 << 20);
    let served = Arc::clone(&bytes);
    let case = Case::new(move |request| Answer::file(request, &served, TAG));
    let downloader = downloader();
    let mut tasks = tokio::task::JoinSet::new();
    // Half of them know what it must be.
    for knows in [true, false].into_iter().cycle().take(40) {
        let request = if knows { case.request_for(&bytes) } else { case.request() };
        let downloader = downloader.clone();
        tasks.spawn(async move { downloader.download(&request, &()).await.unwrap() });
    }
    let all = tasks.join_all().await;
    assert!(all.iter().all(|done| done.sha256 == Sha256Digest::of(&bytes)));
    assert_eq!(all.iter().filter(|done| !done.was_there).count(), 1);
    assert_eq!(case.server.count("/file"), 1);
}

#[tokio::test]
async fn what_happens_is_told() {
    let bytes = content(100_000);
    let (served, before) = (Arc::clone(&bytes), counter());
    let case = Case::new(move |request| match before() {
        0 => Answer::new(503, "no"),
        _ => Answer::file(request, &served, TAG),
    });
    let watch = Watch::default();
    let request = case.request_for(&bytes).called("kernel");
    downloader().download(&request, &watch).await.unwrap();
    let said = watch.0.lock().unwrap().clone();
    assert!(said[0].starts_with("retrying kernel: "), "{said:?}");
    assert!(said[0].contains("503"), "{said:?}");
    assert_eq!(said[1], "started kernel 0 of Some(100000)");
    assert_eq!(said[said.len() - 2], "kernel at 100000");
    assert_eq!(said[said.len() - 1], "finished kernel 100000");
}

#[tokio::test]
async fn what_may_be_secret_in_an_address_is_in_no_message() {
    let case = Case::new(|_| Answer::new(403, "no"));
    let url = case.server.url("/file?token=secret").replace("http://", "http://me:secret@");
    let request = Download::new(url.parse().unwrap(), &case.target(), LIMIT);
    let error = downloader().download(&request, &()).await.unwrap_err();
    let gone =
        Download::new("http://me:secret@127.0.0.1:1/?secret".parse().unwrap(), &case.target(), 1);
    let refused = downloader().download(&gone, &()).await.unwrap_err();
    for text in
        [format!("{error} {error:?}"), format!("{refused} {refused:?}"), format!("{request:?}")]
    {
        assert!(!text.contains("secret"), "{text}");
    }
    assert!(refused.hint().unwrap().contains("HTTPS_PROXY"), "{refused:?}");
}

/// Writes down what it is told.
#[derive(Default)]
struct Watch(Mutex<Vec<String>>);

impl Progress for Watch {
    fn report(&self, event: &ProgressEvent<'_>) {
        self.0.lock().unwrap().push(match event {
            ProgressEvent::Waiting { what } => format!("waiting {what}"),
            ProgressEvent::Started { what, done, total } => {
                format!("started {what} {done} of {total:?}")
            }
            ProgressEvent::Advanced { what, done } => format!("{what} at {done}"),
            ProgressEvent::Retrying { what, problem, .. } => format!("retrying {what}: {problem}"),
            ProgressEvent::Finished { what, size } => format!("finished {what} {size}"),
            other => format!("{other:?}"),
        });
    }
}

#[tokio::test]
async fn what_the_public_names_never_makes_us_ask_a_private_host() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let case = Case::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Answer::redirect("/there")
    });
    let port = case.server.url("/").rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    let connections = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    connections.set_nonblocking(true).unwrap();
    let other = connections.local_addr().unwrap().port();
    for (url, part) in [
        (format!("http://127.0.0.1:{port}/file"), "it is not https"),
        (format!("https://127.0.0.1:{other}/file"), "127.0.0.1 is not a public address"),
        (format!("https://[::ffff:127.0.0.1]:{other}/file"), "is not a public address"),
        // Resolved by the system, and looked at before it is connected to.
        (format!("https://localhost:{other}/file"), "the name `localhost` resolves to"),
    ] {
        let request = Download::new(url.parse().unwrap(), &case.target(), LIMIT);
        let error = downloader().public_only().download(&request, &()).await.unwrap_err();
        assert!(matches!(error, DownloadError::NotPublic { .. }), "{url}: {error:?}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.hint().unwrap().contains("--allow-private-artifacts"));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(connections.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
