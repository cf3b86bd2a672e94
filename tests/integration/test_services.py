#!/usr/bin/env python3
"""The services beside queries and uploads, in JSON over HTTP/1.1: what each answers exactly, what it keeps over a
restart, and the list of everything that is there.

    test_services.py BUILD
"""
import base64
import gzip
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from server import OLD_DATA, Server  # noqa: E402

ADHOC = "/adhocprofiles.v1.AdHocProfileService/"
STACKS = b"a;b;e 1\na;c 2\na;c;d 1\n"
BARS = {"names": ["total", "a", "c", "d", "b", "e"], "numTicks": 4, "maxSelf": 2,
        "levels": [[0, 4, 0, 0], [0, 4, 0, 1], [0, 1, 0, 4, 0, 3, 2, 2], [0, 1, 1, 5, 2, 1, 1, 3]]}


class Check:
    def __init__(self, server):
        self.server, self.passed, self.failed = server, 0, 0

    def that(self, what, ok):
        self.passed, self.failed = self.passed + bool(ok), self.failed + (not ok)
        if not ok:
            print("FAIL", what)

    def ask(self, path, request, tenant="t"):
        headers = {"Content-Type": "application/json"}
        if tenant:
            headers["X-Scope-OrgID"] = tenant
        status, _, body = self.server.request("POST", path, headers, json.dumps(request).encode())
        try:
            return status, json.loads(body)
        except ValueError:
            return status, body

    def answers(self, path, request, status, want, tenant="t"):
        """Exactly that; of errors, the code and a part of the message."""
        got = self.ask(path, request, tenant)
        if status == 200 or not isinstance(want, tuple):
            ok = got == (status, want)
        else:
            ok = got[0] == status and got[1].get("code") == want[0] and want[1] in got[1].get("message", "")
        self.that(f"{path} {json.dumps(request)[:200]}: {got}, not {(status, want)}", ok)
        return got[1]


def upload(c, name, data, status=200, tenant="t", **more):
    got = c.ask(ADHOC + "Upload", dict(name=name, profile=base64.b64encode(data).decode(), **more), tenant)
    c.that(f"upload of {name}: {got}", got[0] == status)
    return got[1]


def graph_of(answer):
    return json.loads(answer["flamebearerProfile"])


def adhoc(c):
    first = upload(c, "my stacks.collapsed", STACKS)
    c.that(first, graph_of(first)["flamebearer"] == BARS and first["name"] == "my_stacks.collapsed" and
           first["id"].endswith("-my_stacks.collapsed") and first["profileTypes"] == ["samples"])
    again = upload(c, "graph.json", first["flamebearerProfile"].encode())
    c.that(again, graph_of(again)["flamebearer"] == BARS)
    zipped = upload(c, "z.gz", gzip.compress(STACKS))
    other = upload(c, "other", b"a;b 4\na;c 8\n")
    names = [first, again, zipped, other][::-1]
    listed = {"profiles": [{k: p[k] for k in ("id", "name", "uploadedAt")} for p in names]}
    c.answers(ADHOC + "List", {}, 200, listed)
    c.answers(ADHOC + "Get", {"id": first["id"]}, 200, first)
    c.answers(ADHOC + "Get", {"id": first["id"], "profile_type": "samples", "max_nodes": 2}, 200, dict(
        first, flamebearerProfile=c.ask(ADHOC + "Get", {"id": first["id"], "maxNodes": 2})[1]["flamebearerProfile"]))
    diff = c.ask(ADHOC + "Diff", {"leftId": first["id"], "rightId": other["id"]})[1]
    c.that(diff, diff["profileTypes"] == ["samples"] and (
        graph_of(diff)["leftTicks"], graph_of(diff)["rightTicks"], graph_of(diff)["metadata"]["format"]) == (
            4, 12, "double"))
    # of others nothing is seen
    c.answers(ADHOC + "List", {}, 200, {}, tenant="u")
    c.answers(ADHOC + "Get", {"id": first["id"]}, 404, ("not_found", ""), tenant="u")
    for request, want in (({"id": "x"}, "id 'x' is invalid"), ({"id": ""}, "is invalid"),
                          ({"id": "../../t/settings.pb"}, "is invalid"),
                          ({"id": first["id"], "profileType": "cpu"}, 'no profile type "cpu"'),
                          ({"id": first["id"], "maxNodes": 2 << 20}, "max flamegraph nodes limit")):
        c.answers(ADHOC + "Get", request, 400, ("invalid_argument", want))
    c.answers(ADHOC + "Get", {"id": "0" * 26 + "-x"}, 404, ("not_found", ""))
    c.answers(ADHOC + "Upload", {"name": "x"}, 400, ("invalid_argument", "profile is required"))
    c.answers(ADHOC + "Upload", {"name": "x", "profile": "?"}, 400, ("invalid_argument", "not base64"))
    for data in (b"{", b"\x0a\xff", b"\x1f\x8b", b" ", b"FLR\0\0\2\0\0"):
        upload(c, "bad", data, 400)
    for tenant, code in ((None, 401), ("a|b", 400)):
        c.that(f"{tenant}", c.ask(ADHOC + "List", {}, tenant)[0] == code)
    c.answers(ADHOC + "List", {}, 200, listed)
    return listed, first


def main():
    with Server(sys.argv[1], OLD_DATA) as s:
        c = Check(s)
        listed, first = adhoc(c)
        s.kill()
        s.start()
        c.answers(ADHOC + "List", {}, 200, listed)
        c.answers(ADHOC + "Get", {"id": first["id"]}, 200, first)
    print(f"{c.passed} passed, {c.failed} failed")
    return c.failed > 0


if __name__ == "__main__":
    sys.exit(main())
