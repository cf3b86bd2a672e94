#!/usr/bin/env python3
"""Replays the recorded clients into a fresh server and compares its answers with the recorded ones.

    run.py BUILD [CLIENT …]       all answers of the named clients (default: the whole list below)
    run.py BUILD --restart …      the same, and once more after a kill and a start
    run.py BUILD --cut-each …     the server is stopped (which cuts to blocks) and started after every
                                  single upload; then the questions
    run.py BUILD --compact-each … the same, and while it is stopped everything is merged to one block
                                  per tenant and day

Deviations on purpose are in deviations.jsonl, each with its reason and a test of our value.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
from server import OLD_DATA, Server, binary  # noqa: E402
import conformance  # noqa: E402

# Everything that HTTP/1.1 carries; what it does not is replayed by run_grpc.py. otlp-collector has no
# recorded answers: see check_deviations.py.
CLIENTS = ["go-auth", "go-legacy", "go-sdk", "java-auth", "java-collapsed", "java-ctimer", "java-extra",
           "java-legacy", "java-live", "java-otlp", "java-rfc", "java-sampling", "java-spring", "java-wall", "node",
           "node-legacy", "otlp-go", "push-go", "python", "python-legacy", "python-mem", "python-wall", "rust", "rust-mem",
           "ingest-curl"]


def check(url, client, *more):
    r = subprocess.run([sys.executable, os.path.join(HERE, "conformance.py"), "check", "--url", url,
                        "--captures", os.path.join(HERE, "captures"), "--answers",
                        os.path.join(HERE, "answers"), "--only", client, "--settle", "0", "--allow",
                        os.path.join(HERE, "deviations.jsonl"), *more], capture_output=True, text=True)
    last = r.stdout.strip().split("\n")[-1].replace(",", "").split()
    print(f"{client}: {r.stdout if r.returncode else ' '.join(last)}{r.stderr}", flush=True)
    return int(last[0]), int(last[2])


def compact(server):
    said = ""
    for what in (["compact", "--force"], ["verify"]):
        r = subprocess.run([binary(server.build), "storage", *what, server.data], capture_output=True,
                           text=True)
        if r.returncode:
            raise AssertionError(f"storage {what[0]} failed: {r.stdout}{r.stderr}")
        said += r.stdout
    return said.count("became one of")


def replay_with_cuts(server, client, merge):
    """Every upload of the client, each followed by a stop and a start. Returns how many merges of
    blocks there were in between, when they are wanted."""
    merges = 0
    folder = os.path.join(HERE, "captures", client)
    for r in conformance.manifest(folder):
        if str(r.get("http", "1.1")).startswith("2") or r["method"] == "GET":
            continue
        with open(os.path.join(folder, r["body"]), "rb") as f:
            body = f.read()
        headers = [(k, v) for k, v in r["headers"] if k.lower() not in conformance.HOP]
        status, text = conformance.Server(server.url, client).send(r["method"], r["target"], headers, body)
        if status >= 300:
            print(f"{client}: {r['id']} refused: {status} {text[:200]}")
        if server.stop() != 0:
            raise AssertionError("the server did not stop cleanly")
        if merge:
            merges += compact(server)
        server.start()
    return merges


def main():
    build = sys.argv[1]
    merge = "--compact-each" in sys.argv
    cut_each = merge or "--cut-each" in sys.argv
    restart = "--restart" in sys.argv
    clients = [a for a in sys.argv[2:] if not a.startswith("--")] or CLIENTS
    passed = failed = merges = 0
    with Server(build, OLD_DATA) as s:
        for client in clients:
            if cut_each:
                merges += replay_with_cuts(s, client, merge)
            good, bad = check(s.url, client, *(["--no-replay"] if cut_each else []))
            passed, failed = passed + good, failed + bad
        if restart:
            s.kill()
            s.start()
            for client in clients:
                good, bad = check(s.url, client, "--no-replay")
                passed, failed = passed + good, failed + bad
    if merge:
        print(f"{merges} merges")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or (merge and not merges) else 0


if __name__ == "__main__":
    sys.exit(main())
