//! Settings files and what is found in them: each kind of mistake once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hikyaku_directory::BlockBounds;
use hikyaku_sender_auth::dns;
use hikyaku_smtp_proto::content::LineEnds;
use hikyaku_store::{Location, Options};
use hikyaku_testkit::mmdb;
use hikyaku_types::{NodeId, Timestamp};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

use super::places::PlaceFiles;
use super::section::{Description, Section, Shape};
use super::written::Written;
use super::{Finding, Findings, ResolverSettings, Settings, Surroundings, read};
use crate::bounds::Bounds;

/// Noon of 2026-11-24.
const NOW: Timestamp = Timestamp::from_secs(1_795_521_600);

/// A machine that nothing can be said against.
const CALM: Surroundings =
    Surroundings { now: NOW, lowest_port: 0, open_files: u64::MAX, is_file_public: false };

/// A file with this is right; what a test adds stands on line 4.
const RIGHT: &str = "host_name = 'mx.example'\ndata = '/tmp'\nlisten.smtp = '127.0.0.1:2525'\n";

fn look(text: &str, around: &Surroundings) -> (Option<Settings>, Vec<String>) {
    let mut findings = Findings::new(text);
    let settings = read(text, around, &mut findings);
    (settings, findings.into_sorted().iter().map(ToString::to_string).collect())
}

/// Adds `text` to a file that is right, and looks at what is found.
fn check(text: &str, expected: &[&str]) {
    check_whole(&format!("{RIGHT}{text}"), expected);
}

fn check_whole(text: &str, expected: &[&str]) {
    let (settings, found) = look(text, &CALM);
    assert_eq!(found, expected, "of {text}");
    let has_mistakes = expected.iter().any(|line| line.contains("mistake: "));
    assert_eq!(settings.is_none(), has_mistakes, "of {text}");
}

fn right(text: &str) -> Settings {
    let (settings, found) = look(&format!("{RIGHT}{text}"), &CALM);
    settings.unwrap_or_else(|| panic!("{found:?} in {text}"))
}

#[test]
fn what_is_not_toml_is_told_with_its_place() {
    check(
        "smtp = ",
        &[
            "4:8: mistake: string values must be quoted, expected literal string: mend it, the rest is looked at after that",
        ],
    );
    check(
        "log.level = 'info'\nlog.level = 'warn'",
        &["5:5: mistake: duplicate key: mend it, the rest is looked at after that"],
    );
}

#[test]
fn a_key_that_is_no_setting_is_a_mistake() {
    check(
        "hostname = 'x'",
        &["4:1: mistake: hostname: there is no such setting: did you mean `host_name`? Else remove it"],
    );
    check(
        "[logs]\nx = 1",
        &["4:2: mistake: logs: there is no such setting: did you mean `log`? Else remove it"],
    );
    check(
        "[log]\nfile = '/x'",
        &["5:1: mistake: log.file: there is no such setting: remove it, or write one of: format, level"],
    );
    check(
        "[smtp.timeouts]\nconnect = '1m'",
        &[
            "5:1: mistake: smtp.timeouts.connect: there is no such setting: did you mean `content`? Else remove it",
        ],
    );
    // A key can hold anything; what is shown holds no control characters.
    let (_, found) = look("\"\\u001b[2J\" = 1", &CALM);
    assert!(found.iter().any(|line| line.contains("\\u{1b}[2J: there is no such setting")), "{found:#?}");
    assert!(!found.concat().contains('\u{1b}'));
}

