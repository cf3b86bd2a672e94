#!/usr/bin/env python3
"""The second runner: recorded requests that HTTP/1.1 cannot carry (gRPC, Connect over HTTP/2), byte for byte, by curl
over HTTP/2, and what gRPC and gRPC-Web say in their trailers. run.py replays the rest.

    run_grpc.py BUILD

For each client that has some, all of its recorded questions are asked about
  - these requests alone, and once more about their messages taken out and sent as Connect over HTTP/1.1: alike;
  - all of its requests: the reference's recorded answers and those about these requests, added up.
Then come the values that about.md states. Each client is listed with what it contributes, and one that no runner
replays is a failure.
"""
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import conformance  # noqa: E402
from run import CLIENTS  # noqa: E402
from server import OLD_DATA, Server  # noqa: E402

CAPTURES, ANSWERS = os.path.join(HERE, "captures"), os.path.join(HERE, "answers")
EXPORT = "opentelemetry.proto.collector.profiles.v1development.ProfilesService"
CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
passed = failed = 0


def check(what, good, shown=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print("FAIL %s %s" % (what, shown), flush=True)


class Request:
    def __init__(self, client, row):
        self.client, self.row, self.id = client, row, row["id"]
        self.headers = [(k, v) for k, v in row["headers"] if not k.startswith(":") and k.lower() not in
                        conformance.HOP - {"te"}]
        self.named = {k.lower(): v for k, v in row["headers"]}
        self.kind = self.named.get("content-type", "").split(";")[0]
        self.http2 = str(row.get("http", "1.1")).startswith("2")
        with open(os.path.join(CAPTURES, client, row["body"]), "rb") as f:
            self.body = f.read()

    def protocol(self):
        """How it is listed."""
        if self.kind.startswith("application/grpc-web"):
            return "gRPC-Web over HTTP/1.1" if not self.http2 else "gRPC-Web over HTTP/2"
        if self.kind.startswith("application/grpc"):
            return "gRPC over HTTP/2" if self.http2 else "gRPC over HTTP/1.1"
        return "Connect over HTTP/2" if self.http2 else "HTTP/1.1"

    def message(self):
        """The message inside, plain."""
        data, coding = self.body, self.named.get("content-encoding", "")
        if self.kind.startswith("application/grpc"):
            data, coding = data[5:], self.named.get("grpc-encoding", "") if data[0] & 1 else ""
            assert len(data) == int.from_bytes(self.body[1:5], "big"), "one frame"
        return gzip.decompress(data) if coding == "gzip" else data


def requests(client):
    return [Request(client, row) for row in conformance.manifest(os.path.join(CAPTURES, client))
            if row["method"] != "GET"]


def send_http2(url, tenant, request):
    """(status, trailers and headers, body). A length is announced where the client did."""
    with tempfile.TemporaryDirectory() as folder:
        head, out = os.path.join(folder, "head"), os.path.join(folder, "out")
        body = ["--data-binary", "@-"] if "content-length" in request.named else ["-T", "-"]
        command = ["curl", "-sS", "--http2-prior-knowledge", "-X", "POST", "-m", "60", "-D", head, "-o", out, *body,
                   "-H", "accept:", "-w", "%{http_code} %{http_version}"]
        for name, value in [*request.headers, ("x-scope-orgid", tenant)]:
            command += ["-H", "%s: %s" % (name, value)]
        p = subprocess.run([*command, url + request.row["target"]], input=request.body, capture_output=True,
                           timeout=90, check=True)
        status, version = p.stdout.decode().split()
        assert version == "2", version
        with open(head, encoding="utf-8") as f:
            lines = dict(line.rstrip("\r\n").lower().split(": ", 1) for line in f if ": " in line)
        with open(out, "rb") as f:
            return int(status), lines, f.read()


def answered(request, status, lines, data):
    """An empty message and the status ok, in the protocol's own way."""
    if not request.kind.startswith("application/grpc"):
        return status == 200 and (gzip.decompress(data) if lines.get("content-encoding") == "gzip" else data) == b""
    if request.kind.startswith("application/grpc-web"):
        at = data.find(b"\x80")
        lines = dict(line.split(": ", 1) for line in data[at + 5:].decode().split("\r\n") if line)
        data = data[:at]
    message = data[5:] if data[:1] == b"\0" else gzip.decompress(data[5:])
    return (status, lines.get("grpc-status"), message) == (200, "0", b"")


def send_plain(url, tenant, request):
    """The message as Connect over HTTP/1.1, or as OTLP over HTTP."""
    export = EXPORT in request.row["target"]
    target = "/v1development/profiles" if export else request.row["target"]
    kind = "application/x-protobuf" if export else "application/proto"
    status, text = conformance.Server(url, tenant).send("POST", target, [("Content-Type", kind)], request.message())
    check("%s %s taken out" % (request.client, request.id), status == 200, text)


# Answers added up.


def added(a, b):
    """Numbers and stacks are added, lists united, points added by their time; the rest must be equal."""
    if isinstance(a, bool) or isinstance(a, str) or a is None:
        return a
    if isinstance(a, (int, float)):
        return a + b
    if isinstance(a, dict):
        same = {k: a[k] for k in ("sampleType", "format", "units", "sampleRate", "name") if k in a}
        return dict({k: added(a[k], b[k]) if k in a and k in b else a.get(k, b.get(k))
                     for k in {**a, **b}}, **same)
    if len(a) == len(b) <= 2 and all(isinstance(x, (int, float)) for x in a + b):
        return [added(x, y) for x, y in zip(a, b)]  # the sides of a comparison
    return a


def added_series(a, b):
    out = {}
    for labels, points in a + b:
        sums = out.setdefault(json.dumps(labels), {})
        for time, value in points:
            sums[time] = sums.get(time, 0) + value
    return sorted([json.loads(k), [[t, v[t]] for t in sorted(v)]] for k, v in out.items())


def together(method, a, b):
    """What one should be told about two sets of uploads, from the answers about each."""
    if method == "SelectSeries":
        return added_series(a, b)
    if isinstance(a, list):
        return sorted(x for i, x in enumerate(a + b) if x not in (a + b)[:i])
    if method == "SelectMergeProfile" and not (a["stacks"] and b["stacks"]):
        return a if a["stacks"] else b  # without samples there is no type either
    return added(a, b)


def questions(client, url):
    """The recorded ones; where the reference recorded none, the same about our own answers."""
    path = os.path.join(ANSWERS, client + ".json.gz")
    if os.path.exists(path):
        with gzip.open(path) as f:
            return [(q["method"], q["request"], q["answer"], q["id"]) for q in json.load(f)["questions"]]
    server = conformance.Server(url, client)
    window = conformance.window(os.path.join(CAPTURES, client))
    return [(m, r, conformance.ask(server, m, r), client) for m, r in conformance.questions(server, *window)]


def tenants(url, client, mine):
    """Uploads of the client over HTTP/1.1, of mine alone, of the messages in mine, of all."""
    folder = os.path.join(CAPTURES, client)
    for tenant in (client, client + "-all"):
        _, bad = conformance.replay(conformance.Server(url, tenant), folder)
        check(client + " over HTTP/1.1", not bad, bad)
    for request in mine:
        for tenant in (client + "-mine", client + "-all"):
            got = send_http2(url, tenant, request)
            check("%s %s is taken" % (client, request.id), answered(request, *got), got)
        send_plain(url, client + "-plain", request)


def compare(url, client, deviations):
    """Returns how many answers were compared, how many of them hold data, and how many deviate on purpose."""
    servers = {n: conformance.Server(url, client + "-" + n) for n in ("mine", "plain", "all")}
    compared = full = skipped = 0
    for method, request, recorded, name in questions(client, url):
        got = {n: conformance.json_round(conformance.ask(s, method, request)) for n, s in servers.items()}
        check("%s %s alike in both protocols" % (client, name), got["mine"] == got["plain"],
              list(conformance.differences(got["plain"], got["mine"]))[:3])
        compared, full = compared + 1, full + (got["mine"] != conformance.json_round(empty(got["mine"])))
        if name in deviations:
            skipped += 1
            continue
        want = together(method.split("?")[0].rsplit("/")[-1], recorded, got["mine"])
        check("%s %s added up" % (client, name), got["all"] == want,
              list(conformance.differences(want, got["all"]))[:3])
    return compared, full, skipped


def empty(answer):
    if isinstance(answer, list):
        return []
    return dict(answer, **{k: {} if k == "stacks" else 0 for k in ("stacks", "total", "numTicks") if k in answer})


# What about.md states.


def about(client):
    with open(os.path.join(CAPTURES, client, "about.md"), encoding="utf-8") as f:
        return f.read()


def flame(url, tenant, client, **more):
    start, end = conformance.window(os.path.join(CAPTURES, client))
    return conformance.ask(conformance.Server(url, tenant), "SelectMergeStacktraces", dict(
        {"start": start, "end": end, "profileTypeID": CPU, "labelSelector": "{}", "maxNodes": 1048576}, **more))


def collector_states(url):
    """Two stacks 75:25, of 99 samples a second, in every request; the first has a span."""
    text, n = about("otlp-collector"), sum(r.http2 for r in requests("otlp-collector"))
    heavy, light = (int(x) for x in re.search(r"two stacks (\d+):(\d+) timestamps", text).groups())
    want = {"main;processOrder;spin": n * heavy * 10101010, "main;processInvoice;spin": n * light * 10101010}
    server = conformance.Server(url, "otlp-collector-mine")
    start, end = conformance.window(os.path.join(CAPTURES, "otlp-collector"))
    for name, value in re.findall(r"(service\.name|k8s\.namespace\.name|process\.pid)=([^,.\s]+)", text):
        got = conformance.ask(server, "LabelValues", {"start": start, "end": end, "name": name})
        check("otlp-collector %s over gRPC" % name, got == [value], got)
    got = flame(url, "otlp-collector-mine", "otlp-collector")
    check("otlp-collector stacks over gRPC", got["stacks"] == want and got["total"] == sum(want.values()), got)
    got = flame(url, "otlp-collector-mine", "otlp-collector", spanSelector=["a1b2c3d4e5f60718"])
    check("otlp-collector span over gRPC", got["stacks"] == {k: v for k, v in want.items() if "Order" in k}, got)


def otlp_go_states(url):
    """Hits of 50 ms in every request, as written; the same samples in all requests of a round."""
    text, n = about("otlp-go"), sum(r.http2 for r in requests("otlp-go"))
    hits = [int(x) for x in re.search(r"([\d:]+) hits for", text).group(1).split(":")]
    got = flame(url, "otlp-go-mine", "otlp-go")
    check("otlp-go hits over gRPC", got["total"] == n * sum(hits) * 50000000, got["total"])
    check("otlp-go shares over gRPC", sorted(got["stacks"].values()) == sorted(n * h * 50000000 for h in hits),
          got["stacks"])


def push_go_states(url):
    """Totals, as the notes of the manifest state them for each request: over HTTP/2, and in all. The notes end before
    the series `block`; with it about.md states the sums of all requests (but counts a cpu profile more)."""
    client = "push-go"
    rng = dict(zip(("start", "end"), conformance.window(os.path.join(CAPTURES, client))))
    for tenant, rows in (("mine", [r for r in requests(client) if r.http2]), ("all", requests(client))):
        stated, got, whole = {}, {}, {}
        for r in rows:
            for kinds, sums in re.findall(r"\[([\w/,]+)\] period.*?sums=\[([\d, ]+)\]", r.row["note"]):
                for kind, n in zip(kinds.split(","), sums.split(",")):
                    stated[kind] = stated.get(kind, 0) + int(n)
        name = client + "-" + tenant
        for kind in conformance.ask(conformance.Server(url, name), "ProfileTypes", rng):
            key = "/".join(kind.split(":")[1:3])
            total = flame(url, name, client, profileTypeID=kind)["total"]
            whole[key] = whole.get(key, 0) + total
            got[key] = got.get(key, 0) + (0 if kind.startswith("block:") else total)
        check("%s totals" % name, got == stated and len(stated) == 9, (got, stated))
    for kind, total in re.findall(r"((?:alloc|inuse|goroutine|contentions|delay)\w*/\w+) = (\d+)", about(client)):
        check("push-go %s in all" % kind, whole[kind] == int(total), (whole[kind], total))


def replay(url, client, deviations):
    """Everything of the client that is not run.py's; returns what the client contributes."""
    every, kinds = requests(client), {}
    mine = [r for r in every if r.http2]
    for r in every:
        kinds[r.protocol()] = kinds.get(r.protocol(), 0) + 1
        if not r.http2 and r.kind.startswith("application/grpc"):
            got = conformance.Server(url, client + "-web").send("POST", r.row["target"], r.headers, r.body)
            check("%s %s is taken" % (client, r.id), answered(r, got[0], {}, got[1]), got)
    said = ", ".join("%d %s" % (n, k) for k, n in sorted(kinds.items()))
    check(client + " is replayed", client in CLIENTS or mine, "neither by run.py nor here")
    if not mine:
        return said
    tenants(url, client, mine)
    return said + "; %d answers compared, %d with data, %d deviate on purpose" % compare(url, client, deviations)


def main():
    with open(os.path.join(HERE, "deviations.jsonl"), encoding="utf-8") as f:
        deviations = {json.loads(line)["id"] for line in f if line.strip()}
    clients = sorted(d for d in os.listdir(CAPTURES) if os.path.isdir(os.path.join(CAPTURES, d)))
    with Server(sys.argv[1], OLD_DATA) as s:
        for client in clients:
            print("%s: %s" % (client, replay(s.url, client, deviations)), flush=True)
        collector_states(s.url)
        otlp_go_states(s.url)
        push_go_states(s.url)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
