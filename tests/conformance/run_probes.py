#!/usr/bin/env python3
"""176 malformed and borderline requests, one by one, against a fresh server: is the status, and the error
code, the recorded one? What differs on purpose is in probe_deviations.jsonl, with the reason.

    run_probes.py BUILD
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from server import OLD_DATA, Server  # noqa: E402


def main():
    with Server(sys.argv[1], OLD_DATA) as s:
        r = subprocess.run([sys.executable, os.path.join(HERE, "probes.py"), "check", "--url", s.url,
                            "--answers", os.path.join(HERE, "probes.json"), "--allow",
                            os.path.join(HERE, "probe_deviations.jsonl")])
    return r.returncode


if __name__ == "__main__":
    sys.exit(main())
