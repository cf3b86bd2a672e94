#!/usr/bin/env python3
"""Uploads and questions that are built to hurt: each is answered in time with a refusal (4xx) or, where
limits cut, with 200 and a count; memory stays below a stated bound; and a normal upload and question
work right afterwards.

    test_bombs.py BUILD [--long]       --long: at full size
"""
import gzip
import json
import os
import struct
import sys
import time
import urllib.parse
import zlib

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from server import Server

SECONDS = 20.0       # per request; sanitizers get three times as much
RSS_MIB = 1500       # of the release build; a request may need its arena and its inflated body
RSS_MIB_ASAN = 3000  # red zones, quarantine and shadow of the same
FORM = "multipart/form-data; boundary=xx"
JSON = {"Content-Type": "application/json"}
PROTO = {"Content-Type": "application/proto"}
PUSH = "/push.v1.PusherService/Push"
QUERIER = "/querier.v1.QuerierService/"


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def nested(number, depth, inner=b""):
    """Length-delimited fields inside each other; sizes are computed from the inside."""
    heads, size = [], len(inner)
    for _ in range(depth):
        head = varint(number << 3 | 2) + varint(size)
        heads.append(head)
        size += len(head)
    return b"".join(reversed(heads)) + inner


def zeros(mib):
    """A gzip stream that inflates to so many MiB of zeros; its checksum is wrong, but who comes so far?"""
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = z.compress(bytes(1 << 20)) + z.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + block * mib + b"\x03\0" + struct.pack("<II", 0, mib << 20 & 0xffffffff)


def form(**parts):
    out = b""
    for name, data in parts.items():
        out += b'--xx\r\nContent-Disposition: form-data; name="%s"; filename="f"\r\n\r\n' % name.encode() + data + b"\r\n"
    return out + b"--xx--\r\n"


def pprof(samples=b"", strings=("", "cpu", "nanoseconds", "main"), tables=None):
    out = field(1, field(1, 1) + field(2, 2)) + samples
    out += tables if tables is not None else (
        field(4, field(1, 1) + field(4, field(1, 1))) + field(5, field(1, 1) + field(2, 3)))
    return out + b"".join(field(6, s.encode() if isinstance(s, str) else s) for s in strings)


def sample(locations=(1,), value=1, labels=b""):
    return field(2, field(1, b"".join(map(varint, locations))) + field(2, varint(value)) + labels)


# ── JFR: a chunk of our own with one metadata and one checkpoint event ──

def event(kind, body):
    inner = varint(kind) + body
    for n in range(1, 6):
        size = varint(len(inner) + n)
        if len(size) == n:
            return size + inner
    raise ValueError


def jfr_string(s):
    return b"\x03" + varint(len(s)) + s


def chunk(metadata, checkpoint):
    meta, check = event(0, metadata), event(1, checkpoint)
    head = 68
    return (b"FLR\0" + struct.pack(">HHqqqqqqqi", 2, 0, head + len(meta) + len(check), head + len(meta), head,
                                   int(time.time()) * 10**9, 10**9, 0, 10**9, 1) + meta + check)


STRINGS = [b"root", b"metadata", b"class", b"name", b"id", b"jdk.types.StackTrace", b"7", b"field", b"constantPool", b"true",
           b"dimension", b"1"]


def element(name, attributes, children):
    out = varint(name) + varint(len(attributes))
    for k, v in attributes:
        out += varint(k) + varint(v)
    return out + varint(len(children)) + b"".join(children)


def metadata(strings=STRINGS, tree=None, count=None):
    if tree is None:
        tree = element(0, [], [element(1, [], [element(2, [(3, 5), (4, 6)], [])])])
    return (varint(0) + varint(0) + varint(1) + varint(count if count is not None else len(strings))
            + b"".join(map(jfr_string, strings)) + tree)


def checkpoint(pools=b"", n=0, delta=0):
    return varint(0) + varint(0) + varint(delta) + b"\x01" + varint(n) + pools


