#!/usr/bin/env python3
"""The real Pyroscope Java agent that sends OTLP profiles (its experimental format), and a program whose shares are known.

    tests/e2e/java_otlp.py [BUILD_DIRECTORY]

Agent and program are those of java.py. In this format the agent sends neither the application's name nor labels, and
one kind of profile in nanoseconds: so that is what must be found, and the shares. The last line is 'N passed, N
failed'.
"""
import sys
import time

from java import CLASSES, JAR, prepare as install
from otlp import selector, services, times
from query import flame, rpc
from sdk import LEAST_SAMPLES, PATIENCE_S, PERIOD_NS, Program, Report, inclusive, near, share, tool
from server import Server

SERVICE, ITIMER = "unknown_service", "itimer:itimer:ns:itimer:ns"
HEAVY, LIGHT = "Orders.process", "Billing.invoice"
OPTIONS = ["-javaagent:" + JAR, "-Dpyroscope.application.name=lost", "-Dpyroscope.format=otlp",
           "-Dpyroscope.profiler.event=itimer", "-Dpyroscope.upload.interval=3s"]


def tree(server):
    t = times()
    return flame(server, ITIMER, selector(SERVICE), t["start"], t["end"])


def samples(stacks):
    return (inclusive(stacks, HEAVY) + inclusive(stacks, LIGHT)) // PERIOD_NS


def rows(stacks, measured, heavy, light):
    expected = measured["heavy"] / (measured["heavy"] + measured["light"])
    return [near("share of %s as measured" % heavy, share(stacks, heavy, light), expected, samples(stacks)),
            near("share of %s as written" % heavy, share(stacks, heavy, light), 0.75, samples(stacks), 0.05)]


def work(server):
    """Until there are enough samples; what the program measured."""
    options = " ".join(OPTIONS + ["-Dpyroscope.server.address=" + server.url])
    with Program([tool("java", "a JDK"), "-Xmx256m", "-cp", CLASSES, "Work"], {"JAVA_TOOL_OPTIONS": options}) as program:
        begun = time.monotonic()
        while samples(tree(server)) < 4 * LEAST_SAMPLES and time.monotonic() - begun < PATIENCE_S:
            program.lives()
            time.sleep(0.5)
        return program.finish()


def main(build):
    report = Report()
    with report:
        install()
        with Server(build) as server:
            measured = work(server)
            stacks = tree(server)
            report.row("at least %d samples: %d" % (LEAST_SAMPLES, samples(stacks)), samples(stacks) >= LEAST_SAMPLES)
            report.rows(rows(stacks, measured, HEAVY, LIGHT))
            report.exchanged(rows(stacks, measured, LIGHT, HEAVY))
            there = services(server)
            report.row("services: %r" % there, there == [SERVICE])
            kinds = [t["ID"] for t in rpc(server, "ProfileTypes", times())["profileTypes"]]
            report.row("profile types: %r" % kinds, kinds == [ITIMER])
    return report.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "build"))
