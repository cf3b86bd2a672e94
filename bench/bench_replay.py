#!/usr/bin/env python3
"""Replay of the write-ahead log, and the start of a server with a day on its disk.

  bench_replay.py [--build build] [--hours 26] [--runs 5] [--dir DIR]

An hour of nine services (seven send java-rfc, two java-spring: 3,240 recorded uploads) goes through a server
that is then killed. Its log is repeated for each of the hours by bench_replay (bench_replay.c), which prints
MB of log per second and per CPU-second beside reading, memcpy and XXH3 of the same bytes, and at last the
start of a store with the hours in blocks and one more in the log. The same directory is then given to
the server itself: from the start of the process to the first 200 of /ready. One line of JSON each.
"""
import argparse
import glob
import json
import os
import shutil
import subprocess
import time

import client

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
WINDOW_S = 10
PARTS = (("java-rfc", 7), ("java-spring", 2))


def upload_hour(opt, server):
    start_s = int(time.time()) // WINDOW_S * WINDOW_S - 3600
    for mix, services in PARTS:
        uploads = services * 3600 // WINDOW_S
        out = subprocess.run(
            [os.path.join(opt.build, "bench", "load"), "--port", str(server.port), "--mix",
             os.path.join(ROOT, "tests/conformance/captures", mix), "--start", str(start_s),
             "--uploads", str(uploads), "--services", str(services)],
            check=True, stdout=subprocess.PIPE, text=True).stdout
        if json.loads(out)["statuses"] != {"200": uploads}:
            raise SystemExit(f"{mix}: not all uploads were answered 200: {out}")


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--build", default="build")
    p.add_argument("--hours", type=int, default=26)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--dir", help="where data goes; default: the build directory")
    opt = p.parse_args()
    opt.build = os.path.join(ROOT, opt.build)
    binary = os.path.join(opt.build, "src", "everflame")
    if not os.path.exists(binary):
        binary = os.path.join(opt.build, "everflame")
    with client.Server(binary, opt.dir or opt.build) as server:
        server.start()
        upload_hour(opt, server)
        server.kill()
        segments = glob.glob(os.path.join(server.data, "wal", "*.wal"))
        if len(segments) != 1:
            raise SystemExit(f"an hour should be one segment, there are {segments}")
        hour = os.path.join(server.dir, "hour")
        shutil.copy(segments[0], hour)
        shutil.rmtree(server.data)
        subprocess.run([os.path.join(opt.build, "bench", "bench_replay"), hour, server.data,
                        str(opt.hours), str(opt.runs)], check=True)
        print(json.dumps({"server_ready_ms": round(server.start() * 1e3, 1), "rss_mb": server.memory_mb()[0]}))


if __name__ == "__main__":
    main()
