//! One message as FETCH and SEARCH look at it, and what `mime` found in the terms of IMAP.
//!
//! Standards: RFC 3501 section 7.4.2, RFC 3516 (BINARY).

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::OnceLock;

use hikyaku_imap_proto::command::FetchAtt;
use hikyaku_imap_proto::response::{
    BodyFields, BodyStructure, Disposition, Envelope, EnvelopeAddress, Extension, MultiPart, Parameters,
    SinglePart, SinglePartKind, StatusResponse,
};
use hikyaku_imap_proto::section::SectionText;
use hikyaku_imap_proto::{Partial, Section};
use hikyaku_mailstore::{Email, email};
use hikyaku_mime::fields::Entry as Mailbox;
use hikyaku_mime::section::{BinaryError, Item, binary, section};
use hikyaku_mime::structure::{Kind, Part, PartId, Structure};
use hikyaku_mime::transfer::TransferEncoding;
use hikyaku_mime::{Envelope as MimeEnvelope, Header};
use hikyaku_store::Content;
use hikyaku_types::EmailId;

use crate::session::{Failure, Session};

/// What of a message must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needs {
    /// The entry tells it.
    Entry,
    /// Its email's row.
    Arrival,
    /// The message itself.
    Content,
}

/// From this size on a message is worked on aside.
const LARGE: usize = 128 << 10;

/// Work whose time grows with a message. If that is large it is done on a thread of its own,
/// so that the sessions that share this one's thread go on.
pub(crate) async fn work<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    if bytes < LARGE {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "a message could not be worked on");
        StatusResponse::unavailable().into()
    })
}

/// A message as readers see it.
pub(crate) async fn content(session: &Session<'_>, id: EmailId) -> Result<(Email, Vec<u8>), Failure> {
    let found = session.read("imap.email", move |tx| email::emails(tx, &[id])).await?;
    let email = found.into_iter().next().ok_or_else(StatusResponse::expunge_issued)?;
    let content = assembled(session, &email).await?;
    Ok((email, content))
}

/// The message of an email whose row was read.
pub(crate) async fn assembled(session: &Session<'_>, email: &Email) -> Result<Vec<u8>, Failure> {
    assemble(&session.services.content, email).await
}

/// The same without a session.
pub(crate) async fn assemble(content: &Content, email: &Email) -> Result<Vec<u8>, Failure> {
    let id = email.id;
    let content = content.read(email.placement.clone()).await.map_err(|error| {
        tracing::error!(email = %id, %error, "a message cannot be read");
        StatusResponse::unavailable()
    })?;
    Ok(email.prelude.assemble(&content))
}

/// A message that has been read.
pub(crate) struct Message {
    pub(crate) content: Vec<u8>,
    /// Found when it is first asked for: who wants the whole message needs none.
    structure: OnceLock<Structure>,
}

impl Message {
    pub(crate) fn new(content: Vec<u8>) -> Self {
        Self { content, structure: OnceLock::new() }
    }

    pub(crate) fn structure(&self) -> &Structure {
        self.structure.get_or_init(|| Structure::parse(&self.content))
    }

    pub(crate) fn header(&self) -> Header<'_> {
        Header::of_content(&self.content)
    }

    pub(crate) fn envelope(&self) -> Envelope<'_> {
        envelope(MimeEnvelope::parse(self.header()))
    }

    pub(crate) fn body_structure(&self) -> BodyStructure<'_> {
        body_structure(&self.content, self.structure(), PartId::ROOT)
    }

    /// What `att` asks of the content; `None` if there is no such part.
    pub(crate) fn section(&self, att: &FetchAtt) -> Option<Cow<'_, [u8]>> {
        let wanted = att.content_section()?;
        let bytes = self.of_section(&wanted)?;
        Some(match partial_of(att) {
            Some(partial) => match bytes {
                Cow::Borrowed(bytes) => partial.of(bytes).into(),
                Cow::Owned(bytes) => partial.of(&bytes).to_vec().into(),
            },
            None => bytes,
        })
    }

    /// A part with its transfer encoding undone; `None` if there is no such part.
    pub(crate) fn binary(
        &self,
        part: &[NonZeroU32],
        partial: Option<Partial>,
    ) -> Result<Option<Vec<u8>>, UnknownEncoding> {
        let path: Vec<u32> = part.iter().map(|number| number.get()).collect();
        match binary(&self.content, self.structure(), &path, self.content.len()) {
            Ok(decoded) => Ok(Some(match partial {
                Some(partial) => partial.of(&decoded).to_vec(),
                None => decoded,
            })),
            Err(BinaryError::NoSuchPart) => Ok(None),
            Err(BinaryError::UnknownEncoding) => Err(UnknownEncoding),
        }
    }

    fn of_section(&self, wanted: &Section) -> Option<Cow<'_, [u8]>> {
        let path: Vec<u32> = wanted.part.iter().map(|number| number.get()).collect();
        let names = |fields: &[hikyaku_imap_proto::section::FieldName]| -> Vec<Vec<u8>> {
            fields.iter().map(|field| field.as_str().as_bytes().to_vec()).collect()
        };
        if is_whole(wanted) {
            return Some(self.content.as_slice().into());
        }
        let take = |item: Item<'_>| section(&self.content, self.structure(), &path, item);
        match &wanted.text {
            None => take(Item::Whole),
            Some(SectionText::Header) => take(Item::Header),
            Some(SectionText::Text) => take(Item::Text),
            Some(SectionText::Mime) => take(Item::Mime),
            Some(SectionText::HeaderFields(fields)) => {
                let names = names(fields);
                take(Item::HeaderFields(&names.iter().map(Vec::as_slice).collect::<Vec<_>>()))
            }
            Some(SectionText::HeaderFieldsNot(fields)) => {
                let names = names(fields);
                take(Item::HeaderFieldsNot(&names.iter().map(Vec::as_slice).collect::<Vec<_>>()))
            }
        }
    }
}