def jfr_bombs(n):
    ok = metadata()
    first = len(STRINGS)
    names = [*STRINGS, *(b"%d" % i for i in range(n))]
    many = b"".join(element(2, [(3, first + i), (4, first + i)], []) for i in range(n))
    yield "strings counted as 1e9", chunk(metadata(count=10**9), checkpoint())
    yield "a string of 2 GB", chunk(varint(0) + varint(0) + varint(1) + varint(1) + b"\x03" + varint(2**31), checkpoint())
    yield "types inside types", chunk(metadata(tree=(varint(0) + varint(0) + varint(1)) * n + element(0, [], [])), checkpoint())
    yield "many types", chunk(metadata(names, varint(0) + varint(0) + varint(1) + varint(1) + varint(0) + varint(n) + many), checkpoint())
    yield "1e9 pools", chunk(ok, checkpoint(n=10**9))
    yield "a pool of 1e9 entries", chunk(ok, checkpoint(varint(7) + varint(10**9), 1))
    entry = varint(7) + varint(1) + varint(1)
    for what, attributes in [("a reference to itself", [(8, 9)]), ("a type inside itself", []),
                             ("arrays of itself", [(10, 11)]), ("arrays of references to itself", [(8, 9), (10, 11)])]:
        own = element(7, [(3, 7), (2, 6), *attributes], [])
        tree = element(0, [], [element(1, [], [element(2, [(3, 5), (4, 6)], [own, own])])])
        yield what, chunk(metadata(tree=tree), checkpoint(entry + b"\x01" * n, 1))
        yield what + ", counted as 2^28", chunk(metadata(tree=tree), checkpoint(entry + b"\xff\xff\xff\x7f" * n, 1))
    yield "a checkpoint that follows itself", chunk(ok, checkpoint(delta=2**64 - 1))
    yield "a cut chunk", chunk(ok, checkpoint())[:-1]
    yield "a checkpoint before the file", chunk(ok, checkpoint(delta=2**63 - 1))
    yield "a size of zero", chunk(ok, checkpoint())[:68] + bytes(100000)
    yield "a million empty chunks", chunk(ok, checkpoint())[:68] * (n // 68 + 1)


# ── everything ──

def ingest(**query):
    now = int(time.time())
    return "/ingest?" + urllib.parse.urlencode({"name": "bomb", "from": now - 10, "until": now, **query})


def push_body(raw, labels=(("service_name", "bomb"), ("__name__", "process_cpu"))):
    pairs = b"".join(field(1, field(1, k.encode() if isinstance(k, str) else k) + field(2, v.encode() if isinstance(v, str) else v))
                     for k, v in labels)
    return field(1, pairs + field(2, field(1, raw)))


def query(method, **more):
    now = int(time.time() * 1000)
    return QUERIER + method, JSON, json.dumps({"start": now - 3600000, "end": now, **more}).encode()


CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
NO = range(400, 500)
MAYBE = (200, *NO)


def bombs(long):
    """(what, path, headers, body, statuses)"""
    n = 10**6 if long else 10**5
    z = zeros(10000 if long else 1500)
    bad = b"\xff\xfe\x80"
    yield "gzip of zeros, pprof", ingest(format="pprof"), {}, z, NO
    yield "gzip of zeros, jfr", ingest(format="jfr"), {}, z, NO
    yield "gzip of zeros, jfr in a form", ingest(format="jfr"), {"Content-Type": FORM}, form(jfr=z), NO
    yield "gzip of zeros, pprof in a form", ingest(), {"Content-Type": FORM}, form(profile=z), NO
    yield "gzip of zeros, push", PUSH, PROTO, push_body(z), NO
    yield "gzip of zeros as encoding", PUSH, {**PROTO, "Content-Encoding": "gzip"}, z, NO
    yield "gzip in gzip in a form", ingest(), {"Content-Type": FORM}, form(profile=gzip.compress(z)), NO
    yield "gzip in gzip in a form, jfr", ingest(format="jfr"), {"Content-Type": FORM}, form(jfr=gzip.compress(z)), NO
    for f in (2, 4, 1):
        yield f"pprof nested in field {f}", ingest(format="pprof"), {}, nested(f, n), MAYBE
    yield "push nested", PUSH, PROTO, nested(1, n), MAYBE
    yield "groups of protobuf", ingest(format="pprof"), {}, b"\x0b" * n, NO
    for what, body in jfr_bombs(n):
        yield "jfr: " + what, ingest(format="jfr"), {}, body, MAYBE
    wide = varint(0) + varint(0) + varint(n) + b"".join(varint(8) + b"%08x" % i + b"\x01\0" for i in range(n))
    for form_of in ("trie", "tree"):
        yield form_of + " deep", ingest(format=form_of), {}, b"\0\0\x01" + b"\x01a\0\x01" * n + b"\x01a\x01\0", MAYBE
        yield form_of + " wide", ingest(format=form_of), {}, wide, MAYBE
        yield form_of + " of 2^60 children", ingest(format=form_of), {}, b"\0\0" + varint(2**60), MAYBE
    yield "a deep folded stack", ingest(), {}, b"a;" * n + b"b 1\n", MAYBE
    yield "a deep line", ingest(format="lines"), {}, b"a;" * n + b"b\n", MAYBE
    yield "a deep pprof stack", ingest(format="pprof"), {}, pprof(sample([1] * n)), MAYBE
    yield "1e5 sample labels", ingest(format="pprof"), {}, pprof(sample(labels=field(3, field(1, 3) + field(2, 3)) * 100000)), MAYBE
    yield "1e5 series labels", PUSH, PROTO, push_body(pprof(sample()), [("l%d" % i, "v") for i in range(100000)]), NO
    yield "a label of 10 MB", PUSH, PROTO, push_body(pprof(sample()), [("service_name", "x" * 10**7)]), NO
    yield "a long name", ingest(name="a{" + ",".join("l%d=v" % i for i in range(4000)) + "}"), {}, b"a 1\n", NO
    yield "locations out of range", ingest(format="pprof"), {}, pprof(sample([2**63, 77])), MAYBE
    yield "strings out of range", ingest(format="pprof"), {}, pprof(sample(), tables=field(4, field(1, 1) + field(4, field(1, 1))) + field(5, field(1, 1) + field(2, 2**40))), MAYBE
    yield "functions that are not there", ingest(format="pprof"), {}, pprof(sample(), tables=field(4, field(1, 1) + field(4, field(1, 2**63)))), MAYBE
    yield "a location twice", ingest(format="pprof"), {}, pprof(sample(), tables=field(4, field(1, 1)) * n), MAYBE
    yield "1e6 lines of a location", ingest(format="pprof"), {}, pprof(sample(), tables=field(4, field(1, 1) + field(4, field(1, 1)) * n) + field(5, field(1, 1) + field(2, 3))), MAYBE
    yield "many sample types", ingest(format="pprof"), {}, field(1, field(1, 1) + field(2, 2)) * n + pprof(sample()), NO
    yield "a form of many parts", ingest(), {"Content-Type": FORM}, b"--xx\r\n\r\n\r\n" * n + b"--xx--\r\n", NO
    yield "a form without an end", ingest(), {"Content-Type": FORM}, b"--xx\r\n" + b"a: b\r\n" * n, NO
    yield "speedscope nested", ingest(format="speedscope"), {}, b"[" * n, NO
    yield "speedscope objects", ingest(format="speedscope"), {}, b'{"a":' * n, NO
    yield "JSON nested", PUSH, JSON, b'{"series":' + b"[" * 100000, NO
    yield "JSON nested in an unknown field", *query("LabelNames")[:2], b'{"x":' * 100000 + b"1" + b"}" * 100000, NO
    yield "JSON of many profiles", PUSH, JSON, json.dumps({"series": [{"samples": [{"rawProfile": ""}] * n}]}).encode(), NO
    for what, regex in [("repeats", "((a{100}){100}){100}"), ("stars", "(a*)*" * 2000), ("a class", "[^x]" * 20000),
                        ("alternatives", "|".join("a%d.*b" % i for i in range(8000))), ("groups", "(" * 5000 + ")" * 5000)]:
        yield "a regex of " + what, *query("SelectSeries", profileTypeID=CPU, labelSelector='{a=~"%s"}' % regex, step=15), MAYBE
        yield "a label of the regex of " + what, *query("LabelValues", name="service_name", matchers=['{a=~"%s"}' % regex]), MAYBE
    yield "many matchers", *query("SelectMergeStacktraces", profileTypeID=CPU, labelSelector="{" + ",".join('a%d="b"' % i for i in range(100000)) + "}"), MAYBE
    yield "many selectors", *query("Series", matchers=['{a="b"}'] * 100000), MAYBE
    yield "an open selector", *query("SelectMergeStacktraces", profileTypeID=CPU, labelSelector="{" * 100000), NO
    yield "a tiny step", *query("SelectSeries", profileTypeID=CPU, labelSelector="{}", step=1e-9), MAYBE
    yield "bad UTF-8 in a name", "/ingest?name=a%FF%FE&from=1&until=2", {}, b"a 1\n", NO
    yield "bad UTF-8 in a label value", PUSH, PROTO, push_body(pprof(sample()), [("service_name", "a"), ("b", bad)]), NO
    yield "bad UTF-8 in a label name", PUSH, PROTO, push_body(pprof(sample()), [("service_name", "a"), (bad, "b")]), NO
    yield "bad UTF-8 in a frame", ingest(format="pprof"), {}, pprof(sample(), strings=("", "cpu", "nanoseconds", bad)), NO
    yield "bad UTF-8 in a folded frame", ingest(), {}, bad + b" 1\n", MAYBE
    yield "bad UTF-8 in JSON", PUSH, JSON, b'{"series":[{"labels":[{"name":"' + bad + b'","value":"x"}]}]}', NO


class Tests:
    def __init__(self, server, asan):
        self.s, self.passed, self.failed, self.n = server, 0, 0, 0
        self.seconds = SECONDS * (3 if asan else 1)
        self.rss_mib = RSS_MIB_ASAN if asan else RSS_MIB
        self.slowest = (0, "")

    def check(self, what, ok, shown=""):
        self.passed, self.failed = self.passed + bool(ok), self.failed + (not ok)
        if not ok:
            print("FAIL", what, str(shown)[:300], flush=True)

    def peak_mib(self):
        with open(f"/proc/{self.s.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) >> 10 for line in f if line.startswith("VmHWM"))

    def alive(self, what):
        """A normal upload is stored and shown."""
        self.n += 1
        now = int(time.time())
        name = f"alive{self.n}"
        status, _, text = self.s.request(
            "POST", "/ingest?" + urllib.parse.urlencode({"name": name, "from": now - 10, "until": now}), {}, b"main;work 10\n")
        self.check("an upload after " + what, status == 200, (status, text))
        path, headers, body = query("LabelValues", name="service_name", matchers=['{service_name="%s"}' % name])
        q = json.loads(body)
        q["end"] += 60000
        status, _, text = self.s.request("POST", path, headers, json.dumps(q).encode())
        self.check("a question after " + what, status == 200 and name.encode() in text, (status, text))

    def throw(self, what, path, headers, body, statuses):
        begun = time.monotonic()
        try:
            status, _, text = self.s.request("POST", path, headers, body, timeout=self.seconds)
        except OSError as e:
            status, text = 0, repr(e)
        took = time.monotonic() - begun
        self.slowest = max(self.slowest, (took, what))
        self.check(what, status in statuses, (status, text))
        self.check(what + " in time", took < self.seconds, took)
        self.check(what + ": memory", self.peak_mib() < self.rss_mib, f"{self.peak_mib()} MiB")
        if os.environ.get("VERBOSE"):
            print(f"{what:45} {status} {took:6.2f} s  peak {self.peak_mib()} MiB {text[:300]!r}", flush=True)
        self.alive(what)


def main():
    build = next((a for a in sys.argv[1:] if not a.startswith("-")), "build")
    with Server(build) as s:
        t = Tests(s, "asan" in build)
        for bomb in bombs("--long" in sys.argv):
            if s.process.poll() is not None:
                t.check("the server lives", False, s.logged()[-3000:])
                break
            t.throw(*bomb)
        peak = t.peak_mib() if s.process.poll() is None else -1
    print(f"peak {peak} MiB, slowest {t.slowest[0]:.1f} s: {t.slowest[1]}")
    print(f"{t.passed} passed, {t.failed} failed")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
