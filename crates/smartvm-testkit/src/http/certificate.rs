//! A certificate from an authority that nobody knows.

use std::fmt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A server's certificate and its authority's, both made anew.
pub struct Certificate {
    authority: String,
    config: Arc<rustls::ServerConfig>,
}

impl Certificate {
    /// Makes an authority of this name, and a certificate of it for `localhost`.
    ///
    /// # Panics
    /// When keys cannot be made.
    #[must_use]
    pub fn for_localhost(name: &str) -> Self {
        Self::for_hosts(name, &["localhost"])
    }

    /// Makes an authority of this name, and a certificate of it for hosts: names and addresses.
    ///
    /// # Panics
    /// When keys cannot be made, or a host is neither.
    #[must_use]
    pub fn for_hosts(name: &str, hosts: &[&str]) -> Self {
        let authority_key = KeyPair::generate().expect("a key is made of random bytes");
        let mut authority = CertificateParams::default();
        authority.distinguished_name = DistinguishedName::new();
        authority.distinguished_name.push(DnType::CommonName, name);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signed = authority.self_signed(&authority_key).expect("the key signs");
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().expect("a key is made of random bytes");
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(hosts)
            .and_then(|params| params.signed_by(&key, &issuer))
            .expect("the hosts are names and addresses, and the key signs");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("it was written as a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has what these versions need")
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate)], key)
            .expect("the key is the certificate's");
        Self { authority: signed.pem(), config: Arc::new(config) }
    }

    /// The authority's certificate, as PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn config(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}
