#!/usr/bin/env python3
"""Our values where they differ from the reference's on purpose (deviations.jsonl), against what the
captures themselves say.

  java-extra   about.md counts 1926 jdk.ExecutionSample (10 ms each) and 116 profiler.Malloc
  ingest-curl  the evented speedscope profile, summed from its own events
  push-go      the unsymbolised frame has what its stack has in the uploads
  otlp-go      flame graphs hold what the reference's own timeline of the same query holds
  otlp-collector   the Collector's own encoding, which the reference refuses: about.md says what was sent
"""
import base64
import gzip
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
from server import OLD_DATA, Server  # noqa: E402
from protolite import Schema  # noqa: E402
import conformance  # noqa: E402


def about_count(client, event):
    with open(os.path.join(HERE, "captures", client, "about.md"), encoding="utf-8") as f:
        row = re.search(r"^\| " + re.escape(event) + r" \|(.*)\|$", f.read(), flags=re.M)
    return int(row.group(1).split("|")[0])


def total(server, client, profile_type):
    start, end = conformance.window(os.path.join(HERE, "captures", client))
    answer = conformance.ask(server, "SelectMergeStacktraces", {
        "profileTypeID": profile_type, "labelSelector": "{}", "start": start, "end": end})
    return answer["total"]


def speedscope_evented():
    """Nanoseconds per stack of the evented profile in request 009, by the format's own rules."""
    unit_ns = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3}
    with open(os.path.join(HERE, "captures", "ingest-curl", "009.bin"), encoding="utf-8") as f:
        doc = json.load(f)
    sums = 0
    for p in doc["profiles"]:
        if p["type"] == "evented":
            depth, last = 0, p["startValue"]
            for e in p["events"]:
                if depth:
                    sums += int(e["at"] - last) * unit_ns[p["unit"]]
                last = e["at"]
                depth += 1 if e["type"] == "O" else -1
        else:
            sums += sum(int(w) for w in p["weights"]) * unit_ns[p["unit"]]
    return sums


def timeline_sum(client, profile_type):
    """What the reference's answer to SelectSeries over everything adds up to."""
    with gzip.open(os.path.join(HERE, "answers", client + ".json.gz")) as f:
        questions = json.load(f)["questions"]
    found = [q["answer"] for q in questions if q["method"] == "SelectSeries" and "groupBy" not in q["request"]
             and q["request"]["profileTypeID"] == profile_type and q["request"]["step"] == 15]
    return sum(value for _, points in found[0] for _, value in points)


def unsymbolised(client):
    """Nanoseconds of the stack whose leaf has no function, by stack of addresses, in the uploads over HTTP/1.1."""
    schema, sums = Schema(), {}
    for r in conformance.manifest(os.path.join(HERE, "captures", client)):
        if r["http"] != "1.1" or "synthetic" not in r["note"]:
            continue
        with open(os.path.join(HERE, "captures", client, r["body"]), "rb") as f:
            body = f.read()
        body = body[5:] if "gRPC" in r["note"] else gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        for series in schema.decode("push.v1.PushRequest", body)["series"]:
            for sample in series["samples"]:
                raw = base64.b64decode(sample["rawProfile"])
                profile = schema.decode("google.v1.Profile", gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)
                bare = {x["id"]: x["address"] for x in profile["location"] if not x.get("line")}
                for x in profile["sample"]:
                    if x["locationId"][0] in bare:
                        name = "main;libnosym.so.1!%#x" % int(bare[x["locationId"][0]])
                        sums[name] = sums.get(name, 0) + int(x["value"][1])
    return sums


def frame(server, client, profile_type, text):
    """Stacks that have the text."""
    start, end = conformance.window(os.path.join(HERE, "captures", client))
    answer = conformance.ask(server, "SelectMergeStacktraces", {
        "profileTypeID": profile_type, "labelSelector": "{}", "start": start, "end": end})
    return {k: v for k, v in answer["stacks"].items() if text in k}


def collector_checks(server):
    """Four requests over HTTP/1.1: twice protobuf with gzip, twice JSON."""
    client, cpu = "otlp-collector", "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
    start, end = conformance.window(os.path.join(HERE, "captures", client))
    rng = {"start": start, "end": end}
    for name, want in [("service_name", "collector-shop"), ("service.name", "collector-shop"),
                       ("k8s.namespace.name", "größe"), ("process.pid", "77")]:
        got = conformance.ask(server, "LabelValues", dict(rng, name=name))
        yield f"{client} {name}", [want], got
    flame = conformance.ask(server, "SelectMergeStacktraces",
                            dict(rng, profileTypeID=cpu, labelSelector='{service_name="collector-shop"}'))
    yield f"{client} stacks", {"main;processOrder;spin": 4 * 75 * 10101010,
                               "main;processInvoice;spin": 4 * 25 * 10101010}, flame["stacks"]
    spans = conformance.ask(server, "SelectMergeSpanProfile", dict(
        rng, profileTypeID=cpu, labelSelector="{}", spanSelector=["a1b2c3d4e5f60718"]))
    yield f"{client} span", {"main;processOrder;spin": 4 * 75 * 10101010}, spans["stacks"]


def main():
    passed = failed = 0
    with Server(sys.argv[1], OLD_DATA) as s:
        checks = []
        for client in ("java-extra", "ingest-curl", "otlp-go", "push-go", "otlp-collector"):
            _, bad = conformance.replay(conformance.Server(s.url, client), os.path.join(HERE, "captures", client))
            checks.append((f"{client} refused", [], bad))
        extra = conformance.Server(s.url, "java-extra")
        checks.append(("java-extra cpu", about_count("java-extra", "jdk.ExecutionSample") * 10_000_000,
                       total(extra, "java-extra", "process_cpu:cpu:nanoseconds:cpu:nanoseconds")))
        checks.append(("java-extra mallocs", about_count("java-extra", "profiler.Malloc"),
                       total(extra, "java-extra", "memory:malloc_objects:count::")))
        curl = conformance.Server(s.url, "ingest-curl")
        checks.append(("ingest-curl wall", speedscope_evented(),
                       total(curl, "ingest-curl", "wall:wall:nanoseconds:cpu:nanoseconds")))
        otlp = conformance.Server(s.url, "otlp-go")
        push, cpu = conformance.Server(s.url, "push-go"), "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
        checks.append(("push-go unsymbolised", unsymbolised("push-go"), frame(push, "push-go", cpu, "libnosym.so.1!")))
        checks.append(("push-go cpu", timeline_sum("push-go", cpu), total(push, "push-go", cpu)))
        for t in ("process_cpu:cpu:nanoseconds:cpu:nanoseconds", "off_cpu:off_cpu:nanoseconds::"):
            checks.append((f"otlp-go {t}", timeline_sum("otlp-go", t), total(otlp, "otlp-go", t)))
        checks += collector_checks(conformance.Server(s.url, "otlp-collector"))
    for name, want, got in checks:
        ok = want == got
        passed, failed = passed + ok, failed + (not ok)
        print(f"{'ok  ' if ok else 'FAIL'} {name}: want {want}, got {got}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
