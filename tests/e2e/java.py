#!/usr/bin/env python3
"""The real Pyroscope Java agent, started as its users do, and a program whose shares are known.

    tests/e2e/java.py [BUILD_DIRECTORY]

The agent comes from Maven Central by mvn, pinned and its SHA-256 checked, once, into build/e2e-cache. See
sdk.py for what is checked. Besides CPU: allocation (three to one) and locks (a monitor and a ReentrantLock,
about the same). A missing JDK or mvn is a failure. The last line is 'N passed, N failed'.
"""
import os
import sys

from sdk import CACHE, HERE, Missing, Program, alloc_row, inclusive, run, sha256, test, tool

VERSION = "2.9.2"
SHA256 = "ad738199a90734f7b8392bae1ab892027d411acb953ef1f00cd6e8e7c669ff8f"
FOLDER = os.path.join(CACHE, "java")
JAR = os.path.join(FOLDER, "agent-%s.jar" % VERSION)
CLASSES = os.path.join(FOLDER, "classes")
SERVICE = "my-service"
OPTIONS = ["-javaagent:%s" % JAR, "-Dpyroscope.application.name=" + SERVICE, "-Dpyroscope.server.address=%s",
           "-Dpyroscope.format=jfr", "-Dpyroscope.profiler.event=itimer", "-Dpyroscope.profiler.alloc=512k",
           "-Dpyroscope.profiler.lock=10ms"]
ALLOC = "memory:alloc_in_new_tlab_bytes:bytes:space:bytes"
OBJECTS = "memory:alloc_in_new_tlab_objects:count:space:bytes"
MONITOR, PARK = "mutex:delay:nanoseconds:mutex:count", "block:delay:nanoseconds:block:count"
COUNTS = {"mutex:contentions:count:mutex:count", "block:contentions:count:block:count", OBJECTS}


def fetch_agent():
    if os.path.exists(JAR) and sha256(JAR) == SHA256:
        return
    run([tool("mvn", "Maven, to fetch the agent"), "-q", "-B", "-Dmaven.repo.local=" + os.path.join(CACHE, "m2"),
         "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy", "-Dartifact=io.pyroscope:agent:" + VERSION,
         "-DoutputDirectory=" + FOLDER, "-Dmdep.overWriteReleases=true"], "fetching the agent by mvn")
    if sha256(JAR) != SHA256:
        raise Missing("%s is not the agent that is pinned: its SHA-256 is %s" % (JAR, sha256(JAR)))


def prepare():
    java, javac = tool("java", "a JDK"), tool("javac", "a JDK (a JRE is not enough)")
    os.makedirs(CLASSES, exist_ok=True)
    fetch_agent()
    run([javac, "-encoding", "UTF-8", "-cp", JAR, "-d", CLASSES, os.path.join(HERE, "java", "Work.java")], "javac")

    def start(server):
        options = " ".join(OPTIONS) % server.url
        return Program([java, "-Xmx256m", "-cp", CLASSES, "Work"], {"JAVA_TOOL_OPTIONS": options})
    return start


def more_rows(view, measured, exchanged):
    large, small = ("Buffers.small", "Buffers.large") if exchanged else ("Buffers.large", "Buffers.small")
    monitor, lock = ("Locks.reentrant", "Locks.monitor") if exchanged else ("Locks.monitor", "Locks.reentrant")
    alloc, mutex, block = view.trees[ALLOC], view.trees[MONITOR], view.trees[PARK]
    rows = [
        alloc_row(alloc, measured, large, small),
        ("waiting for a monitor in %s alone" % monitor, inclusive(mutex, monitor) > 0 == inclusive(mutex, lock)),
        ("waiting for a lock in %s alone" % lock, inclusive(block, lock) > 0 == inclusive(block, monitor)),
    ]
    if not exchanged:
        both = inclusive(mutex, monitor), inclusive(block, lock)
        rows.append(("both waits are about the same: %d and %d" % both, 0.8 < both[0] / (both[1] or 1) < 1.25))
        rows.append(("contentions and objects are there", COUNTS <= view.kinds))
    return rows


if __name__ == "__main__":
    sys.exit(test(sys.argv[1] if len(sys.argv) > 1 else "build", SERVICE, ("Orders.process", "Billing.invoice"),
                  prepare, more_rows, (ALLOC, MONITOR, PARK)))
