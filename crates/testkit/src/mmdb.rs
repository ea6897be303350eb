//! Writes small databases of places in the format of MaxMind DB 2.0, as tests need them.

use hikyaku_types::Network;

/// What a file knows of a network.
#[derive(Debug, Clone)]
pub enum Value {
    /// Names and values.
    Map(Vec<(&'static str, Value)>),
    /// A text.
    Text(&'static str),
    /// An unsigned number.
    Number(u32),
    /// A number with a fraction.
    Float(f64),
}

/// Which addresses a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4 alone.
    V4,
    /// Both, IPv4 at `::/96`.
    V6,
}

/// Where a branch of the tree leads to.
#[derive(Debug, Clone, Copy)]
enum To {
    Nothing,
    Node(usize),
    Data(usize),
}

/// A database of these networks; of two that overlap the later one holds.
pub fn write(family: Family, networks: &[(&str, Value)]) -> Vec<u8> {
    let (mut nodes, mut data) = (vec![[To::Nothing; 2]], Vec::new());
    for (network, value) in networks {
        let network = network.parse().expect("a network");
        let to = To::Data(data.len());
        put(value, &mut data);
        enter(&mut nodes, &bits(family, network), to);
    }
    let mut file = Vec::new();
    for to in nodes.iter().flatten() {
        let record = match *to {
            To::Nothing => nodes.len(),
            To::Node(node) => node,
            // Behind the tree stand 16 octets of zero.
            To::Data(offset) => nodes.len() + 16 + offset,
        };
        file.extend_from_slice(&u32::try_from(record).expect("a small file").to_be_bytes()[1..]);
    }
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(&data);
    file.extend_from_slice(b"\xAB\xCD\xEFMaxMind.com");
    put_metadata(family, nodes.len(), &mut file);
    file
}

/// The bits of a network's prefix, as the tree of this family has them.
fn bits(family: Family, network: Network) -> Vec<bool> {
    let (octets, prefix) = match (network.address(), family) {
        (std::net::IpAddr::V4(ip), Family::V4) => (ip.octets().to_vec(), network.prefix()),
        (std::net::IpAddr::V4(ip), Family::V6) => {
            ([&[0; 12][..], &ip.octets()].concat(), network.prefix() + 96)
        }
        (std::net::IpAddr::V6(ip), Family::V6) => (ip.octets().to_vec(), network.prefix()),
        (std::net::IpAddr::V6(_), Family::V4) => panic!("{network} is in no file of IPv4"),
    };
    let bit = |n: usize| octets[n / 8] >> (7 - n % 8) & 1 == 1;
    (0..usize::from(prefix)).map(bit).collect()
}

fn enter(nodes: &mut Vec<[To; 2]>, bits: &[bool], to: To) {
    let (last, before) = bits.split_last().expect("a network has a prefix");
    let mut node = 0;
    for &bit in before {
        node = match nodes[node][usize::from(bit)] {
            To::Node(next) => next,
            // What was known of the whole is known of both halves.
            known => {
                nodes.push([known; 2]);
                let next = nodes.len() - 1;
                nodes[node][usize::from(bit)] = To::Node(next);
                next
            }
        };
    }
    nodes[node][usize::from(*last)] = to;
}

fn put_metadata(family: Family, nodes: usize, file: &mut Vec<u8>) {
    let nodes = u32::try_from(nodes).expect("a small file");
    let version = if family == Family::V4 { 4 } else { 6 };
    begin(MAP, 9, file);
    for (name, number) in [
        ("binary_format_major_version", 2),
        ("binary_format_minor_version", 0),
        ("ip_version", version),
        ("record_size", 24),
    ] {
        put(&Value::Text(name), file);
        begin(U16, 2, file);
        file.extend_from_slice(&[0, number]);
    }
    put(&Value::Text("node_count"), file);
    put(&Value::Number(nodes), file);
    put(&Value::Text("database_type"), file);
    put(&Value::Text("test"), file);
    put(&Value::Text("description"), file);
    begin(MAP, 0, file);
    put(&Value::Text("languages"), file);
    begin(ARRAY, 0, file);
    put(&Value::Text("build_epoch"), file);
    begin(U64, 1, file);
    file.push(1);
}

const TEXT: u8 = 2;
const DOUBLE: u8 = 3;
const U16: u8 = 5;
const U32: u8 = 6;
const MAP: u8 = 7;
const U64: u8 = 9;
const ARRAY: u8 = 11;

/// The octets in front of a value: its type and its size.
fn begin(kind: u8, size: usize, out: &mut Vec<u8>) {
    let size = u8::try_from(size).expect("a short value");
    let (in_first, more) = if size < 29 { (size, None) } else { (29, Some(size - 29)) };
    // Types from 8 on stand in an octet of their own.
    let first = if kind <= MAP { kind << 5 } else { 0 };
    out.push(first | in_first);
    out.extend((kind > MAP).then(|| kind - MAP));
    out.extend(more);
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Map(pairs) => {
            begin(MAP, pairs.len(), out);
            for (name, value) in pairs {
                put(&Value::Text(name), out);
                put(value, out);
            }
        }
        Value::Text(text) => {
            begin(TEXT, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Number(number) => {
            begin(U32, 4, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Float(number) => {
            begin(DOUBLE, 8, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}
