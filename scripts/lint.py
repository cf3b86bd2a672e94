#!/usr/bin/env python3
"""Checks on the source that a compiler does not make. The last line is 'N passed, N failed'.

  layers      #include downwards only; *_int.h only within its folder; *_test parts only in tests
  format      clang-format changes nothing
  banned      functions that src/base wraps are not called elsewhere (malloc, free, open, …)
  twice       MIN and MAX, which evaluate an argument twice, are not given one that changes something
  length      files of at most 1000 lines, functions of at most 70, lines of at most 100 columns
  headers     every header compiles alone
  words       nothing that names a machine, a workplace or a registry

Exceptions to length are in scripts/lint-exceptions.txt, a list that only shrinks: an entry that is no
longer needed is a failure too.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LAYERS = {"base": 0, "codec": 1, "model": 2, "agents": 3, "net": 3, "store": 5, "ingest": 6,
          "query": 6, "server": 8, "cli": 8}
# Same rank may not include each other, but for what a server or a command line is made of.
SAME_RANK = {("server", "cli"), ("cli", "server")}
BANNED = {r"(?<![\w.>])(malloc|calloc|realloc|free|strdup|strndup)\s*\(": {"base"},
          r"(?<![\w.>])(open|openat|rename|unlink|fsync|fdatasync)\s*\(": {"base", "cli"},
          r"(?<![\w.>])(pthread_mutex_\w+|pthread_create)\s*\(": {"base"},
          r"(?<![\w.>])(clock_gettime|gettimeofday)\s*\(": {"base"}}
WORDS = re.compile(r"/work/|/tmp/bash_jobs|pythonhosted|files\.pythonhosted|crates\.io/api|farm-bench|"
                   r"proxy\.golang\.org|repo1\.maven|AGPL code")
FILE_MAX, FUNCTION_MAX, LINE_MAX = 1000, 70, 100


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True,
                         check=True).stdout.split("\n")
    return [p for p in out if p and os.path.exists(os.path.join(ROOT, p))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def strip_comments(text):
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)
    return re.sub(r"//[^\n]*", "", text)


def layer(path):
    """src/LAYER/…, or agents/…; None for what is in no layer."""
    parts = path.split("/")
    if parts[0] == "agents":
        return "agents"
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def check_layers(files):
    for path in files:
        mine = layer(path)
        if not mine:
            continue
        for inc in re.findall(r'^#include "([^"]+)"', read(path), flags=re.M):
            other = inc.split("/")[0]
            if other not in LAYERS:
                yield f"{path}: includes {inc}, which is of no layer"
            elif other != mine and (LAYERS[other] > LAYERS[mine] or (
                    LAYERS[other] == LAYERS[mine] and (mine, other) not in SAME_RANK)):
                yield f"{path}: {mine} must not include {inc}"
            elif other != mine and inc.endswith("_int.h"):
                yield f"{path}: {inc} is private to {other}"


def check_format(files):
    bad = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=ROOT, capture_output=True,
                         text=True).stderr
    for name in sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: error", bad, flags=re.M))):
        yield f"{name}: clang-format would change it (make fmt)"


def check_banned(files):
    for path in files:
        mine = layer(path)
        if not mine:
            continue
        text = strip_comments(read(path))
        for pattern, allowed in BANNED.items():
            if mine in allowed:
                continue
            for m in re.finditer(pattern, text):
                yield f"{path}:{text.count(chr(10), 0, m.start()) + 1}: {m.group(1)} is called outside " \
                      f"{', '.join(sorted(allowed))}"


def arguments(text, start):
    """What stands between the parenthesis before `start` and its end."""
    depth, end = 1, start
    while depth and end < len(text):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return text[start:end - 1]


def check_twice(files):
    changing = re.compile(r"\+\+|--|(?<![=!<>])=(?!=)|VEC_PUSH|\bcursor_(?!left\b)\w+\(")
    for path in files:
        if not path.endswith((".c", ".h")):
            continue
        text = strip_comments(read(path))
        for m in re.finditer(r"\b(?:MIN|MAX)\(", text):
            if changing.search(arguments(text, m.end())):
                yield f"{path}:{text.count(chr(10), 0, m.start()) + 1}: an argument is evaluated twice"


def functions(text):
    """(name, first line, lines) of every function body: a '{' at column 0 to a '}' at column 0."""
    start = None
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            head = " ".join(lines[max(0, start - 4):start])
            names = re.findall(r"(\w+)\s*\(", head)
            yield (names[-1] if names else "?"), start + 1, i - start + 1
            start = None


def check_length(files):
    known = {}
    path = os.path.join(ROOT, "scripts", "lint-exceptions.txt")
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                known[line.split()[0]] = False
    for p in files:
        text = read(p)
        found = []
        if text.count("\n") > FILE_MAX:
            found.append((p, f"{text.count(chr(10))} lines"))
        for name, _, n in functions(text):
            if n > FUNCTION_MAX + 2:
                found.append((f"{p}:{name}", f"{n - 2} lines"))
        if any(len(line.expandtabs(8)) > LINE_MAX for line in text.split("\n")):
            found.append((f"{p}:columns", f"lines over {LINE_MAX} columns"))
        for key, what in found:
            if key in known:
                known[key] = True
            else:
                yield f"{key}: {what}"
    for key, used in known.items():
        if not used:
            yield f"scripts/lint-exceptions.txt: {key} is no longer needed"


def check_headers(files):
    headers = [p for p in files if p.startswith(("src/", "agents/")) and p.endswith(".h")]
    for p in headers:
        flags = ["-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Isrc", "-I.", "-Wall", "-Wextra", "-Werror",
                 "-isystem", "/usr/share/include/llhttp"]
        r = subprocess.run(["gcc", *flags, "-include", p, "-x", "c", "/dev/null"], cwd=ROOT,
                           capture_output=True, text=True)
        if r.returncode:
            yield f"{p}: does not compile alone: {r.stderr.strip().splitlines()[0] if r.stderr else ''}"


def check_words(files):
    skip = ("tests/conformance/captures/", "scripts/lint.py", "tests/fuzz/corpus/")
    for p in tracked("*"):
        if p.startswith(skip) or p.endswith((".gz", ".bin", ".png")):
            continue
        for i, line in enumerate(read(p).split("\n"), 1):
            if WORDS.search(line):
                yield f"{p}:{i}: {WORDS.search(line).group()}"


def check_readmes(files):
    for folder in sorted({"/".join(p.split("/")[:2]) for p in files
                          if p.startswith(("src/", "agents/")) and p.count("/") > 1}):
        if not os.path.exists(os.path.join(ROOT, folder, "README.md")):
            yield f"{folder}: no README.md"


def main():
    files = tracked("src/*.c", "src/*.h", "agents/*.c", "agents/*.h", "tests/*.c", "tests/*.h", "bench/*.c", "bench/*.h")
    passed = failed = 0
    for check in (check_layers, check_format, check_banned, check_twice, check_length, check_headers, check_words,
                  check_readmes):
        problems = list(check(files))
        for p in problems:
            print(f"lint: {check.__name__[6:]}: {p}")
        passed += not problems
        failed += bool(problems)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
