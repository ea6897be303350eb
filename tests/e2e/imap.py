"""What the IMAP tests share: a demo on five ports, and the way into it."""

import imaplib
import smtplib

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
