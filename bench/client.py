"""The processes and questions of the benchmark: a server with a directory of its own, its costs as
the kernel counts them, and a small Connect client (proto, answers in gzip). Standard library only."""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import zlib

FLAGS = ["-validation.reject-older-than=0", "-validation.reject-newer-than=0",
         "-validation.max-profile-stacktrace-samples=0", "-retention-period=0",
         "-distributor.ingestion-rate-limit-mb=100000", "-distributor.ingestion-burst-size-mb=100000",
         "-querier.max-query-lookback=0", "-querier.max-query-length=0",
         "-querier.max-flamegraph-nodes-max=0", "-auth.multitenancy-enabled=false",
         "-self-profiling.disable-push"]


class Server:
    def __init__(self, binary, parent, flags=(), under=()):
        self.binary, self.process, self.port, self.flags = binary, None, 0, [*FLAGS, *flags]
        self.under = under  # a command that runs it, as the same process
        self.dir = tempfile.mkdtemp(prefix="bench-", dir=parent)
        self.data = os.path.join(self.dir, "data")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process and self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self):
        """Seconds from the start of the process to the first 200 of /ready."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        begun = time.perf_counter()
        with open(os.path.join(self.dir, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [*self.under, self.binary, "-server.http-listen-address=127.0.0.1",
                 f"-server.http-listen-port={self.port}", "-data-dir=" + self.data, *self.flags],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self.dir)
        while self.process.poll() is None and time.perf_counter() - begun < 120:
            try:
                with Client(self.port) as c:
                    if c.send("GET", "/ready", b"")[0] == 200:
                        return time.perf_counter() - begun
            except OSError:
                pass
            time.sleep(0.001)
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as log:
            raise SystemExit("the server did not start:\n" + log.read()[-2000:])

    def stop(self):
        begun = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(120) != 0:
            raise SystemExit(f"the server ended with {self.process.returncode}")
        return time.perf_counter() - begun

    def kill(self):
        self.process.kill()
        self.process.wait()

    def cpu(self):
        """User and system seconds of all its threads, ended ones too: the kernel's clock of a process."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def memory_mb(self):
        """Resident now, and the most it ever was."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            kb = dict(line.split(":", 1) for line in f)
        return tuple(int(kb[key].split()[0]) / 1000 * 1.024 for key in ("VmRSS", "VmHWM"))

    def data_mb(self):
        """Sum of the sizes of all files, and of the blocks they occupy."""
        stats = []
        for folder, _, files in os.walk(self.data):
            for name in files:
                try:
                    stats.append(os.lstat(os.path.join(folder, name)))
                except FileNotFoundError:  # the server tidies up meanwhile
                    pass
        return sum(s.st_size for s in stats) / 1e6, sum(s.st_blocks * 512 for s in stats) / 1e6


def at_rest(binary, folder):
    """What the blocks of a data directory hold, and what they cost."""
    out = subprocess.run([binary, "storage", "ls", "-o", "json", folder], capture_output=True, text=True,
                         check=True).stdout
    blocks = [e for e in json.loads(out) if e["kind"] == "block"]
    return {"blocks": len(blocks), "bytes": sum(b["bytes"] for b in blocks),
            "profiles": sum(b["profiles"] for b in blocks), "samples": sum(b["samples"] for b in blocks)}


class Client:
    def __init__(self, port, timeout=120):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def send(self, method, path, body):
        """Status and body, inflated. A dictionary is sent as JSON, bytes as protobuf. Answers must have a
        Content-Length."""
        kind, body = ("json", json.dumps(body).encode()) if isinstance(body, dict) else ("proto", body)
        self.socket.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/{kind}\r\n"
            f"Connect-Protocol-Version: 1\r\nAccept-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
            .encode() + body)
        got = b""
        while b"\r\n\r\n" not in got:
            piece = self.socket.recv(1 << 16)
            if not piece:
                raise OSError("the connection was closed")
            got += piece
        head, _, rest = got.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(b":") for line in lines[1:])}
        pieces, left = [rest], int(headers[b"content-length"]) - len(rest)
        while left > 0:
            piece = self.socket.recv(min(left, 1 << 20))
            if not piece:
                raise OSError("the connection was closed")
            pieces.append(piece)
            left -= len(piece)
        out = b"".join(pieces)
        if headers.get(b"content-encoding") == b"gzip":
            out = zlib.decompress(out, 31)
        return int(lines[0].split()[1]), out


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, value):
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def read_varint(b, i):
    value = shift = 0
    while True:
        c = b[i]
        i += 1
        value |= (c & 127) << shift
        shift += 7
        if c < 128:
            return value, i


def fields(b):
    """(number, value) of a message; values are integers or bytes."""
    i = 0
    while i < len(b):
        key, i = read_varint(b, i)
        if key & 7 == 1:
            yield key >> 3, b[i:i + 8]
            i += 8
            continue
        value, i = read_varint(b, i)
        if key & 7 == 2:
            value, i = b[i:i + value], i + value
        yield key >> 3, value


def flame_total(answer):
    """The total of the flame graph in a SelectMergeStacktracesResponse."""
    graph = dict(fields(answer)).get(1, b"")
    return dict(fields(graph)).get(3, 0)
