"""A name server for the end-to-end tests, on a port of loopback for UDP and TCP.

It answers from the JSON that `hikyaku check --dns FILE` reads: names with lists of
`{"type": "TXT", "data": …}` or `{"type": "A", "error": "timeout"}`. A name that is not there
does not exist. An answer that is too long for UDP is cut off with the TC bit, and waits for whoever
asks again by TCP (RFC 7766); how often that was is counted. As a program, `nameserver.py FILE`, it prints its address and port.
"""

import ipaddress
import json
import socket
import socketserver
import struct
import sys
import threading

TYPES = {1: "A", 5: "CNAME", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA"}
NUMBERS = {kind: number for number, kind in TYPES.items()}
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
TTL_SECONDS = 60
# What fits into a UDP message of a client that does not say more (RFC 1035 section 2.3.4), and what
# is sent at most to one that does.
PLAIN_OCTETS, MOST_OCTETS = 512, 1232
TRUNCATED = 0x0200
OPT = 41


class NameServer:
    """Answers until the process ends."""

    def __init__(self, names):
        self.names = {name.rstrip(".").lower(): records for name, records in names.items()}
        self.truncated = self.asked_by_tcp = 0
        self.socket, self.stream = self.bind()
        host, port = self.socket.getsockname()
        self.address = f"{host}:{port}"

    def bind(self):
        """Sockets for UDP and TCP on one port that is free for both."""
        nameserver = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self):
                while head := self.rfile.read(2):
                    query = self.rfile.read(struct.unpack(">H", head)[0])
                    nameserver.asked_by_tcp += 1
                    answer = nameserver.answer(query)
                    if answer is not None:
                        self.wfile.write(struct.pack(">H", len(answer)) + answer)

        class Stream(socketserver.ThreadingTCPServer):
            daemon_threads = True

        while True:
            stream = Stream(("127.0.0.1", 0), Connection)
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                datagrams.bind(stream.server_address)
                return datagrams, stream
            except OSError:
                datagrams.close()
                stream.server_close()

    def start(self):
        """Answers in the background."""
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def serve(self):
        threading.Thread(target=self.stream.serve_forever, daemon=True).start()
        while True:
            query, peer = self.socket.recvfrom(4096)
            answer = self.answer(query)
            if answer is not None:
                self.socket.sendto(self.fitting(query, answer), peer)

    def fitting(self, query, answer):
        """The answer, or its head if it is too long for UDP."""
        _, end = read_name(query, 12)
        if len(answer) <= most_octets(query, end + 4):
            return answer
        self.truncated += 1
        flags = struct.unpack_from(">H", answer, 2)[0] | TRUNCATED
        return answer[:2] + struct.pack(">HHHHH", flags, 1, 0, 0, 0) + answer[12 : end + 4]

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
        return head + query[12 : end + 4] + body

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


def most_octets(query, at):
    """What the client takes by UDP, RFC 6891 section 6.1.2: `at` is where its question ends."""
    if struct.unpack_from(">H", query, 10)[0] == 0 or query[at] != 0:
        return PLAIN_OCTETS
    kind, size = struct.unpack_from(">HH", query, at + 1)
    return min(max(size, PLAIN_OCTETS), MOST_OCTETS) if kind == OPT else PLAIN_OCTETS


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
