#!/usr/bin/env python3
"""Uploads and questions that are built to hurt: each gets in time exactly the answer that is written here
beside it (a refusal with its reason, or 200 where limits cut, or where there is nothing to store); memory,
measured for each alone, stays below a stated bound; and a normal upload and question work right afterwards.

    test_bombs.py BUILD [--full]       --full: at full size
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
RSS_MIB = 700        # that one request may add to the release build: its body, what that inflates to, its arena
RSS_MIB_ASAN = 2500  # red zones, quarantine and shadow of the same
ARENA = "the upload needs more than 1073741824 bytes of memory"  # the largest that an arena may be; then more is used
ARENA_MIB = 1300
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


PARSER = "parsing IngestInput-pprof failed jfr parser ParseEvent error: "
EOF_META, EOF_POOLS = PARSER + "error reading metadata: unexpected EOF", PARSER + "error reading constant pools: unexpected EOF"


def jfr_bombs(n):
    """(what, body, status, text)"""
    ok = metadata()
    first = len(STRINGS)
    names = [*STRINGS, *(b"%d" % i for i in range(n))]
    many = b"".join(element(2, [(3, first + i), (4, first + i)], []) for i in range(n))
    whole = chunk(ok, checkpoint())
    yield "strings counted as 1e9", chunk(metadata(count=10**9), checkpoint()), 422, EOF_META
    yield "a string of 2 GB", chunk(varint(0) + varint(0) + varint(1) + varint(1) + b"\x03" + varint(2**31), checkpoint()), 422, EOF_META
    yield ("types inside types", chunk(metadata(tree=(varint(0) + varint(0) + varint(1)) * n + element(0, [], [])), checkpoint()),
           422, PARSER + "error reading metadata: elements are nested too deeply")
    yield "many types", chunk(metadata(names, varint(0) + varint(0) + varint(1) + varint(1) + varint(0) + varint(n) + many), checkpoint()), 200, ""
    yield "1e9 pools", chunk(ok, checkpoint(n=10**9)), 422, EOF_POOLS
    yield "a pool of 1e9 entries", chunk(ok, checkpoint(varint(7) + varint(10**9), 1)), 422, EOF_POOLS
    entry = varint(7) + varint(1) + varint(1)
    nested_classes = PARSER + "classes are nested too deeply"
    for what, attributes, small, large in [
            ("a reference to itself", [(8, 9)], (200, ""), (200, "")), ("a type inside itself", [], (422, nested_classes), (422, nested_classes)),
            ("arrays of itself", [(10, 11)], (422, nested_classes), (422, nested_classes)),
            ("arrays of references to itself", [(8, 9), (10, 11)], (200, ""), (422, EOF_POOLS))]:
        own = element(7, [(3, 7), (2, 6), *attributes], [])
        tree = element(0, [], [element(1, [], [element(2, [(3, 5), (4, 6)], [own, own])])])
        yield what, chunk(metadata(tree=tree), checkpoint(entry + b"\x01" * n, 1)), *small
        yield what + ", counted as 2^28", chunk(metadata(tree=tree), checkpoint(entry + b"\xff\xff\xff\x7f" * n, 1)), *large
    yield "a checkpoint that follows itself", chunk(ok, checkpoint(delta=2**64 - 1)), 422, EOF_POOLS
    yield "a cut chunk", whole[:-1], 422, PARSER + "error reading chunk: unexpected EOF"
    yield "a checkpoint before the file", chunk(ok, checkpoint(delta=2**63 - 1)), 422, PARSER + "constant pools are not chained backwards"
    yield "a size of zero", whole[:8] + bytes(8) + whole[16:] * 1000, 422, PARSER + "error reading chunk header: the chunk is not finished"
    yield "a chunk that is only its head", (whole[:8] + struct.pack(">q", 68) + whole[16:68]) * (n // 10), 422, PARSER + "error reading chunk: unexpected EOF"
    yield "chunks without events", whole * (n // 10), 200, ""


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
SIZE = "decompressed size exceeds maximum allowed size of 33554432 bytes"
PPROF, PUSHED = "parsing IngestInput-pprof failed invalid_argument: ", "pushing IngestInput-pprof failed push series with index 0 and id  failed: invalid_argument: "
FORM_OF = "parsing IngestInput-pprof failed failed to parse pprof /ingest multipart form "
STACKS = "the stacks need more memory than a request may use"


def gzips(full):
    z = zeros(10000 if full else 1500)
    yield "gzip of zeros, pprof", ingest(format="pprof"), {}, z, 422, PPROF + SIZE
    yield "gzip of zeros, jfr", ingest(format="jfr"), {}, z, 422, PARSER + "error reading chunk header: unexpected magic 1f8b0800"
    yield ("gzip of zeros, jfr in a form", ingest(format="jfr"), {"Content-Type": FORM}, form(jfr=z), 422,
           "parsing IngestInput-pprof failed loadJFRFromForm failed to decompress jfr: " + SIZE)
    yield ("gzip of zeros, labels in a form", ingest(format="jfr"), {"Content-Type": FORM}, form(jfr=chunk(metadata(), checkpoint()), labels=z), 422,
           "parsing IngestInput-pprof failed loadJFRFromForm failed to decompress labels: " + SIZE)
    yield "gzip of zeros, pprof in a form", ingest(), {"Content-Type": FORM}, form(profile=z), 422, PPROF + SIZE
    yield "gzip of zeros, push", PUSH, PROTO, push_body(z), 400, "uncompressed profile payload size exceeds limit of 34 MB"
    yield "gzip of zeros as encoding", PUSH, {**PROTO, "Content-Encoding": "gzip"}, z, 429, "message size is larger than configured max 268435456"
    yield "gzip in gzip in a form", ingest(), {"Content-Type": FORM}, form(profile=gzip.compress(z)), 422, PPROF + "proto: wrong wireType = 7 for field Mapping"
    yield ("gzip in gzip in a form, jfr", ingest(format="jfr"), {"Content-Type": FORM}, form(jfr=gzip.compress(z)), 422,
           PARSER + "error reading chunk header: unexpected magic 1f8b0800")


def protobufs(n):
    yield "pprof nested in samples", ingest(format="pprof"), {}, nested(2, n), 422, PUSHED + "empty profile"
    yield "pprof nested in locations", ingest(format="pprof"), {}, nested(4, n), 422, PUSHED + "empty profile"
    yield "pprof nested in types", ingest(format="pprof"), {}, nested(1, n), 422, PPROF + "proto: wrong wireType = 2 for field Type"
    yield "push nested", PUSH, PROTO, nested(1, n), 400, "no profiles received"
    yield "groups of protobuf", ingest(format="pprof"), {}, b"\x0b" * n, 422, PPROF + "proto: wrong wireType = 3 for field SampleType"
    yield "a deep pprof stack", ingest(format="pprof"), {}, pprof(sample([1] * n)), 200, ""
    yield ("1e5 sample labels", ingest(format="pprof"), {}, pprof(sample(labels=field(3, field(1, 3) + field(2, 3)) * 100000)), 422,
           "exceeds the sample labels limit (max_profile_stacktrace_sample_labels, actual: 100000, limit: 100)")
    yield ("1e5 label sets", ingest(format="pprof"), {},
           pprof(b"".join(sample(labels=field(3, field(1, 3) + field(2, 3 + i))) for i in range(n // 10)), ("", "cpu", "nanoseconds", *map(str, range(n // 10)))),
           *((200, "") if n < 10**6 else (429, "100000 more would exceed the limit")))
    yield ("1e5 series labels", PUSH, PROTO, push_body(pprof(sample()), [("l%d" % i, "v") for i in range(100000)]), 400,
           "has 100001 label names; limit 30")
    yield ("a label of 10 MB", PUSH, PROTO, push_body(pprof(sample()), [("__name__", "x"), ("service_name", "x" * 10**7)]), 400,
           "has label value too long: 'xxx")
    yield ("a long name", ingest(name="a{" + ",".join("l%d=v" % i for i in range(4000)) + "}"), {}, b"a 1\n", 400, "has 4004 label names; limit 30")
    yield "locations out of range", ingest(format="pprof"), {}, pprof(sample([2**63, 77])), 200, ""
    yield ("strings out of range", ingest(format="pprof"), {},
           pprof(sample(), tables=field(4, field(1, 1) + field(4, field(1, 1))) + field(5, field(1, 1) + field(2, 2**40))), 422,
           PUSHED + "function name string index out of range")
    yield "functions that are not there", ingest(format="pprof"), {}, pprof(sample(), tables=field(4, field(1, 1) + field(4, field(1, 2**63)))), 200, ""
    yield ("tables that name each other", ingest(format="pprof"), {},
           pprof(sample(), tables=field(3, field(1, 1) + field(5, 3)) + field(4, field(1, 1) + field(2, 1) + field(4, field(1, 1)) * 2) + field(5, field(1, 1) + field(2, 3) + field(3, 3) + field(4, 3))),
           200, "")
    yield "a location twice", ingest(format="pprof"), {}, pprof(sample(), tables=field(4, field(1, 1)) * n), 200, ""
    yield ("1e6 lines of a location", ingest(format="pprof"), {},
           pprof(sample(), tables=field(4, field(1, 1) + field(4, field(1, 1)) * n) + field(5, field(1, 1) + field(2, 3))), 200, "")
    yield "many sample types", ingest(format="pprof"), {}, field(1, field(1, 1) + field(2, 2)) * n + pprof(sample()), 422, PUSHED + f"{n + 1} sample types, limit 256"


def stacks(n, nodes):
    wide = varint(0) + varint(0) + varint(nodes) + b"".join(varint(8) + b"%08x" % i + b"\x01\0" for i in range(nodes))
    samples = (400, "exceeds the samples count limit") if n < 10**6 else (413, ARENA)
    yield "trie deep", ingest(format="trie"), {}, b"\0\0\x01" + b"\x02;a\0\x01" * n + b"\x01a\x01\0", 200, ""
    yield "trie deep, a value each", ingest(format="trie"), {}, b"\0\0\x01" + b"\x02;a\x01\x01" * n + b"\x01a\x01\0", 422, STACKS
    yield "trie of one long name", ingest(format="trie"), {}, b"\0\0\x01" + b"\x01a\x01\x01" * n + b"\x01a\x01\0", 422, "trie: names are too long"
    yield "trie wide", ingest(format="trie"), {}, wide, *samples
    yield "trie of 2^60 children", ingest(format="trie"), {}, b"\0\0" + varint(2**60), 200, ""
    yield "tree deep", ingest(format="tree"), {}, b"\0\0\x01" + b"\x01a\0\x01" * n + b"\x01a\x01\0", 200, ""
    yield "tree deep, a value each", ingest(format="tree"), {}, b"\0\0\x01" + b"\x01a\x01\x01" * n + b"\x01a\x01\0", 422, STACKS
    yield ("tree wide", ingest(format="tree"), {}, wide,
           422, f"tree node children count {nodes} exceeds maximum 200000")
    yield "tree of 2^60 children", ingest(format="tree"), {}, b"\0\0" + varint(2**60), 422, "tree node children count 1152921504606846976 exceeds maximum 200000"
    yield "a deep folded stack", ingest(), {}, b"a;" * n + b"b 1\n", 200, ""
    yield "a deep line", ingest(format="lines"), {}, b"a;" * n + b"b\n", 422, "bufio.Scanner: token too long"
    yield "a form of many parts", ingest(), {"Content-Type": FORM}, b"--xx\r\n\r\n\r\n" * n + b"--xx--\r\n", 422, FORM_OF + "multipart: message too large"
    yield "a form without an end", ingest(), {"Content-Type": FORM}, b"--xx\r\n" + b"a: b\r\n" * n, 422, FORM_OF + "unexpected EOF"


def jsons(n):
    deep = "exceeded max recursion depth"
    yield "speedscope nested", ingest(format="speedscope"), {}, b"[" * n, 422, "json: cannot read [ as an object"
    yield "speedscope objects", ingest(format="speedscope"), {}, b'{"a":' * n, 422, deep
    yield "JSON nested", PUSH, JSON, b'{"series":' + b"[" * 100000, 400, "unmarshal message: proto: syntax error (line 1:12): unexpected token ["
    yield "JSON nested in an unknown field", *query("LabelNames")[:2], b'{"x":' * 100000 + b"1" + b"}" * 100000, 400, deep
    yield "JSON of many profiles", PUSH, JSON, json.dumps({"series": [{"samples": [{"rawProfile": ""}] * n}]}).encode(), 400, f"{n} of {n} profiles were refused"


def selectors():
    no = ("repeats", "a class", "alternatives")
    for what, regex in [("repeats", "((a{100}){100}){100}"), ("stars", "(a*)*" * 2000), ("a class", "[^x]" * 20000),
                        ("alternatives", "|".join("a%d.*b" % i for i in range(8000))), ("groups", "(" * 5000 + ")" * 5000)]:
        answer = (400, "error parsing regexp") if what in no else (200, "")
        yield "a regex of " + what, *query("SelectSeries", profileTypeID=CPU, labelSelector='{a=~"%s"}' % regex, step=15), *answer
        yield "a label of the regex of " + what, *query("LabelValues", name="service_name", matchers=['{a=~"%s"}' % regex]), *answer
    yield ("many matchers", *query("SelectMergeStacktraces", profileTypeID=CPU, labelSelector="{" + ",".join('a%d="b"' % i for i in range(100000)) + "}"),
           400, "parsing label selector")
    yield "many selectors", *query("Series", matchers=['{a="b"}'] * 100000), 400, "more than 1000 matchers"
    yield "an open selector", *query("SelectMergeStacktraces", profileTypeID=CPU, labelSelector="{" * 100000), 400, "parsing label selector"
    yield "a tiny step", *query("SelectSeries", profileTypeID=CPU, labelSelector="{}", step=1e-9), 400, "step must be >= 1ms"


def texts():
    bad = b"\xff\xfe\x80"
    name = ("__name__", "process_cpu")
    yield "bad UTF-8 in a name", "/ingest?name=a%FF%FE&from=1&until=2", {}, b"a 1\n", 400, "name: invalid service name: a"
    yield ("bad UTF-8 in a label value", PUSH, PROTO, push_body(pprof(sample()), [name, ("service_name", "a"), ("b", bad)]), 400,
           "with error: invalid label value '")
    yield ("bad UTF-8 in a label name", PUSH, PROTO, push_body(pprof(sample()), [name, ("service_name", "a"), (bad, "b")]), 400,
           "with error: invalid label name '")
    yield "bad UTF-8 in __name__", PUSH, PROTO, push_body(pprof(sample()), [("__name__", bad), ("service_name", "a")]), 400, "with error: invalid metric name"
    yield "bad UTF-8 in a frame", ingest(format="pprof"), {}, pprof(sample(), strings=("", "cpu", "nanoseconds", bad)), 422, PUSHED + "invalid utf8 string hex: fffe80"
    yield "bad UTF-8 in a folded frame", ingest(), {}, bad + b" 1\n", 400, "invalid utf8 string hex: fffe80"
    yield "bad UTF-8 in JSON", PUSH, JSON, b'{"series":[{"labels":[{"name":"' + bad + b'","value":"x"}]}]}', 400, "unmarshal message: proto: syntax error (line 1:31): invalid UTF-8 in string"


# ── OTLP: a message of ours, over HTTP as protobuf and JSON, and over gRPC ──

OTLP = "/v1development/profiles"
EXPORT = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
OTLP_PROTO, GRPC = {"Content-Type": "application/x-protobuf"}, {"Content-Type": "application/grpc"}
OTLP_STRINGS = (b"", b"cpu", b"nanoseconds", b"main")
CONVERT, NO_MESSAGE = "failed to convert otel profile: ", "Failed to parse protobuf request: proto: cannot parse invalid wire-format data"


def packed(number, *values):
    return field(number, b"".join(map(varint, values)))


def otlp_profile(samples=None, time_ns=None):
    samples = field(2, field(1, 1) + packed(4, 5)) if samples is None else samples
    return field(1, field(1, 1) + field(2, 2)) + samples + b"\x19" + struct.pack("<Q", time_ns or time.time_ns())


def otlp_tables(strings=OTLP_STRINGS, **replaced):
    tables = {"mappings": field(1, b""), "locations": field(2, b"") + field(2, field(3, field(1, 1))),
              "functions": field(3, b"") + field(3, field(1, 3)), "links": field(4, b""), "attributes": field(6, b""),
              "stacks": field(7, b"") + field(7, packed(1, 1)), **replaced}
    return b"".join(tables.values()) + b"".join(field(5, s) for s in strings)


def attribute(key, value):
    return field(1, field(1, key) + field(2, field(1, value)))


def otlp(profiles=None, tables=None, resource=None, service=b"bomb"):
    profiles = field(2, otlp_profile()) if profiles is None else profiles
    resource = attribute(b"service.name", service) if resource is None else resource
    return field(1, field(1, resource) + field(2, profiles)) + field(2, otlp_tables() if tables is None else tables)


def envelope(body, flags=0, size=None):
    return bytes([flags]) + struct.pack(">I", len(body) if size is None else size) + body


def any_values(depth):
    """AnyValue { array_value: ArrayValue { values: AnyValue { … } } }"""
    heads, size = [], 0
    for i in range(2 * depth):
        head = varint((5, 1)[i % 2 == 0] << 3 | 2) + varint(size)
        heads.append(head)
        size += len(head)
    return b"".join(reversed(heads))


def otlp_messages(n):
    """(what, message, HTTP status, gRPC status, text)"""
    ok, bad, far = (200, 0, ""), (400, 3), 2**31 - 1
    for what, tables, where in [
            ("a location", {"stacks": field(7, b"") + field(7, packed(1, far))}, "location"),
            ("a function", {"locations": field(2, b"") + field(2, field(3, field(1, far)))}, "function"),
            ("a mapping", {"locations": field(2, b"") + field(2, field(1, far) + field(2, 1))}, "mapping"),
            ("a string", {"functions": field(3, b"") + field(3, field(1, far))}, "string")]:
        yield what + " out of range", otlp(tables=otlp_tables(**tables)), *bad, f"{CONVERT}{where} index out of bounds: {far}"
    for what, index, shown in [("a stack", far, far), ("a stack below zero", 2**64 - 1, -1)]:
        sent = otlp(field(2, otlp_profile(field(2, field(1, index) + packed(4, 5)))))
        yield what + " out of range", sent, *bad, f"{CONVERT}stack index out of bounds: {shown}"
    labelled = field(2, otlp_profile(field(2, field(1, 1) + packed(2, 1) + packed(4, 5))))
    yield ("an attribute that names itself", otlp(labelled, otlp_tables(attributes=field(6, b"") + field(6, field(1, 1) + field(2, field(8, 1))))), *ok)
    yield ("an attribute of a string out of range", otlp(labelled, otlp_tables(attributes=field(6, b"") + field(6, field(1, 1) + field(2, field(8, far))))),
           *bad, f"{CONVERT}string index out of bounds: {far}")
    yield "1e9 entries claimed", otlp(tables=otlp_tables(stacks=varint(7 << 3 | 2) + varint(10**9))), *bad, NO_MESSAGE
    yield "a dictionary that is longer than all", b"\x12" + varint(2**63) + otlp(), *bad, NO_MESSAGE
    yield "a million entries", otlp(tables=otlp_tables() + field(2, b"") * n + field(7, b"") * n + field(6, b"") * n), *ok
    yield "a million frames", otlp(tables=otlp_tables(stacks=field(7, b"") + field(7, packed(1, *[1] * n)))), *ok
    yield "a million lines", otlp(tables=otlp_tables(locations=field(2, b"") + field(2, field(3, field(1, 1)) * n))), *ok
    yield ("1e5 attributes of a sample", otlp(field(2, otlp_profile(field(2, field(1, 1) + packed(2, *[1] * 100000) + packed(4, 5)))),
                                              otlp_tables(attributes=field(6, b"") + field(6, field(1, 1) + field(2, field(1, b"x"))))), *bad,
           "exceeds the sample labels limit (max_profile_stacktrace_sample_labels, actual: 100000, limit: 100)")
    yield ("1e5 attributes of a resource", otlp(resource=b"".join(attribute(b"a%d" % i, b"b") for i in range(100000))), *bad,
           "has 100004 label names; limit 30")
    deep = any_values(100000)
    yield "values 1e5 deep", otlp(resource=field(1, field(1, b"a") + field(2, deep))), *ok
    yield "values 1e5 deep in the dictionary", otlp(labelled, otlp_tables(attributes=field(6, b"") + field(6, field(1, 1) + field(2, deep)))), *ok
    yield "messages inside each other", nested(1, n), *bad, "missing profile metadata dictionary"
    yield "groups", b"\x0b" * n, *bad, NO_MESSAGE
    yield "a million resources", field(1, b"") * n + field(2, otlp_tables()), *ok
    yield "bad UTF-8 in a frame", otlp(tables=otlp_tables((*OTLP_STRINGS[:3], b"\xff\xfe\x80"))), *bad, "invalid utf8 string hex: fffe80"
    yield "bad UTF-8 in a service", otlp(service=b"\xff\xfe\x80"), *bad, "invalid label value"
    yield "bad UTF-8 in an attribute", otlp(resource=attribute(b"\xff\xfe\x80", b"x")), *bad, "invalid label name"


def otlp_json(profiles=None, attributes=(), stack=(1,), service="bomb", time_ns=None):
    profile = {"sampleType": {"typeStrindex": 1, "unitStrindex": 2}, "samples": [{"stackIndex": 1, "values": [5]}],
               "timeUnixNano": str(time_ns or time.time_ns())}
    attributes = [{"key": "service.name", "value": {"stringValue": service}}, *attributes]
    return json.dumps({
        "resourceProfiles": [{"resource": {"attributes": attributes}, "scopeProfiles": [{"profiles": profiles or [profile]}]}],
        "dictionary": {"stringTable": ["", "cpu", "nanoseconds", "main"], "mappingTable": [{}],
                       "functionTable": [{}, {"nameStrindex": 3}], "locationTable": [{}, {"lines": [{"functionIndex": 1}]}],
                       "stackTable": [{}, {"locationIndices": list(stack)}]}}).encode()


def otlp_jsons(n):
    deep = "exceeded max recursion depth"
    yield "nested in an unknown field", b'{"x":' + b"[" * 100000 + b"]" * 100000 + b"}", 400, deep
    yield "objects in an unknown field", b'{"x":' * 100000 + b"1" + b"}" * 100000, 400, deep
    yield "nested", b'{"resourceProfiles":' + b"[" * 100000, 400, "unexpected token ["
    value = b'{"arrayValue":{"values":[' * 1000 + b"]}}" * 1000
    yield "values 1e3 deep", b'{"resourceProfiles":[{"resource":{"attributes":[{"key":"a","value":' + value + b"}]}}]}", 400, deep
    yield ("1e5 attributes", otlp_json(attributes=[{"key": "a%d" % i, "value": {"stringValue": "b"}} for i in range(100000)]), 400,
           "has 100005 label names; limit 30")
    yield "a million profiles", otlp_json(profiles=[{}] * n), 200, ""
    yield "a million frames", otlp_json(stack=[1] * n), 200, ""
    yield "an index out of range", otlp_json(stack=[2**31 - 1]), 400, f"{CONVERT}location index out of bounds: {2**31 - 1}"
    yield "a long number", b'{"dictionary":{"stackTable":[{"locationIndices":[' + b"1" * n + b"]}]}}", 400, "invalid number"
    yield "an open string", b'{"dictionary":{"stringTable":["' + b"\\u0041" * n, 400, "unexpected EOF"
    yield "bad UTF-8", b'{"dictionary":{"stringTable":["\xff\xfe\x80"]}}', 400, "invalid UTF-8"


def otlps(n, full):
    z = zeros(10000 if full else 1500)
    for what, body, status, code, text in otlp_messages(n):
        yield "otlp: " + what, OTLP, OTLP_PROTO, body, status, text
        yield "otlp over gRPC: " + what, EXPORT, GRPC, envelope(body), code, text
    for what, body, status, text in otlp_jsons(n):
        yield "otlp JSON: " + what, OTLP, JSON, body, status, text
    zipped, over = {"Content-Encoding": "gzip"}, "uncompressed profile payload size exceeds limit of 268 MB"
    yield "otlp: gzip of zeros", OTLP, {**OTLP_PROTO, **zipped}, z, 413, over
    yield "otlp JSON: gzip of zeros", OTLP, {**JSON, **zipped}, z, 413, over
    yield "otlp: gzip in gzip", OTLP, {**OTLP_PROTO, **zipped}, gzip.compress(z), 400, NO_MESSAGE
    yield ("otlp over gRPC: gzip of zeros", EXPORT, {**GRPC, "grpc-encoding": "gzip"}, envelope(z, 1), 8,
           "message size is larger than configured max 268435456")
    yield ("otlp over gRPC: a frame of 4 GiB", EXPORT, GRPC, envelope(b"x", size=2**32 - 1), 8,
           "message size 4294967295 is larger than configured max 268435456")
    yield ("otlp over gRPC: a frame longer than the body", EXPORT, GRPC, envelope(b"x" * 10, size=100), 3,
           "protocol error: promised 100 bytes in enveloped message, got 10 bytes")
    yield "otlp over gRPC: a million frames of nothing", EXPORT, GRPC, envelope(b"") * n, 12, "unary request has multiple messages"


def bombs(full):
    """(what, path, headers, body, status, a part of the answer)"""
    n = 10**6 if full else 10**5
    yield from gzips(full)
    yield from protobufs(n)
    for what, body, status, text in jfr_bombs(n):
        yield "jfr: " + what, ingest(format="jfr"), {}, body, status, text
    yield from stacks(n, 10 * n if full else 3 * n)
    yield from jsons(n)
    yield from selectors()
    yield from texts()
    yield from otlps(n, full)


class Tests:
    def __init__(self, server, asan):
        self.s, self.passed, self.failed, self.n = server, 0, 0, 0
        self.seconds = SECONDS * (3 if asan else 1)
        self.rss_mib = RSS_MIB_ASAN if asan else RSS_MIB
        self.slowest = self.largest = (0, "")

    def check(self, what, ok, shown=""):
        self.passed, self.failed = self.passed + bool(ok), self.failed + (not ok)
        if not ok:
            print("FAIL", what, str(shown)[:300], flush=True)

    def memory_mib(self, what):
        with open(f"/proc/{self.s.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) >> 10 for line in f if line.startswith(what))

    def forget_peak(self):
        with open(f"/proc/{self.s.process.pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")

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

    def throw(self, what, path, headers, body, want, part):
        self.forget_peak()
        before, begun = self.memory_mib("VmRSS"), time.monotonic()
        try:
            if headers.get("Content-Type") == "application/grpc":
                status, text = self.s.call(path, headers, body, self.seconds)
            else:
                status, _, text = self.s.request("POST", path, headers, body, timeout=self.seconds)
                text = text.decode(errors="replace")
        except OSError as e:
            status, text = 0, repr(e)
        took, added = time.monotonic() - begun, self.memory_mib("VmHWM") - before
        self.slowest = max(self.slowest, (took, what))
        self.largest = max(self.largest, (added, what))
        answer = text if status == 200 else json.loads(text)["message"] if text.startswith("{") else text
        self.check(what, status == want and part in answer, (status, answer))
        self.check(what + " in time", took < self.seconds, took)
        self.check(what + ": memory", added < max(self.rss_mib, ARENA_MIB * (part == ARENA)), f"{added} MiB")
        if os.environ.get("VERBOSE"):
            print(f"{what:45} {len(body) >> 10:7} KiB {status} {took:6.2f} s {added:5} MiB {answer[:200]!r}", flush=True)
        self.alive(what)


def main():
    build = next((a for a in sys.argv[1:] if not a.startswith("-")), "build")
    with Server(build) as s:
        t = Tests(s, "asan" in build)
        for bomb in bombs("--full" in sys.argv):
            if s.process.poll() is not None:
                t.check("the server lives", False, s.logged()[-3000:])
                break
            t.throw(*bomb)
    print(f"slowest {t.slowest[0]:.1f} s: {t.slowest[1]}; largest {t.largest[0]} MiB: {t.largest[1]}")
    print(f"{t.passed} passed, {t.failed} failed")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
