//! One writable image, one writer.
//!
//! Whoever uses an image holds an advisory lock (`flock`) on its file for as long: alone when it writes, with others
//! when it reads. The lock is the file's, not its name's: it is seen through every link and mount, by every process,
//! and goes with its holder, however that ends.

mod holder;
mod lock;

pub use lock::{ImageLock, ImageLockError};
