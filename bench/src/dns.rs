//! A DNS server on loopback that knows a few names, in a thread of its own: what a resolver on
//! the same machine answers from its cache.
//!
//! Standards: RFC 1035 section 4 (messages). UDP alone: every answer fits.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use anyhow::ensure;

const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
/// Longest text of one string in a TXT record.
const LONGEST: usize = 255;

/// What is known: type and rdata, by owner name in small letters without the last dot.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<String, Vec<(u16, Vec<u8>)>>);

impl Names {
    pub(crate) fn txt(&mut self, name: &str, text: &str) {
        let mut rdata = Vec::new();
        for part in text.as_bytes().chunks(LONGEST) {
            rdata.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            rdata.extend_from_slice(part);
        }
        self.0.entry(name.to_owned()).or_default().push((TXT, rdata));
    }

    /// An address, forward and back.
    pub(crate) fn address(&mut self, name: &str, address: Ipv4Addr) {
        let [a, b, c, d] = address.octets();
        self.0.entry(name.to_owned()).or_default().push((A, vec![a, b, c, d]));
        let back = format!("{d}.{c}.{b}.{a}.in-addr.arpa");
        self.0.entry(back).or_default().push((PTR, wire(name)));
    }

    /// Answers until the process ends.
    pub(crate) fn serve(self) -> anyhow::Result<SocketAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        std::thread::spawn(move || {
            let mut query = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut query) {
                let reply = query.get(..length).and_then(|query| self.reply(query).ok());
                if let Some(reply) = reply {
                    // A client that is gone needs none.
                    let _ = socket.send_to(&reply, client);
                }
            }
        });
        Ok(address)
    }

    fn reply(&self, query: &[u8]) -> anyhow::Result<Vec<u8>> {
        ensure!(query.len() > 12, "no question");
        let mut name = Vec::new();
        let mut at = 12;
        loop {
            let length = usize::from(*query.get(at).unwrap_or(&0));
            at += 1;
            if length == 0 {
                break;
            }
            let label = query.get(at..at + length);
            name.push(String::from_utf8_lossy(label.unwrap_or_default()).to_ascii_lowercase());
            at += length;
        }
        ensure!(query.len() >= at + 4, "no question");
        let kind = u16::from_be_bytes([query[at], query[at + 1]]);
        let known = self.0.get(&name.join("."));
        let answers: Vec<&Vec<u8>> =
            known.into_iter().flatten().filter(|(of, _)| *of == kind).map(|(_, rdata)| rdata).collect();
        let mut reply = query[..2].to_vec();
        // A recursive answer, or NXDOMAIN.
        reply.extend([0x81, if known.is_some() { 0x80 } else { 0x83 }, 0, 1]);
        reply.extend(u16::try_from(answers.len())?.to_be_bytes());
        reply.extend([0; 4]);
        reply.extend_from_slice(&query[12..at + 4]);
        for rdata in answers {
            // The name of the question, class IN, an hour.
            reply.extend([0xc0, 12]);
            reply.extend(kind.to_be_bytes());
            reply.extend([0, 1, 0, 0, 0x0e, 0x10]);
            reply.extend(u16::try_from(rdata.len())?.to_be_bytes());
            reply.extend_from_slice(rdata);
        }
        Ok(reply)
    }
}

/// A name as it stands in a message.
fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).unwrap_or(0));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}
