//! What the kernel refused.

use std::io;

/// The kernel refused a request, or could not be asked. Code `NETLINK_FAILED`.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {object}{}", .detail.as_ref().map(|it| format!(" ({it})")).unwrap_or_default())]
pub struct NetlinkError {
    operation: &'static str,
    object: String,
    /// What the kernel said besides the number.
    detail: Option<String>,
    source: io::Error,
}

impl NetlinkError {
    /// An error of doing `operation` to `object`, such as `add address to` `svbr0`.
    #[must_use]
    pub fn new(operation: &'static str, object: impl Into<String>, source: io::Error) -> Self {
        Self { operation, object: object.into(), detail: None, source }
    }

    pub(super) fn with_detail(mut self, detail: Option<String>) -> Self {
        self.detail = detail;
        self
    }

    /// The kernel's number for it.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// Whether the kernel's number is this one, such as `libc::EEXIST`.
    #[must_use]
    pub fn is(&self, errno: i32) -> bool {
        self.errno() == Some(errno)
    }

    /// What was being done.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// What it was being done to.
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "NETLINK_FAILED"
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self.errno()? {
            libc::EPERM | libc::EACCES => {
                Some("networks need root, or CAP_NET_ADMIN".to_owned())
            }
            libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT => Some(
                "the kernel lacks it: see that the modules tun, bridge, nf_tables, nft_nat, nft_masq, \
                 nft_ct, nft_limit, nft_connlimit and nft_fib_inet can be loaded"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
