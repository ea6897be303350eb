//! The listeners that the file names, beside each other and beside the certificates.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::findings::{Findings, Span};
use super::kind::Addresses;
use super::section::Given;
use super::written::Listen;
use crate::listen::Door;

/// All of them, in the order in which they are opened.
pub(crate) fn listeners(
    listen: &Listen,
    has_certificate: bool,
    findings: &mut Findings<'_>,
) -> Vec<(Door, SocketAddr)> {
    let mut open = Vec::new();
    for (door, given) in listen.doors() {
        let Some(Given { value: Addresses(addresses), span }) = given else { continue };
        let key = format!("listen.{}", door.name());
        for address in addresses {
            if listen.plain_sign_in_without_tls.value && !address.ip().is_loopback() {
                let what = format!("passwords would be taken without TLS on {address}");
                let remedy = "write a loopback address, or remove `plain_sign_in_without_tls`";
                findings.mistake(span, &key, what, remedy);
            }
            if door == Door::Lmtp && !address.ip().is_loopback() {
                let what = format!("whoever reaches {address} would be believed");
                findings.mistake(span, &key, what, "write a loopback address, or use `lmtp_socket`");
            }
            look_for_twins(*address, &open, span, &key, findings);
            open.push((door, *address));
        }
        if door.needs_tls() && !has_certificate {
            let remedy = "add a section `[[certificate]]` with `chain` and `key`, or remove this";
            findings.mistake(span, &key, "this needs a certificate", remedy);
        }
    }
    if open.is_empty() && listen.lmtp_socket.is_none() && !findings.spoiled("listen") {
        let remedy = "name a listener below a line `[listen]`, such as `smtp = \"0.0.0.0:25\"`";
        findings.mistake(&None, "listen", "nobody could come in", remedy);
    }
    open
}

/// Does another listener have this address, or one that holds it?
fn look_for_twins(
    address: SocketAddr,
    open: &[(Door, SocketAddr)],
    span: &Span,
    key: &str,
    findings: &mut Findings<'_>,
) {
    // Port 0 is whatever port is free.
    if address.port() == 0 {
        return;
    }
    if let Some((other, _)) = open.iter().find(|(_, taken)| *taken == address) {
        let what = format!("{} listens on {address}, too", other.name());
        findings.mistake(span, key, what, "write another address or port");
    }
    let every = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let other = match every.map(|ip| SocketAddr::new(ip, address.port())) {
        [v4, v6] if address == v4 => v6,
        [v4, v6] if address == v6 => v4,
        _ => return,
    };
    if open.iter().any(|(_, taken)| *taken == other) {
        let what = "[::] takes IPv4 connections, too, where `net.ipv6.bindv6only` is 0";
        findings.warning(span, key, what, "remove 0.0.0.0");
    }
}
