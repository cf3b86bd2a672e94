#!/usr/bin/env python3
"""The server as its users meet it: start, pages, errors, an upload and its answer, tenants, stop.

    tests/integration/test_server.py [BUILD_DIRECTORY]        (default: build)

Standard library only. The last line is 'N passed, N failed'. Every case starts what it needs on a free
port and in a directory of its own, and stops it.
"""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from server import Server, binary  # noqa: E402

BUILD = sys.argv[1] if len(sys.argv) > 1 else "build"
CASES = []
CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
RFC = """target: all                 # monolithic mode
server:
  http_listen_port: 4040

storage:
  backend: filesystem
  filesystem:
    data_path: %s

limits:
  max_query_lookback: 30d   # how far back queries can reach
  ingestion_rate_mb: 100    # per-tenant ingestion limit

# Optional: enable self-monitoring metrics
self_profiling:
  disable_push: false
"""


def case(fn):
    CASES.append(fn)
    return fn


def equal(got, want):
    if got != want:
        raise AssertionError("got %r\n      want %r" % (got, want))


def has(text, part):
    if part not in text:
        raise AssertionError("%r is not in\n%s" % (part, text[-3000:]))


def run(*flags, cwd=None, seconds=60):
    """Runs to its end: exit code, stdout, stderr."""
    p = subprocess.run([os.path.abspath(binary(BUILD)), *flags], capture_output=True, text=True, cwd=cwd,
                       timeout=seconds, stdin=subprocess.DEVNULL)
    return p.returncode, p.stdout, p.stderr


def get(s, path, headers=None):
    status, head, body = s.request("GET", path, headers or {})
    return status, {k.lower(): v for k, v in dict(head).items()}, body.decode("utf-8", "replace")


def post(s, path, body, headers=None):
    status, head, data = s.request("POST", path, headers or {}, body)
    return status, {k.lower(): v for k, v in dict(head).items()}, data.decode("utf-8", "replace")


def rpc(s, method, request, headers=None):
    h = {"Content-Type": "application/json", **(headers or {})}
    return post(s, "/querier.v1.QuerierService/" + method, json.dumps(request).encode(), h)


def upload(s, name, body=b"main;work 5\nmain;idle 2\n", headers=None):
    now = int(time.time())
    return post(s, "/ingest?name=%s&from=%d&until=%d" % (name, now - 10, now), body, headers)


def hour():
    now = int(time.time() * 1000)
    return {"start": now - 3600000, "end": now + 60000}


def flame(s, service, headers=None):
    q = dict(hour(), profileTypeID=CPU, labelSelector='{service_name="%s"}' % service)
    status, _, body = rpc(s, "SelectMergeStacktraces", q, headers)
    equal(status, 200)
    return json.loads(body).get("flamegraph", {})


@case
def pages():
    with Server(BUILD) as s:
        status, head, body = get(s, "/ready")
        equal((status, body), (200, "ready"))
        for path in ("/healthy", "/healthz"):
            equal(get(s, path)[::2], (200, "healthy"))
        status, head, body = get(s, "/metrics")
        equal(status, 200)
        for name in ("pyroscope_build_info{", "process_cpu_seconds_total ", "process_open_fds ",
                     "process_resident_memory_bytes ", "pyroscope_request_duration_seconds_count{"):
            has(body, name)
        rss = [x for x in body.split("\n") if x.startswith("process_resident_memory_bytes ")]
        assert float(rss[0].split()[1]) > 1e6
        status, head, body = get(s, "/")
        equal(status, 200)
        has(body, "127.0.0.1:%d/ingest" % s.port)
        has(body, "Received so far")
        status, head, body = get(s, "/api/v1/status/buildinfo")
        equal((status, json.loads(body)["status"]), (200, "success"))
        status, head, body = get(s, "/config?mode=diff")
        equal(status, 200)
        has(body, "http_listen_address: \"127.0.0.1\"")
        assert "ingestion_rate_mb" not in body
        has(get(s, "/api/v1/status/config")[2], "ingestion_rate_mb: 64")
        has(get(s, "/api/v1/status/config/default")[2], "http_listen_port: 4040")
        equal(get(s, "/config?mode=nonsense")[0], 400)
        has(get(s, "/runtime_config")[2], "doesn't exist")
        status, _, body = post(s, "/version.v1.Version/Version", b"{}", {"Content-Type": "application/json"})
        equal((status, json.loads(body)), (200, {"QuerierAPI": "1"}))
        for method in ("GithubApp", "GithubLogin", "GithubRefresh", "GetFile", "GetCommit", "GetCommits"):
            status, _, body = post(s, "/vcs.v1.VCSService/" + method, b'{"ref":"x","refs":[]}', {"Content-Type": "application/json"})
            equal((status, json.loads(body)), (501, {"code": "unimplemented", "message": "GitHub integration is not configured"}))
        status, _, body = post(s, "/capabilities.v1.FeatureFlagsService/GetFeatureFlags", b"{}",
                               {"Content-Type": "application/json"})
        equal((status, len(json.loads(body)["featureFlags"])), (200, 4))