#[test]
fn a_value_of_another_kind_is_a_mistake() {
    for (line, found) in [
        ("[imap]\nerrors = '7'", "5:10: mistake: imap.errors: this is not a number: write one such as 100"),
        ("[imap]\nerrors = -7", "5:10: mistake: imap.errors: this is not a number: write one such as 100"),
        ("[imap]\nerrors = 7.5", "5:10: mistake: imap.errors: this is not a number: write one such as 100"),
        (
            "[imap]\nerrors = 99999999999",
            "5:10: mistake: imap.errors: this is not a number: write one such as 100",
        ),
        (
            "[imap]\nsilence = 1860",
            "5:11: mistake: imap.silence: this is not a duration: write one such as \"5m\"",
        ),
        (
            "[imap]\nsilence = '1860'",
            "5:11: mistake: imap.silence: this is not a duration: write one such as \"5m\"",
        ),
        (
            "[imap]\nsilence = '31 min'",
            "5:11: mistake: imap.silence: this is not a duration: write one such as \"5m\"",
        ),
        (
            "[smtp]\nmemory = '99999999999 GB'",
            "5:10: mistake: smtp.memory: this is not a size: write one such as \"50 MiB\"",
        ),
        (
            "[smtp]\nmemory = '512 M'",
            "5:10: mistake: smtp.memory: this is not a size: write one such as \"50 MiB\"",
        ),
        (
            "[log]\nlevel = 'loud'",
            "5:9: mistake: log.level: there is no such choice: write one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
        ),
        (
            "listen.plain_sign_in_without_tls = 'yes'",
            "4:36: mistake: listen.plain_sign_in_without_tls: this is not a switch: write one such as true",
        ),
        (
            "[database]\npostgres_file = 'url'",
            "5:17: mistake: database.postgres_file: this is not a path from the root: write one such as \"/var/lib/hikyaku\"",
        ),
    ] {
        check(line, &[found]);
    }
    let addresses =
        "this is not an IP address with a port: write one such as \"192.0.2.1:25\" or \"[2001:db8::1]:25\"";
    check("listen.imap = '127.0.0.1'", &[&format!("4:15: mistake: listen.imap: {addresses}")]);
    check("listen.imap = 'localhost:143'", &[&format!("4:15: mistake: listen.imap: {addresses}")]);
    check("listen.imap = [\n'127.0.0.1:143',\n7]", &[&format!("6:1: mistake: listen.imap: {addresses}")]);
}

#[test]
fn a_value_beyond_its_bounds_is_a_mistake() {
    for (line, found) in [
        (
            "[smtp]\nrecipients = 99",
            "5:14: mistake: smtp.recipients: this is less than 100: write a value from 100 to 10_000",
        ),
        (
            "[smtp]\nrecipients = 10_001",
            "5:14: mistake: smtp.recipients: this is more than 10_000: write a value from 100 to 10_000",
        ),
        (
            "[imap]\nsilence = '29m'",
            "5:11: mistake: imap.silence: this is less than \"30m\": write a value from \"30m\" to \"1d\"",
        ),
        (
            "[smtp]\nline = '997 B'",
            "5:8: mistake: smtp.line: this is less than \"998 B\": write a value from \"998 B\" to \"1 GiB\"",
        ),
    ] {
        check(line, &[found]);
    }
    assert_eq!(right("[smtp]\nrecipients = 100").bounds.smtp.recipients, 100);
    assert_eq!(right("[smtp]\nrecipients = 10_000").bounds.smtp.recipients, 10_000);
}

#[test]
fn a_section_and_a_value_are_not_each_other() {
    check("log = 'text'", &["4:7: mistake: log: this is a section: write what it has below a line `[log]`"]);
    check(
        "[smtp]\ntimeouts = '5m'",
        &[
            "5:12: mistake: smtp.timeouts: this is a section: write what it has below a line `[smtp.timeouts]`",
        ],
    );
    check(
        "[certificate]\nchain = '/x'",
        &[
            "4:1: mistake: certificate: this is a list of sections: write what it has below a line `[[certificate]]`, once for each",
        ],
    );
    check(
        "certificate = ['/x']",
        &["4:16: mistake: certificate: this is a section: write what it has below a line `[[certificate]]`"],
    );
    check(
        "[log.level]\nx = 1",
        &[
            "4:1: mistake: log.level: there is no such choice: write one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
        ],
    );
}

#[test]
fn what_must_be_there_is_told() {
    check_whole(
        "",
        &[
            "mistake: host_name: this setting is missing: add `host_name = …`, a domain name",
            "mistake: data: this setting is missing: add `data = …`, a path from the root",
            "mistake: listen: nobody could come in: name a listener below a line `[listen]`, such as `smtp = \"0.0.0.0:25\"`",
        ],
    );
    check(
        "[[certificate]]\nchain = '/x'",
        &["4:1: mistake: certificate.key: this setting is missing: add `key = …`, a path from the root"],
    );
}

