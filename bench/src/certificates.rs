//! A certificate for `localhost`, made for one run, and that of who vouches for it.

use std::path::Path;
use std::sync::Arc;

use hikyaku_net::TlsAcceptor;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// The server's side, and the authority's certificate in DER.
pub(crate) fn certificates() -> anyhow::Result<(TlsAcceptor, Vec<u8>)> {
    let mut params = rcgen::CertificateParams::new(Vec::new())?;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate()?;
    let authority = params.self_signed(&authority_key)?;
    let issuer = rcgen::Issuer::new(params, authority_key);
    let key = rcgen::KeyPair::generate()?;
    let certificate =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &issuer)?;
    let acceptor = TlsAcceptor::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())?;
    Ok((acceptor, authority.der().to_vec()))
}

/// Clients that trust the authority in this file.
pub(crate) fn trusting(authority: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(std::fs::read(authority)?))?;
    Ok(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}
