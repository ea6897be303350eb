"""A name server for the end-to-end tests, on a UDP port of loopback.

It answers from the JSON that `hikyaku check --dns FILE` reads: names with lists of
`{"type": "TXT", "data": …}` or `{"type": "A", "error": "timeout"}`. A name that is not there
does not exist. As a program, `nameserver.py FILE`, it prints its address and port.
"""

import ipaddress
import json
import socket
import struct
import sys
import threading

TYPES = {1: "A", 5: "CNAME", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA"}
NUMBERS = {kind: number for number, kind in TYPES.items()}
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
TTL_SECONDS = 60
# Answers that are longer than what the client takes by UDP would have to go by TCP.
MOST_OCTETS = 1232


class NameServer:
    """Answers until the process ends."""

    def __init__(self, names):
        self.names = {name.rstrip(".").lower(): records for name, records in names.items()}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        host, port = self.socket.getsockname()
        self.address = f"{host}:{port}"

    def start(self):
        """Answers in the background."""
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            answer = self.answer(query)
            if answer is not None:
                self.socket.sendto(answer, peer)

    def answer(self, query):
        """The answer to a query, RFC 1035 section 4.1; None if there is none in time."""
        name, end = read_name(query, 12)
        kind = TYPES.get(struct.unpack_from(">H", query, end)[0])
        code, records = self.look_up(name.lower(), kind)
        if code is None:
            return None
        body = b"".join(
            b"\xc0\x0c" + struct.pack(">HHIH", NUMBERS[of], 1, TTL_SECONDS, len(data)) + data for of, data in records
        )
        # A response, recursion asked for and available; the question comes back.
        flags = 0x8180 | code
        head = query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0)
        reply = head + query[12 : end + 4] + body
        assert len(reply) <= MOST_OCTETS, f"too long for UDP: {name} {kind}"
        return reply

    def look_up(self, name, kind):
        """The response code and the records; the code is None for silence."""
        if name not in self.names:
            below = any(other.endswith("." + name) for other in self.names)
            return (NOERROR if below else NXDOMAIN), []
        found = [record for record in self.names[name] if record["type"] == kind]
        for record in found:
            if "error" in record:
                return {"timeout": None, "servfail": SERVFAIL, "nxdomain": NXDOMAIN}[record["error"]], []
        return NOERROR, [(kind, data_of(kind, record["data"])) for record in found]


def read_name(message, at):
    """A name without compression, and where it ends."""
    labels = []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels), at + 1


def name_of(text):
    labels = [label.encode() for label in text.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def data_of(kind, data):
    """The rdata of a record, RFC 1035 section 3.3."""
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(data).packed
    if kind in ("PTR", "CNAME"):
        return name_of(data)
    if kind == "MX":
        preference, exchange = data.split()
        return struct.pack(">H", int(preference)) + name_of(exchange)
    strings = data if isinstance(data, list) else [data]
    pieces = [text.encode()[at : at + 255] for text in strings for at in range(0, max(len(text.encode()), 1), 255)]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        server = NameServer(json.load(file))
    print(server.address, flush=True)
    server.serve()
