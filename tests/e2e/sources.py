"""What tests of sign-ins from many sources share: a server as an operator's file describes it,
behind a proxy, `hikyaku admin` beside it, and clients that the proxy says are anywhere."""

import imaplib
import ipaddress
import json
import os
import queue
import smtplib
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from demo import END_SECONDS, PROGRAM, START_SECONDS, free_ports

PASSWORD = "a secret of ours"


class Serve:
    """`hikyaku serve` on a data folder of its own, with IMAP and submission in clear."""

    def __init__(self):
        folder = Path(os.environ["TMPDIR"])
        self.data, self.file, self.log = folder / "data", folder / "hikyaku.toml", folder / "log"
        first = free_ports(2)
        self.ports = {"imap": first, "submission": first + 1}
        listen = "\n".join(f"{door} = '127.0.0.1:{port}'" for door, port in self.ports.items())
        self.file.write_text(f"""
host_name = 'mx.example'
data = '{self.data}'
[listen]
{listen}
proxies = '127.0.0.1'
plain_sign_in_without_tls = true
""")
        subprocess.run([PROGRAM, "migrate", "--config", self.file], check=True, capture_output=True, timeout=60)
        self.process = None

    def start(self):
        command = [PROGRAM, "serve", "--config", self.file]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        lines = queue.Queue()
        threading.Thread(target=self._log, args=[lines], daemon=True).start()
        for _ in self.ports:
            line = lines.get(timeout=START_SECONDS)
            assert line, self.log.read_text()

    def _log(self, lines):
        """Keeps the log, and tells of each listener."""
        with self.log.open("a") as log:
            for line in self.process.stderr:
                log.write(line)
                log.flush()
                if "listening" in line:
                    lines.put(line)
        lines.put("")

    def stop(self):
        self.process.terminate()
        code = self.process.wait(END_SECONDS)
        assert code == 0, f"the server ended with {code}:\n{self.log.read_text()}"

    def admin(self, *words, text="", refused=False):
        """What `hikyaku admin` says; `words` with spaces are split unless they are lists."""
        command = [PROGRAM, "admin"]
        for word in words:
            command += word if isinstance(word, list) else word.split()
        command += ["--config", self.file]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        assert (done.returncode == 1) == refused, f"{command}: {done.stdout}{done.stderr}"
        return done.stderr if refused else done.stdout

    def ask(self, *words):
        """The same as JSON."""
        return json.loads(self.admin(*words, "--json"))

    def account(self, address):
        self.admin(f"account create {address}")
        self.admin(f"credential create --account {address} --password-stdin", text=PASSWORD + "\n")

    def app_password(self, address, *words):
        """A new one, as it is shown once."""
        shown = self.admin(f"credential create --account {address} --kind app_password", *words)
        return next(line.strip() for line in shown.splitlines() if line.startswith("    "))

    def lets_in(self, door, name, source, password=PASSWORD):
        """Signs in at a door, and does something there if it may."""
        try:
            if door == "imap":
                with Imap(self.ports[door], source) as client:
                    client.login(name, password)
                    assert client.select()[0] == "OK"
            else:
                with Submission(self.ports[door], source) as client:
                    # `login` would go on with the next mechanism, which is another attempt.
                    client.ehlo()
                    client.user, client.password = name, password
                    code, answer = client.auth("PLAIN", client.auth_plain)
                    assert code == 235, answer
                    assert client.mail(name)[0] == 250
        except imaplib.IMAP4.error as error:
            assert str(error) == "b'[AUTHENTICATIONFAILED] Authentication failed'", error
            return False
        except smtplib.SMTPAuthenticationError as error:
            assert (error.smtp_code, error.smtp_error) == (535, b"5.7.8 Name or password wrong"), error
            return False
        return True

    def check(self, *lines):
        """Each line is `DOOR NAME SOURCE in|out [PASSWORD]`, or `both` for the door; all come at
        once, since each failure takes a second."""
        tried = []
        for line in lines:
            door, name, source, expected, *password = line.split(maxsplit=4)
            for each in self.ports if door == "both" else [door]:
                tried.append((f"{each}: {line}", expected, (each, name, source, *password)))
        with ThreadPoolExecutor(len(tried)) as pool:
            answers = pool.map(lambda one: self.lets_in(*one[2]), tried)
            for (line, expected, _), answer in zip(tried, answers):
                assert ("in" if answer else "out") == expected, line

    def guess(self, door, name, source, count):
        self.check(*(f"{door} {name} {source} out wrong-{number}" for number in range(count)))


def proxied(port, source):
    """A connection whose client is `source`, as a proxy says it: PROXY protocol, version 2."""
    address = ipaddress.ip_address(source)
    here = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    addresses = address.packed + here.packed + bytes([0xC0, 0, 0, 143])
    family = b"\x11" if address.version == 4 else b"\x21"
    header = b"\r\n\r\n\0\r\nQUIT\n\x21" + family + len(addresses).to_bytes(2) + addresses
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(header)
    return connection


class Imap(imaplib.IMAP4):
    def __init__(self, port, source):
        self.source = source
        super().__init__("127.0.0.1", port, timeout=60)

    def _create_socket(self, timeout):
        return proxied(self.port, self.source)


class Submission(smtplib.SMTP):
    def __init__(self, port, source):
        self.proxied = source
        super().__init__("127.0.0.1", port, local_hostname="telephone.example", timeout=60)

    def _get_socket(self, host, port, timeout):
        return proxied(port, self.proxied)
