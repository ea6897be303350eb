//! From what the operator wrote to what the program uses: values meet each other here.
//!
//! Sections are taken apart by name, so that the compiler points at a setting that nothing
//! uses.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hikyaku_access::place::Places;
use hikyaku_directory::{BlockBounds, BreachedPasswords};
use hikyaku_net::Limits;
use hikyaku_sender_auth::TIME;
use hikyaku_sender_auth::dns::{Options as Resolving, Validate, read_trust_anchors};
use hikyaku_smtp_proto::content::LineEnds;
use hikyaku_smtp_proto::settings::{Deadlines, Limits as SmtpLimits};
use hikyaku_smtp_server::Limits as Shared;
use hikyaku_store::{Location, Options};
use hikyaku_telemetry::log::Format;
use hikyaku_types::{Domain, Network, NodeId, Timestamp};

use super::blocking::blocking;
use super::certificates::{self, Loaded, Pair};
use super::findings::Findings;
use super::kind::{BareLineEnds, Bytes, Dnssec, LogFormat, LogLevel, Networks, Paths, Secret};
use super::listeners::listeners;
use super::places::PlaceFiles;
use super::section::{Given, Needed};
use super::written::{
    self, Certificate, Connections, Database, Imap, Log, Passwords, Resolver, Smtp, SmtpTimeouts, Written,
};
use crate::bounds::{Bounds, ImapBounds};
use crate::listen::Door;
use crate::maintenance::TraceSettings;
use crate::services::usual_key_ring;

/// What the program uses. It is made only of a file without mistakes.
pub(crate) struct Settings {
    pub(crate) host_name: Domain,
    pub(crate) data: PathBuf,
    pub(crate) key_ring: PathBuf,
    pub(crate) node: NodeId,
    pub(crate) log: LogSettings,
    pub(crate) location: Location,
    pub(crate) store: Options,
    pub(crate) certificates: Vec<Loaded>,
    pub(crate) listen: Vec<(Door, SocketAddr)>,
    pub(crate) plain_sign_in_without_tls: bool,
    pub(crate) lmtp_socket: Option<PathBuf>,
    pub(crate) proxies: Vec<Network>,
    pub(crate) line_ends: LineEnds,
    pub(crate) bounds: Bounds,
    pub(crate) resolver: ResolverSettings,
    /// Passwords that are checked at the same time.
    pub(crate) passwords_at_once: usize,
    /// Passwords that nobody may choose.
    pub(crate) breached: Option<BreachedPasswords>,
    /// What tenants may choose about blocks.
    pub(crate) blocking: BlockBounds,
    /// Where sources are, as these files say.
    pub(crate) places: Places,
    pub(crate) place_files: Option<PlaceFiles>,
    pub(crate) trace: TraceSettings,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogSettings {
    pub(crate) format: Format,
    /// Where the environment does not say it.
    pub(crate) level: &'static str,
}

/// How the DNS is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolverSettings {
    pub(crate) options: Resolving,
    /// For each check of a message.
    pub(crate) budget: Duration,
}

impl ResolverSettings {
    /// One server, and every default.
    pub(crate) fn at(server: SocketAddr) -> Self {
        Self { options: Resolving { servers: vec![server], ..Resolving::default() }, budget: TIME }
    }
}

