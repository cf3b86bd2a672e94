"""Questions to a running server (tests/server.py) and what flame graphs say. Standard library only."""
import json

CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"


class Wrong(Exception):
    """What the server answered cannot be."""


def rpc(s, method, request, tenant=None):
    headers = {"Content-Type": "application/json", **({"X-Scope-OrgID": tenant} if tenant else {})}
    status, _, body = s.request("POST", "/querier.v1.QuerierService/" + method, headers,
                                json.dumps(request).encode())
    if status != 200:
        raise Wrong("%s %r was answered %d: %s" % (method, request, status, body[:500]))
    return json.loads(body)


def tree_of(flame):
    """{path: self} of a flame graph as drawn: levels of (offset from the left neighbour, total, self, name).

    A path is a tuple of names, root first, without the root `total`.
    """
    out, names = {}, flame.get("names", [])
    above = [(0, None, ())]  # begin, end, path
    for depth, level in enumerate(flame.get("levels", [])):
        values, x, row, parent = [int(v) for v in level["values"]], 0, [], 0
        for i in range(0, len(values), 4):
            offset, total, self_, name = values[i:i + 4]
            x += offset
            while above[parent][1] is not None and x >= above[parent][1]:
                parent += 1
            path = above[parent][2] + ((names[name],) if depth else ())
            if self_:
                out[path] = out.get(path, 0) + self_
            row.append((x, x + total, path))
            x += total
        above = row
    return out


def flame(s, kind, selector, start, end, tenant=None):
    """The tree of everything that matches."""
    return tree_of(rpc(s, "SelectMergeStacktraces", {
        "profileTypeID": kind, "labelSelector": selector, "start": start, "end": end,
        "maxNodes": 1048576}, tenant).get("flamegraph", {}))