/// Is it `BODY[]`, the message as it is?
fn is_whole(section: &Section) -> bool {
    section.part.is_empty() && section.text.is_none()
}

/// Does this item ask how the message is built?
pub(crate) fn needs_structure(att: &FetchAtt) -> bool {
    att.content_section().is_none_or(|section| !is_whole(&section))
}

/// The part's transfer encoding has a name that nobody knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnknownEncoding;

fn partial_of(att: &FetchAtt) -> Option<Partial> {
    if let FetchAtt::BodySection { partial, .. } = att { *partial } else { None }
}

fn envelope(found: MimeEnvelope<'_>) -> Envelope<'_> {
    Envelope {
        date: found.date,
        subject: found.subject,
        from: addresses(found.from),
        sender: addresses(found.sender),
        reply_to: addresses(found.reply_to),
        to: addresses(found.to),
        cc: addresses(found.cc),
        bcc: addresses(found.bcc),
        in_reply_to: found.in_reply_to,
        message_id: found.message_id,
    }
}

fn addresses(found: Vec<Mailbox<'_>>) -> Vec<EnvelopeAddress<'_>> {
    let address = |entry| match entry {
        Mailbox::GroupStart(name) => EnvelopeAddress::group_start(name),
        Mailbox::GroupEnd => EnvelopeAddress::group_end(),
        Mailbox::Mailbox(mailbox) => EnvelopeAddress {
            name: mailbox.name,
            route: mailbox.route,
            mailbox: Some(mailbox.local_part),
            host: Some(mailbox.domain),
        },
    };
    found.into_iter().map(address).collect()
}

fn body_structure<'m>(content: &'m [u8], structure: &'m Structure, id: PartId) -> BodyStructure<'m> {
    let part = structure.part(id);
    let extension = extension(content, part);
    let subtype = part.content_type.sub.as_bytes().into();
    if part.kind == Kind::Multipart {
        let parts = structure.children(id).map(|child| body_structure(content, structure, child)).collect();
        let parameters = parameters(&part.content_type.parameters);
        return BodyStructure::Multi(Box::new(MultiPart { parts, subtype, parameters, extension }));
    }
    let lines = part.lines as u64;
    let inner = structure.children(id).next().filter(|_| part.kind == Kind::Message);
    let kind = match inner {
        Some(inner) => SinglePartKind::Message {
            subtype,
            envelope: Box::new(envelope(MimeEnvelope::parse(Header::new(
                structure.part(inner).header.of(content),
            )))),
            body: body_structure(content, structure, inner),
            lines,
        },
        None if part.content_type.main == "text" => SinglePartKind::Text { subtype, lines },
        None => SinglePartKind::Basic { media_type: part.content_type.main.as_bytes().into(), subtype },
    };
    let fields = BodyFields {
        parameters: parameters(&part.content_type.parameters),
        id: part.id(content),
        description: part.description(content),
        encoding: encoding(content, part),
        size: part.body.of(content).len() as u64,
    };
    BodyStructure::Single(Box::new(SinglePart { kind, fields, md5: part.md5(content), extension }))
}

fn encoding<'m>(content: &'m [u8], part: &Part) -> Cow<'m, [u8]> {
    let name: &[u8] = match part.encoding {
        TransferEncoding::SevenBit => b"7bit",
        TransferEncoding::EightBit => b"8bit",
        TransferEncoding::Binary => b"binary",
        TransferEncoding::Base64 => b"base64",
        TransferEncoding::QuotedPrintable => b"quoted-printable",
        TransferEncoding::Unknown(span) => span.of(content),
    };
    name.into()
}

fn parameters(found: &hikyaku_mime::fields::Parameters) -> Parameters<'_> {
    found.0.iter().map(|one| (one.name.as_slice().into(), one.value.as_slice().into())).collect()
}

fn extension<'m>(content: &'m [u8], part: &Part) -> Extension<'m> {
    Extension {
        disposition: part.disposition(content).map(|found| Disposition {
            kind: found.kind.into_bytes().into(),
            parameters: found
                .parameters
                .0
                .into_iter()
                .map(|one| (one.name.into(), one.value.into()))
                .collect(),
        }),
        language: part.languages(content).into_iter().map(|tag| tag.into_bytes().into()).collect(),
        location: part.location(content),
    }
}
