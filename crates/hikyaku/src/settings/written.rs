//! What the operator writes: every setting there is, in the order of the reference page.
//!
//! A new setting is a line here and its use in `program.rs`; `make settings-page` puts it into
//! `docs/settings.md`.

use std::path::PathBuf;
use std::time::Duration;

use hikyaku_types::Domain;

use super::kind::{
    Addresses, BareLineEnds, Bytes, Dnssec, Domains, LogFormat, LogLevel, Minutes, Networks, Paths, Secret,
};
use super::section::{Given, Needed, section};
use crate::listen::Door;

section! {
    /// These stand at the top of the file, above every `[section]`.
    struct Written {
        /// What the server calls itself in greetings, EHLO and `Received:`. The name that
        /// its address has in the DNS, forward and back, and that a certificate covers.
        host_name: Needed<Domain>;
        /// The data folder: lock, large contents, and the databases unless they are in
        /// PostgreSQL. On a local disk; `hikyaku migrate` makes it.
        data: Needed<PathBuf>;
        /// The file with the keys that seal the platform's secrets in the database. It is made
        /// at the first start; `key-ring` in the data folder without this setting. Without it
        /// the server does not start again: keep a copy, apart from those of the databases.
        key_ring: Option<Given<PathBuf>>;
        /// The number of this server, where several share a PostgreSQL database: each has one of
        /// its own, which is part of all that it makes. The larger ones are those of command
        /// lines. With SQLite it does not matter.
        node: Given<u32> = 0, from 0 to 895;
        log: Log;
        database: Database;
        certificate: Vec<Certificate>;
        listen: Listen;
        connections: Connections;
        smtp: Smtp;
        imap: Imap;
        resolver: Resolver;
        passwords: Passwords;
        places: Places;
        access: Access;
        trace: Trace;
    }
}

section! {
    /// What is written to standard error. The environment variable `HIKYAKU_LOG` is
    /// stronger than `level` and can tell parts apart: `info,hikyaku_smtp_server=debug`.
    struct Log {
        /// Lines for people, or one JSON object a line.
        format: Given<LogFormat> = "text";
        /// This and what is graver.
        level: Given<LogLevel> = "info";
    }
}

section! {
    /// Where mail and everything else is kept. Without `postgres` or `postgres_file`, in
    /// SQLite files in the data folder.
    struct Database {
        /// URL of the PostgreSQL database: `postgresql://user@host/name`. One with a password
        /// belongs into a file of its own: see `postgres_file`.
        postgres: Option<Given<Secret>>;
        /// A file with that URL and nothing else, which only the server can read.
        postgres_file: Option<Given<PathBuf>>;
        /// Connections to PostgreSQL, for each of control, access and shard.
        connections: Given<usize> = 16, from 1 to 500;
        /// Threads that read SQLite, for each of control, access and shard.
        readers: Given<usize> = 4, from 1 to 64;
        /// Memory for the pages that the writer of a SQLite file uses most.
        writer_cache: Given<Bytes> = "64 MiB", from "1 MiB" to "64 GiB";
        /// The same for each of its readers.
        reader_cache: Given<Bytes> = "16 MiB", from "1 MiB" to "64 GiB";
        /// Calls that may wait for a database. Those beyond get a temporary error: mail is
        /// deferred.
        waiting: Given<usize> = 16_384, from 128 to 1_000_000;
        /// Calls of one tenant that may wait for a database.
        waiting_each: Given<usize> = 1_024, from 16 to 1_000_000;
    }
}

section! {
    /// A certificate with its key. They are read again when the process gets SIGHUP
    /// (`systemctl reload hikyaku`), and within a minute after the files have changed.
    /// Without any there is no STARTTLS, and `submissions` and `imaps` cannot listen. The
    /// first is for clients that name no host, or one that no certificate covers.
    struct Certificate {
        /// PEM file with the certificate and, below it, those of its issuers: what ACME
        /// clients call `fullchain.pem`.
        chain: Needed<PathBuf>;
        /// PEM file with the certificate's private key. Nobody but the server should be
        /// able to read it.
        key: Needed<PathBuf>;
        /// The names that clients ask for to get this certificate. Without this setting,
        /// those that stand in it; for one with a wildcard they must be written here.
        names: Option<Given<Domains>>;
    }
}

