//! A URL in a message or a record.

use std::fmt;

use url::Url;

/// Shows a URL without what may be secret: user, password, query and fragment.
pub(crate) struct ShownUrl<'a>(pub(crate) &'a Url);

impl fmt::Display for ShownUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        url.set_query(None);
        url.set_fragment(None);
        // They fail for URLs that can have neither.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        write!(f, "{url}")
    }
}
