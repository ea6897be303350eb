//! Certificates and their keys, from files.
//!
//! What makes a pair useless is a mistake. What makes clients complain, as a certificate
//! that has expired, is a warning: mail from other servers comes in all the same.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hikyaku_net::{Certificate, Certificates, TlsError};
use hikyaku_types::{Domain, Timestamp};
use x509_parser::pem::Pem;
use x509_parser::prelude::{GeneralName, ParsedExtension, X509Certificate};

use super::findings::{Findings, Span};

/// Clients whose certificates end sooner than this should have new ones by now.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// The files of a certificate, and the names that clients ask for to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    /// Empty: those that stand in the certificate.
    pub(crate) names: Vec<Domain>,
}

/// What stands in the files of a pair.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Content {
    chain: Vec<u8>,
    key: Vec<u8>,
}

/// A key is in it.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content(…)")
    }
}

/// What people want to know of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// As they stand in it, with wildcards.
    pub(crate) names: Vec<String>,
    pub(crate) begins: Timestamp,
    pub(crate) ends: Timestamp,
}

/// A pair that can be used.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) pair: Pair,
    pub(crate) content: Content,
    pub(crate) facts: Facts,
    certificate: Certificate,
}

/// Why a pair cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("there is no certificate in {}", .0.display())]
    NoCertificate(PathBuf),
    #[error("a certificate in {} is damaged", .0.display())]
    Damaged(PathBuf),
    #[error("there is no private key in {}", .0.display())]
    NoKey(PathBuf),
    #[error("the key in {} is locked with a passphrase", .0.display())]
    Locked(PathBuf),
    #[error("{} and {} do not fit each other ({source})", chain.display(), key.display())]
    Mismatch { chain: PathBuf, key: PathBuf, source: TlsError },
    #[error("the certificate in {} is not for {name}", chain.display())]
    Name { chain: PathBuf, name: Domain },
}

impl LoadError {
    /// Is it about the key file, rather than the chain?
    pub(crate) fn is_of_key(&self, pair: &Pair) -> bool {
        match self {
            Self::NoKey(_) | Self::Locked(_) | Self::Mismatch { .. } => true,
            Self::Read { path, .. } => *path != pair.chain,
            Self::NoCertificate(_) | Self::Damaged(_) | Self::Name { .. } => false,
        }
    }

    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::Read { .. } => "write the path of a file that the server's user can read",
            Self::NoCertificate(_) | Self::Damaged(_) => "write a file with the PEM block CERTIFICATE",
            Self::NoKey(_) => "write a file with the PEM block PRIVATE KEY",
            Self::Locked(_) => "unlock it: openssl pkey -in LOCKED.pem -out KEY.pem",
            Self::Mismatch { .. } => "write the key that the certificate was made with",
            Self::Name { .. } => "remove the name, or get a certificate that has it",
        }
    }
}

impl Pair {
    /// Reads both files.
    pub(crate) fn read(&self) -> Result<Content, LoadError> {
        let read =
            |path: &Path| fs::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source });
        Ok(Content { chain: read(&self.chain)?, key: read(&self.key)? })
    }

    /// Makes sure that they are of use.
    pub(crate) fn load(&self, content: Content) -> Result<Loaded, LoadError> {
        let facts = facts(&content.chain).map_err(|of| of(self.chain.clone()))?;
        let key = String::from_utf8_lossy(&content.key);
        if key.contains("ENCRYPTED") {
            return Err(LoadError::Locked(self.key.clone()));
        }
        if !key.contains("PRIVATE KEY-----") {
            return Err(LoadError::NoKey(self.key.clone()));
        }
        let certificate = Certificate::from_pem(&content.chain, &content.key).map_err(|source| {
            LoadError::Mismatch { chain: self.chain.clone(), key: self.key.clone(), source }
        })?;
        for name in &self.names {
            if !covers(&certificate, name) {
                return Err(LoadError::Name { chain: self.chain.clone(), name: name.clone() });
            }
        }
        Ok(Loaded { pair: self.clone(), content, facts, certificate })
    }
}

fn covers(certificate: &Certificate, name: &Domain) -> bool {
    Certificates::new(certificate.clone()).with(name, certificate.clone()).is_ok()
}

/// For an acceptor: the first is for clients that name nobody whom another is for. `None`
/// if there are none.
pub(crate) fn by_name(loaded: &[Loaded]) -> Result<Option<Certificates>, TlsError> {
    let Some(first) = loaded.first() else { return Ok(None) };
    let mut all = Certificates::new(first.certificate.clone());
    // The first to have a name keeps it: it is inserted last.
    for Loaded { pair, facts, certificate, .. } in loaded.iter().rev() {
        let own: Vec<Domain> = facts.names.iter().filter_map(|name| Domain::parse(name).ok()).collect();
        for name in if pair.names.is_empty() { &own } else { &pair.names } {
            all = all.with(name, certificate.clone())?;
        }
    }
    Ok(Some(all))
}