@case
def wrong_paths_and_methods():
    with Server(BUILD) as s:
        equal(get(s, "/nothing/here")[0], 404)
        status, head, body = get(s, "/ingest")
        equal((status, head.get("allow")), (405, "POST"))
        equal(post(s, "/pyroscope/render", b"")[0], 405)
        status, head, _ = get(s, "/querier.v1.QuerierService/Series")
        equal((status, head.get("allow")), (405, "POST"))
        equal(post(s, "/querier.v1.QuerierService/Nothing", b"{}")[0], 404)


@case
def error_bodies():
    with Server(BUILD) as s:
        status, head, body = post(s, "/ingest", b"a 1\n")
        equal(status, 400)
        equal((head["content-type"], head["x-content-type-options"]), ("application/json", "nosniff"))
        equal(json.loads(body)["code"], "invalid_argument")
        has(json.loads(body)["message"], "name: ")
        status, _, body = rpc(s, "LabelNames", {})
        equal((status, json.loads(body)),
              (400, {"code": "invalid_argument", "message": "missing time range in the query"}))
        status, head, body = rpc(s, "LabelNames", hour(), {"Accept": "nonsense;;=,"})
        equal((status, head["content-type"].split(";")[0]), (400, "text/plain"))
        has(body, "Invalid header format: ")
        status, _, body = get(s, "/pyroscope/label-values")
        equal((status, json.loads(body)),
              (400, {"code": "invalid_argument", "message": "label parameter is required"}))
        status, _, body = get(s, "/pyroscope/render")
        equal((status, json.loads(body)["message"]), (400, '"query" is required'))


@case
def body_too_large():
    with Server(BUILD, ["-distributor.ingestion-body-limit-mb=1"]) as s:
        status, _, body = upload(s, "big.cpu", b"a 1\n" * 300000)
        equal(status, 413)
        has(json.loads(body)["message"], "request body too large")
        has(get(s, "/metrics")[2], 'pyroscope_discarded_samples_total{reason="body_size_limit_exceeded"')
        equal(upload(s, "small.cpu")[0], 200)


@case
def upload_and_ask():
    with Server(BUILD) as s:
        equal(flame(s, "shop").get("total"), None)
        status, head, body = upload(s, "shop.cpu")
        equal((status, body), (200, ""))
        g = flame(s, "shop")
        unit = int(g["total"]) // 7
        equal(int(g["total"]), 7 * unit)
        equal(sorted(g["names"]), ["idle", "main", "total", "work"])
        status, _, body = get(s, "/pyroscope/render?from=now-1h&until=now&query=%s%%7B%%7D" % CPU)
        equal((status, json.loads(body)["flamebearer"]["numTicks"]), (200, 7 * unit))
        equal(json.loads(get(s, "/api/v1/apps")[2]), ["shop"])
        equal(json.loads(get(s, "/pyroscope/label-values?label=service_name")[2]), ["shop"])
        equal(json.loads(get(s, "/pyroscope/label-values?label=__name__")[2]), [CPU])
        has(get(s, "/")[2], "  shop\n")
        status, _, body = rpc(s, "ProfileTypes", hour())
        equal([t["ID"] for t in json.loads(body)["profileTypes"]], [CPU])
        status, _, body = rpc(s, "Series", dict(hour(), labelNames=["service_name"]))
        equal(json.loads(body)["labelsSet"], [{"labels": [{"name": "service_name", "value": "shop"}]}])
        # acknowledged means durable: after a kill it is still there
        s.kill()
        s.start()
        equal(int(flame(s, "shop")["total"]), 7 * unit)


@case
def settings():
    service = "/settings.v1.SettingsService/"
    json_type = {"Content-Type": "application/json"}
    with Server(BUILD, ["-auth.multitenancy-enabled=true"]) as s:
        a, b = (dict(json_type, **{"X-Scope-OrgID": x}) for x in ("a", "b"))

        def call(method, request, headers):
            status, _, body = post(s, service + method, json.dumps(request).encode(), headers)
            return status, json.loads(body)

        equal(call("Get", {}, json_type)[0], 401)
        equal(call("Get", {}, a), (200, {}))
        status, got = call("Set", {"setting": {"name": "pluginSettings", "value": "{}"}}, a)
        equal((status, got["setting"]["name"], got["setting"]["value"]), (200, "pluginSettings", "{}"))
        assert int(got["setting"]["modifiedAt"]) > 1e12
        first = {"name": "a", "value": "1", "modifiedAt": "5"}
        equal(call("Set", {"setting": first}, a), (200, {"setting": first}))
        equal(call("Set", {"setting": dict(first, modifiedAt="4")}, a)[1]["code"], "already_exists")
        for bad in ({}, {"setting": {"value": "x"}}):
            equal(call("Set", bad, a)[1]["code"], "invalid_argument")
        equal(call("Get", {}, b), (200, {}))
        s.kill()
        s.start()
        equal([x["name"] for x in call("Get", {}, a)[1]["settings"]], ["a", "pluginSettings"])
        equal(call("Delete", {"name": "a"}, a), (200, {}))
        equal(call("Delete", {"name": "a"}, a), (200, {}))
        equal(call("Delete", {}, a)[0], 400)
        equal([x["name"] for x in call("Get", {}, a)[1]["settings"]], ["pluginSettings"])