/// `None` if there are mistakes, old or new.
pub(crate) fn settle(written: Written, now: Timestamp, findings: &mut Findings<'_>) -> Option<Settings> {
    let Written {
        host_name: Needed(host_name),
        data: Needed(data),
        key_ring,
        node,
        log,
        database,
        certificate,
        listen,
        connections,
        smtp,
        imap,
        resolver,
        passwords: Passwords { at_once, breached },
        places: written::Places { files },
        access,
        trace: written::Trace { nobodys_days },
    } = written;
    let log = log_settings(&log);
    let (postgres, store) = database_settings(database, findings);
    let has_certificate = !certificate.is_empty();
    let host = host_name.as_ref().map(|name| &name.value);
    let certificates = load_certificates(certificate, host, now, findings);
    let plain_sign_in_without_tls = listen.plain_sign_in_without_tls.value;
    let lmtp_socket = listen.lmtp_socket.as_ref().map(|path| path.value.clone());
    let Networks(proxies) = listen.proxies.value.clone();
    let resolver = resolver_settings(resolver, findings);
    let line_ends = match smtp.bare_line_ends.value {
        BareLineEnds::Normalise => LineEnds::Normalise,
        BareLineEnds::Refuse => LineEnds::Refuse,
    };
    let listen = listeners(&listen, has_certificate, findings);
    let breached = breached_passwords(breached, findings);
    let blocking = blocking(access, findings);
    let (place_files, places) = places(files, findings).unzip();
    let Connections { most, most_each, drain } = connections;
    let bounds = Bounds {
        connections: Limits {
            connections: most.value,
            connections_each: most_each.value,
            drain: drain.value,
        },
        smtp: smtp_limits(&smtp),
        deadlines: smtp_deadlines(&smtp.timeouts),
        imap: imap_bounds(&imap),
        shared: smtp_shared(&smtp),
    };
    if findings.has_mistakes() {
        return None;
    }
    let data = data?.value;
    let node = u16::try_from(node.value).ok().and_then(NodeId::new)?;
    Some(Settings {
        host_name: host_name?.value,
        key_ring: key_ring.map_or_else(|| usual_key_ring(&data), |given| given.value),
        location: postgres
            .map_or_else(|| Location::Folder(data.clone()), |Secret(url)| Location::Postgres { url }),
        data,
        node,
        log,
        store,
        certificates,
        listen,
        plain_sign_in_without_tls,
        lmtp_socket,
        proxies,
        line_ends,
        bounds,
        resolver,
        passwords_at_once: at_once.value,
        breached,
        blocking,
        places: places.unwrap_or_default(),
        place_files,
        trace: TraceSettings { nobodys_days: nobodys_days.value },
    })
}

fn breached_passwords(
    file: Option<Given<PathBuf>>,
    findings: &mut Findings<'_>,
) -> Option<BreachedPasswords> {
    let Given { value: file, span } = file?;
    match BreachedPasswords::open(&file) {
        Ok(breached) => Some(breached),
        Err(error) => {
            let what = format!("{}: {error}", file.display());
            findings.mistake(&span, "passwords.breached", what, error.remedy());
            None
        }
    }
}

fn places(files: Option<Given<Paths>>, findings: &mut Findings<'_>) -> Option<(PlaceFiles, Places)> {
    let Given { value: Paths(paths), span } = files?;
    let files = PlaceFiles(paths);
    match files.read() {
        Ok(places) => Some((files, places)),
        Err(error) => {
            findings.mistake(&span, "places.files", error.to_string(), error.remedy());
            None
        }
    }
}

fn log_settings(log: &Log) -> LogSettings {
    let Log { format, level } = log;
    LogSettings {
        format: match format.value {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        },
        level: match level.value {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        },
    }
}

fn database_settings(database: Database, findings: &mut Findings<'_>) -> (Option<Secret>, Options) {
    let Database {
        postgres,
        postgres_file,
        connections,
        readers,
        writer_cache,
        reader_cache,
        waiting,
        waiting_each,
    } = database;
    let kib = |size: &Bytes| u32::try_from(size.0 >> 10).unwrap_or(u32::MAX);
    let options = Options {
        connections: connections.value,
        readers: readers.value,
        writer_cache_kib: kib(&writer_cache),
        reader_cache_kib: kib(&reader_cache),
        waiting: waiting.value,
        waiting_each: waiting_each.value,
        ..Options::default()
    };
    if waiting_each.value > waiting.value {
        let what = format!("one tenant could take all {} places of `waiting`", waiting.value);
        findings.mistake(&waiting_each.span, "database.waiting_each", what, "write a smaller number");
    }
    (postgres_url(postgres, postgres_file, findings), options)
}

fn postgres_url(
    url: Option<Given<Secret>>,
    file: Option<Given<PathBuf>>,
    findings: &mut Findings<'_>,
) -> Option<Secret> {
    let (url, span, key) = match (url, file) {
        (None, None) => return None,
        (Some(_), Some(file)) => {
            let what = "the URL is given twice";
            findings.mistake(&file.span, "database.postgres_file", what, "remove it, or `postgres`");
            return None;
        }
        (Some(url), None) => (url.value, url.span, "database.postgres"),
        (None, Some(file)) => match fs::read_to_string(&file.value) {
            Ok(text) => (Secret(text.trim().to_owned()), file.span, "database.postgres_file"),
            Err(error) => {
                let what = format!("cannot read {}: {error}", file.value.display());
                let remedy = "let the server's user read it";
                findings.mistake(&file.span, "database.postgres_file", what, remedy);
                return None;
            }
        },
    };
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.0.starts_with(scheme)) {
        let remedy = "write postgresql://USER@HOST/DATABASE";
        findings.mistake(&span, key, "this is no URL of a PostgreSQL database", remedy);
    }
    Some(url)
}

