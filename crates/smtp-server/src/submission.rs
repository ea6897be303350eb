//! What becomes of a submitted message before anybody gets it: whose it says it is, and the
//! fields that its author's program left out.
//!
//! Standards: RFC 6409 sections 6.1 (who may send as whom) and 8 (what a submission server
//! adds: Date, Message-ID, another encoding), RFC 5322 section 3.6 (fields that must be
//! there), RFC 3030 section 3 (BINARYMIME).
//! Invariants:
//! - every address in From and Sender is the account's own;
//! - nothing that is there is changed, but for the encoding of binary parts;
//! - the delivery key is made of what the client sent, so that a repeated submission is
//!   recognised although Date and Message-ID are new.

use hikyaku_directory::{Account, Directory};
use hikyaku_mime::Header;
use hikyaku_mime::binary::without_binary;
use hikyaku_mime::fields::{Entry, Mailbox, addresses};
use hikyaku_smtp_proto::Reply;
use hikyaku_smtp_proto::command::Body;
use hikyaku_smtp_proto::path::ReversePath;
use hikyaku_types::{Address, Domain, LocalPart, Random, Timestamp};

use crate::answer::cannot_ask;

/// Who submits, and when.
pub(crate) struct Submission<'s> {
    pub(crate) directory: &'s Directory,
    pub(crate) account: &'s Account,
    pub(crate) reverse_path: &'s ReversePath,
    pub(crate) now: Timestamp,
    pub(crate) random: &'s dyn Random,
}

/// A message whose parts are text, unless they are encoded; NUL has no place in it.
pub(crate) fn without_binary_parts(content: &[u8], body: Option<Body>) -> Result<Option<Vec<u8>>, Reply> {
    if body != Some(Body::BinaryMime) {
        return Ok(None);
    }
    let text = without_binary(content);
    if text.contains(&0) { Err(Reply::nul_in_content()) } else { Ok(Some(text)) }
}