section! {
    /// Where connections are taken. What is not named is not opened. `0.0.0.0` stands for
    /// every IPv4 address of the machine, `[::]` for every IPv6 address and, where Linux
    /// is not told otherwise, every IPv4 address too.
    struct Listen {
        /// Mail from other servers; port 25.
        smtp: Option<Given<Addresses>>;
        /// Mail from users, TLS by STARTTLS; port 587.
        submission: Option<Given<Addresses>>;
        /// Mail from users, under TLS from the first byte; port 465.
        submissions: Option<Given<Addresses>>;
        /// Mailboxes, TLS by STARTTLS; port 143.
        imap: Option<Given<Addresses>>;
        /// Mailboxes, under TLS from the first byte; port 993.
        imaps: Option<Given<Addresses>>;
        /// Mail from a mail server on this machine (RFC 2033), which is believed: loopback
        /// addresses only.
        lmtp: Option<Given<Addresses>>;
        /// The same on a Unix socket with this path; who may open its folder may deliver.
        lmtp_socket: Option<Given<PathBuf>>;
        /// Proxies in front of us. Connections from them begin with a PROXY header of version
        /// 2, which says who the client is; it is believed.
        proxies: Given<Networks> = [];
        /// Take passwords in clear: for tests. Refused unless every listener is on a loopback
        /// address.
        plain_sign_in_without_tls: Given<bool> = false;
    }
}

impl Listen {
    /// What stands at each door.
    pub(crate) fn doors(&self) -> [(Door, &Option<Given<Addresses>>); 6] {
        let Self { smtp, submission, submissions, imap, imaps, lmtp, .. } = self;
        [
            (Door::Smtp, smtp),
            (Door::Submission, submission),
            (Door::Submissions, submissions),
            (Door::Imap, imap),
            (Door::Imaps, imaps),
            (Door::Lmtp, lmtp),
        ]
    }
}

section! {
    /// How many connections there may be. Those beyond are told so and hung up on; under
    /// TLS they are only hung up on.
    struct Connections {
        /// Connections of one listener. Each takes a file descriptor.
        most: Given<usize> = 25_000, from 1 to 1_000_000;
        /// Connections of one listener from one source: an IPv4 address or an IPv6 /64.
        most_each: Given<usize> = 100, from 1 to 1_000_000;
        /// How long sessions may take to end when the process does.
        drain: Given<Duration> = "4s", from "0s" to "10m";
    }
}

