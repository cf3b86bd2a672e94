#!/usr/bin/env python3
"""Blocks as an independent reader sees them (read_block.py, written from docs/formats alone) against what
the server answers, and against the golden files.

    tests/formats/test_formats.py [BUILD_DIRECTORY]

A server gets the uploads of recorded clients, each as a tenant of its own, and is stopped, which puts
everything into blocks. Then, per tenant, service, profile type and hour: every stack and value that the
reader finds in the files is what the server answers after a restart, and nothing else. A block with a flipped
bit is refused by the reader. `everflame storage` sees the same files, and names a damaged one.

Standard library only. The last line is 'N passed, N failed'.
"""
import glob
import json
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [HERE, TESTS, os.path.join(TESTS, "conformance")]
import conformance  # noqa: E402
import read_block  # noqa: E402
from query import flame, rpc  # noqa: E402
from server import OLD_DATA, Server, binary  # noqa: E402

CLIENTS = ["java-rfc", "java-spring", "java-wall", "go-sdk", "node", "python", "rust", "push-go", "ingest-curl"]
HOUR_MS = 3600 * 1000


class Cases:
    passed = failed = 0

    def check(self, ok, what):
        self.passed += bool(ok)
        self.failed += not ok
        if not ok:
            print("FAILED", what)
        return ok


def files(data):
    return sorted(glob.glob(os.path.join(data, "blocks", "*", "*", "*", "*.efb")))


def first_difference(mine, theirs):
    for stack in sorted(set(mine) | set(theirs)):
        if mine.get(stack) != theirs.get(stack):
            return f"{';'.join(stack)}: file {mine.get(stack)}, server {theirs.get(stack)}"
    return "none"


def compare(cases, s, sums):
    for (tenant, service, kind, hour), mine in sorted(sums.items()):
        theirs = flame(s, kind, '{service_name="%s"}' % service, hour * HOUR_MS,
                       (hour + 1) * HOUR_MS - 1, tenant)
        cases.check(mine == theirs, f"{tenant} {service} {kind} hour {hour}: {first_difference(mine, theirs)}")
    known = {(t, k) for t, _, k, _ in sums}
    for tenant in sorted({k[0] for k in sums}):
        types = rpc(s, "ProfileTypes", {"start": 1, "end": 4102444800000}, tenant).get("profileTypes", [])
        cases.check({(tenant, t["ID"]) for t in types} <= known, f"{tenant}: a type that no file has")


def golden(cases, rng):
    """The golden blocks say what the text beside them says."""
    folder = os.path.join(TESTS, "golden")
    with open(os.path.join(folder, "shown-v1.txt"), encoding="utf-8") as f:
        want = sorted(line.rsplit(" of ", 1)[0] for line in f if " total " in line)
    for name in ("block-v1.efb", "block-v2.efb", "block-v3.efb", "block-v3-24h.efb"):
        block = read_block.read(os.path.join(folder, name))
        have = [f"{r['series']['labels']['service_name']} {r['time']} seq {r['seq']} {kind.split(':')[0]} total {n}"
                for d in block.datasets for r in d.rows for kind, n in zip(r["series"]["types"], r["totals"])]
        cases.check(sorted(have) == want, f"the golden {name}")
        refuses_damage(cases, os.path.join(folder, name), rng)


def refuses_damage(cases, path, rng):
    with open(path, "rb") as f:
        data = bytearray(f.read())
    for _ in range(40):
        at, bit = rng.randrange(len(data)), rng.randrange(8)
        data[at] ^= 1 << bit
        try:
            read_block.Block(bytes(data))
            cases.check(False, f"{path}: bit {bit} of byte {at} is not noticed")
        except (read_block.Damaged, IndexError, ValueError, MemoryError):
            cases.check(True, "")
        data[at] ^= 1 << bit


def storage(build, *args):
    r = subprocess.run([binary(build), "storage", *args], capture_output=True, text=True, check=False)
    return r.returncode, r.stdout


def check_tool(cases, build, data, blocks):
    """`everflame storage` against what the reader found, and on a damaged file."""
    code, out = storage(build, "ls", "-o", "json", data)
    rows = {r["path"][len("blocks/"):]: r for r in json.loads(out)} if code == 0 else {}
    for path, b in blocks.items():
        row = rows.get(os.path.relpath(path, os.path.join(data, "blocks")), {})
        want = (b.tenant, sum(d.n_rows for d in b.datasets), sum(d.n_samples for d in b.datasets))
        cases.check((row.get("tenant"), row.get("profiles"), row.get("samples")) == want, f"ls of {path}")
        code, out = storage(build, "inspect", path)
        cases.check(code == 0 and all(f"service {d.service}: profiles {d.n_rows}," in out for d in b.datasets),
                    f"inspect of {path}")
    code, out = storage(build, "verify", data)
    cases.check(code == 0 and "every byte is right" in out, f"verify: {out}")
    path = sorted(blocks)[0]
    with open(path, "r+b") as f:
        f.seek(70)
        byte = f.read(1)
        f.seek(70)
        f.write(bytes([byte[0] ^ 1]))
        f.flush()
        code, out = storage(build, "verify", data)
        cases.check(code == 1 and os.path.basename(path) in out, f"verify of a damaged block: {out}")
        f.seek(70)
        f.write(byte)


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    cases, rng = Cases(), random.Random(7)
    golden(cases, rng)
    with Server(build, OLD_DATA) as s:
        for client in CLIENTS:
            conformance.replay(conformance.Server(s.url, client),
                               os.path.join(TESTS, "conformance", "captures", client))
        cases.check(s.stop() == 0, "the server stops")
        paths = files(s.data)
        cases.check(not glob.glob(os.path.join(s.data, "wal", "*")), "nothing is left in the log")
        blocks = [read_block.read(p) for p in paths]
        cases.check({b.tenant for b in blocks} == set(CLIENTS), "every client has blocks")
        for path, b in zip(paths, blocks):
            cases.check(path.split(os.sep)[-4] == b.tenant, f"{path} is of tenant {b.tenant}")
            refuses_damage(cases, path, rng)
        check_tool(cases, build, s.data, dict(zip(paths, blocks)))
        sums = read_block.merged(blocks)
        size = sum(map(os.path.getsize, paths))
        code, out = storage(build, "compact", "--force", s.data)
        merged = [read_block.read(p) for p in files(s.data)]
        cases.check(code == 0 and all(b.level == 2 for b in merged), f"merged into days: {out}")
        cases.check(any(d.all("stacked") for b in merged for d in b.datasets), "samples stack by stack")
        cases.check(read_block.merged(merged) == sums, "merging changes no sum")
        s.start()
        compare(cases, s, sums)
        print(f"{len(paths)} blocks, {size} bytes, {len(sums)} sums,"
              f" {sum(map(len, sums.values()))} stacks")
    print(f"{cases.passed} passed, {cases.failed} failed")
    sys.exit(cases.failed != 0)


if __name__ == "__main__":
    main()
