//! Servers on the loopback interface: one that does as it is told, a page of releases, a bucket.

mod answer;
mod bucket;
mod certificate;
mod releases;
mod request;
mod server;

pub use answer::Answer;
pub use bucket::FakeBucket;
pub use certificate::Certificate;
pub use releases::FakeReleases;
pub use request::Request;
pub use server::HttpServer;
