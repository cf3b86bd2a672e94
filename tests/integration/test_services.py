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


DEBUG = "/debuginfo.v1alpha1.DebuginfoService/"


def debuginfo(c):
    """As of a server that takes none."""
    file = {"gnuBuildId": "a1b2", "type": "TYPE_EXECUTABLE_FULL"}
    c.answers(DEBUG + "ShouldInitiateUpload", {"file": file}, 200, {"reason": "DebugInfo upload disabled"})
    c.answers(DEBUG + "ShouldInitiateUpload", {"file": {"type": 1}}, 200, {"reason": "the file has no gnu_build_id"})
    for request in ({}, {"file": {"gnuBuildId": "a1"}}, {"file": dict(file, gnuBuildId="x")},
                    {"file": dict(file, gnuBuildId="a" * 41)}, {"file": dict(file, gnuBuildId="a")}):
        c.answers(DEBUG + "ShouldInitiateUpload", request, 400, ("invalid_argument", ""))
    c.answers(DEBUG + "UploadFinished", {"gnuBuildId": "a1b2"}, 404, ("not_found", "a1b2"))
    c.answers(DEBUG + "UploadFinished", {"gnuBuildId": "?"}, 400, ("invalid_argument", ""))
    c.answers(DEBUG + "ListDebuginfo", {}, 200, {})
    c.answers(DEBUG + "DeleteDebuginfo", {"gnuBuildId": "a1b2"}, 200, {})
    for path, tenant, code in (("Upload/a1b2", "t", 412), ("Upload/zz", "t", 400), ("Upload/a1b2", None, 401),
                               ("Upload/", "t", 404), ("Upload", "t", 404), ("Nothing", "t", 404)):
        got = c.ask(DEBUG + path, {}, tenant)
        c.that(f"{path} of {tenant}: {got}", got[0] == code)


def settings(c):
    name, service = "pluginSettings", "/settings.v1.SettingsService/"
    c.answers(service + "Get", {}, 200, {})
    one = {"setting": {"name": name, "value": '{"a":1}', "modifiedAt": "1700000000000"}}
    c.answers(service + "Set", one, 200, one)
    c.answers(service + "Set", {"setting": dict(one["setting"], modifiedAt=1)}, 409, ("already_exists", ""))
    c.answers(service + "Set", {}, 400, ("invalid_argument", ""))
    c.answers(service + "Set", {"setting": {"value": "x"}}, 400, ("invalid_argument", ""))
    c.answers(service + "Delete", {"name": "unknown"}, 200, {})
    c.answers(service + "Delete", {}, 400, ("invalid_argument", ""))
    for tenant, code in ((None, 401), ("a|b", 400)):
        c.that(f"{tenant}", c.ask(service + "Get", {}, tenant)[0] == code)
    return {"settings": [one["setting"]]}


def others(c):
    c.answers("/version.v1.Version/Version", {}, 200, {"QuerierAPI": "1"}, tenant=None)
    c.answers("/capabilities.v1.FeatureFlagsService/GetFeatureFlags", {}, 200, {"featureFlags": [
        {"name": "pyroscopeRuler"}, {"name": "pyroscopeRulerFunctions"},
        {"name": "utf8LabelNames", "enabled": True}, {"name": "v2StorageLayer", "enabled": True}]}, tenant=None)
    for method in ("GithubApp", "GithubLogin", "GithubRefresh", "GetFile", "GetCommit", "GetCommits"):
        c.answers("/vcs.v1.VCSService/" + method, {}, 501, ("unimplemented", "GitHub integration is not configured"))
    for method in ("Get", "List", "Upsert", "Delete"):
        status = c.ask(f"/settings.v1.RecordingRulesService/{method}RecordingRule", {})[0]
        c.that(f"rules: {status}", status == 404)
    c.that("a stream needs HTTP/2", c.ask("/grpc.health.v1.Health/Watch", {})[0] == 505)


def pages(c):
    """What the first page names is there; each method is known."""
    _, _, home = c.server.request("GET", "/")
    named = [w for w in home.decode().split("Look after it:")[1].split("Received")[0].split() if w[0] == "/"]
    c.that(f"named: {named}", len(named) == 9 and len(set(named)) == 9)
    for page in named + ["/healthz", "/config", "/api/v1/status/config/diff", "/api/v1/status/config/default"]:
        status, _, body = c.server.request("GET", page, {"X-Scope-OrgID": "t"})
        c.that(f"{page}: {status}", status == 200 and body)
        c.that(f"POST {page}", c.server.request("POST", page)[0] == 405)
    limits = c.server.request("GET", "/api/v1/tenant_limits", {"X-Scope-OrgID": "t"})[2].decode().split("\n")
    c.that(limits, "max_query_lookback: 0s" in limits and len(limits) > 20)
    c.that("no tenant", c.server.request("GET", "/api/v1/tenant_limits")[0] == 401)
    for page in ("/admin", "/ring", "/memberlist", "/api/swagger.json", "/debug/pprof/", "/nothing"):
        c.that(page, c.server.request("GET", page)[0] == 404)


def main():
    with Server(sys.argv[1], OLD_DATA) as s:
        c = Check(s)
        listed, first = adhoc(c)
        kept = settings(c)
        debuginfo(c)
        others(c)
        pages(c)
        s.kill()
        s.start()
        c.answers(ADHOC + "List", {}, 200, listed)
        c.answers(ADHOC + "Get", {"id": first["id"]}, 200, first)
        c.answers("/settings.v1.SettingsService/Get", {}, 200, kept)
    print(f"{c.passed} passed, {c.failed} failed")
    return c.failed > 0


if __name__ == "__main__":
    sys.exit(main())
