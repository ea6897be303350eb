//! Messages built from a tree parse to that tree, octet for octet.

use hikyaku_mime::section::{Item, section};
use hikyaku_mime::{Kind, PartId, Structure};
use proptest::prelude::*;

/// A message or part as it was meant.
#[derive(Debug, Clone)]
enum Node {
    Leaf { sub: String, body: String },
    Multipart { preamble: Option<String>, parts: Vec<Node>, epilogue: Option<String>, is_closed: bool },
    Message(Box<Node>),
}

/// Bodies with lines that look like delimiters and headers, but of other boundaries.
fn body() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "[a-z ]{0,12}",
        Just("--".to_owned()),
        Just("--b".to_owned()),
        Just("--b0x".to_owned()),
        Just("Content-Type: multipart/mixed; boundary=b0".to_owned()),
        Just("-- b0".to_owned()),
    ];
    prop::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n"))
}

fn tree() -> impl Strategy<Value = Node> {
    let leaf = ("(plain|html|x-[a-z]{1,4})", body()).prop_map(|(sub, body)| Node::Leaf { sub, body });
    leaf.prop_recursive(5, 24, 5, |inner| {
        let parts = prop::collection::vec(inner.clone(), 1..5);
        let multipart = (prop::option::of(body()), parts, prop::option::of(body()), any::<bool>()).prop_map(
            |(preamble, parts, epilogue, is_closed)| Node::Multipart { preamble, parts, epilogue, is_closed },
        );
        prop_oneof![3 => multipart, 1 => inner.prop_map(|node| Node::Message(Box::new(node)))]
    })
}

/// Writes header and body of a node. `number` makes boundaries that differ, each the begin
/// of others (`b1`, `b11`).
fn write(node: &Node, number: &mut usize, text: &mut String) {
    text.push_str("Subject: generated\n");
    match node {
        Node::Leaf { sub, body } => {
            *text += &format!("Content-Type: text/{sub}\n\n{body}");
        }
        Node::Message(inner) => {
            text.push_str("Content-Type: message/rfc822\n\n");
            write(inner, number, text);
        }
        Node::Multipart { preamble, parts, epilogue, is_closed } => {
            *number += 1;
            let boundary = format!("b{number}");
            *text += &format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\n");
            if let Some(preamble) = preamble {
                *text += &format!("{preamble}\n");
            }
            for part in parts {
                *text += &format!("--{boundary}\n");
                write(part, number, text);
                text.push('\n');
            }
            if *is_closed {
                *text += &format!("--{boundary}--");
                if let Some(epilogue) = epilogue {
                    *text += &format!("\n{epilogue}");
                }
            } else {
                // The end of the whole, or the parent's delimiter, must do.
                text.pop();
            }
        }
    }
}

/// Compares the tree found with the tree meant.
fn compare(content: &str, structure: &Structure, id: PartId, node: &Node) {
    let part = structure.part(id);
    let children: Vec<PartId> = structure.children(id).collect();
    match node {
        Node::Leaf { sub, body } => {
            assert_eq!(part.kind, Kind::Leaf);
            assert!(part.content_type.is("text", sub));
            assert_eq!(part.body.of(content.as_bytes()), body.as_bytes());
            assert_eq!(part.lines, body.matches('\n').count());
        }
        Node::Message(inner) => {
            assert_eq!((part.kind, children.len()), (Kind::Message, 1));
            compare(content, structure, children[0], inner);
        }
        Node::Multipart { parts, .. } => {
            assert_eq!((part.kind, children.len()), (Kind::Multipart, parts.len()));
            for (child, part) in children.into_iter().zip(parts) {
                compare(content, structure, child, part);
            }
        }
    }
}

/// With CRLF, as mail is sent.
fn crlf(node: &Node) -> Node {
    let ends = |text: &String| text.replace('\n', "\r\n");
    match node {
        Node::Leaf { sub, body } => Node::Leaf { sub: sub.clone(), body: ends(body) },
        Node::Message(inner) => Node::Message(Box::new(crlf(inner))),
        Node::Multipart { preamble, parts, epilogue, is_closed } => Node::Multipart {
            preamble: preamble.as_ref().map(ends),
            parts: parts.iter().map(crlf).collect(),
            epilogue: epilogue.as_ref().map(ends),
            is_closed: *is_closed,
        },
    }
}

proptest! {
    #[test]
    fn what_is_built_is_parsed(tree in tree()) {
        let mut text = String::new();
        write(&tree, &mut 0, &mut text);
        compare(&text, &Structure::parse(text.as_bytes()), PartId::ROOT, &tree);
        let text = text.replace('\n', "\r\n");
        let structure = Structure::parse(text.as_bytes());
        compare(&text, &structure, PartId::ROOT, &crlf(&tree));
    }

    #[test]
    fn pieces_reproduce_the_whole(tree in tree()) {
        let mut text = String::new();
        write(&tree, &mut 0, &mut text);
        let content = text.replace('\n', "\r\n").into_bytes();
        let structure = Structure::parse(&content);
        prop_assert_eq!(rebuilt(&content, &structure, PartId::ROOT), content.clone());
        let whole = section(&content, &structure, &[], Item::Whole).unwrap().into_owned();
        prop_assert_eq!(whole, content);
    }
}

/// Header, then what the body is made of: children with what stands before, between and
/// behind them.
fn rebuilt(content: &[u8], structure: &Structure, id: PartId) -> Vec<u8> {
    let part = structure.part(id);
    let mut bytes = part.header.of(content).to_vec();
    let mut at = part.body.start;
    for child in structure.children(id) {
        let span = structure.part(child).span();
        bytes.extend_from_slice(&content[at..span.start]);
        bytes.extend(rebuilt(content, structure, child));
        at = span.end;
    }
    bytes.extend_from_slice(&content[at..part.body.end]);
    bytes
}
