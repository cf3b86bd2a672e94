"""Starts and stops everflame for tests: a free port, a directory of its own, stopped by pid.

    with Server("build", ["-auth.multitenancy-enabled=true"]) as s:
        status, headers, body = s.request("GET", "/ready")

The server does not profile itself, so that what is stored is what the test sent, unless a flag speaks of
self-profiling. Standard library only. The server's log is kept in s.log (a path) until the directory goes.
"""
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# No age, length, look-back or retention limits: recorded data is as old as it is.
OLD_DATA = ["-auth.multitenancy-enabled=true", "-validation.reject-older-than=0",
            "-validation.reject-newer-than=0", "-validation.max-profile-stacktrace-samples=0",
            "-distributor.ingestion-rate-limit-mb=10000", "-distributor.ingestion-burst-size-mb=10000",
            "-querier.max-query-lookback=0", "-querier.max-query-length=0", "-retention-period=0"]


def binary(build):
    path = os.path.join(ROOT, build, "src", "everflame")
    return path if os.path.exists(path) else os.path.join(ROOT, build, "everflame")


class Server:
    def __init__(self, build="build", flags=(), data=None, env=None, wrap=()):
        self.build, self.flags, self.env = build, list(flags), dict(os.environ, **(env or {}))
        if not any("self-profiling" in f for f in self.flags):
            self.flags.append("-self-profiling.disable-push")
        self.wrap = list(wrap) or (["setarch", "-R"] if build.endswith("tsan") else [])
        self.dir = tempfile.mkdtemp(prefix="everflame-test-")
        self.data = data or os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "log")
        self.process = self.port = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        try:
            code = self.stop()
        finally:
            text = self.logged()
            shutil.rmtree(self.dir, ignore_errors=True)
        if exc[0] is None and code != 0:
            sys.stderr.write(text[-8000:])
            raise AssertionError(f"the server ended with {code}")

    def start(self, seconds=60):
        out = open(self.log, "ab")
        begun = os.path.getsize(self.log)
        self.process = subprocess.Popen(
            [*self.wrap, binary(self.build), "-server.http-listen-address=127.0.0.1",
             "-server.http-listen-port=0", "-data-dir=" + self.data, *self.flags],
            stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=self.env, cwd=self.dir)
        out.close()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            m = re.search(r"https?://127\.0\.0\.1:(\d+)", self.logged()[begun:])
            if m:
                self.port = int(m.group(1))
                if self.ready():
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        text = self.logged()
        self.stop()
        raise AssertionError("the server did not start:\n" + text[-4000:])

    def ready(self):
        try:
            return self.request("GET", "/ready")[0] == 200
        except OSError:
            return False

    def logged(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def connection(self, timeout):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, target, headers=(), body=b"", timeout=120):
        c = self.connection(timeout)
        try:
            c.request(method, target, body, dict(headers))
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def call(self, path, headers, body, timeout=120):
        """A gRPC call over HTTP/2, by way of curl: its status, None without one, and its message."""
        command = ["curl", "-sS", "--http2-prior-knowledge", "-D", "-", "-o", os.devnull, "-m", str(timeout),
                   "--data-binary", "@-", self.url + path]
        for k, v in {"TE": "trailers", "Content-Type": "application/grpc", "Expect": "", **dict(headers)}.items():
            command += ["-H", f"{k}: {v}"]
        out = subprocess.run(command, input=body, capture_output=True, check=False).stdout.decode()
        found = dict(re.findall(r"^(grpc-[a-z]+): (.*?)\r?$", out, re.M))
        return int(found["grpc-status"]) if "grpc-status" in found else None, urllib.parse.unquote(found.get("grpc-message", ""))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        code, self.process = self.process.returncode, None
        return code
