#!/usr/bin/env python3
"""Reads a block from docs/formats/block.md and wal.md alone, and prints what it holds.

    read_block.py FILE…            one JSON object per row
    read_block.py --totals FILE…   {"tenant service profile-type hour": total, …}
    read_block.py --stacks FILE…   the same keys, each with {"root;…;leaf": sum}

Shares no code with the server. The checks are XXH3 and the compression zstd: both through the
libraries that the build needs anyway. Anything that is not as the document says is an error.
"""
import ctypes
import json
import struct
import sys

XXHASH = ctypes.CDLL("libxxhash.so.0")
XXHASH.XXH3_64bits.restype = ctypes.c_uint64
XXHASH.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
ZSTD = ctypes.CDLL("libzstd.so.1")
ZSTD.ZSTD_decompress.restype = ctypes.c_size_t
ZSTD.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
SECTIONS = ["strings", "series", "rows", "symbols", "nodes", "samples"]
HOUR = 3600 * 10**9


class Damaged(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Damaged(what)


def check(data):
    return XXHASH.XXH3_64bits(bytes(data), len(data))


def inflate(stored, raw_bytes):
    out = ctypes.create_string_buffer(max(raw_bytes, 1))
    n = ZSTD.ZSTD_decompress(out, raw_bytes, stored, len(stored))
    need(n == raw_bytes, "a section does not inflate")
    return out.raw[:raw_bytes]


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def uvarint(self):
        value = shift = 0
        while True:
            need(self.at < len(self.data) and shift < 70, "a varint does not end")
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                need(value < 1 << 64, "a varint is too large")
                return value

    def svarint(self):
        v = self.uvarint()
        return v >> 1 ^ -(v & 1)

    def bytes(self, n):
        need(n <= len(self.data) - self.at, "bytes are missing")
        self.at += n
        return self.data[self.at - n:self.at]

    def string(self):
        return self.bytes(self.uvarint()).decode("utf-8", "surrogateescape")

    def u64(self):
        return struct.unpack("<Q", self.bytes(8))[0]

    def column(self, n):
        c = Cursor(self.bytes(self.uvarint()))
        values = [c.uvarint() for _ in range(n)]
        c.done()
        return values

    def done(self):
        need(self.at == len(self.data), "bytes are left over")


def signed(v):
    """Differences are modulo 2^64."""
    v &= (1 << 64) - 1
    return v - (1 << 64) if v >> 63 else v


def read_range(c, have, element):
    need(c.uvarint() == len(have), "a range begins elsewhere")
    for _ in range(c.uvarint()):
        have.append(element(c))


class Dataset:
    def __init__(self, c, data):
        self.service = c.string()
        self.time_min, self.time_max = c.svarint(), c.svarint()
        self.n_rows, self.n_series, self.n_samples = c.uvarint(), c.uvarint(), c.uvarint()
        self.raw, self.places = {}, []
        for name in SECTIONS:
            codec, offset, stored, raw = c.uvarint(), c.uvarint(), c.uvarint(), c.uvarint()
            want = c.u64()
            piece = data[offset:offset + stored]
            need(codec <= 1 and len(piece) == stored and check(piece) == want, "section " + name)
            need(codec == 1 or stored == raw, "section " + name)
            self.raw[name] = inflate(piece, raw) if codec else piece
            self.places.append((offset, stored))

    def decode(self):
        self.strings = ["", "[damaged]", "__name__", "service_name"]
        if self.service not in self.strings:
            self.strings.append(self.service)
        self.functions = [(1, 0, 0, 0)]
        self.mappings, self.series = [], []
        self.locations = [(0, 0, [(0, 0)])]
        self.nodes = [(0, None)]
        c = Cursor(self.raw["strings"])
        read_range(c, self.strings, Cursor.string)
        c.done()
        c = Cursor(self.raw["series"])
        read_range(c, self.series, self.one_series)
        c.done()
        c = Cursor(self.raw["symbols"])
        read_range(c, self.functions,
                   lambda c: (c.uvarint(), c.uvarint(), c.uvarint(), c.svarint()))
        read_range(c, self.mappings, lambda c: [c.uvarint() for _ in range(6)])
        read_range(c, self.locations, self.one_location)
        c.done()
        self.decode_nodes()
        self.decode_rows()
        need(len(self.series) == self.n_series, "the number of series")

    def one_series(self, c):
        n, t = c.uvarint(), c.uvarint()
        need(1 <= t <= 4, "the number of types")
        words = [self.strings[c.uvarint()] for _ in range(2 * n + 2 * t + 2)]
        pairs = list(zip(words[::2], words[1::2]))
        return {"labels": dict(pairs[:n]), "types": [f"{a}:{b}" for a, b in pairs[n:n + t]],
                "period": f"{pairs[-1][0]}:{pairs[-1][1]}"}

    def one_location(self, c):
        mapping, address, n = c.uvarint(), c.uvarint(), c.uvarint()
        need(mapping <= len(self.mappings), "a mapping")
        lines = [(c.uvarint(), c.svarint()) for _ in range(n >> 1)]
        need(all(f < len(self.functions) for f, _ in lines), "a function")
        return mapping, address, lines

    def decode_nodes(self):
        c, location = Cursor(self.raw["nodes"]), 0
        need(c.uvarint() == 1, "nodes begin elsewhere")
        for _ in range(c.uvarint()):
            up = c.uvarint()
            location += c.svarint()
            need(1 <= up <= len(self.nodes) and 0 <= location < len(self.locations), "a node")
            self.nodes.append((len(self.nodes) - up, location))
        c.done()

    def decode_rows(self):
        c, samples = Cursor(self.raw["rows"]), Cursor(self.raw["samples"])
        n = c.uvarint()
        columns = {}
        for name, read in [("series", c.uvarint), ("time", c.svarint), ("seq", c.svarint)]:
            last, columns[name] = 0, []
            for _ in range(n):
                last = signed(last + read())
                columns[name].append(last)
        sizes = [c.uvarint() for _ in range(n)]
        counts = [c.uvarint() for _ in range(n)]
        self.rows = []
        for i in range(n):
            series = self.series[columns["series"][i]]
            totals = [c.uvarint() for _ in series["types"]]
            row = {"series": series, "time": columns["time"][i], "seq": columns["seq"][i],
                   "totals": totals, "samples": self.decode_samples(samples.bytes(sizes[i]), totals)}
            need(len(row["samples"]) == counts[i], "the number of samples of a row")
            self.rows.append(row)
        c.done()
        samples.done()
        need(n == self.n_rows and sum(counts) == self.n_samples, "the numbers of the directory")
        need(min(columns["time"]) == self.time_min and max(columns["time"]) == self.time_max, "times")

    def decode_samples(self, data, totals):
        """(node, values, span, trace) of each."""
        c = Cursor(data)
        n, shape = c.uvarint(), c.uvarint()
        nodes, node = [], 0
        for step in c.column(n):
            node += step
            nodes.append(node)
        need(shape >> 2 <= len(totals) and node < len(self.nodes), "the nodes of a row")
        values = []
        for _ in range(shape >> 2):
            unit = c.uvarint()
            values.append([unit * v for v in c.column(n)])
        need([sum(v) for v in values] == totals[:len(values)], "a total")
        spans = self.ids(c, n, 1) if shape & 1 else [0] * n
        traces = self.ids(c, n, 2) if shape & 2 else [0] * n
        c.done()
        return list(zip(nodes, zip(*values) if values else [()] * n, spans, traces))

    @staticmethod
    def ids(c, n, words):
        table = [0]
        for _ in range(c.uvarint()):
            table.append(int.from_bytes(b"".join(c.bytes(8)[::-1] for _ in range(words)), "big"))
        return [table[ref] for ref in c.column(n)]

    def stack(self, node):
        """Names from root to leaf, inlined frames too."""
        out = []
        while node:
            node, location = self.nodes[node]
            mapping, address, lines = self.locations[location]
            out += [self.strings[self.functions[f][0]] for f, _ in lines]
            if not lines:  # no symbols: the name says where
                name = self.strings[self.mappings[mapping - 1][3]] if mapping else ""
                out.append(f"{name.split('/')[-1] or 'unknown'}!{address:#x}")
        return out[::-1]


class Block:
    def __init__(self, data):
        need(len(data) >= 96 and data[:8] == b"EFBLK\0\0\1" and not any(data[40:56]), "head")
        self.store = data[8:24].hex()
        self.epoch, self.hour, want = *struct.unpack("<Qq", data[24:40]), *struct.unpack("<Q", data[56:64])
        need(check(data[:56]) == want, "head")
        at, n, want = struct.unpack("<QQQ", data[-32:-8])
        directory = data[at:at + n]
        need(data[-8:] == b"EFBLKEND" and at + n == len(data) - 32 and check(directory) == want, "foot")
        c = Cursor(directory)
        self.tenant = c.string()
        self.time_min, self.time_max, self.seq_max = c.svarint(), c.svarint(), c.uvarint()
        self.datasets = [Dataset(c, data) for _ in range(c.uvarint())]
        c.done()
        end = 64
        for offset, stored in (p for d in self.datasets for p in d.places):
            need(offset == end, "sections leave a gap")
            end += stored
        need(end == at, "sections leave a gap")
        for d in self.datasets:
            d.decode()
            need(all(r["seq"] <= self.seq_max and r["time"] // HOUR * HOUR == self.hour for r in d.rows),
                 "a row of another hour")

    def sums(self):
        """Per (tenant, service, profile type, hour): {stack, names from the root: sum of values}."""
        out = {}
        for d in self.datasets:
            stacks = {}
            for r in d.rows:
                for k, kind in enumerate(r["series"]["types"]):
                    full = ":".join([r["series"]["labels"]["__name__"], kind, r["series"]["period"]])
                    mine = out.setdefault((self.tenant, d.service, full, self.hour // HOUR), {})
                    for node, values, _, _ in r["samples"]:
                        if k < len(values) and values[k]:
                            stack = stacks.setdefault(node, tuple(d.stack(node)))
                            mine[stack] = mine.get(stack, 0) + values[k]
        return out

    def lines(self):
        for d in self.datasets:
            for r in d.rows:
                samples = [{"stack": d.stack(n), "values": v, "span": s, "trace": t}
                           for n, v, s, t in r["samples"]]
                yield {"tenant": self.tenant, "epoch": self.epoch, **r, "samples": samples}


def read(path):
    with open(path, "rb") as f:
        try:
            return Block(f.read())
        except (IndexError, struct.error) as e:
            raise Damaged(str(e)) from e


def merged(blocks):
    out = {}
    for b in blocks:
        for key, stacks in b.sums().items():
            mine = out.setdefault(key, {})
            for stack, n in stacks.items():
                mine[stack] = mine.get(stack, 0) + n
    return out


def main(argv):
    what = argv.pop(0) if argv and argv[0].startswith("--") else ""
    blocks = [read(path) for path in argv]
    if not what:
        for b in blocks:
            for line in b.lines():
                print(json.dumps(line))
        return
    sums = {" ".join(map(str, k)): {";".join(stack): n for stack, n in v.items()}
            for k, v in merged(blocks).items()}
    totals = {k: sum(v.values()) for k, v in sums.items()}
    print(json.dumps(totals if what == "--totals" else sums, indent=1, sort_keys=True))


if __name__ == "__main__":
    main(sys.argv[1:])
