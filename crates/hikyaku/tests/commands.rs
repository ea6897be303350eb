//! The program as an operator calls it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use hikyaku_testkit::{Rng, TestStore, scratch_dir};

fn hikyaku(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hikyaku")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn check_store(folder: &Path) -> (bool, String) {
    let output = hikyaku(&["check", "store", "--data", folder.to_str().unwrap()]);
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

/// A closed store with mail in it, one of them an object.
fn store_with_mail() -> TestStore {
    let mail = TestStore::sqlite();
    let homes = [TestStore::home(1, 10), TestStore::home(1, 11)];
    let mut noise = vec![0; 300_000];
    Rng::new(5).fill(&mut noise);
    mail.deliver(&noise, &homes);
    mail.deliver(b"Subject: small\r\n\r\nin a row\r\n", &homes[..1]);
    mail.store.close();
    mail
}

fn object_of(folder: &Path) -> PathBuf {
    let mut at = folder.join("objects");
    while at.is_dir() {
        at = std::fs::read_dir(&at).unwrap().next().unwrap().unwrap().path();
    }
    at
}

#[test]
fn a_sound_store_has_no_problems() {
    let mail = store_with_mail();
    let (sound, said) = check_store(mail.folder());
    assert!(sound && said.contains("2 accounts, 2 contents, 1 objects: 0 problems"), "{said}");
}

#[test]
fn a_damaged_object_is_found() {
    let mail = store_with_mail();
    let object = object_of(mail.folder());
    let mut bytes = std::fs::read(&object).unwrap();
    bytes[150_000] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    let (sound, said) = check_store(mail.folder());
    assert!(!sound && said.contains("stored content is damaged") && said.contains("1 problems"), "{said}");
}

#[test]
fn a_missing_object_is_found() {
    let mail = store_with_mail();
    std::fs::remove_file(object_of(mail.folder())).unwrap();
    let (sound, said) = check_store(mail.folder());
    assert!(!sound && said.contains("is missing") && said.contains("1 problems"), "{said}");
}

#[test]
fn an_object_that_no_row_names_is_told_and_no_problem() {
    let mail = store_with_mail();
    let object = object_of(mail.folder());
    std::fs::copy(&object, object.with_file_name("0123456789abcdef0123456789abcd")).unwrap();
    let (sound, said) = check_store(mail.folder());
    assert!(sound && said.contains("1 objects are named by no row"), "{said}");
}

#[test]
fn a_damaged_page_is_found() {
    let mail = store_with_mail();
    let file = mail.folder().join("shard-0.db");
    let mut bytes = std::fs::read(&file).unwrap();
    for page in bytes.chunks_mut(4096).skip(1) {
        page[0] ^= 0x40;
    }
    std::fs::write(&file, bytes).unwrap();
    let (sound, said) = check_store(mail.folder());
    assert!(!sound, "{said}");
}

#[test]
fn migrating_twice_does_nothing_more() {
    let folder = scratch_dir();
    let data = folder.path().to_str().unwrap();
    let first = hikyaku(&["migrate", "--data", data]);
    assert!(text(&first.stdout).contains("shard_0: mailstore 1:"), "{}", text(&first.stdout));
    let second = hikyaku(&["migrate", "--data", data]);
    assert!(text(&second.stdout).starts_with("0 steps done"), "{}", text(&second.stdout));
}

#[test]
fn a_store_that_was_never_migrated_is_refused_with_the_remedy() {
    let folder = scratch_dir();
    let (sound, said) = check_store(folder.path());
    assert!(!sound && said.contains("run `hikyaku migrate`"), "{said}");
}

#[test]
fn a_wrong_path_makes_nothing() {
    let folder = scratch_dir();
    let (sound, said) = check_store(&folder.path().join("typo"));
    assert!(!sound && said.contains("there is no folder"), "{said}");
    assert!(!folder.path().join("typo").exists());
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// `hikyaku admin`, with this on its standard input; what it printed.
fn admin(data: &Path, line: &str, input: &str) -> Result<String, String> {
    admin_words(data, &line.split(' ').collect::<Vec<_>>(), input)
}

/// The same, with words that may have spaces.
fn admin_words(data: &Path, words: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
        .arg("admin")
        .args(words)
        .args(["--data", data.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Migrated, with a customer: acme, example.org.
fn installation(data: &Path) {
    assert!(hikyaku(&["migrate", "--data", data.to_str().unwrap()]).status.success());
    admin(data, "plan create basic --accounts 2", "").unwrap();
    admin(data, "tenant create acme --plan basic", "").unwrap();
    admin(data, "domain create example.org --tenant acme", "").unwrap();
}

/// Nobody answers what the server asks the DNS.
fn settings(folder: &Path, smtp: SocketAddr, imap: SocketAddr) -> String {
    format!(
        "host_name = 'mx.example'\ndata = '{}'\n[listen]\nsmtp = '{smtp}'\nimap = '{imap}'\n\
         plain_sign_in_without_tls = true\n\
         [resolver]\nservers = '127.0.0.1:1'\nbudget = '100ms'\n",
        folder.display(),
    )
}

/// Says `line` and reads lines until one begins with `until`.
fn say(peer: &mut BufReader<TcpStream>, line: &str, until: &str) -> String {
    peer.get_mut().write_all(line.as_bytes()).unwrap();
    let mut heard = String::new();
    loop {
        let mut line = String::new();
        assert!(peer.read_line(&mut line).unwrap() > 0, "closed after {heard:?}");
        heard.push_str(&line);
        if line.starts_with(until) {
            return heard;
        }
    }
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    BufReader::new(stream)
}

/// `hikyaku serve`, that listens.
struct Server {
    process: Child,
    log: BufReader<ChildStderr>,
}

impl Server {
    fn start(file: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
            .args(["serve", "--config", file.to_str().unwrap()])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut server = Self { process, log };
        server.wait_for("listening");
        server.wait_for("listening");
        server
    }

    /// Reads its log up to a line with this.
    fn wait_for(&mut self, text: &str) {
        let mut heard = String::new();
        while !heard.contains(text) {
            assert!(self.log.read_line(&mut heard).unwrap() > 0, "it ended: {heard}");
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it in order; what it logged.
    fn stop(mut self) -> String {
        self.signal("-TERM");
        assert!(self.process.wait().unwrap().success());
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        rest
    }
}

/// A test that fails leaves no server behind.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn what_is_purged_is_removed_with_its_mail() {
    let folder = scratch_dir();
    let (smtp, imap) = (free_address(), free_address());
    let (file, data) = (folder.path().join("hikyaku.toml"), folder.path().join("data"));
    std::fs::write(&file, settings(&data, smtp, imap)).unwrap();
    installation(&data);
    admin(&data, "account create ann@example.org", "").unwrap();
    let server = Server::start(&file);
    let mut sender = connect(smtp);
    say(&mut sender, "", "220 ");
    say(&mut sender, "EHLO client.example\r\n", "250 ");
    say(&mut sender, "MAIL FROM:<>\r\n", "250 ");
    say(&mut sender, "RCPT TO:<ann@example.org>\r\n", "250 ");
    say(&mut sender, "DATA\r\n", "354 ");
    say(&mut sender, "Subject: hello\r\n\r\nhi\r\n.\r\n", "250 ");
    server.stop();
    assert!(check_store(&data).1.contains("1 accounts"));
    for verb in ["delete", "purge"] {
        admin(&data, &format!("account {verb} ann@example.org"), "").unwrap();
    }
    // Maintenance begins with the server.
    let server = Server::start(&file);
    let began = Instant::now();
    while admin(&data, "account list --state deleted", "").unwrap().contains("ann@") {
        assert!(began.elapsed() < Duration::from_secs(30), "it is still there");
    }
    server.stop();
    let (sound, said) = check_store(&data);
    assert!(sound && said.contains("0 accounts") && said.contains("0 problems"), "{said}");
    admin(&data, "account create ann@example.org", "").unwrap();
}

#[test]
fn a_server_serves_what_its_file_says() {
    let folder = scratch_dir();
    let (smtp, imap) = (free_address(), free_address());
    let file = folder.path().join("hikyaku.toml");
    let data = folder.path().join("data");
    std::fs::write(&file, settings(&data, smtp, imap)).unwrap();
    installation(&data);
    let mut server = Server::start(&file);

    let mut sender = connect(smtp);
    say(&mut sender, "", "220 ");
    say(&mut sender, "EHLO client.example\r\n", "250 ");
    say(&mut sender, "MAIL FROM:<>\r\n", "250 ");
    say(&mut sender, "RCPT TO:<ann@example.org>\r\n", "550 ");
    // Through the running server, which knows it at once.
    let created = admin(&data, "account create ann@example.org --title Ann", "").unwrap();
    assert!(created.starts_with("account ann@example.org was created; its id is a-"), "{created}");
    let credential = "credential create --account ann@example.org --password-stdin";
    let refused = admin(&data, credential, "ann\n").unwrap_err();
    assert!(refused.contains("password: the password has 3 characters: use at least 10"), "{refused}");
    admin(&data, credential, "a secret of ours\n").unwrap();
    let app = "credential create --account ann@example.org --kind app_password --title phone --services imap";
    let app = admin(&data, app, "").unwrap();
    let app = app.lines().find_map(|line| line.strip_prefix("    ")).unwrap().to_owned();
    say(&mut sender, "RCPT TO:<ann@example.org>\r\n", "250 ");
    say(&mut sender, "DATA\r\n", "354 ");
    say(&mut sender, "From: a@client.example\r\n\r\nhi\r\n.\r\n", "250 ");
    let mut reader = connect(imap);
    say(&mut reader, "", "* OK");
    say(&mut reader, "x LOGIN ann@example.org wrong\r\n", "x NO");
    say(&mut reader, "a LOGIN ann@example.org \"a secret of ours\"\r\n", "a OK");
    say(&mut reader, "b SELECT INBOX\r\n", "b OK");
    let header = say(&mut reader, "h FETCH 1 BODY[HEADER]\r\n", "h OK");
    assert!(header.contains("Authentication-Results: mx.example;") && header.contains("dmarc=temperror"));
    assert!(say(&mut reader, "c FETCH 1 BODY[TEXT]\r\n", "c OK").contains("hi\r\n"));

    // SIGHUP reads files again; this server has nothing, and goes on.
    server.signal("-HUP");
    server.wait_for("nothing to read again");
    let rest = server.stop();
    assert!(!rest.contains("secret of") && !rest.contains(&app), "{rest}");
    assert!(!data.join("admin.sock").exists(), "the socket goes with the server");
}

#[test]
fn where_a_mail_is_is_told() {
    let folder = scratch_dir();
    let smtp = free_address();
    let (file, data) = (folder.path().join("hikyaku.toml"), folder.path().join("data"));
    std::fs::write(&file, settings(&data, smtp, free_address())).unwrap();
    installation(&data);
    admin(&data, "account create ann@example.org", "").unwrap();
    let server = Server::start(&file);
    let mut sender = connect(smtp);
    say(&mut sender, "", "220 ");
    say(&mut sender, "EHLO client.example\r\n", "250 ");
    say(&mut sender, "MAIL FROM:<joe@client.example>\r\n", "250 ");
    for name in ["one", "two"] {
        say(&mut sender, &format!("RCPT TO:<{name}@example.org>\r\n"), "550 ");
    }
    say(&mut sender, "RCPT TO:<ann@example.org>\r\n", "250 ");
    say(&mut sender, "DATA\r\n", "354 ");
    let accepted = say(&mut sender, "From: joe@client.example\r\n\r\nhi\r\n.\r\n", "250 ");
    let id = accepted.trim().strip_prefix("250 2.0.0 Accepted as ").unwrap();
    let asked = |line: &str| admin(&data, line, "").unwrap();

    // Through the running server: what waits to be written is told, too.
    let list = asked("trace list --tenant acme");
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    for (line, parts) in lines.iter().zip([
        ["AT", "WHAT", "WHY"],
        [" refused ×2 ", " one@example.org ", " 550 5.1.1 No such mailbox"],
        [" delivered ", " ann@example.org ", " dmarc=temperror"],
    ]) {
        assert!(parts.iter().all(|part| line.contains(part)), "{list}");
    }
    assert!(asked(&format!("trace show {id}")).contains("\n  what     delivered\n"));
    say(&mut sender, "MAIL FROM:<joe@client.example>\r\n", "250 ");
    say(&mut sender, "RCPT TO:<x@elsewhere.example>\r\n", "550 ");
    server.stop();

    // Without it: nothing was lost when it ended.
    let nobodys = asked("trace list --to elsewhere.example --since 1h --json");
    assert!(nobodys.contains("\"tenant\":null,\"event\":\"refused\""), "{nobodys}");
    assert_eq!(asked("trace list --from elsewhere.example"), "Nothing was found.\n");
    let newest = asked("trace list --limit 1");
    assert!(newest.contains(" x@elsewhere.example ") && newest.contains(" Older: --before r-"), "{newest}");
    let unknown = admin(&data, "trace show r-0000000000001", "").unwrap_err();
    assert!(unknown.contains("there is nothing called r-0000000000001 in the trace"), "{unknown}");
}

#[test]
fn an_operator_administers_without_a_server() {
    let folder = scratch_dir();
    let data = folder.path().join("data");
    installation(&data);
    for (line, expected) in [
        ("account create tanaka@example.org --addresses info@example.org", "was created"),
        ("alias create sales@example.org --targets tanaka@example.org", "was created"),
        (
            "account change tanaka@example.org --quota 5GB --dry-run",
            "Nothing was changed (--dry-run).\n  quota  none → 5GB\n",
        ),
        ("account show info@example.org", "tanaka@example.org, info@example.org\n"),
        ("account list --search TANA", "tanaka@example.org"),
        ("account delete tanaka@example.org", "was deleted; until "),
        ("account list", "There are none."),
        ("account undelete tanaka@example.org", "was undeleted."),
        ("role create --account info@example.org", "role administrator:tanaka@example.org was created"),
        ("role show administrator:info@example.org", "administrator:tanaka@example.org\n"),
        ("account list --json", "{\"objects\":{\"objects\":[{\"kind\":\"account\""),
        ("plan create week --history-days 7", "plan week was created"),
    ] {
        let said = admin(&data, line, "").unwrap();
        assert!(said.contains(expected), "{line}: {said}");
    }
    for (line, expected) in [
        ("account create sales@example.org", "`sales@example.org` is the alias sales@example.org already"),
        ("account create x@example.com", "`example.com` is no domain"),
        ("account show nobody@example.org", "there is no account `nobody@example.org`"),
        ("account create a@example.org --json", ""),
        ("account create b@example.org --json", "{\"error\":{\"code\":\"limit\""),
        ("plan delete basic", "plan `basic` is in use by the tenant acme"),
        ("plan create short --history-days 6", "history_days: it is 7 at least: blocks are made of the"),
        ("plan change basic --history-days 0", "history_days: it is 7 at least: blocks are made of the"),
        ("account create", "<NAME>"),
        ("credential show tanaka@example.org", "there is no credential"),
    ] {
        match admin(&data, line, "") {
            Ok(said) => assert!(expected.is_empty(), "{line}: {said}"),
            Err(said) => assert!(!expected.is_empty() && said.contains(expected), "{line}: {said}"),
        }
    }
    let codes = |line: &str| hikyaku(&line.split(' ').collect::<Vec<_>>()).status.code();
    let at = format!("--data {}", data.display());
    assert_eq!(codes(&format!("admin account show nobody@example.org {at}")), Some(1));
    assert_eq!(codes(&format!("admin account {at}")), Some(2));
}

/// So many wrong passwords for ann, all at once: each is answered a second later at the earliest.
fn guess_at_ann(imap: SocketAddr, times: usize) {
    let guess = move |number: usize| {
        let mut reader = connect(imap);
        say(&mut reader, "", "* OK");
        say(&mut reader, &format!("a LOGIN ann@example.org wrong{number}\r\n"), "a NO");
    };
    std::thread::scope(|scope| (0..times).for_each(|number| drop(scope.spawn(move || guess(number)))));
}

/// What is guessed at a running server, and what an operator hears and does about it, through
/// the server and without it.
#[test]
fn an_operator_sees_and_lifts_blocks() {
    let folder = scratch_dir();
    let (smtp, imap) = (free_address(), free_address());
    let (file, data) = (folder.path().join("hikyaku.toml"), folder.path().join("data"));
    std::fs::write(&file, settings(&data, smtp, imap)).unwrap();
    installation(&data);
    admin(&data, "account create ann@example.org", "").unwrap();
    admin(&data, "credential create --account ann@example.org --password-stdin", "a secret of ours\n")
        .unwrap();
    assert_eq!(admin(&data, "block list", "").unwrap(), "Nobody is blocked.\n");
    let server = Server::start(&file);
    guess_at_ann(imap, 10);
    let listed = admin(&data, "block list ann@example.org", "").unwrap();
    assert!(listed.contains("ann@example.org  127.0.0.1") && listed.contains("many-failures"), "{listed}");
    let history = admin(&data, "history list --tenant acme --limit 3", "").unwrap();
    assert_eq!(history.matches("ann@example.org  imap     127.0.0.1").count(), 3, "{history}");
    assert!(history.contains("failed  wrong-password"), "{history}");
    let told = admin(&data, "history stale", "").unwrap();
    assert_eq!(told, "No device is known to be stale.\n");
    let refused = admin(&data, "block lift", "").unwrap_err();
    assert!(refused.contains("say whose blocks are to be lifted"), "{refused}");
    server.stop();
    // The server wrote it down; without it the same is known.
    assert_eq!(admin(&data, "block list --tenant acme", "").unwrap(), listed);
    let lifted = admin(&data, "block lift ann@example.org --reason forgotten", "").unwrap();
    assert!(lifted.starts_with("Lifted:\n") && lifted.contains("ann@example.org  127.0.0.1"), "{lifted}");
    let again = admin(&data, "block lift ann@example.org", "").unwrap();
    assert_eq!(again, "There was nothing to lift.\n");
    let log = admin(&data, "block log --tenant acme --json", "").unwrap();
    let log: serde_json::Value = serde_json::from_str(&log).unwrap();
    let [line] = &log["lifts"].as_array().unwrap()[..] else { panic!("{log}") };
    assert_eq!((&line["account"], &line["reason"]), (&"ann@example.org".into(), &"forgotten".into()));
    assert!(line["who"].as_str().is_some_and(|who| !who.is_empty()), "{line}");
    let server = Server::start(&file);
    let mut reader = connect(imap);
    say(&mut reader, "", "* OK");
    say(&mut reader, "a LOGIN ann@example.org \"a secret of ours\"\r\n", "a OK");
    assert_eq!(admin(&data, "block list", "").unwrap(), "Nobody is blocked.\n");
    let refused = admin(&data, "block list nobody@example.org", "").unwrap_err();
    assert!(refused.contains("there is no account"), "{refused}");
    server.stop();
}

#[test]
fn an_operator_sees_and_ends_sessions() {
    let folder = scratch_dir();
    let (smtp, imap, submission) = (free_address(), free_address(), free_address());
    let (file, data) = (folder.path().join("hikyaku.toml"), folder.path().join("data"));
    let listen = format!("[listen]\nsubmission = '{submission}'");
    std::fs::write(&file, settings(&data, smtp, imap).replace("[listen]", &listen)).unwrap();
    installation(&data);
    admin(&data, "account create ann@example.org", "").unwrap();
    let credential = "credential create --account ann@example.org --password-stdin";
    admin(&data, credential, "a secret of ours\n").unwrap();
    assert_eq!(admin(&data, "session list", "").unwrap(), "Nobody is signed in.\n");
    let server = Server::start(&file);
    let reader = || {
        let mut reader = connect(imap);
        say(&mut reader, "", "* OK");
        say(&mut reader, "a LOGIN ann@example.org \"a secret of ours\"\r\n", "a OK");
        say(&mut reader, "b SELECT INBOX\r\n", "b OK");
        say(&mut reader, "c IDLE\r\n", "+ ");
        reader
    };
    let mut idle = reader();
    let mut sender = connect(submission);
    say(&mut sender, "EHLO telephone.example\r\n", "250 ");
    // NUL ann@example.org NUL a secret of ours
    say(&mut sender, "AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBhIHNlY3JldCBvZiBvdXJz\r\n", "235 ");
    let listed = admin(&data, "session list --tenant acme --json", "").unwrap();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let [of_sender, of_idle] = &listed["sessions"].as_array().unwrap()[..] else { panic!("{listed}") };
    for (session, service, client) in [(of_sender, "submission", "telephone.example"), (of_idle, "imap", "")]
    {
        assert_eq!((&session["account"], &session["service"]), (&"ann@example.org".into(), &service.into()));
        assert_eq!((&session["ip"], &session["client"]), (&"127.0.0.1".into(), &client.into()));
    }
    let refused = admin(&data, "session end", "").unwrap_err();
    assert!(refused.contains("say which sessions: an id, --account or --tenant"), "{refused}");
    let end = format!("session end {} --reason stolen", of_idle["id"].as_str().unwrap());
    let ended = admin(&data, &end, "").unwrap();
    assert!(ended.starts_with("Ended:\n") && ended.contains("ann@example.org  imap"), "{ended}");
    say(&mut idle, "", "* BYE ");
    assert_eq!(idle.read_line(&mut String::new()).unwrap(), 0);
    say(&mut sender, "NOOP\r\n", "250 ");
    // Who is suspended loses what is open, and so does whoever used a password that is another now.
    let mut idle = reader();
    admin(&data, "account suspend ann@example.org", "").unwrap();
    say(&mut idle, "", "* BYE ");
    say(&mut sender, "", "421 ");
    admin(&data, "account resume ann@example.org", "").unwrap();
    let mut idle = reader();
    let change = "credential change ann@example.org:password --password-stdin";
    admin(&data, change, "another secret of ours\n").unwrap();
    say(&mut idle, "", "* BYE ");
    assert_eq!(admin(&data, "session list", "").unwrap(), "Nobody is signed in.\n");
    server.stop();
    let log = admin(&data, "session log", "").unwrap();
    assert!(log.contains(of_idle["id"].as_str().unwrap()) && log.contains("  stolen\n"), "{log}");
}

#[test]
fn a_tenant_says_what_blocks_and_what_is_exempt() {
    let folder = scratch_dir();
    let (smtp, imap) = (free_address(), free_address());
    let (file, data) = (folder.path().join("hikyaku.toml"), folder.path().join("data"));
    std::fs::write(&file, settings(&data, smtp, imap)).unwrap();
    installation(&data);
    admin(&data, "account create ann@example.org", "").unwrap();
    admin(&data, "credential create --account ann@example.org --password-stdin", "a secret of ours\n")
        .unwrap();
    let refused = admin(&data, "tenant change acme --block-failures 101", "").unwrap_err();
    assert!(refused.contains("block_failures: it is 3 to 100"), "{refused}");
    let server = Server::start(&file);
    admin(&data, "tenant change acme --block-failures 3", "").unwrap();
    guess_at_ann(imap, 3);
    assert!(admin(&data, "block list", "").unwrap().contains("ann@example.org  127.0.0.1"));
    // Lifted and exempt at once; then neither any more.
    let lift = ["block", "lift", "ann@example.org", "--exempt", "office, Osaka"];
    let refused = admin_words(&data, &lift, "").unwrap_err();
    assert!(refused.contains("without commas"), "{refused}");
    let lift = ["block", "lift", "ann@example.org", "--exempt", "office in Osaka", "--reason", "they called"];
    let lifted = admin_words(&data, &lift, "").unwrap();
    assert!(lifted.starts_with("Lifted:\n"), "{lifted}");
    let tenant = admin(&data, "tenant show acme", "").unwrap();
    assert!(tenant.contains("127.0.0.1 office in Osaka"), "{tenant}");
    guess_at_ann(imap, 3);
    assert_eq!(admin(&data, "block list", "").unwrap(), "Nobody is blocked.\n");
    admin(&data, "tenant change acme --exempt-networks=", "").unwrap();
    guess_at_ann(imap, 4);
    assert!(admin(&data, "block list", "").unwrap().contains("ann@example.org  127.0.0.1"));
    let mut reader = connect(imap);
    say(&mut reader, "", "* OK");
    say(&mut reader, "a LOGIN ann@example.org \"a secret of ours\"\r\n", "a NO");
    let exempt = ["tenant", "change", "acme", "--exempt-networks", "127.0.0.0/8 this machine"];
    admin_words(&data, &exempt, "").unwrap();
    say(&mut reader, "b LOGIN ann@example.org \"a secret of ours\"\r\n", "b OK");
    assert_eq!(admin(&data, "block list", "").unwrap(), "Nobody is blocked.\n");
    let log = admin(&data, "block log", "").unwrap();
    assert!(log.contains("exempt network ") && log.contains("this machine"), "{log}");
    server.stop();
}

#[test]
fn the_operator_says_what_a_tenant_may_choose() {
    let folder = scratch_dir();
    let (smtp, imap) = (free_address(), free_address());
    let (file, data) = (folder.path().join("hikyaku.toml"), folder.path().join("data"));
    let bounds = "[access.default]\nfailures = 4\n[access.ceiling]\nfailures = 4\n";
    std::fs::write(&file, settings(&data, smtp, imap) + bounds).unwrap();
    installation(&data);
    admin(&data, "account create ann@example.org", "").unwrap();
    // Chosen while it was allowed, as a server without these bounds allows it.
    admin(&data, "tenant change acme --block-failures 50", "").unwrap();
    let server = Server::start(&file);
    let told = admin(&data, "access blocking --tenant acme", "").unwrap();
    let failures = told.lines().find(|line| line.starts_with("block_failures")).unwrap();
    assert_eq!(failures.split_whitespace().collect::<Vec<_>>()[1..], ["4", "50", "3", "to", "4"], "{told}");
    assert!(told.contains("counts as the nearest that is"), "{told}");
    guess_at_ann(imap, 4);
    assert!(admin(&data, "block list", "").unwrap().contains("ann@example.org  127.0.0.1"));
    let refused = admin(&data, "tenant change acme --block-failures 5", "").unwrap_err();
    assert!(refused.contains("block_failures: it is 3 to 4"), "{refused}");
    admin(&data, "tenant change acme --title Acme", "").unwrap();
    server.stop();
}

#[test]
fn a_list_is_read_page_by_page() {
    let folder = scratch_dir();
    let data = folder.path().join("data");
    installation(&data);
    admin(&data, "seed --tenants 5 --accounts 40", "").unwrap();
    let again = admin(&data, "seed --tenants 5 --accounts 40", "").unwrap_err();
    assert!(again.contains("the tenant `seed-000001` is there already"), "{again}");
    let names = |said: &str| -> Vec<String> {
        let lines = said.lines().filter_map(|line| line.split_whitespace().next());
        lines.filter(|name| name.contains('@')).map(str::to_owned).collect()
    };
    let all = names(&admin(&data, "account list --all --limit 7", "").unwrap());
    assert_eq!(all.len(), 40, "{all:?}");
    let (mut paged, mut line) = (Vec::new(), "account list --limit 7".to_owned());
    loop {
        let page = admin(&data, &line, "").unwrap();
        paged.extend(names(&page));
        let Some((_, after)) = page.split_once("--after '") else { break };
        line = format!("account list --limit 7 --after {}", after.split('\'').next().unwrap());
    }
    assert_eq!(paged, all);
}

#[test]
fn a_wrong_folder_is_told_and_not_made() {
    let folder = scratch_dir();
    let typo = folder.path().join("typo");
    let said = admin(&typo, "plan list", "").unwrap_err();
    assert!(said.contains("there is no folder") && said.contains("hikyaku migrate"), "{said}");
    assert!(!typo.exists());
}

#[test]
fn passwords_in_clear_are_for_loopback_alone() {
    let folder = scratch_dir();
    let file = folder.path().join("hikyaku.toml");
    let everywhere = SocketAddr::from(([0, 0, 0, 0], free_address().port()));
    std::fs::write(&file, settings(&folder.path().join("data"), everywhere, free_address())).unwrap();
    let refused = hikyaku(&["serve", "--config", file.to_str().unwrap()]);
    let said = text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("hikyaku.toml:4:8: mistake: listen.smtp: "), "{said}");
}

#[test]
fn a_settings_file_is_checked_for_people_and_programs() {
    let folder = scratch_dir();
    let file = folder.path().join("hikyaku.toml");
    let path = file.to_str().unwrap();
    let (smtp, imap) = (free_address(), free_address());
    std::fs::write(&file, settings(&folder.path().join("data"), smtp, imap)).unwrap();
    let migrated = hikyaku(&["migrate", "--config", path]);
    assert!(migrated.status.success(), "{}", text(&migrated.stderr));
    let good = hikyaku(&["check", "config", path]);
    let said = text(&good.stdout);
    assert!(good.status.success() && said.contains("hikyaku.toml is right"), "{said}");
    assert!(said.contains(&format!("smtp on {smtp}")) && said.contains("SQLite"), "{said}");

    let wrong = std::fs::read_to_string(&file).unwrap().replace("smtp =", "smpt =");
    std::fs::write(&file, wrong).unwrap();
    let bad = hikyaku(&["check", "config", path]);
    assert_eq!(bad.status.code(), Some(1));
    let said = text(&bad.stdout);
    assert!(
        said.contains("hikyaku.toml:4:1: mistake: listen.smpt: there is no such setting: did you mean"),
        "{said}"
    );
    let bad = hikyaku(&["check", "config", "--json", path]);
    assert_eq!(bad.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(report["is_right"], false);
    let finding =
        report["findings"].as_array().unwrap().iter().find(|it| it["gravity"] == "mistake").unwrap();
    assert_eq!((&finding["line"], &finding["key"]), (&4.into(), &"listen.smpt".into()));
    assert!(report.get("summary").is_none());
}

/// An IMAP connection from this address, as a proxy tells it.
fn connect_from(address: SocketAddr, source: [u8; 4]) -> BufReader<TcpStream> {
    let mut reader = connect(address);
    let header = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"[..], &source, &[127, 0, 0, 1, 0xc0, 0, 0, 143]];
    reader.get_mut().write_all(&header.concat()).unwrap();
    say(&mut reader, "", "* OK");
    reader
}

/// Source rules over real connections: watched, enforced, insisted on, confirmed, released, with
/// exceptions, and run over the past.
#[test]
fn an_administrator_says_from_where_one_may_come() {
    const OFFICE: [u8; 4] = [192, 0, 2, 7];
    const ELSEWHERE: [u8; 4] = [198, 51, 100, 7];
    let folder = scratch_dir();
    let (smtp, imap) = (free_address(), free_address());
    let (file, data) = (folder.path().join("hikyaku.toml"), folder.path().join("data"));
    let with_proxy = "\nproxies = '127.0.0.1'\nplain_sign_in_without_tls";
    let text = settings(&data, smtp, imap).replace("\nplain_sign_in_without_tls", with_proxy);
    std::fs::write(&file, text).unwrap();
    installation(&data);
    admin(&data, "account create ann@example.org", "").unwrap();
    admin(&data, "credential create --account ann@example.org --password-stdin", "a secret of ours\n")
        .unwrap();
    let server = Server::start(&file);
    let sign_in = |source, answer| {
        let mut reader = connect_from(imap, source);
        say(&mut reader, "a LOGIN ann@example.org \"a secret of ours\"\r\n", answer);
    };
    let access = |line: &str, allow: &[&str]| {
        let words: Vec<&str> =
            ["access"].into_iter().chain(line.split(' ')).chain(allow.iter().copied()).collect();
        admin_words(&data, &words, "")
    };
    let office = ["--allow", "192.0.2.0/24 office in Osaka"];
    let refused = admin(&data, "rule list", "").unwrap();
    assert_eq!(refused, "There are none.\n");
    let set = "set --tenant acme --service imap --mode";
    access(&format!("{set} watch"), &office).unwrap();
    sign_in(ELSEWHERE, "a OK");
    let told = access("replay --tenant acme", &[]).unwrap();
    assert!(told.contains("ann@example.org  198.51.100.7  imap     tenant"), "{told}");
    let refused = access(&format!("{set} enforce --now --from 198.51.100.7"), &[]).unwrap_err();
    assert!(refused.contains("would refuse 198.51.100.7"), "{refused}");
    let tried = access(&format!("{set} enforce --dry-run"), &[]).unwrap();
    assert!(tried.contains("From ") && tried.contains("Nothing was changed"), "{tried}");
    sign_in(ELSEWHERE, "a OK");
    let told = access(&format!("{set} enforce --now --insist --from 198.51.100.7"), &[]).unwrap();
    assert!(told.contains("confirm it until"), "{told}");
    sign_in(ELSEWHERE, "a NO [AUTHENTICATIONFAILED]");
    sign_in(OFFICE, "a OK");
    let rule = "--tenant acme --service imap";
    let refused = access(&format!("confirm {rule} --from 198.51.100.7"), &[]).unwrap_err();
    assert!(refused.contains("198.51.100.7 is not allowed by the new rule"), "{refused}");
    access(&format!("confirm {rule} --from 192.0.2.7"), &[]).unwrap();
    let history = admin(&data, "history list --limit 9", "").unwrap();
    assert!(history.contains("rule-tenant"), "{history}");
    // The first one had nothing to be compared with; the office was new then.
    let marked: Vec<&str> = history.lines().filter(|line| line.contains("new-network")).collect();
    assert!(matches!(marked[..], [line] if line.contains("192.0.2.7")), "{history}");
    let told = admin_words(&data, &["history", "list", "--limit", "9", "--json"], "").unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let lines = told["history"].as_array().unwrap();
    let reasons = |source: &str| -> Vec<serde_json::Value> {
        let of = lines.iter().filter(|line| line["ip"] == source && line["result"] == "admitted");
        of.map(|line| line["unusual"].clone()).collect()
    };
    let text = "for the first time from these addresses";
    let new_network = serde_json::json!([{ "code": "new-network", "text": text }]);
    assert_eq!(reasons("192.0.2.7"), [new_network]);
    assert_eq!(reasons("198.51.100.7").last(), Some(&serde_json::json!([])));
    let exception = "exception create --account ann@example.org --until 2100-01-01 --note travels";
    admin(&data, exception, "").unwrap();
    sign_in(ELSEWHERE, "a OK");
    admin(&data, "exception delete ann@example.org", "").unwrap();
    sign_in(ELSEWHERE, "a NO");
    // The next journey: what is deleted keeps no name.
    admin(&data, exception, "").unwrap();
    admin(&data, "exception delete ann@example.org", "").unwrap();
    access(&format!("release {rule} --reason lost"), &[]).unwrap();
    sign_in(ELSEWHERE, "a OK");
    let audit = admin(&data, "audit --tenant acme --limit 1", "").unwrap();
    assert!(audit.contains("change rule imap:tenant") && audit.contains("lost"), "{audit}");
    let listed = admin(&data, "rule list --tenant acme", "").unwrap();
    assert!(listed.contains("imap:tenant  active  watch  192.0.2.0/24 office in Osaka"), "{listed}");
    // A tenant without its operator: the code is shown once and works once.
    let told = access("recovery-code --tenant acme", &[]).unwrap();
    let code = told.lines().next().unwrap().to_owned();
    access(&format!("{set} enforce --now --from 192.0.2.7"), &[]).unwrap();
    sign_in(ELSEWHERE, "a NO");
    let recover = |code: &str| admin(&data, "access recover --tenant acme", &format!("{code}\n"));
    let refused = recover("k7m2-pqx9").unwrap_err();
    assert!(refused.contains("the recovery code is not right"), "{refused}");
    let told = recover(&code).unwrap();
    assert_eq!(told, "These rules only watch now: imap:tenant. The code is used up.\n");
    sign_in(ELSEWHERE, "a OK");
    assert!(recover(&code).is_err());
    let audit = admin(&data, "audit --tenant acme --limit 9", "").unwrap();
    assert!(audit.contains("make-recovery-code") && !audit.contains(&code), "{audit}");
    admin(&data, "rule delete imap:tenant --tenant acme", "").unwrap();
    access(&format!("{set} off"), &[]).unwrap();
    server.stop();
}
