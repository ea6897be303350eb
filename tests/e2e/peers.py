"""Servers that others wrote, from the tree that `scripts/peers` has unpacked.

Each is started by hand with settings and a queue in a folder of its own, and ends with all
that it started when the test does.
"""

import os
import socket
import subprocess
import time
from pathlib import Path

from demo import free_ports

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "peers"
# Loaded machines start them slowly.
START_SECONDS = 30
DRAIN_SECONDS = 120

POSTFIX_SERVICES = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""

POSTFIX_FOLDERS = """cd /scratch
mkdir data queue
cd queue
mkdir active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace
chown postfix ../data active bounce corrupt defer deferred flush hold incoming private saved trace
chown postfix:postdrop maildrop public
chmod 730 maildrop
chmod 710 public
chmod 700 private"""


def run(folder, *command, **options):
    """Runs a command of the tree to its end."""
    return subprocess.run([SCRIPT, "run", folder, *command], timeout=DRAIN_SECONDS, **options)


class Peer:
    """A server in a folder, which it sees as /scratch."""

    def __init__(self, name):
        self.folder = Path(os.environ["TMPDIR"]) / name
        self.folder.mkdir()
        self.port = free_ports(1)
        self.process = None
        self.log = self.folder / "log"

    def launch(self, *command):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([SCRIPT, "run", self.folder, *command], stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
                time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait(10)

    def wait_until_sent(self, *queues):
        """Until no file is left in these folders of its queue."""
        end = time.monotonic() + DRAIN_SECONDS
        while any(files for queue in queues for _, _, files in os.walk(self.folder / queue)):
            assert time.monotonic() < end, f"mail is left:\n{self.log.read_text()}"
            time.sleep(0.05)


class Postfix(Peer):
    """Postfix that sends each domain where `transports` says."""

    def __init__(self, transports, more="", name="postfix"):
        super().__init__(name)
        settings = self.folder / "postfix"
        settings.mkdir()
        table = ", ".join(f"{{ {domain} = {transport} }}" for domain, transport in transports.items())
        (settings / "main.cf").write_text(
            f"""compatibility_level = 3.6
queue_directory = /scratch/queue
data_directory = /scratch/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
myhostname = postfix.example
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
message_size_limit = 50000000
transport_maps = inline:{{ {table} }}
default_transport = discard:
maillog_file = /scratch/log
maillog_file_prefixes = /scratch
{more}
"""
        )
        (settings / "master.cf").write_text(f"127.0.0.1:{self.port} inet n - n - - smtpd\n{POSTFIX_SERVICES}")
        made = run(self.folder, "/bin/sh", "-ec", POSTFIX_FOLDERS, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr

    def start(self):
        self.launch("/usr/lib/postfix/sbin/master", "-i", "-c", "/scratch/postfix")

    def wait_until_empty(self):
        self.wait_until_sent(*(f"queue/{name}" for name in ("maildrop", "incoming", "active", "deferred")))


class OpenDkim(Peer):
    """OpenDKIM that signs what is from `domain`, as a milter."""

    def __init__(self, name, domain, selector, key_file, canonical):
        super().__init__(name)
        # Only its own user may be able to read the key.
        key = self.folder / "key"
        key.write_bytes(Path(key_file).read_bytes())
        key.chmod(0o600)
        owned = run(self.folder, "/bin/chown", "opendkim", "/scratch/key", capture_output=True, text=True)
        assert owned.returncode == 0, owned.stderr
        (self.folder / "opendkim.conf").write_text(
            f"""Mode s
Background no
UserID opendkim
Socket inet:{self.port}@127.0.0.1
Domain {domain}
Selector {selector}
KeyFile /scratch/key
Canonicalization {canonical}
InternalHosts 127.0.0.1
"""
        )

    def start(self):
        self.launch("/usr/sbin/opendkim", "-f", "-x", "/scratch/opendkim.conf")


class OpenSmtpd(Peer):
    """OpenSMTPD that hands everything to one SMTP server."""

    def __init__(self, relay):
        super().__init__("opensmtpd")
        (self.folder / "smtpd.conf").write_text(
            f"""listen on 127.0.0.1 port {self.port} hostname opensmtpd.example
smtp max-message-size 50M
action "out" relay host "{relay}"
match from any for any action "out"
"""
        )

    def start(self):
        folders = "mkdir -m 711 -p /var/spool/smtpd && exec /usr/sbin/smtpd -d -f /scratch/smtpd.conf"
        self.launch("/bin/sh", "-ec", folders)

    def wait_until_empty(self):
        self.wait_until_sent("spool/smtpd/queue", "spool/smtpd/incoming")