@case
def query_limits():
    with Server(BUILD, ["-querier.max-query-length=1h", "-query.timeout=10s"]) as s:
        q = dict(hour(), start=1, profileTypeID=CPU, labelSelector="{}")
        status, _, body = rpc(s, "SelectMergeStacktraces", q)
        equal((status, json.loads(body)["code"]), (400, "invalid_argument"))
        has(json.loads(body)["message"], "max_query_length")


@case
def tenants_apart():
    with Server(BUILD, ["-auth.multitenancy-enabled=true"]) as s:
        a, b, both = ({"X-Scope-OrgID": x} for x in ("a", "b", "b|a"))
        none = {"code": "unauthenticated", "message": "no org id"}
        for status, _, body in (upload(s, "x.cpu"), rpc(s, "LabelNames", hour()),
                                get(s, "/pyroscope/render?query=x"), get(s, "/api/v1/apps")):
            equal((status, json.loads(body)), (401, none))
        push = post(s, "/push.v1.PusherService/Push", b"{}", {"Content-Type": "application/json"})
        equal((push[0], json.loads(push[2])), (401, none))
        equal(upload(s, "one.cpu", headers=a)[0], 200)
        equal(upload(s, "two.cpu", headers=b)[0], 200)
        for headers, want in ((a, ["one"]), (b, ["two"]), (both, ["one", "two"])):
            equal(json.loads(get(s, "/api/v1/apps", headers)[2]), want)
        equal(flame(s, "two", a).get("total"), None)
        status, _, body = upload(s, "x.cpu", headers=both)
        equal((status, json.loads(body)["message"]), (401, "multiple org IDs present"))
        status, _, body = upload(s, "x.cpu", headers={"X-Scope-OrgID": "../x"})
        equal(status, 401)
        has(json.loads(body)["message"], "unsupported character '/'")
        home = get(s, "/")[2]
        assert "one" not in home.split() and "two" not in home.split(), "tenants' services on /"


@case
def overrides_reload():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "o.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("overrides:\n  a:\n    max_query_length: 1m\n")
        with Server(BUILD, ["-auth.multitenancy-enabled=true", "-runtime-config.file=" + path,
                            "-runtime-config.reload-period=100ms"]) as s:
            a = {"X-Scope-OrgID": "a"}
            equal(rpc(s, "Series", hour(), a)[0], 400)
            equal(rpc(s, "Series", hour(), {"X-Scope-OrgID": "b"})[0], 200)
            has(get(s, "/runtime_config")[2], "max_query_length: 1m")
            with open(path + ".new", "w", encoding="utf-8") as f:
                f.write("overrides:\n  a:\n    max_query_length: 5h\n")
            os.rename(path + ".new", path)
            until = time.monotonic() + 20
            while rpc(s, "Series", hour(), a)[0] != 200:
                assert time.monotonic() < until, "not reloaded"
                time.sleep(0.02)
    code, _, err = run("-runtime-config.file=/nowhere/o.yaml", "-server.http-listen-port=0", cwd=d_new())
    equal(code, 1)
    has(err, "failed to load runtime config: ")


DIRS = []


def d_new():
    DIRS.append(tempfile.TemporaryDirectory())
    return DIRS[-1].name


@case
def path_prefix():
    with Server(BUILD) as s:
        equal(get(s, "/x/ready")[0], 404)
    d = d_new()
    p = subprocess.Popen([os.path.abspath(binary(BUILD)), "-server.http-listen-port=0", "-server.path-prefix=/x/",
                          "-server.http-listen-address=127.0.0.1"], stderr=subprocess.PIPE, text=True, cwd=d)
    try:
        line = p.stderr.readline()
        port = int(line.split("127.0.0.1:")[1].split("/")[0])
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for path, want in (("/x/ready", 200), ("/ready", 404)):
            c.request("GET", path)
            r = c.getresponse()
            r.read()
            equal((path, r.status), (path, want))
        c.close()
    finally:
        p.terminate()
        p.stderr.read()
        equal(p.wait(30), 0)