#[test]
fn listeners_meet_each_other_and_certificates() {
    check(
        "listen.imap = '127.0.0.1:2525'",
        &["4:15: mistake: listen.imap: smtp listens on 127.0.0.1:2525, too: write another address or port"],
    );
    check("listen.imap = ['127.0.0.1:0', '127.0.0.1:0']", &[]);
    check(
        "listen.imap = ['0.0.0.0:143', '[::]:143']",
        &[
            "4:15: warning: listen.imap: [::] takes IPv4 connections, too, where `net.ipv6.bindv6only` is 0: remove 0.0.0.0",
        ],
    );
    check(
        "listen.imaps = '127.0.0.1:993'",
        &[
            "4:16: mistake: listen.imaps: this needs a certificate: add a section `[[certificate]]` with `chain` and `key`, or remove this",
        ],
    );
    check(
        "listen.imap = '192.0.2.1:143'\nlisten.plain_sign_in_without_tls = true",
        &[
            "4:15: mistake: listen.imap: passwords would be taken without TLS on 192.0.2.1:143: write a loopback address, or remove `plain_sign_in_without_tls`",
        ],
    );
    // One mistake, not a second one that follows from it.
    check_whole(
        "host_name = 'mx.example'\ndata = '/tmp'\n[listen]\nsmtp = 25\n",
        &[
            "4:8: mistake: listen.smtp: this is not an IP address with a port: write one such as \"192.0.2.1:25\" or \"[2001:db8::1]:25\"",
        ],
    );
}

#[test]
fn the_database_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    std::fs::write(&file, "postgresql://u:hidden@db/mail\n").unwrap();
    let at = |key: &str| format!("[database]\n{key} = '{}'", file.display());
    assert_eq!(right("").location, Location::Folder("/tmp".into()));
    let url = "postgresql://u:hidden@db/mail".to_owned();
    assert_eq!(right(&at("postgres_file")).location, Location::Postgres { url: url.clone() });
    assert_eq!(right(&format!("[database]\npostgres = '{url}'")).location, Location::Postgres { url });
    check(
        &format!("[database]\npostgres = '{url}'\npostgres_file = '/x'", url = "postgresql://db/mail"),
        &["6:17: mistake: database.postgres_file: the URL is given twice: remove it, or `postgres`"],
    );
    check(
        "[database]\npostgres = 'mysql://db/mail'",
        &[
            "5:12: mistake: database.postgres: this is no URL of a PostgreSQL database: write postgresql://USER@HOST/DATABASE",
        ],
    );
    check(
        "[database]\npostgres_file = '/nowhere/url'",
        &[
            "5:17: mistake: database.postgres_file: cannot read /nowhere/url: No such file or directory (os error 2): let the server's user read it",
        ],
    );
    check(
        "[database]\nwaiting = 500",
        &[
            "mistake: database.waiting_each: one tenant could take all 500 places of `waiting`: write a smaller number",
        ],
    );
}

#[test]
fn the_machine_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "host_name = 'mx.example'\ndata = '{}'\n[listen]\nsmtp = '127.0.0.1:25'\nimap = ['127.0.0.1:1143', '127.0.0.1:0']\n\
         [connections]\nmost = 1_000\n[database]\npostgres = 'postgres://u:hidden@db/mail'",
        folder.path().join("missing").display()
    );
    let poor = Surroundings { lowest_port: 1024, open_files: 3_199, is_file_public: true, ..CALM };
    let (settings, found) = look(&text, &poor);
    assert!(settings.is_some());
    assert_eq!(
        found,
        [
            "2:8: warning: data: there is no such folder: run `hikyaku migrate`, which makes it",
            "4:8: warning: listen.smtp: this process may not listen on port 25: let systemd start it (dist/hikyaku.service), or give it CAP_NET_BIND_SERVICE",
            "7:8: warning: connections.most: 3199 file descriptors are allowed, and 3 listeners could take 3200: raise the limit (`LimitNOFILE=3200`, `ulimit -n 3200`), or write a smaller number",
            "9:12: warning: database.postgres: a password is in this URL, and every user of this machine can read the file: move it into a file that only the server reads, and name that in `postgres_file`",
        ]
    );
    let rich = Surroundings { lowest_port: 25, open_files: 3_200, is_file_public: false, ..CALM };
    assert_eq!(look(&text, &rich).1.len(), 1, "the folder alone");
}

#[test]
fn all_mistakes_are_told_together() {
    let (settings, found) = look(
        "host_name = 'mx example'\ndata = 'here'\nhostname = 'x'\n[log]\nlevel = 1\n[listen]\nimaps = '127.0.0.1:993'\n[smtp]\nerrors = 0\n",
        &CALM,
    );
    assert!(settings.is_none());
    let lines: Vec<_> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["1", "2", "3", "5", "7", "9"], "{found:#?}");
}

