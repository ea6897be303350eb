//! A response read by the rules of the grammar alone, whatever extension it belongs to.
//!
//! Standards: RFC 9051 section 9 (`response`), section 4.3 (strings); RFC 3516 (`literal8`).
//!
//! Reading panics unless the line is one whole response: brackets are balanced, values have
//! one space between them, a literal has as many octets as it says, quoted strings have no
//! wrong octet (in the 7-bit dialect none above 127), and the CRLF at the end is the only one.

use hikyaku_imap_proto::Dialect;

/// A value. Quoted strings and literals say the same, so they are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// An atom, a number, a flag, `NIL`, or a FETCH item's name with its section.
    Atom(Vec<u8>),
    /// A string.
    Text(Vec<u8>),
    /// `(…)`
    List(Vec<Node>),
}

impl Node {
    pub(super) fn atom(text: impl ToString) -> Self {
        Self::Atom(text.to_string().into_bytes())
    }

    pub(super) fn atoms<T: ToString>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::atom).collect())
    }

    /// `nstring`
    pub(super) fn nstring(text: Option<&[u8]>) -> Self {
        match text {
            Some(text) => Self::Text(without_nul(text)),
            None => Self::atom("NIL"),
        }
    }

    /// What an `astring` says.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Atom(bytes) | Self::Text(bytes) => bytes,
            Self::List(_) => panic!("{self:?} is no string"),
        }
    }

    pub(super) fn as_list(&self) -> &[Node] {
        match self {
            Self::List(nodes) => nodes,
            _ => panic!("{self:?} is no list"),
        }
    }
}

/// As it stands on the wire: there is no octet 0 (RFC 9051 section 4.3).
pub(super) fn without_nul(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| *byte != 0).collect()
}

/// The values of an untagged data response, from the one behind `* ` on.
pub(super) fn data(printed: &[u8], dialect: Dialect) -> Vec<Node> {
    let rest = printed.strip_prefix(b"* ").expect("untagged");
    let mut reader = Reader { rest, dialect, depth: 0, is_fetch: false };
    let nodes = reader.nodes(b'\r');
    assert_eq!(reader.rest, b"\r\n", "of {}", printed.escape_ascii());
    nodes
}

/// The values within the brackets of a response code.
pub(super) fn code(code: &[u8]) -> Vec<Node> {
    assert!(!code.contains(&b']'), "{}", code.escape_ascii());
    let with_end = [code, b"\r"].concat();
    Reader { rest: &with_end, dialect: Dialect::SevenBit, depth: 0, is_fetch: false }.nodes(b'\r')
}

struct Reader<'a> {
    rest: &'a [u8],
    dialect: Dialect,
    /// How many lists are open.
    depth: usize,
    /// Only in the outer list of FETCH do `[` and `]` part anything.
    is_fetch: bool,
}

impl<'a> Reader<'a> {
    fn next(&self) -> u8 {
        *self.rest.first().expect("the line ends too early")
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(length).expect("as many octets as announced");
        self.rest = rest;
        taken
    }

    fn expect(&mut self, text: &[u8]) {
        let taken = self.take(text.len());
        assert_eq!(taken, text, "before {}", self.rest.escape_ascii());
    }

    /// Values up to `end`, which is left.
    fn nodes(&mut self, end: u8) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        while self.next() != end {
            // Lists alone may follow each other without a space.
            let follows_list = matches!(nodes.last(), Some(Node::List(_))) && self.next() == b'(';
            if !nodes.is_empty() && !follows_list {
                self.expect(b" ");
            }
            let node = self.node();
            self.is_fetch |= self.depth == 0 && node == Node::atom("FETCH");
            nodes.push(node);
        }
        nodes
    }

    fn node(&mut self) -> Node {
        match self.next() {
            b'"' => self.quoted(),
            b'{' => self.literal(),
            b'~' if self.rest.starts_with(b"~{") => self.literal8(),
            b'(' => self.list(),
            _ => self.atom(),
        }
    }

    fn list(&mut self) -> Node {
        self.expect(b"(");
        self.depth += 1;
        let nodes = self.nodes(b')');
        self.depth -= 1;
        self.expect(b")");
        Node::List(nodes)
    }

    fn quoted(&mut self) -> Node {
        self.expect(b"\"");
        let mut text = Vec::new();
        loop {
            match self.take(1) {
                b"\"" => break,
                b"\\" => {
                    assert!(matches!(self.next(), b'"' | b'\\'), "wrong backslash");
                    text.extend_from_slice(self.take(1));
                }
                b"\r" | b"\n" | b"\0" => panic!("wrong octet between quotes"),
                byte => text.extend_from_slice(byte),
            }
        }
        match self.dialect {
            Dialect::SevenBit => assert!(text.is_ascii(), "8-bit text between quotes"),
            Dialect::Utf8 => assert!(std::str::from_utf8(&text).is_ok(), "no UTF-8 between quotes"),
        }
        Node::Text(text)
    }

    fn octets(&mut self) -> Vec<u8> {
        self.expect(b"{");
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let length = std::str::from_utf8(self.take(digits)).unwrap().parse().expect("a length");
        self.expect(b"}\r\n");
        self.take(length).to_vec()
    }

    fn literal(&mut self) -> Node {
        let octets = self.octets();
        assert!(!octets.contains(&0), "NUL in a literal");
        Node::Text(octets)
    }

    fn literal8(&mut self) -> Node {
        self.expect(b"~");
        Node::Text(self.octets())
    }

    fn atom(&mut self) -> Node {
        let start = self.rest;
        // `\*` stands only in PERMANENTFLAGS.
        if self.rest.starts_with(b"\\*") {
            return Node::Atom(self.take(2).to_vec());
        }
        if self.next() == b'\\' {
            self.take(1);
        }
        let in_item = self.is_fetch && self.depth == 1;
        self.plain(in_item);
        assert!(start.len() > self.rest.len(), "no value before {}", start.escape_ascii());
        if in_item {
            self.section();
        }
        Node::Atom(start[..start.len() - self.rest.len()].to_vec())
    }

    /// Takes the characters of an atom.
    fn plain(&mut self, up_to_bracket: bool) {
        let is_plain = |byte: u8| {
            byte.is_ascii_graphic()
                && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
                && !(up_to_bracket && matches!(byte, b'[' | b']'))
        };
        let length = self.rest.iter().take_while(|byte| is_plain(**byte)).count();
        self.take(length);
    }

    /// `[1.HEADER.FIELDS (Date)]<0>`, or nothing.
    fn section(&mut self) {
        if !self.rest.starts_with(b"[") {
            return;
        }
        self.expect(b"[");
        self.plain(true);
        if self.next() == b' ' {
            self.expect(b" ");
            self.list();
        }
        self.expect(b"]");
        if self.rest.starts_with(b"<") {
            let end = self.rest.iter().position(|byte| *byte == b'>').expect("an origin ends");
            assert!(self.take(end)[1..].iter().all(u8::is_ascii_digit));
            self.expect(b">");
        }
    }
}
