//! What is known of a message: the facts that the checks start from.

use std::net::IpAddr;

use hikyaku_mime::{Field, Header};

use crate::dkim::Bodies;

/// The most header fields of a message whose signatures are verified. Real ones have some
/// dozens; each signed name is looked for among all of them.
pub const MAX_FIELDS: usize = 1000;

/// The client, and what it said of itself in the envelope.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// Its address.
    pub ip: IpAddr,
    /// The name that it gave in EHLO or HELO.
    pub helo: &'a str,
    /// The reverse-path without brackets; empty is the null reverse-path.
    pub reverse_path: &'a str,
}

/// A content, split once for all checks. Nothing of it is copied.
#[derive(Debug)]
pub struct Message<'a> {
    header: Header<'a>,
    fields: Vec<Field<'a>>,
    bodies: Bodies<'a>,
    has_too_many_fields: bool,
}

impl<'a> Message<'a> {
    /// Takes a whole content, as it was received.
    pub fn new(content: &'a [u8]) -> Self {
        let header = Header::of_content(content);
        let mut all = header.fields();
        let fields: Vec<_> = all.by_ref().take(MAX_FIELDS).collect();
        let body = content.get(header.as_bytes().len()..).unwrap_or_default();
        Self { header, fields, bodies: Bodies::new(body), has_too_many_fields: all.next().is_some() }
    }

    /// The header.
    pub fn header(&self) -> Header<'a> {
        self.header
    }

    /// Its fields, at most [`MAX_FIELDS`].
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// There are more than [`MAX_FIELDS`].
    pub fn has_too_many_fields(&self) -> bool {
        self.has_too_many_fields
    }

    /// All lines of a field.
    pub(crate) fn text_of(&self, field: &Field<'a>) -> &'a [u8] {
        field.span.of(self.header.as_bytes())
    }

    /// The body and its digests.
    pub(crate) fn bodies(&self) -> &Bodies<'a> {
        &self.bodies
    }
}
