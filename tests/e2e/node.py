#!/usr/bin/env python3
"""The real Pyroscope Node.js SDK in a program whose shares are known.

    tests/e2e/node.py [BUILD_DIRECTORY]

node/package.json and node/package-lock.json pin the SDK with the hashes of its packages; npm installs them into
build/e2e-cache, without running any script of theirs (the SDK brings its native part compiled). See sdk.py for what is
checked. Besides CPU: what is kept in the heap. A missing node or npm is a failure. The last line is 'N passed, N
failed'.
"""
import os
import shutil
import sys

from sdk import CACHE, HERE, Program, inclusive, run, sha256, test, tool

FOLDER = os.path.join(CACHE, "node")
STAMP = os.path.join(FOLDER, "installed")
SOURCES = os.path.join(HERE, "node")
WORK = os.path.join(SOURCES, "work.js")
CPU, WALL = "wall:cpu:nanoseconds:wall:nanoseconds", "wall:wall:nanoseconds:wall:nanoseconds"
SPACE = "memory:inuse_space:bytes:inuse_space:bytes"
KINDS = {CPU, WALL, "wall:samples:count:wall:nanoseconds", SPACE,
         "memory:inuse_objects:count:inuse_space:bytes"}


def frame(function):
    """The SDK's names end with the function and the line where it begins."""
    with open(WORK, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if line.startswith("function %s(" % function):
                return "work.js:%s:%d" % (function, number)
    raise KeyError(function)


def prepare():
    node, npm = tool("node", "Node.js 20.20 or newer"), tool("npm", "npm")
    wanted = sha256(os.path.join(SOURCES, "package-lock.json"))
    if not os.path.exists(STAMP) or open(STAMP, encoding="utf-8").read() != wanted:
        os.makedirs(FOLDER, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(SOURCES, name), FOLDER)
        run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], "npm ci", cwd=FOLDER)
        with open(STAMP, "w", encoding="utf-8") as f:
            f.write(wanted)
    env = {"NODE_PATH": os.path.join(FOLDER, "node_modules")}
    return lambda server: Program([node, WORK, server.url], env)


def more_rows(view, measured, exchanged):
    kept, other = (frame(f) for f in ("keepBuffers", "createInvoice")[::-1 if exchanged else 1])
    heap = view.trees[SPACE]
    rows = [("%s keeps ten times what %s does" % (kept, other), inclusive(heap, kept) > 10 * inclusive(heap, other))]
    if not exchanged:
        rows.append(("the profile types are: %s" % sorted(view.kinds), view.kinds == KINDS))
    return rows


if __name__ == "__main__":
    sys.exit(test(sys.argv[1] if len(sys.argv) > 1 else "build", "node-app",
                  (frame("processOrder"), frame("createInvoice")), prepare, more_rows, (SPACE,), stray=0.05, cpu=CPU))