fn blocks(chain: &[u8]) -> impl Iterator<Item = Option<Pem>> {
    let certificates = |pem: &Result<Pem, _>| pem.as_ref().map_or(true, |pem| pem.label == "CERTIFICATE");
    Pem::iter_from_buffer(chain).filter(certificates).map(Result::ok)
}

/// Of the first certificate of a chain; the error is what to make of the file's path.
fn facts(chain: &[u8]) -> Result<Facts, fn(PathBuf) -> LoadError> {
    let first = blocks(chain).next().ok_or(LoadError::NoCertificate as fn(PathBuf) -> LoadError)?;
    let first = first.ok_or(LoadError::Damaged as fn(PathBuf) -> LoadError)?;
    let leaf = first.parse_x509().map_err(|_| LoadError::Damaged as fn(PathBuf) -> LoadError)?;
    let moment = |time: x509_parser::time::ASN1Time| Timestamp::from_secs(time.timestamp());
    Ok(Facts {
        names: names(&leaf),
        begins: moment(leaf.validity().not_before),
        ends: moment(leaf.validity().not_after),
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for extension in certificate.extensions() {
        let ParsedExtension::SubjectAlternativeName(alternative) = extension.parsed_extension() else {
            continue;
        };
        for name in &alternative.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push((*name).to_owned());
            }
        }
    }
    names
}

/// What clients will complain about.
pub(crate) fn warn(
    loaded: &Loaded,
    chain_at: &Span,
    key_at: &Span,
    now: Timestamp,
    findings: &mut Findings<'_>,
) {
    let Facts { begins, ends, .. } = loaded.facts;
    let get_new = "get a new one and write it to the same files";
    let day = |moment: Timestamp| moment.to_zoned().strftime("%Y-%m-%d %H:%M UTC").to_string();
    let mut warning = |what: String, remedy: &str| {
        findings.warning(chain_at, "certificate.chain", what, remedy);
    };
    if ends <= now {
        warning(format!("the certificate has expired on {}", day(ends)), get_new);
    } else if ends <= now.after(SOON) {
        warning(format!("the certificate expires on {}", day(ends)), get_new);
    }
    if begins > now {
        warning(format!("the certificate is not valid before {}", day(begins)), "look at the clock, or wait");
    }
    if let Some((what, remedy)) = gap(&loaded.content.chain) {
        warning(what.to_owned(), remedy);
    }
    if is_open_to_all(&loaded.pair.key) {
        let remedy = format!("chmod o= {}", loaded.pair.key.display());
        findings.warning(key_at, "certificate.key", "every user of this machine can read the key", remedy);
    }
}

/// A certificate for clients that name nobody whom another is for.
pub(crate) fn warn_default(first: &Loaded, host_name: &Domain, chain_at: &Span, findings: &mut Findings<'_>) {
    if !covers(&first.certificate, host_name) {
        let what = format!("the certificate is for {}, not for {host_name}", listed(&first.facts.names));
        let remedy = "put a certificate first that has the name in `host_name`";
        findings.warning(chain_at, "certificate.chain", what, remedy);
    }
}

/// `a`, `a and b`, `nobody`.
pub(crate) fn listed(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [name] => name.clone(),
        [names @ .., last] => format!("{} and {last}", names.join(", ")),
    }
}

/// What is missing or out of order in a chain.
fn gap(chain: &[u8]) -> Option<(&'static str, &'static str)> {
    let blocks: Vec<Pem> = blocks(chain).collect::<Option<_>>()?;
    let chain: Vec<X509Certificate<'_>> =
        blocks.iter().map(|block| block.parse_x509().ok()).collect::<Option<_>>()?;
    for pair in chain.windows(2) {
        if let [certificate, issuer] = pair
            && certificate.issuer() != issuer.subject()
        {
            return Some((
                "a certificate does not stand above the one of its issuer",
                "bring them into order: the server's own first, then each one's issuer",
            ));
        }
    }
    match chain.as_slice() {
        [alone] if alone.issuer() != alone.subject() => Some((
            "the server's own certificate stands alone, and clients may not know its issuer",
            "write the file with the issuers' certificates below it (`fullchain.pem`); ignore this if a root issued it",
        )),
        _ => None,
    }
}

