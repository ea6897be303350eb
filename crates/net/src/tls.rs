//! TLS for listeners: rustls over aws-lc-rs, TLS 1.2 and 1.3, with a certificate for each
//! name that clients ask for.
//!
//! Invariants:
//! - a certificate is never given for a name that it is not valid for, unless it is the
//!   default: a client that asks for an unknown name, or for none, gets that;
//! - [`TlsAcceptor::exchange`] is seen by the next handshake; connections that are open keep
//!   what they have.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use hikyaku_types::Domain;
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

use crate::socket::Socket;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("certificate and key: {0}")]
pub struct TlsError(String);

impl TlsError {
    fn new(cause: impl std::fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

/// A certificate chain and its key.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<CertifiedKey>);

impl Certificate {
    /// From a certificate chain and its key, both PEM.
    ///
    /// # Errors
    /// [`TlsError`] if they cannot be read or do not fit each other.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(TlsError::new)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::new)?;
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::new)?;
        Ok(Self(Arc::new(certified)))
    }

    fn check_name(&self, name: &Domain) -> Result<(), TlsError> {
        let leaf = self.0.end_entity_cert().map_err(TlsError::new)?;
        let leaf = ParsedCertificate::try_from(leaf).map_err(TlsError::new)?;
        let wanted = ServerName::try_from(name.as_str()).map_err(TlsError::new)?;
        verify_server_name(&leaf, &wanted).map_err(|cause| TlsError(format!("not for {name}: {cause}")))
    }
}

/// The certificates of a listener, by name.
#[derive(Debug, Clone)]
pub struct Certificates {
    default: Certificate,
    by_name: HashMap<Box<str>, Certificate>,
}

impl Certificates {
    /// One for all.
    pub fn new(default: Certificate) -> Self {
        Self { default, by_name: HashMap::new() }
    }

    /// Clients that ask for `name` get `certificate`.
    ///
    /// # Errors
    /// [`TlsError`] if it is not valid for that name.
    pub fn with(mut self, name: &Domain, certificate: Certificate) -> Result<Self, TlsError> {
        certificate.check_name(name)?;
        self.by_name.insert(name.as_str().into(), certificate);
        Ok(self)
    }

    fn of(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        // rustls gives the name in small letters and without a last dot.
        let certificate = name.and_then(|name| self.by_name.get(name)).unwrap_or(&self.default);
        Arc::clone(&certificate.0)
    }
}

/// The server's side of handshakes. Clones share their certificates.
#[derive(Clone)]
pub struct TlsAcceptor {
    rustls: tokio_rustls::TlsAcceptor,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<Certificates>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner));
        Some(certificates.of(hello.server_name()))
    }
}

/// What is known of a TLS connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// Name of the cipher suite in IANA's registry.
    pub cipher_suite: String,
    /// The name that the client asked for.
    pub server_name: Option<String>,
    /// What of the channel a sign-in can be bound to: `tls-exporter` of RFC 9266.
    ///
    /// With TLS 1.3 only: before, it is unique only with an extension of which rustls does not
    /// tell whether the client has it (RFC 9266 section 4.2).
    pub exporter: Option<[u8; 32]>,
}

impl TlsAcceptor {
    /// With these certificates.
    ///
    /// # Errors
    /// [`TlsError`] if the cryptography lacks a protocol version, which it does not.
    pub fn new(certificates: Certificates) -> Result<Self, TlsError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(certificates))));
        let resolver = Arc::clone(&current) as Arc<dyn ResolvesServerCert>;
        let config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::new)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        Ok(Self { rustls: Arc::new(config).into(), current })
    }

    /// With one certificate for all names: a chain and its key, both PEM.
    ///
    /// # Errors
    /// [`TlsError`] if they cannot be read or do not fit each other.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::new(Certificates::new(Certificate::from_pem(chain, key)?))
    }

    /// From the next handshake on these are the certificates, for all clones.
    pub fn exchange(&self, certificates: Certificates) {
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificates);
    }

    pub(crate) async fn accept(&self, socket: Socket) -> io::Result<TlsStream<Socket>> {
        self.rustls.accept(socket).await
    }
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

impl std::fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsAcceptor")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ClientConfig, RootCertStore};
    use tokio::net::UnixStream;

    struct Authority(rcgen::Issuer<'static, rcgen::KeyPair>, RootCertStore);

    impl Authority {
        fn new() -> Self {
            let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
            let key = rcgen::KeyPair::generate().unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(params.self_signed(&key).unwrap().der().clone()).unwrap();
            Self(rcgen::Issuer::new(params, key), roots)
        }

        fn certificate(&self, name: &str) -> Certificate {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            let signed = params.signed_by(&key, &self.0).unwrap();
            Certificate::from_pem(signed.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
        }

        /// Does a client that asks for `name` get a certificate for it?
        async fn satisfies(&self, acceptor: &TlsAcceptor, name: &'static str) -> bool {
            let config = ClientConfig::builder_with_provider(Arc::new(provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(self.1.clone())
                .with_no_client_auth();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let (ours, theirs) = UnixStream::pair().unwrap();
            let client = connector.connect(ServerName::try_from(name).unwrap(), theirs);
            let (served, connected) = tokio::join!(acceptor.accept(Socket::Unix(ours)), client);
            served.is_ok() && connected.is_ok()
        }
    }

    fn domain(name: &str) -> Domain {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn the_name_chooses_the_certificate() {
        let authority = Authority::new();
        let certificates = Certificates::new(authority.certificate("mx.example"))
            .with(&domain("mail.example.org"), authority.certificate("mail.example.org"))
            .unwrap()
            .with(&domain("imap.example.net"), authority.certificate("*.example.net"))
            .unwrap();
        let acceptor = TlsAcceptor::new(certificates).unwrap();
        for (name, is_satisfied) in [
            ("mx.example", true),
            ("mail.example.org", true),
            ("MAIL.example.org", true),
            ("imap.example.net", true),
            // Covered by a certificate that we have, but not for this name.
            ("pop.example.net", false),
            ("elsewhere.example", false),
        ] {
            assert_eq!(authority.satisfies(&acceptor, name).await, is_satisfied, "{name}");
        }
    }

    #[test]
    fn a_certificate_is_not_taken_for_another_name() {
        let authority = Authority::new();
        let certificates = Certificates::new(authority.certificate("mx.example"));
        let wrong = certificates.with(&domain("mail.example.org"), authority.certificate("mx.example"));
        let message = wrong.unwrap_err().to_string();
        assert!(message.starts_with("certificate and key: not for mail.example.org"), "{message}");
    }

    #[tokio::test]
    async fn an_exchange_is_for_the_next_handshake() {
        let authority = Authority::new();
        let acceptor = TlsAcceptor::new(Certificates::new(authority.certificate("old.example"))).unwrap();
        let elsewhere = acceptor.clone();
        assert!(authority.satisfies(&acceptor, "old.example").await);
        acceptor.exchange(Certificates::new(authority.certificate("new.example")));
        assert!(authority.satisfies(&elsewhere, "new.example").await, "clones see it");
        assert!(!authority.satisfies(&elsewhere, "old.example").await);
    }

    #[test]
    fn a_key_must_fit() {
        let pair = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
        };
        let ((chain, _), (_, key)) = (pair("a.example"), pair("b.example"));
        assert!(Certificate::from_pem(chain.as_bytes(), key.as_bytes()).is_err());
        assert!(Certificate::from_pem(b"", key.as_bytes()).is_err());
        assert!(Certificate::from_pem(chain.as_bytes(), b"no key").is_err());
    }
}