section! {
    /// Bounds of SMTP sessions, on `smtp`, `submission` and `submissions`.
    struct Smtp {
        /// Largest message.
        message_size: Given<Bytes> = "50 MiB", from "64 KiB" to "1 GiB";
        /// Memory for messages that are coming in, over all sessions: what finds no room
        /// waits. It is never less than two of the largest messages.
        memory: Given<Bytes> = "512 MiB", from "1 MiB" to "1 TiB";
        /// Messages under way at once, over all sessions, from the first recipient on. One
        /// tenant, source or listener has at most half of them.
        transactions: Given<usize> = 1_024, from 8 to 100_000;
        /// Recipients that are looked up at once, over all sessions.
        lookups: Given<usize> = 256, from 8 to 10_000;
        /// Recipients refused to one source within ten minutes: after that each further one
        /// ends its connection.
        refused_each: Given<u32> = 300, from 10 to 1_000_000;
        /// Recipients refused to one connection at once: each further one is answered after
        /// `refusal_delay`.
        refused_at_once: Given<u32> = 10, from 0 to 1_000_000;
        /// See `refused_at_once`.
        refusal_delay: Given<Duration> = "1s", from "0s" to "1m";
        /// Longest line of a message, without its end. Without this setting there is no
        /// bound: RFC 5321 says 998, and much mail has more.
        line: Option<Given<Bytes>>, from "998 B" to "1 GiB";
        /// CR or LF alone in a message, which are no line ends: made line ends, or the message is
        /// refused.
        bare_line_ends: Given<BareLineEnds> = "normalise";
        /// `Received:` fields of a message: more are a loop.
        received_fields: Given<u32> = 100, from 20 to 10_000;
        /// Recipients of one message. RFC 5321 asks for 100 at least.
        recipients: Given<usize> = 100, from 100 to 10_000;
        /// Refused recipients in one session.
        refused_recipients: Given<u32> = 100, from 1 to 1_000_000;
        /// Messages in one session.
        messages: Given<u32> = 100, from 1 to 4_294_967_295;
        /// Commands that were mistakes in one session.
        errors: Given<u32> = 20, from 1 to 1_000_000;
        /// Commands without mail (NOOP, RSET, VRFY, EHLO …) since the last message.
        idle_commands: Given<u32> = 100, from 5 to 4_294_967_295;
        /// Failed sign-ins in one session.
        failed_sign_ins: Given<u32> = 3, from 1 to 1_000;
        timeouts: SmtpTimeouts;
    }
}

section! {
    /// How long SMTP clients may be silent, and how long they are let wait. RFC 5321
    /// section 4.5.3.2 asks servers for five minutes between commands.
    struct SmtpTimeouts {
        /// For the next command.
        command: Given<Duration> = "5m", from "1s" to "1h";
        /// For the first byte of a message.
        content_start: Given<Duration> = "2m", from "1s" to "1h";
        /// For the next bytes of a message.
        content: Given<Duration> = "3m", from "1s" to "1h";
        /// For a whole mail transaction, however busy the client is.
        transaction: Given<Duration> = "30m", from "1m" to "4h";
        /// For TLS to be there after STARTTLS.
        start_tls: Given<Duration> = "1m", from "1s" to "1h";
        /// For our own answer about a client, sender or recipient: then it is a temporary
        /// error. Clients wait five minutes.
        answer: Given<Duration> = "4m", from "1s" to "1h";
        /// For our own delivery of a message. Clients wait ten minutes.
        commit: Given<Duration> = "9m", from "1s" to "1h";
    }
}

section! {
    /// Bounds of IMAP sessions, on `imap` and `imaps`.
    struct Imap {
        /// Largest message that APPEND takes.
        message_size: Given<Bytes> = "50 MiB", from "64 KiB" to "1 GiB";
        /// Memory for messages that are appended, fetched or searched, over all sessions: what
        /// finds no room waits 20 seconds, and is then refused for now. It is never less than
        /// six of the largest messages.
        memory: Given<Bytes> = "512 MiB", from "1 MiB" to "1 TiB";
        /// How long a client may be silent. RFC 9051 section 5.4 asks for 30 minutes at
        /// least. In the middle of an APPEND it is two minutes.
        silence: Given<Duration> = "31m", from "30m" to "1d";
        /// The same before it has signed in.
        silence_before_sign_in: Given<Duration> = "1m", from "1s" to "1h";
        /// Commands that were mistakes in one session.
        errors: Given<u32> = 50, from 1 to 1_000_000;
    }
}

section! {
    /// Who is asked about names: who sent the mail that comes in by `smtp`
    /// (see sender-auth.md).
    struct Resolver {
        /// Resolvers with their ports. Without this setting, those that the machine is set up
        /// for (`/etc/resolv.conf`). One on this machine is recommended.
        servers: Option<Given<Addresses>>;
        /// Who checks the signatures of DNSSEC: this server, or the resolvers. They are
        /// trusted with it if all of them are on this machine, unless it is `always`.
        dnssec: Given<Dnssec> = "unless_local";
        /// A file with the keys that DNSSEC begins from, as DNSKEY records of a zone file.
        /// Without this setting, the keys of the root, as IANA publishes them (RFC 9718).
        trust_anchors: Option<Given<PathBuf>>;
        /// Answers that are kept, of at most 2 KiB each.
        cache: Given<usize> = 16_384, from 16 to 10_000_000;
        /// How long each check of a message waits for answers. What is not known by then is
        /// `temperror`. Senders wait for the reply, some of them no longer than a minute.
        budget: Given<Duration> = "20s", from "100ms" to "2m";
    }
}