fn smtp_limits(smtp: &Smtp) -> SmtpLimits {
    let Smtp {
        message_size,
        memory: _,
        transactions: _,
        lookups: _,
        refused_each: _,
        refused_at_once: _,
        refusal_delay: _,
        bare_line_ends: _,
        line,
        received_fields,
        recipients,
        refused_recipients,
        messages,
        errors,
        idle_commands,
        failed_sign_ins,
        timeouts: _,
    } = smtp;
    SmtpLimits {
        size_bytes: message_size.value.0,
        content_line_octets: line.as_ref().map(|line| line.value.0),
        received_fields: received_fields.value,
        recipients: recipients.value,
        refused_recipients: refused_recipients.value,
        transactions: messages.value,
        errors: errors.value,
        idle_commands: idle_commands.value,
        sign_ins: failed_sign_ins.value,
    }
}

fn smtp_shared(smtp: &Smtp) -> Shared {
    Shared {
        transactions: smtp.transactions.value,
        lookups: smtp.lookups.value,
        content_bytes: smtp.memory.in_memory(),
        refused_each: smtp.refused_each.value,
        refused_at_once: smtp.refused_at_once.value,
        refusal_delay: smtp.refusal_delay.value,
    }
}

fn smtp_deadlines(timeouts: &SmtpTimeouts) -> Deadlines {
    let SmtpTimeouts { command, content_start, content, transaction, start_tls, answer, commit } = timeouts;
    Deadlines {
        command: command.value,
        content_start: content_start.value,
        content: content.value,
        transaction: transaction.value,
        start_tls: start_tls.value,
        answer: answer.value,
        commit: commit.value,
    }
}

fn resolver_settings(resolver: Resolver, findings: &mut Findings<'_>) -> ResolverSettings {
    let Resolver { servers, dnssec, trust_anchors, cache, budget } = resolver;
    let validate = match dnssec.value {
        Dnssec::UnlessLocal => Validate::UnlessLocal,
        Dnssec::Always => Validate::Always,
        Dnssec::Never => Validate::Never,
    };
    if let Some(Given { value: path, span }) = &trust_anchors
        && let Err(error) = read_trust_anchors(path)
    {
        let remedy = "write the path of a file with DNSKEY records, or remove it";
        findings.mistake(span, "resolver.trust_anchors", error.to_string(), remedy);
    }
    let options = Resolving {
        servers: servers.map_or_else(Vec::new, |servers| servers.value.0),
        validate,
        trust_anchors: trust_anchors.map(|path| path.value),
        cache_entries: cache.value,
    };
    ResolverSettings { options, budget: budget.value }
}

fn imap_bounds(imap: &Imap) -> ImapBounds {
    let Imap { message_size, memory, silence, silence_before_sign_in, errors } = imap;
    ImapBounds {
        message_bytes: message_size.value.0,
        memory_bytes: memory.value.0,
        silence: silence.value,
        silence_before_sign_in: silence_before_sign_in.value,
        errors: errors.value,
    }
}

fn load_certificates(
    written: Vec<Certificate>,
    host_name: Option<&Domain>,
    now: Timestamp,
    findings: &mut Findings<'_>,
) -> Vec<Loaded> {
    let mut all = Vec::new();
    for (number, certificate) in written.into_iter().enumerate() {
        let Certificate { chain: Needed(Some(chain)), key: Needed(Some(key)), names } = certificate else {
            continue;
        };
        let names = names.map_or_else(Vec::new, |names| names.value.0);
        let pair = Pair { chain: chain.value, key: key.value, names };
        match pair.read().and_then(|content| pair.load(content)) {
            Ok(loaded) => {
                certificates::warn(&loaded, &chain.span, &key.span, now, findings);
                if let Some(host_name) = host_name.filter(|_| number == 0) {
                    certificates::warn_default(&loaded, host_name, &chain.span, findings);
                }
                all.push(loaded);
            }
            Err(error) => {
                let (at, path) = match error.is_of_key(&pair) {
                    true => (&key.span, "certificate.key"),
                    false => (&chain.span, "certificate.chain"),
                };
                findings.mistake(at, path, error.to_string(), error.remedy());
            }
        }
    }
    all
}
