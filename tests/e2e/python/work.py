"""Work of known shares, until standard input ends. Then one line: what it did, by its own measure.

process_order does three times the work of create_invoice, both through the same leaf, under tags.
"""
import json
import random
import sys
import threading
import time

import pyroscope

DONE = {"heavy": 0, "light": 0}
OVER = threading.Event()


def now():
    """The SDK samples whoever holds the interpreter's lock, running or not: so time, not CPU time."""
    return time.monotonic_ns()


def spin(units):
    """The leaf of all CPU time: about half a millisecond a unit."""
    x = 1
    for i in range(units * 8000):
        x = (x * 33 + i) & 0xffffffff
    return x


def process_order(pace):
    begin = now()
    spin(3 * pace)
    DONE["heavy"] += now() - begin


def create_invoice(pace):
    begin = now()
    spin(pace)
    DONE["light"] += now() - begin


def work():
    """The pace is never in step with the profiler's clock."""
    while not OVER.is_set():
        with pyroscope.tag_wrapper({"controller": "orders"}):
            process_order(random.randint(10, 30))
        with pyroscope.tag_wrapper({"controller": "billing", "stadt": "Größe ✓"}):
            create_invoice(random.randint(10, 30))


def main():
    pyroscope.configure(application_name="python-app", server_address=sys.argv[1], tags={"region": "eu"},
                        upload_interval=3)
    thread = threading.Thread(target=work)
    thread.start()
    sys.stdin.read()
    OVER.set()
    thread.join()
    pyroscope.shutdown()
    print(json.dumps(DONE))


main()