/// Without a word about them, bounds are those that the crates have.
#[test]
fn defaults_are_those_of_the_program() {
    let settings = right("");
    assert_eq!(settings.bounds, Bounds::default());
    assert_eq!(settings.blocking, BlockBounds::default());
    assert_eq!(format!("{:?}", settings.store), format!("{:?}", Options::default()));
    let ResolverSettings { options, budget } = &settings.resolver;
    assert_eq!((options, *budget), (&dns::Options::default(), hikyaku_sender_auth::TIME));
    assert!(settings.certificates.is_empty() && !settings.plain_sign_in_without_tls);
}

#[test]
fn numbers_of_servers_are_not_those_of_command_lines() {
    let most = hikyaku_sign_in::FIRST_COMMAND - 1;
    assert_eq!(right("").node, NodeId::FIRST);
    assert_eq!(right(&format!("node = {most}")).node.number(), most);
    check(
        &format!("node = {}", most + 1),
        &["4:8: mistake: node: this is more than 895: write a value from 0 to 895"],
    );
}

#[test]
fn floor_default_and_ceiling_of_blocks() {
    let settings = right(
        "[access.floor]\nfailures = 5\nblock = '30m'\n[access.default]\nfailures = 5\nlongest = '2d'\n[access.ceiling]\nfailures = 20",
    );
    let mut expected = BlockBounds::default();
    (expected.floor.failures, expected.floor.minutes) = (5, 30);
    (expected.usual.failures, expected.usual.longest) = (5, 2 * 24 * 60);
    expected.ceiling.failures = 20;
    assert_eq!(settings.blocking, expected);
    check(
        "[access.floor]\nfailures = 30\n[access.ceiling]\nfailures = 20\nblock = '30m'",
        &[
            "5:12: mistake: access.floor.failures: the floor, 30, is above the ceiling, 20: write a lower `failures` below `[access.floor]`, or a higher one below `[access.ceiling]`",
            "8:9: mistake: access.ceiling.block: the default, 1h, is not from 1m to 30m, which tenants may choose: write `block` from 1m to 30m below `[access.default]`, or another `block` below `[access.ceiling]`",
        ],
    );
    check(
        "[access.default]\nfailures = 2",
        &[
            "5:12: mistake: access.default.failures: the default, 2, is not from 3 to 100, which tenants may choose: write `failures` from 3 to 100 below `[access.default]`, or another `failures` below `[access.floor]`",
        ],
    );
    check(
        "[access.default]\nlongest = '30m'",
        &[
            "5:11: mistake: access.default.block: the first block, 1h, is longer than the longest, 30m: write a shorter `block`, or a longer `longest` beside it",
        ],
    );
    for wrong in ["90s", "5", "1w"] {
        check(
            &format!("[access.floor]\nwindow = '{wrong}'"),
            &[
                "5:10: mistake: access.floor.window: this is not a duration of whole minutes: write one such as \"5m\"",
            ],
        );
    }
}

#[test]
fn whom_to_ask_about_names() {
    let settings = right(
        "[resolver]\nservers = ['127.0.0.1:5353', '[2001:db8::1]:53']\ndnssec = 'always'\ncache = 100\nbudget = '5s'",
    );
    let ResolverSettings { options, budget } = settings.resolver;
    assert_eq!(options.servers, ["127.0.0.1:5353", "[2001:db8::1]:53"].map(|text| text.parse().unwrap()));
    assert_eq!((options.validate, options.cache_entries), (dns::Validate::Always, 100));
    assert_eq!(budget.as_secs(), 5);
    check(
        "[resolver]\ntrust_anchors = '/nowhere'",
        &["5:17: mistake: resolver.trust_anchors: cannot read trust anchors from /nowhere: io error: \
           No such file or directory (os error 2): write the path of a file with DNSKEY records, or remove it"],
    );
    check(
        "[resolver]\nservers = ['192.0.2.1']",
        &["5:12: mistake: resolver.servers: this is not an IP address with a port: \
           write one such as \"192.0.2.1:25\" or \"[2001:db8::1]:25\""],
    );
}

