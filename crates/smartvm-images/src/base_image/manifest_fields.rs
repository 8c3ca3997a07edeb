//! Reading a manifest's fields, with every broken rule.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;

use serde_json::{Map, Value};

use super::artifact::{Artifact, ArtifactSource};
use super::hosted_manifest::{HostedManifest, InvalidManifest, SCHEMA_VERSION};
use crate::Sha256Digest;

/// One broken rule: where, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestBreach {
    field: String,
    rule: String,
}

impl ManifestBreach {
    pub(super) fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into() }
    }

    /// The field, such as `kernel.sha256`.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What it must be, or why it is not that.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

impl Display for ManifestBreach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.rule)
    }
}

/// Reads a manifest, passing over keys that it does not know.
pub(super) fn read(value: &Value) -> Result<HostedManifest, InvalidManifest> {
    let mut breaches = Vec::new();
    let manifest = Fields::of(value, "", &mut breaches).and_then(|mut fields| fields.manifest());
    match manifest {
        Some(manifest) if breaches.is_empty() => manifest.checked(),
        _ => Err(InvalidManifest::new(breaches)),
    }
}

/// A command line; an empty one counts as none.
pub(super) fn boot_args(text: &str) -> Result<Option<String>, ManifestBreach> {
    if text.chars().any(char::is_control) {
        return Err(ManifestBreach::new("bootArgs", "must not have control characters"));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// An object and the place where its broken rules are noted. Every method notes what it finds and
/// returns none then.
struct Fields<'a> {
    object: &'a Map<String, Value>,
    prefix: &'a str,
    breaches: &'a mut Vec<ManifestBreach>,
}

impl<'a> Fields<'a> {
    fn of(
        value: &'a Value,
        prefix: &'a str,
        breaches: &'a mut Vec<ManifestBreach>,
    ) -> Option<Self> {
        match value {
            Value::Object(object) => Some(Self { object, prefix, breaches }),
            _ => {
                let field = prefix.strip_suffix('.').unwrap_or("manifest");
                breaches.push(ManifestBreach::new(field, "must be an object"));
                None
            }
        }
    }

    fn manifest(&mut self) -> Option<HostedManifest> {
        let is_known =
            self.object.get("schemaVersion").and_then(Value::as_f64) == Some(SCHEMA_VERSION as f64);
        if !is_known {
            self.breach("schemaVersion", "must be 1");
        }
        // All are looked at before the first that is missing ends it.
        let bundle_id = self.required("bundleId");
        let name = self.text("name").map(str::to_owned);
        let arch = self.required("arch");
        let firecracker_version = self.required("firecrackerVersion");
        let rootfs_type = self.required("rootfsType");
        let rootfs_is_read_only = self.boolean("rootfsIsReadOnly");
        let boot_args = match self.text("bootArgs").map(boot_args) {
            Some(Err(breach)) => {
                self.breaches.push(breach);
                None
            }
            Some(Ok(boot_args)) => boot_args,
            None => None,
        };
        let kernel = self.artifact("kernel", "kernel.");
        let rootfs = self.artifact("rootfs", "rootfs.");
        let initrd = self.present("initrd").and_then(|_| self.artifact("initrd", "initrd."));
        Some(HostedManifest {
            bundle_id: bundle_id?,
            name,
            arch: arch?,
            firecracker_version: firecracker_version?,
            rootfs_type: rootfs_type?,
            rootfs_is_read_only,
            boot_args,
            kernel: kernel?,
            initrd,
            rootfs: rootfs?,
        })
    }

    fn artifact(&mut self, key: &str, prefix: &str) -> Option<Artifact> {
        let missing = Value::Null;
        let value = self.object.get(key).unwrap_or(&missing);
        let mut fields = Fields::of(value, prefix, self.breaches)?;
        let source = fields.source();
        let file_name = fields.parsed("fileName");
        let size_bytes = fields.size("sizeBytes");
        Some(Artifact { source: source?, file_name, size_bytes })
    }

    fn source(&mut self) -> Option<ArtifactSource> {
        let sha256: Option<Sha256Digest> = self.parsed("sha256");
        // An empty one counts as none, as in the original.
        let is_given = |value: &Value| value.as_str() != Some("");
        let url = self.present("url").filter(|value| is_given(value));
        let path = self.present("path").filter(|value| is_given(value));
        match (url, path) {
            (Some(_), Some(_)) => self.breach("url", "must not be given together with path"),
            (None, None) => self.breach("url", "must be given, or path"),
            (Some(_), None) => {
                let url = self.parsed("url");
                if self.present("sha256").is_none() {
                    self.breach("sha256", "must be given for an artifact with url");
                }
                return Some(ArtifactSource::Url { url: url?, sha256: sha256? });
            }
            (None, Some(_)) => {
                let path = self.text("path")?;
                if !path.contains('\0') {
                    return Some(ArtifactSource::Path { path: PathBuf::from(path), sha256 });
                }
                self.breach("path", "must not have a null character");
            }
        }
        None
    }

    /// The value of a key; `null` counts as absent.
    fn present(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn text(&mut self, key: &str) -> Option<&'a str> {
        let text = self.present(key)?.as_str();
        if text.is_none() {
            self.breach(key, "must be text");
        }
        text
    }

    fn boolean(&mut self, key: &str) -> Option<bool> {
        let boolean = self.present(key)?.as_bool();
        if boolean.is_none() {
            self.breach(key, "must be true or false");
        }
        boolean
    }

    fn size(&mut self, key: &str) -> Option<u64> {
        let size = whole(self.present(key)?);
        if size.is_none() {
            self.breach(key, "must be a whole number, not negative");
        }
        size
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        let parsed = self.text(key)?.parse();
        parsed.map_err(|error: T::Err| self.breach(key, &error.to_string())).ok()
    }

    fn required<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        if self.present(key).is_none() {
            self.breach(key, "must be given");
        }
        self.parsed(key)
    }

    fn breach(&mut self, key: &str, rule: &str) {
        self.breaches.push(ManifestBreach::new(format!("{}{key}", self.prefix), rule));
    }
}

/// A whole number, also when it is written as `1.0` or `1e3`, as JavaScript sees them.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
fn whole(value: &Value) -> Option<u64> {
    let exact = (1_u64 << 53) as f64;
    let is_whole = |number: &f64| (0.0..=exact).contains(number) && number.fract() == 0.0;
    value.as_u64().or_else(|| value.as_f64().filter(is_whole).map(|number| number as u64))
}
