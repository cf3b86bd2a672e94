#!/usr/bin/env python3
"""Thousands of connections that do nothing good: idle, slow in header, body and reading, half-closed, reset.
Everybody else is served meanwhile, memory stays small, and the server is its old self afterwards.

    test_connections.py BUILD [--connections N]       default 1000
"""
import os
import resource
import select
import socket
import struct
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from server import Server

RSS_MIB = 200
SECONDS = 20  # for one normal request: only a hang is a failure, the rest is printed
ROUNDS = 300
SPARE = 200   # descriptors beside the connections, ours and the server's


def header(path="/ingest?name=slow", length=1000, more=""):
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{more}\r\n".encode()


class Crowd:
    """The connections, by what they do."""

    def __init__(self, port):
        self.port, self.by_kind = port, {}

    def connect(self, kind, first=b""):
        c = socket.socket()
        c.setblocking(True)
        c.settimeout(30)
        c.connect(("127.0.0.1", self.port))
        if first:
            c.sendall(first)
        self.by_kind.setdefault(kind, []).append(c)
        return c

    def idle(self):
        self.connect("idle")

    def idle_after_a_request(self):
        self.connect("keep-alive", b"GET /ready HTTP/1.1\r\nHost: x\r\n\r\n")

    def slow_header(self):
        self.connect("slow header", b"POST /ingest?name=slow HTTP/1.1\r\nHost: x\r\n")

    def slow_body(self):
        self.connect("slow body", header() + b"a;b")

    def slow_reader(self):
        """Asks for much and reads nothing."""
        c = socket.socket()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.settimeout(30)
        c.connect(("127.0.0.1", self.port))
        c.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        self.by_kind.setdefault("slow reader", []).append(c)

    def half_closed(self):
        self.connect("half closed", header() + b"a;b").shutdown(socket.SHUT_WR)

    def reset(self):
        """Gone in mid-body, with a reset."""
        c = socket.create_connection(("127.0.0.1", self.port), 30)
        c.sendall(header() + b"a;b 1\n")
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()

    def drip(self):
        """One more byte for those who are slow; what the server closed is left alone."""
        for kind, byte in (("slow header", b"X"), ("slow body", b"c")):
            for c in self.by_kind.get(kind, []):
                try:
                    c.setblocking(False)
                    c.send(byte)
                except OSError:
                    pass

    def open_now(self):
        """How many the server has not closed."""
        poll, at = select.poll(), {}
        for group in self.by_kind.values():
            for c in group:
                poll.register(c, select.POLLRDHUP)
                at[c.fileno()] = c
        gone = {fd for fd, what in poll.poll(0) if what & (select.POLLRDHUP | select.POLLHUP | select.POLLERR)}
        return len(at) - len(gone)

    def close(self):
        for group in self.by_kind.values():
            for c in group:
                c.close()
        self.by_kind = {}


class Test:
    def __init__(self, s):
        self.s, self.passed, self.failed, self.n = s, 0, 0, 0

    def check(self, what, ok, shown=""):
        self.passed, self.failed = self.passed + bool(ok), self.failed + (not ok)
        if not ok:
            print("FAIL", what, shown, flush=True)

    def memory_mib(self, key="VmRSS"):
        with open(f"/proc/{self.s.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) >> 10 for line in f if line.startswith(key))

    def normal(self):
        """One upload or page as everybody sends them; the seconds it took."""
        self.n += 1
        now = int(time.time())
        begun = time.monotonic()
        try:
            if self.n % 3:
                query = urllib.parse.urlencode({"name": "normal", "from": now - 10, "until": now})
                status = self.s.request("POST", "/ingest?" + query, {}, b"main;work 10\n", timeout=SECONDS)[0]
            else:
                status = self.s.request("GET", "/ready", timeout=SECONDS)[0]
        except OSError as e:
            status = repr(e)
        if status != 200:
            self.check(f"normal request {self.n}", False, status)
        return time.monotonic() - begun

    def served(self, what, between=None):
        times = []
        for i in range(ROUNDS):
            times.append(self.normal())
            if between and i % 30 == 0:
                between()
        times.sort()
        self.check(what + ": all are answered", times[-1] < SECONDS, times[-1])
        print(f"{what}: p50 {times[len(times) // 2] * 1000:.1f} ms, p99 {times[len(times) * 99 // 100] * 1000:.1f} ms, "
              f"RSS {self.memory_mib()} MiB", flush=True)


def run(s, connections, with_memory):
    t, crowd = Test(s), Crowd(s.port)
    t.served("alone")
    kinds = [crowd.idle, crowd.idle_after_a_request, crowd.slow_header, crowd.slow_body, crowd.slow_reader,
             crowd.half_closed, crowd.reset]
    begun = time.monotonic()
    for i in range(connections):
        kinds[i % len(kinds)]()
    print(f"{connections} connections made in {time.monotonic() - begun:.1f} s, {crowd.open_now()} open", flush=True)
    t.served("among them", crowd.drip)
    # Idle ones stay: they did nothing wrong yet.
    t.check("most are still open", crowd.open_now() > connections // 3, crowd.open_now())
    if with_memory:
        t.check(f"memory below {RSS_MIB} MiB", t.memory_mib("VmHWM") < RSS_MIB, f"{t.memory_mib('VmHWM')} MiB")
    # The time for a header passes (5 s in this test): those connections are closed by the server.
    until = time.monotonic() + 60
    slow = crowd.by_kind["slow header"]
    while time.monotonic() < until and any(open_still(c) for c in slow):
        time.sleep(0.1)
    t.check("slow headers are closed", not any(open_still(c) for c in slow))
    crowd.close()
    t.served("afterwards")
    print(f"peak {t.memory_mib('VmHWM')} MiB")
    print(f"{t.passed} passed, {t.failed} failed")
    return 1 if t.failed else 0


def open_still(c):
    c.setblocking(False)
    try:
        while True:
            if not c.recv(65536):
                return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def main():
    build = next((a for a in sys.argv[1:] if not a.startswith("-") and not a.isdigit()), "build")
    connections = int(sys.argv[sys.argv.index("--connections") + 1]) if "--connections" in sys.argv else 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < connections + SPARE:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (connections + SPARE, connections + SPARE))
        except (ValueError, OSError):
            print(f"not enough descriptors: at most {hard}, {connections + SPARE} needed\n0 passed, 1 failed")
            return 1
    hard = max(hard, connections + SPARE)
    # The server starts with few and must raise its own limit.
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), hard))
    with Server(build, ["-server.http-read-header-timeout=5s"]) as s:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        with open(f"/proc/{s.process.pid}/limits", encoding="ascii") as f:
            print(next(line.strip() for line in f if line.startswith("Max open files")))
        return run(s, connections, "san" not in build)


if __name__ == "__main__":
    sys.exit(main())