#[test]
fn ways_of_mail_from_servers_that_are_believed() {
    let settings = right(
        "listen.lmtp = '[::1]:2424'\nlisten.lmtp_socket = '/run/hikyaku/lmtp'\n\
         listen.proxies = ['192.0.2.0/24', '2001:db8::1']\nsmtp.bare_line_ends = 'refuse'",
    );
    assert_eq!(settings.lmtp_socket, Some(PathBuf::from("/run/hikyaku/lmtp")));
    assert_eq!(settings.proxies, ["192.0.2.0/24", "2001:db8::1"].map(|text| text.parse().unwrap()));
    assert_eq!(settings.line_ends, LineEnds::Refuse);
    assert!(right("").proxies.is_empty() && right("").line_ends == LineEnds::Normalise);
    check(
        "listen.lmtp = '0.0.0.0:24'\nlisten.proxies = ['192.0.2.1/24']",
        &[
            "4:15: mistake: listen.lmtp: whoever reaches 0.0.0.0:24 would be believed: write a loopback address, or use `lmtp_socket`",
            "5:19: mistake: listen.proxies: this is not an IP address or network: write one such as \"192.0.2.0/24\"",
        ],
    );
}

/// Every setting with its path.
fn all_settings(path: &str, description: &Description, found: &mut Vec<String>) {
    for field in description.fields {
        let name = format!("{path}{}", field.name);
        match &field.shape {
            Shape::Value { .. } => found.push(name),
            Shape::Table(below) | Shape::Tables(below) => all_settings(&format!("{name}."), below, found),
        }
    }
}

#[test]
fn no_value_is_shown() {
    let mut settings = Vec::new();
    all_settings("", &Written::DESCRIPTION, &mut settings);
    assert!(settings.len() > 40, "{settings:?}");
    for path in settings {
        for value in ["'SECRET'", "[{ SECRET = 'SECRET' }]", "{ SECRET = 1 }"] {
            let text = match path.rsplit_once('.') {
                Some((section @ "certificate", name)) => {
                    format!("[[{section}]]\n{name} = {value}")
                }
                Some((section, name)) => format!("[{section}]\n{name} = {value}"),
                None => format!("{path} = {value}"),
            };
            let (settings, found) = look(&text, &CALM);
            assert!(settings.is_none());
            assert!(!found.concat().contains("SECRET"), "{found:#?} of {text}");
            // It is a text and a domain name; anything else is told at the setting.
            let may_be_right = value == "'SECRET'"
                && ["host_name", "certificate.names"].iter().any(|it| path.starts_with(it));
            let told = found.iter().any(|line| line.contains(&format!("mistake: {path}: ")));
            assert!(told || may_be_right, "{found:#?} of {text}");
        }
    }
}

fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)
}

