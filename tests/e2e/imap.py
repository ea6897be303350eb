"""What the IMAP tests share: a demo on five ports, the way into it, and mbsync between it and
a Maildir."""

import imaplib
import smtplib
import subprocess

from demo import Demo, free_ports, port_of


class ImapDemo(Demo):
    """A demo whose IMAP ports are free, too."""

    def __init__(self, data=None):
        super().__init__(data)
        self.base_port = free_ports(5)

    def imaps(self, account):
        """A client of an account that has signed in."""
        client = imaplib.IMAP4_SSL(*self.port("imaps"), ssl_context=self.trust(), timeout=60)
        ok(client.login(*account))
        return client

    def port(self, name):
        return port_of(self.ready[name])

    def deliver(self, recipient, message):
        """Over SMTP, as a stranger."""
        with smtplib.SMTP(*self.port("smtp"), timeout=60) as client:
            assert client.sendmail("stranger@client.example", [recipient], message) == {}


def ok(answer):
    """The data of an answer that must be OK."""
    status, data = answer
    assert status == "OK", answer
    return data


class Mbsync:
    """mbsync between an account of the demo, which is far, and a Maildir, which is near."""

    def __init__(self, demo, account, folder, patterns):
        self.maildir = folder / "mail"
        self.maildir.mkdir()
        self.folder = folder
        self.config = folder / "mbsyncrc"
        user, password = account
        self.config.write_text(f"""
IMAPAccount demo
Host localhost
Port {demo.port("imaps")[1]}
User {user}
Pass {password}
SSLType IMAPS
CertificateFile {demo.ready["ca"]}

IMAPStore far
Account demo

MaildirStore near
Path {self.maildir}/
Inbox {self.maildir}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns {patterns}
Create Both
Expunge Both
Sync All
SyncState {folder}/state-
""")

    def run(self):
        command = ["mbsync", "--config", self.config, "--all"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def state(self):
        """What it remembers; a run without changes leaves it as it is."""
        return {path.name: path.read_bytes() for path in self.folder.glob("state-*")}