@case
def first_lines_and_stop():
    for sig in (signal.SIGTERM, signal.SIGINT):
        d = d_new()
        p = subprocess.Popen([os.path.abspath(binary(BUILD)), "-server.http-listen-port=0"], stderr=subprocess.PIPE,
                             text=True, cwd=d)
        lines = [p.stderr.readline() for _ in range(3)]
        p.send_signal(signal.SIGQUIT)
        p.send_signal(sig)
        rest = p.stderr.read()
        equal(p.wait(60), 0)
        has(lines[0], "listens on http://localhost:")
        has(lines[1], "data is kept in " + os.path.join(os.path.realpath(d), "data"))
        has(lines[2], "type next: curl http://localhost:")
        has(rest, "everflame stopped")
        equal(os.stat(os.path.join(d, "data")).st_mode & 0o777, 0o700)


@case
def cannot_start():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        code, _, err = run("-server.http-listen-address=127.0.0.1", "-server.http-listen-port=%d" % port,
                           cwd=d_new())
    equal(code, 1)
    has(err, "failed running everflame: error initialising module: server: port %d is in use: stop the other"
             " process, or choose another port with -server.http-listen-port" % port)
    with Server(BUILD) as s:
        code, _, err = run("-server.http-listen-port=0", "-data-dir=" + s.data)
        equal(code, 1)
        has(err, "failed running everflame: error initialising module: storage: ")
        has(err, s.data)
    d = d_new()
    with open(os.path.join(d, "file"), "w", encoding="utf-8"):
        pass
    code, _, err = run("-server.http-listen-port=0", "-data-dir=" + os.path.join(d, "file", "data"))
    equal(code, 1)
    has(err, "failed running everflame: error initialising module: storage: ")


@case
def bad_flags():
    hint = "\nRun with -help to get a list of available parameters\n"
    for flags, text in ((["-x"], "flag provided but not defined: -x"),
                        (["-server.http-listen-port=abc"],
                         'invalid value "abc" for flag -server.http-listen-port: parse error'),
                        (["-config.file"], "flag needs an argument: -config.file")):
        equal(run(*flags), (2, "", text + hint))
    equal(run("-target=foo"), (1, "", "failed running everflame: unrecognised module name: foo\n"))


@case
def bad_files():
    d = d_new()
    path = os.path.join(d, "c.yaml")
    equal(run("-config.file=" + path),
          (1, "", "failed parsing config: open %s: no such file or directory\n" % path))
    for text, want in (("server:\n  prt: 1\n", "line 2: field prt not found in type server"),
                       ("server:\n  http_listen_port: abc\n",
                        "line 2: cannot unmarshal !!str `abc` into int"),
                       ("target: all\ntarget: all\n",
                        'line 2: mapping key "target" already defined at line 1')):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        equal(run("-config.file=" + path),
              (1, "", "failed parsing config: %s: yaml: unmarshal errors:\n  %s\n" % (path, want)))


@case
def what_can_be_printed():
    code, out, err = run("-version")
    equal((code, err), (0, ""))
    has(out, "everflame, version ")
    code, out, err = run("-modules", "-config.file=/nowhere")
    equal((code, err), (0, ""))
    has(out, "all *\n")
    has(out, "Modules marked with * are included in target All.")
    code, out, err = run("-help")
    equal((code, err), (0, ""))
    has(out, "  -config.file string\n")
    has(out, "-help-all")
    assert "-server.http-workers" not in out
    has(run("-help-all")[1], "  -server.http-workers integer\n")
    code, out, err = run("nonsense")
    equal((code, out), (2, ""))


@case
def the_rfc_file_starts_as_written():
    d = d_new()
    path = os.path.join(d, "pyroscope-config.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(RFC % os.path.join(d, "deep", "pyroscope"))
    p = subprocess.Popen([os.path.abspath(binary(BUILD)), "-config.file=" + path, "-server.http-listen-port=0",
                          "-memberlist.join="], stderr=subprocess.PIPE, text=True, cwd=d)
    text = ""
    while "everflame started" not in text:
        line = p.stderr.readline()
        assert line, "ended: " + text
        text += line
    p.terminate()
    text += p.stderr.read()
    equal(p.wait(60), 0)
    has(text, "setting=storage.filesystem.data_path use=storage.filesystem.dir")
    has(text, "memberlist.join")
    has(text, "data is kept in " + os.path.join(os.path.realpath(d), "deep", "pyroscope"))


def main():
    passed = failed = 0
    for fn in CASES:
        try:
            fn()
            passed += 1
        except Exception as x:  # a case may fail in any way; the others still run
            failed += 1
            print("FAIL %s: %s: %s" % (fn.__name__, type(x).__name__, x))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