impl Submission<'_> {
    /// The content with the fields that it lacks, or the reply that says why it is refused.
    pub(crate) async fn complete(&self, content: Vec<u8>) -> Result<Vec<u8>, Reply> {
        let header = Header::of_content(&content);
        self.check_authors(header).await?;
        let mut missing = self.missing_fields(header);
        if missing.is_empty() {
            return Ok(content);
        }
        if header.as_bytes().is_empty() && !content.starts_with(b"\r\n") {
            // A body alone.
            missing.push_str("\r\n");
        }
        Ok([missing.as_bytes(), &content].concat())
    }

    async fn check_authors(&self, header: Header<'_>) -> Result<(), Reply> {
        for name in ["From", "Sender"] {
            for field in header.all(name) {
                let entries = addresses(field.value);
                let mut has_author = false;
                for entry in &entries {
                    let Entry::Mailbox(mailbox) = entry else { continue };
                    has_author = true;
                    if !self.owns(mailbox).await? {
                        return Err(Reply::author_not_yours(name));
                    }
                }
                if !has_author {
                    return Err(Reply::author_not_yours(name));
                }
            }
        }
        Ok(())
    }

    async fn owns(&self, mailbox: &Mailbox<'_>) -> Result<bool, Reply> {
        let parse = || {
            let local_part = LocalPart::from_unquoted(std::str::from_utf8(&mailbox.local_part).ok()?).ok()?;
            let domain = Domain::parse(std::str::from_utf8(&mailbox.domain).ok()?).ok()?;
            Some(Address { local_part, domain })
        };
        let Some(address) = parse() else { return Ok(false) };
        self.directory.owns(self.account, &address).await.map_err(|error| cannot_ask(&error))
    }

    /// Fields that RFC 5322 wants and that are not there.
    fn missing_fields(&self, header: Header<'_>) -> String {
        let mut fields = String::new();
        if header.get("From").is_none() {
            let author = match self.reverse_path {
                ReversePath::Null => format!("<{}>", self.account.address()),
                reverse_path @ ReversePath::Mailbox(_) => reverse_path.to_string(),
            };
            fields.push_str(&format!("From: {author}\r\n"));
        }
        if header.get("Date").is_none() {
            fields.push_str(&format!("Date: {}\r\n", self.now.to_rfc5322()));
        }
        if header.get("Message-ID").is_none() {
            let mut bits = [0; 16];
            self.random.fill(&mut bits);
            let bits = u128::from_le_bytes(bits);
            fields.push_str(&format!(
                "Message-ID: <{bits:032x}@{}>\r\n",
                self.account.address().domain.as_str()
            ));
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_directory::Resolution;
    use hikyaku_testkit::{SeededRandom, TestDirectory, TestStore};

    /// Completes what ann submits, whose other addresses are `"a b"@` and an alias's.
    fn complete_all<const N: usize>(contents: [String; N]) -> [Result<String, String>; N] {
        let mail = TestStore::sqlite();
        let test = TestDirectory::new(&mail);
        let (ann, bob) = (TestStore::home(1, 1), TestStore::home(1, 2));
        mail.block_on(async {
            test.tenant(ann.tenant, None).await;
            test.domain(ann.tenant, "example.org").await;
            test.account(ann, &["ann@example.org", "\"a b\"@example.org"], None, "secret").await;
            test.account(bob, &["bob@example.org"], None, "secret").await;
            let found = test.directory.resolve(&Address::parse("ann@example.org").unwrap()).await.unwrap();
            let Resolution::Recipients(found) = found else { panic!("{found:?}") };
            let submission = Submission {
                directory: &test.directory,
                account: &found.accounts[0].account,
                reverse_path: &ReversePath::Null,
                now: Timestamp::from_secs(1_795_491_267),
                random: &SeededRandom::new(1),
            };
            let mut completed = Vec::new();
            for content in contents {
                let one = submission.complete(content.into_bytes()).await;
                completed.push(match one {
                    Ok(content) => Ok(String::from_utf8(content).unwrap()),
                    Err(reply) => Err(String::from_utf8(reply.to_wire()).unwrap()),
                });
            }
            completed.try_into().unwrap()
        })
    }

    #[test]
    fn authors() {
        const REST: &str = "Date: x\r\nMessage-ID: <1@a>\r\n\r\n";
        let table = [
            ("From: ann@example.org\r\n", true),
            ("From: Ann <ANN@example.org>\r\n", true),
            ("From: Ann <ann+tag@example.org>\r\n", true),
            ("From: \"a b\"@example.org\r\n", true),
            ("From: ann@example.org\r\nSender: ann@example.org\r\n", true),
            ("From: Both: ann@example.org, ann+x@example.org;\r\n", true),
            ("From: bob@example.org\r\n", false),
            ("From: ann@elsewhere.example\r\n", false),
            ("From: ann@example.org, bob@example.org\r\n", false),
            ("From: ann@example.org\r\nFrom: bob@example.org\r\n", false),
            ("From: ann@example.org\r\nSender: bob@example.org\r\n", false),
            ("From: \"ann@example.org\" <boss@elsewhere.example>\r\n", false),
            ("From: boss@elsewhere.example (ann@example.org)\r\n", false),
            ("From : bob@example.org\r\n", false),
            ("From:\r\n bob@example.org\r\n", false),
            ("From: Nobody: ;\r\n", false),
            ("From: ann\r\n", false),
            ("From:\r\n", false),
            ("From: ann@example.org\0\r\n", false),
        ];
        let contents = table.map(|(fields, _)| format!("{fields}{REST}"));
        let completed = complete_all(contents.clone());
        for (((fields, is_allowed), content), completed) in table.into_iter().zip(contents).zip(completed) {
            match completed {
                Ok(completed) => assert!(is_allowed && completed == content, "{fields}: {completed}"),
                Err(reply) => assert!(!is_allowed && reply.starts_with("550 5.7.1 "), "{fields}: {reply}"),
            }
        }
    }

    #[test]
    fn missing_fields() {
        const FROM: &str = "From: <ann@example.org>\r\n";
        const DATE: &str = "Date: Tue, 24 Nov 2026 03:34:27 +0000\r\n";
        let without_id = |completed: Result<String, String>| {
            let completed = completed.unwrap();
            let (before, after) = completed.split_once("Message-ID: <").unwrap();
            let (id, after) = after.split_once("@example.org>\r\n").unwrap();
            assert!(id.len() == 32 && id.bytes().all(|letter| letter.is_ascii_hexdigit()), "{id}");
            format!("{before}<id>{after}")
        };
        let table = [
            ("From: ann@example.org\r\n\r\ntext", format!("{DATE}<id>From: ann@example.org\r\n\r\ntext")),
            ("Date: x\r\n\r\n", format!("{FROM}<id>Date: x\r\n\r\n")),
            ("\r\ntext\r\n", format!("{FROM}{DATE}<id>\r\ntext\r\n")),
            ("text alone\r\n", format!("{FROM}{DATE}<id>\r\ntext alone\r\n")),
            ("", format!("{FROM}{DATE}<id>\r\n")),
        ];
        let completed = complete_all(table.clone().map(|(content, _)| content.to_owned()));
        for ((content, expected), completed) in table.into_iter().zip(completed) {
            assert_eq!(without_id(completed), expected, "{content:?}");
        }
    }
}
