#!/usr/bin/env python3
"""The real Pyroscope Rust SDK, with its pprof-rs back end, in a program whose shares are known.

    tests/e2e/rust.py [BUILD_DIRECTORY]

rust/Cargo.toml and rust/Cargo.lock pin the SDK and all it needs; what is compiled is kept in build/e2e-cache. See sdk.py
for what is checked. A missing cargo is a failure. The last line is 'N passed, N failed'.
"""
import os
import sys

from sdk import CACHE, HERE, Program, run, test, tool

FOLDER = os.path.join(CACHE, "rust")


def prepare():
    run([tool("cargo", "Rust 1.95 or newer"), "build", "--quiet", "--release", "--locked"], "cargo build", timeout=1500,
        cwd=os.path.join(HERE, "rust"), env=dict(os.environ, CARGO_TARGET_DIR=FOLDER))
    program = os.path.join(FOLDER, "release", "work")
    return lambda server: Program([program, server.url])


if __name__ == "__main__":
    sys.exit(test(sys.argv[1] if len(sys.argv) > 1 else "build", "rust-app",
                  ("work::process_order", "work::create_invoice"), prepare))