section! {
    /// How passwords are checked.
    struct Passwords {
        /// Passwords that are checked at the same time, the others wait: each takes a
        /// processor and 19 MiB for some tens of milliseconds.
        at_once: Given<usize> = 2, from 1 to 256;
        /// A file of passwords that were stolen elsewhere, which nobody may choose: what the
        /// downloader of Have I Been Pwned writes as one file, ordered by hash (SHA-1). It is
        /// read on this machine only. Without it, a small list that is built in counts alone.
        breached: Option<Given<PathBuf>>;
    }
}

section! {
    /// Where those are who sign in: country and network, for the history and for rules that name
    /// them (see access.md). Without it nothing of that is known.
    struct Places {
        /// Files in the format of MaxMind DB (`.mmdb`) with countries, positions or numbers of
        /// networks, from whoever publishes them; all are asked, the first that knows a thing
        /// says it. They are kept in memory, and read again as certificates are.
        files: Option<Given<Paths>>;
    }
}

section! {
    /// When a source is blocked that guesses at passwords of the mail services, and for how long
    /// (see access.md): what holds for a tenant that chooses nothing, and between what a tenant
    /// may choose. What one chose before the bounds were narrowed counts as the nearest value that
    /// is allowed.
    struct Access {
        default: BlockDefault;
        floor: BlockFloor;
        ceiling: BlockCeiling;
    }
}

section! {
    /// For tenants that choose nothing, and for names in nobody's domain.
    struct BlockDefault {
        /// Different wrong passwords that block their source.
        failures: Given<u32> = 10, from 1 to 100;
        /// Within which time.
        window: Given<Minutes> = "1h", from "1m" to "1d";
        /// How long the first block lasts.
        block: Given<Minutes> = "1h", from "1m" to "30d";
        /// How many times longer each further one is.
        growth: Given<u32> = 2, from 1 to 100;
        /// How long the longest lasts.
        longest: Given<Minutes> = "1d", from "1m" to "30d";
    }
}

section! {
    /// The smallest values that a tenant may choose.
    struct BlockFloor {
        /// Fewest different wrong passwords.
        failures: Given<u32> = 3, from 1 to 100;
        /// Shortest time within which they are counted.
        window: Given<Minutes> = "5m", from "1m" to "1d";
        /// Shortest first block.
        block: Given<Minutes> = "1m", from "1m" to "30d";
        /// Smallest growth of each further one.
        growth: Given<u32> = 1, from 1 to 100;
        /// Shortest of the longest blocks.
        longest: Given<Minutes> = "5m", from "1m" to "30d";
    }
}

section! {
    /// The largest values that a tenant may choose.
    struct BlockCeiling {
        /// Most different wrong passwords.
        failures: Given<u32> = 100, from 1 to 100;
        /// Longest time within which they are counted.
        window: Given<Minutes> = "1d", from "1m" to "1d";
        /// Longest first block.
        block: Given<Minutes> = "1d", from "1m" to "30d";
        /// Largest growth of each further one.
        growth: Given<u32> = 10, from 1 to 100;
        /// Longest of the longest blocks.
        longest: Given<Minutes> = "7d", from "1m" to "30d";
    }
}

section! {
    /// The answer to "where is my mail?" (see operating.md). What became of a tenant's mail is told
    /// for as long as its plan says: `trace_days`.
    struct Trace {
        /// Days for which it is told what was refused before it was known whose mail it would
        /// have been, and what is left of tenants that there are no more.
        nobodys_days: Given<u32> = 30, from 1 to 3_650;
    }
}
