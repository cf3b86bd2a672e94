#!/usr/bin/env python3
"""Limits as a client meets them: 429 with limit, value and setting, nothing stored, the refusal on record.

    test_limits.py BUILD
"""
import json
import os
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from server import Server

passed = failed = 0


def check(what, ok, shown=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("FAIL", what, shown, flush=True)


def upload(s, tenant, name, body=b"main;work 10\n"):
    now = int(time.time())
    query = urllib.parse.urlencode({"name": name, "from": now - 10, "until": now, "sampleRate": 100})
    status, _, text = s.request("POST", "/ingest?" + query, {"X-Scope-OrgID": tenant}, body)
    return status, text.decode()


def refusals(s, tenant):
    status, headers, text = s.request("GET", "/api/everflame/v1/refusals", {"X-Scope-OrgID": tenant})
    assert status == 200 and headers["content-type"] == "application/json", (status, text)
    return [(r["service"], r["reason"], r["setting"], r["count"]) for r in json.loads(text)["refusals"]]


def services(s, tenant):
    now = int(time.time() * 1000)
    _, _, text = s.request("POST", "/querier.v1.QuerierService/LabelValues",
                           {"X-Scope-OrgID": tenant, "Content-Type": "application/json"},
                           json.dumps({"name": "service_name", "start": now - 3600000, "end": now + 60000}).encode())
    return sorted(json.loads(text).get("names", []))


def refused(what, answer, *texts):
    check(what, answer[0] == 429 and "resource_exhausted" in answer[1] and all(t in answer[1] for t in texts), answer)


RULES = """
overrides:
  t:
    ingestion_relabeling_rules:
      - source_labels: [env]
        regex: dev|test
        action: drop
      - source_labels: [service_name]
        regex: (.*)-v[0-9]+
        target_label: service_name
"""


def relabelling(build):
    with tempfile.TemporaryDirectory(prefix="everflame-test-") as folder:
        path = os.path.join(folder, "overrides.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(RULES)
        with Server(build, ["-auth.multitenancy-enabled=true", "-runtime-config.file=" + path]) as s:
            for name in ("shop-v17{env=prod}", "cart{env=dev}"):
                for tenant in "tu":
                    check("upload " + name, upload(s, tenant, name)[0] == 200)
            check("t is relabelled", services(s, "t") == ["shop"], services(s, "t"))
            check("u is not", services(s, "u") == ["cart", "shop-v17"], services(s, "u"))
            want = [("cart", "dropped_by_relabel_rules", "limits.ingestion_relabeling_rules", 1)]
            check("what was dropped is on record", refusals(s, "t") == want, refusals(s, "t"))
            _, _, text = s.request("GET", "/runtime_config")
            check("the rules are shown", b"ingestion_relabeling_rules: [{" in text, text)


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    flags = ["-auth.multitenancy-enabled=true", "-validation.max-active-series=3", "-validation.max-active-services=2",
             "-store.max-tenants=3"]
    with Server(build, flags) as s:
        for x in range(3):
            check(f"series {x}", upload(s, "t", "a{x=%d}" % x)[0] == 200)
        refused("the 4th series", upload(s, "t", "a{x=3}"), "current: 3", "limit: 3", "max_active_series")
        refused("a series of a new service", upload(s, "t", "b"), "max_active_series")
        check("known series go on", upload(s, "t", "a{x=1}")[0] == 200)
        check("nothing of the others is there", services(s, "t") == ["a"], services(s, "t"))
        check("services a, b", upload(s, "u", "a")[0] == 200 and upload(s, "u", "b")[0] == 200)
        refused("the 3rd service", upload(s, "u", "c"), "current: 2", "limit: 2", "max_active_services")
        check("a third tenant", upload(s, "v", "a")[0] == 200)
        refused("a 4th tenant", upload(s, "w", "a"), "current: 3", "limit: 3", "store.max-tenants")
        want = {"t": [("a", "series_limit", "limits.max_active_series", 1),
                      ("b", "series_limit", "limits.max_active_series", 1)],
                "u": [("c", "services_limit", "limits.max_active_services", 1)],
                "w": [("a", "tenants_limit", "store.max_tenants", 1)], "x": []}
        for tenant, rows in want.items():
            check("refusals of " + tenant, sorted(refusals(s, tenant)) == rows, refusals(s, tenant))
        s.stop()
        s.start()
        for tenant, rows in want.items():
            check("kept for " + tenant, sorted(refusals(s, tenant)) == rows, refusals(s, tenant))
        refused_body = upload(s, "t", "a{x=1}", b"")
        check("an empty body is no refusal", refused_body[0] in (200, 400, 422), refused_body)
    relabelling(build)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
