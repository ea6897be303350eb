//! What a listener is, offers and allows: the same for all of its sessions.

use std::time::Duration;

use hikyaku_types::Domain;

use crate::command::Tolerance;
use crate::content::LineEnds;

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// Port 25: mail from other servers.
    Mx,
    /// Port 587: mail from signed-in clients, RFC 6409. TLS by STARTTLS.
    Submission,
    /// Port 465: the same under TLS from the first octet, RFC 8314 section 3.3.
    Submissions,
    /// LMTP: final delivery for another server of ours, RFC 2033.
    Lmtp,
}

/// Everything a session needs to know before its first octet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Our name in greeting, EHLO and `Received:`.
    pub host_name: Domain,
    /// What the listener is for.
    pub listener: Listener,
    /// Which extensions are offered, beside those that always are.
    pub offers: Offers,
    /// What becomes of bare CR and LF in content. BINARYMIME content keeps them whatever
    /// stands here.
    pub line_ends: LineEnds,
    /// Whether commands may have spaces that RFC 5321 forbids.
    pub tolerance: Tolerance,
    /// Where patience ends.
    pub limits: Limits,
    /// How long the client may be silent.
    pub deadlines: Deadlines,
}

/// Extensions that can be switched. Each is off by default: a server announces only what
/// it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offers {
    /// STARTTLS: a certificate is there.
    pub start_tls: bool,
    /// AUTH also without TLS. Only for tests and for networks that are safe otherwise.
    pub plain_sign_in_without_tls: bool,
    /// SCRAM-SHA-256 where somebody may sign in, and with -PLUS where the channel allows it.
    pub scram: bool,
    /// CHUNKING: BDAT.
    pub chunking: bool,
    /// BINARYMIME, on submission and with CHUNKING only.
    pub binary_mime: bool,
    /// DSN.
    pub dsn: bool,
    /// LIMITS, RFC 9422.
    pub limits: bool,
    /// REQUIRETLS, under TLS only.
    pub require_tls: bool,
}

/// Where patience ends. All counts are for one session unless they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets of one message's content.
    pub size_bytes: u64,
    /// Octets of a content line without CRLF. RFC 5321 says 998, and much mail has more.
    pub content_line_octets: Option<u64>,
    /// `Received:` fields of a message, RFC 5321 section 6.3.
    pub received_fields: u32,
    /// Recipients of one mail transaction; at least 100 by RFC 5321 section 4.5.3.1.8.
    pub recipients: usize,
    /// RCPT commands that were refused.
    pub refused_recipients: u32,
    /// Mail transactions.
    pub transactions: u32,
    /// Commands that were mistakes: unknown, malformed, out of sequence.
    pub errors: u32,
    /// Commands without mail (NOOP, RSET, VRFY, EHLO …) since the last message.
    pub idle_commands: u32,
    /// Failed AUTH commands.
    pub sign_ins: u32,
}

/// How long the client may be silent, RFC 5321 section 4.5.3.2, and how long our own
/// decisions may take before the client gives up on us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For the next command, or the next line of an AUTH exchange.
    pub command: Duration,
    /// For the first octet of content.
    pub content_start: Duration,
    /// For the next octets of content.
    pub content: Duration,
    /// For a mail transaction as a whole, however busy the client is.
    pub transaction: Duration,
    /// For TLS to be there after STARTTLS.
    pub start_tls: Duration,
    /// For an answer to a question about a client, sender or recipient.
    pub answer: Duration,
    /// For the answer to a commit; clients wait ten minutes for it.
    pub commit: Duration,
}

impl Settings {
    /// The settings of a listener with every default.
    pub fn new(host_name: Domain, listener: Listener) -> Self {
        Self {
            host_name,
            listener,
            offers: Offers::default(),
            line_ends: LineEnds::Normalise,
            tolerance: Tolerance::LooseSpaces,
            limits: Limits::default(),
            deadlines: Deadlines::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size_bytes: 50 * 1024 * 1024,
            content_line_octets: None,
            received_fields: 100,
            recipients: 100,
            refused_recipients: 100,
            transactions: 100,
            errors: 20,
            idle_commands: 100,
            sign_ins: 3,
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        Self {
            command: Duration::from_secs(5 * MINUTE),
            content_start: Duration::from_secs(2 * MINUTE),
            content: Duration::from_secs(3 * MINUTE),
            // 50 MB over a line of a quarter of a megabit a second.
            transaction: Duration::from_secs(30 * MINUTE),
            start_tls: Duration::from_secs(MINUTE),
            answer: Duration::from_secs(4 * MINUTE),
            commit: Duration::from_secs(9 * MINUTE),
        }
    }
}