/// The example, with what it names in `folder`.
fn example(folder: &Path) -> String {
    let text = std::fs::read_to_string(repository("dist/hikyaku.toml")).unwrap();
    let made = rcgen::generate_simple_self_signed(["mx.example.org".to_owned()]).unwrap();
    let tls = folder.join("tls");
    std::fs::create_dir_all(&tls).unwrap();
    std::fs::write(tls.join("fullchain.pem"), made.cert.pem()).unwrap();
    std::fs::write(tls.join("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("postgres-url"), "postgresql://hikyaku@db/hikyaku").unwrap();
    let here = folder.display().to_string();
    text.replace("/etc/hikyaku", &here).replace("/var/lib/hikyaku", &here)
}

#[test]
fn the_example_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let text = example(folder.path());
    let (settings, found) = look(&text, &CALM);
    let settings = settings.unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!(settings.listen.len(), 5);
    // What is commented out is right, too.
    let spoken = text.replace("# [", "[").lines().map(uncommented).collect::<Vec<_>>().join("\n");
    let (settings, found) = look(&spoken, &CALM);
    let settings = settings.unwrap_or_else(|| panic!("{found:#?} in {spoken}"));
    assert!(matches!(settings.location, Location::Postgres { .. }));
    assert_eq!(settings.bounds, Bounds::default(), "they show the defaults");
}

/// `# key = value` is a setting; any other comment is prose.
fn uncommented(line: &str) -> &str {
    let setting = line.strip_prefix("# ").filter(|rest| {
        rest.split_once(" = ")
            .is_some_and(|(key, _)| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
    });
    setting.unwrap_or(line)
}

/// Every path of the unit that the example names is the same there.
#[test]
fn the_unit_and_the_example_agree() {
    let unit = std::fs::read_to_string(repository("dist/hikyaku.service")).unwrap();
    let text = std::fs::read_to_string(repository("dist/hikyaku.toml")).unwrap();
    assert!(unit.contains("StateDirectory=hikyaku\n") && text.contains("data = \"/var/lib/hikyaku\""));
    let mut names = BTreeSet::new();
    for word in unit.split_whitespace().chain(text.split_whitespace()) {
        if word.starts_with("/etc/hikyaku/") && word.ends_with(".toml") {
            names.insert(word.trim_end_matches('.'));
        }
    }
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["/etc/hikyaku/hikyaku.toml"]);
    let limit = unit.lines().find_map(|line| line.strip_prefix("LimitNOFILE=")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let served = Surroundings { open_files: limit.parse().unwrap(), ..CALM };
    let (_, found) = look(&example(folder.path()), &served);
    assert!(!found.concat().contains("file descriptors"), "{found:#?}");
}

#[test]
fn files_of_places_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("places.mmdb");
    let setting = format!("[places]\nfiles = '{}'", file.display());
    let shown = file.display();
    check(
        &setting,
        &[&format!(
            "5:9: mistake: places.files: cannot read {shown}: No such file or directory (os error 2): \
             write the path of a file that the server's user can read, or remove it"
        )],
    );
    std::fs::write(&file, "hello").unwrap();
    let (_, found) = look(&format!("{RIGHT}{setting}"), &CALM);
    let [found] = &found[..] else { panic!("{found:?}") };
    assert!(found.contains(&format!("places.files: {shown}: this is no database of places")), "{found}");
    assert!(found.ends_with("fetch it again from whoever publishes it, or remove it"), "{found}");

    let networks = [("192.0.2.0/24", mmdb::Value::Map(vec![("asn", mmdb::Value::Number(64_500))]))];
    std::fs::write(&file, mmdb::write(mmdb::Family::V4, &networks)).unwrap();
    let settings = right(&setting);
    assert_eq!(settings.place_files, Some(PlaceFiles(vec![file])));
    let place = settings.places.of("192.0.2.1".parse().unwrap());
    assert_eq!(place.asn.map(|asn| asn.to_string()).as_deref(), Some("AS64500"));
    assert!(right("").place_files.is_none());
}

#[test]
fn the_file_of_breached_passwords_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("breached");
    let setting = format!("[passwords]\nbreached = '{}'", file.display());
    let (a, b) = ("A".repeat(40), "B".repeat(40));
    for (content, wrong) in [
        (
            None,
            Some("it cannot be read: No such file or directory (os error 2): let the server's user read it"),
        ),
        (Some(format!("{a}:3\r\n{b}:1\r\n")), None),
        (
            Some(format!("{b}:1\r\n{a}:3\r\n")),
            Some("the file is not ordered by hash: sort it with LC_ALL=C sort"),
        ),
        (
            Some("password\n".to_owned()),
            Some(
                "the line at octet 0 is not 40 hexadecimal digits, `:` and a count: \
                 make it with the downloader of Have I Been Pwned, as one file",
            ),
        ),
    ] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let shown = file.display();
        let found = wrong.map(|wrong| format!("5:12: mistake: passwords.breached: {shown}: {wrong}"));
        check(&setting, &found.iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert!(right("").breached.is_none());
}

/// The example without what needs files.
fn without_certificates() -> String {
    let text = std::fs::read_to_string(repository("dist/hikyaku.toml")).unwrap();
    let needs_files = ["[[certificate]]", "chain = ", "key = ", "submissions = ", "imaps = "];
    let lines = text.lines().filter(|line| !needs_files.iter().any(|start| line.starts_with(start)));
    lines.collect::<Vec<_>>().join("\n").replace("/var/lib/hikyaku", "/tmp")
}

#[test]
fn the_example_without_certificates_is_right() {
    check_whole(&without_certificates(), &[]);
}

proptest! {
    /// A right file with a piece of it replaced: settings come of it, or mistakes, whose places
    /// are in the file.
    #[test]
    fn any_file_is_settings_or_mistakes(at in 0usize..1_500, length in 0usize..30, put in "[a-z0-9 =.'\"\\[\\]\n{}#-]{0,12}") {
        let text = without_certificates();
        let text: String =
            text.chars().take(at).chain(put.chars()).chain(text.chars().skip(at + length)).collect();
        let mut findings = Findings::new(&text);
        let settings = read(&text, &CALM, &mut findings);
        let found = findings.into_sorted();
        prop_assert_eq!(settings.is_none(), found.iter().any(Finding::is_mistake));
        for place in found.iter().filter_map(|finding| finding.place) {
            prop_assert!(place.line <= text.matches('\n').count() + 1, "{:?}", place);
        }
    }
}
