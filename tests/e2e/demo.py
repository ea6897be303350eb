"""A demo server for the end-to-end tests: started, stopped, killed, and looked into.

Each wait here has an end. What goes wrong is an exception, so the test fails and shows what
the server had logged.
"""

import contextlib
import json
import os
import queue
import socket
import sqlite3
import ssl
import subprocess
import threading
from pathlib import Path

PROGRAM = os.environ["HIKYAKU_BIN"]
# The server must have ended so soon after SIGTERM.
END_SECONDS = 5
# Debug builds hash the passwords of ten accounts at each start.
START_SECONDS = 60


class Demo:
    """One data folder and the server on it."""

    def __init__(self, data=None):
        self.data = Path(data or Path(os.environ["TMPDIR"]) / "data")
        self.base_port = free_ports(13)
        self.log = self.data.with_suffix(".log")
        self.process = None
        self.ready = None

    def start(self, *arguments):
        """Starts it, with more arguments perhaps, and returns what it says when it is ready."""
        command = [PROGRAM, "demo", "--data", self.data, "--base-port", str(self.base_port), "--json", *arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        lines = queue.Queue()
        threading.Thread(target=lambda out: lines.put(out.readline()), args=[self.process.stdout], daemon=True).start()
        line = lines.get(timeout=START_SECONDS)
        if not line:
            raise AssertionError(f"the demo ended with {self.process.wait(END_SECONDS)}:\n{self.log.read_text()}")
        self.ready = json.loads(line)
        return self.ready

    def stop(self):
        """SIGTERM: it must end in time and in order."""
        self.process.terminate()
        code = self.process.wait(END_SECONDS)
        assert code == 0, f"the demo ended with {code}:\n{self.log.read_text()}"

    def kill(self):
        """SIGKILL: it cannot do anything about it."""
        self.process.kill()
        self.process.wait(END_SECONDS)

    def check_store(self):
        """`hikyaku check store` must find nothing."""
        command = [PROGRAM, "check", "store", "--data", self.data]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and ": 0 problems" in done.stdout, f"{done.stdout}\n{done.stderr}"

    def accounts(self, tenant):
        """Address and password of each account of a tenant, by its number."""
        return [(account["address"], account["password"]) for account in self.ready["tenants"][tenant]["accounts"]]

    def trust(self):
        """TLS that trusts the demo's own authority and nobody else."""
        return ssl.create_default_context(cafile=self.ready["ca"])

    def copies(self):
        """Of a stopped server: how many copies of each message are in mailboxes, and the size of
        its content, by Message-ID and recipient."""
        query = """
            SELECT trace.message_id, trace.recipient, count(*), min(trace.size)
            FROM trace JOIN entry ON entry.account = trace.account AND entry.email = trace.email
            WHERE trace.event = 1 GROUP BY trace.message_id, trace.recipient"""
        database = f"file:{self.data / 'shard-0.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(database, uri=True)) as connection:
            return {(id, to): (count, size) for id, to, count, size in connection.execute(query)}


def port_of(address):
    """`127.0.0.1:2525` as `("127.0.0.1", 2525)`."""
    host, port = address.rsplit(":", 1)
    return host, int(port)


def free_ports(count):
    """The first of `count` neighbouring ports that nobody listens on."""
    for _ in range(100):
        with contextlib.ExitStack() as held:
            first = held.enter_context(listening(0)).getsockname()[1]
            try:
                for port in range(first + 1, first + count):
                    held.enter_context(listening(port))
            except (OSError, OverflowError):
                continue
            return first
    raise AssertionError("no neighbouring ports are free")


def listening(port):
    return socket.create_server(("127.0.0.1", port))
