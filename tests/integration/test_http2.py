#!/usr/bin/env python3
"""Thousands of HTTP/2 connections that do nothing good: idle, with half a header or body, windows of zero, pings and
resets that nobody asked for. Everybody else is served meanwhile, on both protocols, memory stays bounded, and the
server is its old self afterwards. Frames are written by hand here: no client library would send these.

    test_http2.py BUILD [--connections N]       default 1000
"""
import os
import resource
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from test_connections import SECONDS, SPARE, Crowd, Test, open_still  # noqa: E402
from server import Server  # noqa: E402

RSS_KIB_EACH, RSS_MIB = 48, 150  # of a connection; of everything else
DATA, HEADERS, RST_STREAM, SETTINGS, PING = 0, 1, 3, 4, 6
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def fields(method, path):
    """Without compression but for the static table."""
    return {"GET": b"\x82", "POST": b"\x83"}[method] + b"\x86\x41\x01x\x44" + bytes([len(path)]) + path


START = PREFACE + frame(SETTINGS, 0, 0)
SLOW = b"/ingest?name=slow"


class Crowd2(Crowd):
    def idle(self):
        self.connect("idle", START)

    def idle_after_a_request(self):
        self.connect("keep-alive", START + frame(HEADERS, END_HEADERS | END_STREAM, 1, fields("GET", b"/ready")))

    def slow_header(self):
        self.connect("slow header", START + frame(HEADERS, 0, 1, fields("POST", SLOW)))

    def slow_body(self):
        self.connect("slow body", START + b"".join(
            frame(HEADERS, END_HEADERS, n, fields("POST", SLOW)) + frame(DATA, 0, n, b"a;b") for n in range(1, 20, 2)))

    def slow_reader(self):
        """Asks for much and opens no window."""
        none = frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0")
        self.connect("slow reader", PREFACE + none + b"".join(
            frame(HEADERS, END_HEADERS | END_STREAM, n, fields("GET", b"/metrics")) for n in range(1, 20, 2)))

    def pings(self):
        """Asks for answers and reads none."""
        self.connect("pings", START + frame(PING, 0, 0, b"12345678") * 500)

    def resets(self):
        """Opens and takes back, then goes with a reset."""
        c = self.connect("resets", START + b"".join(
            frame(HEADERS, END_HEADERS, n, fields("POST", SLOW)) + frame(RST_STREAM, 0, n, b"\0\0\0\x08")
            for n in range(1, 40, 2)))
        self.by_kind["resets"].remove(c)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()

    def drip(self):
        """One byte more of a body is progress of that stream alone; pings are none."""
        for kind, more in (("slow body", frame(DATA, 0, 1, b"c")), ("idle", frame(PING, 0, 0, b"12345678"))):
            for c in self.by_kind.get(kind, []):
                try:
                    c.setblocking(False)
                    c.send(more)
                except OSError:
                    pass


def http2_works(t, what):
    """One request by curl, which is not ours."""
    p = subprocess.run(["curl", "-s", "--http2-prior-knowledge", "-m", str(SECONDS), "-w", " %{http_version}",
                        t.s.url + "/ready"], capture_output=True, text=True, check=False)
    t.check(what + ": HTTP/2 is served", p.stdout == "ready 2", p)


def wait_closed(t, what, group):
    until = time.monotonic() + 60
    while time.monotonic() < until and any(open_still(c) for c in group):
        time.sleep(0.1)
    t.check(what + " are closed", not any(open_still(c) for c in group))


def flood(t):
    """More pings than anybody needs: the connection is ended, and counted."""
    c = socket.create_connection(("127.0.0.1", t.s.port), 30)
    until, ended = time.monotonic() + 20, False
    try:
        c.sendall(START)
        while not ended and time.monotonic() < until:
            c.settimeout(30)
            c.sendall(frame(PING, 0, 0, b"12345678") * 1000)
            ended = not open_still(c)
    except OSError:
        ended = True
    t.check("a flood of pings ends the connection", ended)
    c.close()
    metrics = t.s.request("GET", "/metrics")[2].decode()
    t.check("and is counted", 'connections_refused_total{reason="http2_flood"} 1' in metrics)


def run(s, connections):
    t, crowd = Test(s), Crowd2(s.port)
    t.served("alone")
    http2_works(t, "alone")
    kinds = [crowd.idle, crowd.idle_after_a_request, crowd.slow_header, crowd.slow_body, crowd.slow_reader,
             crowd.pings, crowd.resets]
    begun = time.monotonic()
    for i in range(connections):
        kinds[i % len(kinds)]()
    print(f"{connections} connections made in {time.monotonic() - begun:.1f} s, {crowd.open_now()} open", flush=True)
    t.served("among them", crowd.drip)
    http2_works(t, "among them")
    t.check("most are still open", crowd.open_now() > connections // 3, crowd.open_now())
    most = RSS_MIB + connections * RSS_KIB_EACH // 1024
    t.check(f"memory below {most} MiB", t.memory_mib("VmHWM") < most, f"{t.memory_mib('VmHWM')} MiB")
    wait_closed(t, "slow headers", crowd.by_kind["slow header"])
    wait_closed(t, "slow readers", crowd.by_kind["slow reader"])
    crowd.close()
    flood(t)
    t.served("afterwards")
    http2_works(t, "afterwards")
    print(f"peak {t.memory_mib('VmHWM')} MiB")
    print(f"{t.passed} passed, {t.failed} failed")
    return 1 if t.failed else 0


def main():
    build = next((a for a in sys.argv[1:] if not a.startswith("-") and not a.isdigit()), "build")
    connections = int(sys.argv[sys.argv.index("--connections") + 1]) if "--connections" in sys.argv else 1000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = max(hard, connections + SPARE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    times = ["-server.http-read-timeout=10s", "-server.http-write-timeout=10s"]
    with Server(build, times) as s:
        return run(s, connections)


if __name__ == "__main__":
    sys.exit(main())
