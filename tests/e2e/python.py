#!/usr/bin/env python3
"""The real Pyroscope Python SDK in a program whose shares are known.

    tests/e2e/python.py [BUILD_DIRECTORY]

python/requirements.txt pins the SDK with the hashes of its wheels; it is installed into a virtual environment in
build/e2e-cache. See sdk.py for what is checked. What is missing is a failure. The last line is 'N passed, N
failed'.
"""
import os
import sys

from sdk import CACHE, HERE, Program, run, sha256, test

FOLDER = os.path.join(CACHE, "python")
PYTHON = os.path.join(FOLDER, "bin", "python3")
WANTED = os.path.join(HERE, "python", "requirements.txt")
STAMP = os.path.join(FOLDER, "installed")


def stamp():
    return "%s %s\n" % (sys.version.split()[0], sha256(WANTED))


def installed():
    if not os.path.exists(STAMP):
        return False
    with open(STAMP, encoding="utf-8") as f:
        return f.read() == stamp()


def prepare():
    if not installed():
        run([sys.executable, "-m", "venv", "--clear", FOLDER], "python3 -m venv (Debian: package python3-venv)")
        run([PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary=:all:",
             "--require-hashes", "-r", WANTED], "pip install pyroscope-io")
        with open(STAMP, "w", encoding="utf-8") as f:
            f.write(stamp())
    return lambda server: Program([PYTHON, os.path.join(HERE, "python", "work.py"), server.url])


if __name__ == "__main__":
    sys.exit(test(sys.argv[1] if len(sys.argv) > 1 else "build", "python-app", ("process_order", "create_invoice"),
                  prepare, enough=1500, stray=0.05, by_cpu_time=False))