/// May users read it that are neither its owner nor in its group?
pub(crate) fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const NOW: Timestamp = Timestamp::from_secs(1_795_521_600);

    /// A certificate authority and the certificates it issues for some years from 2026 on.
    struct Authority(rcgen::Issuer<'static, rcgen::KeyPair>, String);

    impl Authority {
        fn new() -> Self {
            let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
            params.distinguished_name.push(rcgen::DnType::CommonName, "An authority");
            let key = rcgen::KeyPair::generate().unwrap();
            let pem = params.self_signed(&key).unwrap().pem();
            Self(rcgen::Issuer::new(params, key), pem)
        }

        /// Certificate and key of these names, from a day of 2026 until one of another year.
        fn issue(&self, names: &[&str], from: (u8, u8), until: (i32, u8, u8)) -> (String, String) {
            let mut params = rcgen::CertificateParams::new(
                names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
            )
            .unwrap();
            params.not_before = rcgen::date_time_ymd(2026, from.0, from.1);
            params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
            let key = rcgen::KeyPair::generate().unwrap();
            (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
        }
    }

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn pair(&self, chain: &str, key: &str, names: &[&str]) -> Pair {
            let write = |name: &str, text: &str| {
                let path = self.0.path().join(name);
                fs::write(&path, text).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
                path
            };
            let names = names.iter().map(|name| Domain::parse(name).unwrap()).collect();
            Pair { chain: write("chain.pem", chain), key: write("key.pem", key), names }
        }
    }

    fn load(pair: &Pair) -> Result<Loaded, LoadError> {
        pair.read().and_then(|content| pair.load(content))
    }

    #[test]
    fn what_cannot_be_used_is_told_apart() {
        let authority = Authority::new();
        let (chain, key) = authority.issue(&["mx.example"], (1, 1), (2030, 1, 1));
        let (_, other) = authority.issue(&["mx.example"], (1, 1), (2030, 1, 1));
        let damaged = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n";
        let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        for (chain, key, names, is_of_key, part) in [
            (key.as_str(), key.as_str(), &[][..], false, "there is no certificate in "),
            ("", &key, &[], false, "there is no certificate in "),
            (damaged, &key, &[], false, "a certificate in "),
            (&chain, "", &[], true, "there is no private key in "),
            (&chain, &chain, &[], true, "there is no private key in "),
            (&chain, &locked, &[], true, "the key in "),
            (&chain, &other, &[], true, "do not fit each other"),
            (&chain, &key, &["mail.example"], false, "chain.pem is not for mail.example"),
        ] {
            let files = Files::new();
            let pair = files.pair(chain, key, names);
            let error = load(&pair).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(error.is_of_key(&pair), is_of_key, "{error}");
        }
        let files = Files::new();
        let mut pair = files.pair(&chain, &key, &["MX.example"]);
        assert_eq!(load(&pair).unwrap().facts.names, ["mx.example"]);
        pair.key = "/nowhere/key.pem".into();
        assert!(load(&pair).is_err_and(|error| error.is_of_key(&pair)));
    }

    #[test]
    fn what_clients_complain_about_is_a_warning() {
        let authority = Authority::new();
        let found = |from, until, names: &[&str], issuers: &[&str]| {
            let (own, key) = authority.issue(names, from, until);
            let files = Files::new();
            let loaded = load(&files.pair(&[&[own.as_str()], issuers].concat().concat(), &key, &[])).unwrap();
            let mut findings = Findings::new("");
            warn(&loaded, &None, &None, NOW, &mut findings);
            warn_default(&loaded, &Domain::parse("mx.example.org").unwrap(), &None, &mut findings);
            assert!(!findings.has_mistakes());
            findings.into_sorted().into_iter().map(|finding| finding.what).collect::<Vec<_>>()
        };
        let issuer = authority.1.as_str();
        let (stranger, _) = authority.issue(&["x.example"], (1, 1), (2030, 1, 1));
        let good = (2030, 1, 1);
        assert_eq!(found((1, 1), good, &["mx.example.org"], &[issuer]), [""; 0]);
        assert_eq!(found((1, 1), good, &["*.example.org"], &[issuer]), [""; 0], "a wildcard");
        for (from, until, names, issuers, what) in [
            (
                (1, 1),
                (2026, 11, 1),
                &["mx.example.org"][..],
                &[issuer][..],
                "the certificate has expired on 2026-11-01 00:00 UTC",
            ),
            (
                (1, 1),
                (2026, 12, 8),
                &["mx.example.org"],
                &[issuer],
                "the certificate expires on 2026-12-08 00:00 UTC",
            ),
            (
                (12, 1),
                good,
                &["mx.example.org"],
                &[issuer],
                "the certificate is not valid before 2026-12-01 00:00 UTC",
            ),
            (
                (1, 1),
                good,
                &["mx.example.org"],
                &[],
                "the server's own certificate stands alone, and clients may not know its issuer",
            ),
            (
                (1, 1),
                good,
                &["mx.example.org"],
                &[&stranger],
                "a certificate does not stand above the one of its issuer",
            ),
            (
                (1, 1),
                good,
                &["a.example", "b.example"],
                &[issuer],
                "the certificate is for a.example and b.example, not for mx.example.org",
            ),
        ] {
            assert_eq!(found(from, until, names, issuers), [what]);
        }
    }

    #[test]
    fn a_key_that_all_can_read_is_a_warning() {
        let made = rcgen::generate_simple_self_signed(["mx.example".to_owned()]).unwrap();
        let files = Files::new();
        let pair = files.pair(&made.cert.pem(), &made.signing_key.serialize_pem(), &[]);
        fs::set_permissions(&pair.key, fs::Permissions::from_mode(0o644)).unwrap();
        let mut findings = Findings::new("");
        warn(&load(&pair).unwrap(), &None, &None, NOW, &mut findings);
        let found = findings.into_sorted();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].remedy, format!("chmod o= {}", pair.key.display()));
    }
}
