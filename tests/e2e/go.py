#!/usr/bin/env python3
"""The real Pyroscope Go SDK in a program whose shares are known.

    tests/e2e/go.py [BUILD_DIRECTORY]

go/go.mod and go/go.sum pin the SDK; modules and build results are kept in build/e2e-cache. See sdk.py for what
is checked. Besides CPU: allocation (three to one) and a mutex. A missing Go is a failure. The last line is
'N passed, N failed'.
"""
import os
import sys

from sdk import HERE, Program, alloc_row, go_build, inclusive, test

SERVICE = "go-app"
SPACE = "memory:alloc_space:bytes:space:bytes"
MUTEX = "mutex:delay:nanoseconds:contentions:count"
OTHERS = {"memory:inuse_space:bytes:space:bytes", "memory:inuse_objects:count:space:bytes",
          "goroutines:goroutine:count:goroutine:count", "mutex:contentions:count:contentions:count"}


def prepare():
    program = go_build(os.path.join(HERE, "go"), ".", "work")
    return lambda server: Program([program, server.url])


def more_rows(view, measured, exchanged):
    large, small = ("main.smallBuffers", "main.largeBuffers")[::1 if exchanged else -1]
    rows = [alloc_row(view.trees[SPACE], measured, large, small)]
    if not exchanged:
        rows.append(("waiting for the mutex in holdMutex", inclusive(view.trees[MUTEX], "main.holdMutex") > 0))
        rows.append(("the other profile types are there: %s" % sorted(view.kinds), OTHERS <= view.kinds))
    return rows


if __name__ == "__main__":
    sys.exit(test(sys.argv[1] if len(sys.argv) > 1 else "build", SERVICE,
                  ("main.processOrder", "main.createInvoice"), prepare, more_rows, (SPACE, MUTEX)))
