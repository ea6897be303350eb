//! TLS for listeners: rustls over aws-lc-rs, TLS 1.2 and 1.3.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("certificate and key: {0}")]
pub struct TlsError(String);

/// Certificate and key of a listener.
#[derive(Clone)]
pub struct TlsAcceptor(pub(crate) tokio_rustls::TlsAcceptor);

/// What is known of a TLS connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// Name of the cipher suite in IANA's registry.
    pub cipher_suite: String,
    /// The name that the client asked for.
    pub server_name: Option<String>,
}

impl TlsAcceptor {
    /// From a certificate chain and its key, both PEM.
    ///
    /// # Errors
    /// [`TlsError`] if they cannot be read or do not fit each other.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let error = |error: &dyn std::fmt::Display| TlsError(error.to_string());
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|cause| error(&cause))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|cause| error(&cause))?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|cause| error(&cause))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|cause| error(&cause))?;
        Ok(Self(Arc::new(config).into()))
    }
}

impl std::fmt::Debug for TlsAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsAcceptor")
    }
}
