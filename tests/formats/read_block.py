#!/usr/bin/env python3
"""Reads a block from docs/formats/{block,wal,rollup}.md alone, and prints what it holds.

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
KINDS = ["strings", "series", "rows", "symbols", "nodes", "samples", "seen", "timeline", "names", "tree", "functions",
         "stacked",
         "digest", "digest tree", "digest functions"]
HOUR = 3600 * 10**9
SPANS = [HOUR, 6 * HOUR, 24 * HOUR]


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


def unpack(codec, stored, raw_bytes, want):
    need(check(stored) == want and codec <= 1 and (codec or len(stored) == raw_bytes), "a section")
    return inflate(stored, raw_bytes) if codec else stored


class Section:
    """Raw bytes; of a section in chunks the head (numbers) and the whole stream."""

    def __init__(self, c, data, at, version, kind):
        self.kind, self.type, self.slot, self.slots = [c.uvarint() for _ in range(4)] if version > 1 else (kind, 0, 0, 0)
        codec = c.uvarint()
        need(version > 1 or c.uvarint() == at, "sections leave a gap")
        stored, raw, want = c.uvarint(), c.uvarint(), c.u64()
        piece = data[at:at + stored]
        need(len(piece) == stored, "a section is cut")
        self.place = (at, stored)
        if codec == 2:
            self.head, self.raw = self.chunks(piece, raw, want)
        else:
            self.raw = unpack(codec, piece, raw, want)

    def chunks(self, piece, table_bytes, want):
        need(check(piece[:table_bytes]) == want and table_bytes <= len(piece), "a table of chunks")
        c, at, stream = Cursor(piece[:table_bytes]), table_bytes, b""
        sizes = [c.uvarint() for _ in range(c.uvarint())]
        head = [c.uvarint() for _ in range(1 + len(sizes) if KINDS[self.kind] == "names" else 3)]
        for raw in sizes:
            codec, stored = c.uvarint(), c.uvarint()
            stream += unpack(codec, piece[at:at + stored], raw, c.u64())
            at += stored
        c.done()
        need(at == len(piece), "chunks leave a gap")
        return head, stream


class Slot:
    def __init__(self, c):
        self.time_min, self.time_max, self.n_rows, self.n_samples = c.svarint(), c.svarint(), c.uvarint(), c.uvarint()


class Dataset:
    def __init__(self, c, data, at, version, type_names):
        self.service = c.string()
        self.types, self.type_names = [], None
        if version > 1:
            self.n_series = c.uvarint()
            self.slots = [Slot(c) for _ in range(c.uvarint())]
            types = [[c.uvarint() for _ in range(5 + (version > 2))] for _ in range(c.uvarint())]
            self.types = [t[:5] for t in types]
            if version > 2:
                self.type_names = [type_names[t[5]] for t in types]
            n = c.uvarint()
        else:
            slot = Slot.__new__(Slot)
            slot.time_min, slot.time_max, slot.n_rows = c.svarint(), c.svarint(), c.uvarint()
            self.n_series, slot.n_samples, self.slots, n = c.uvarint(), c.uvarint(), [slot], 6
        self.sections = []
        for kind in range(n):
            self.sections.append(Section(c, data, at, version, kind))
            at += self.sections[-1].place[1]
        self.end = at
        self.n_rows, self.n_samples = sum(s.n_rows for s in self.slots), sum(s.n_samples for s in self.slots)

    def all(self, kind):
        return [s for s in self.sections if s.kind < len(KINDS) and KINDS[s.kind] == kind]

    def only(self, kind, slot=0):
        found = [s for s in self.all(kind) if s.slot == slot]
        need(len(found) == 1, "one section of " + kind)
        return found[0].raw

    def decode(self):
        self.strings = ["", "[damaged]", "__name__", "service_name"]
        if self.service not in self.strings:
            self.strings.append(self.service)
        self.functions = [(1, 0, 0, 0)]
        self.mappings, self.series = [], []
        self.locations = [(0, 0, [(0, 0)])]
        self.nodes = [(0, None)]
        c = Cursor(self.only("strings"))
        read_range(c, self.strings, Cursor.string)
        c.done()
        c = Cursor(self.only("series"))
        read_range(c, self.series, self.one_series)
        c.done()
        c = Cursor(self.only("symbols"))
        read_range(c, self.functions,
                   lambda c: (c.uvarint(), c.uvarint(), c.uvarint(), c.svarint()))
        read_range(c, self.mappings, lambda c: [c.uvarint() for _ in range(6)])
        read_range(c, self.locations, self.one_location)
        c.done()
        self.decode_nodes()
        need(len(self.series) == self.n_series, "the number of series")
        self.rows, last = [], None
        for i, slot in enumerate(self.slots):
            need(slot.time_min // HOUR == slot.time_max // HOUR and (last is None or slot.time_min // HOUR > last), "a slot")
            last = slot.time_min // HOUR
            self.rows += self.decode_rows(i, slot)
        if self.types:
            self.check_derived()

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
        c, location = Cursor(self.only("nodes")), 0
        need(c.uvarint() == 1, "nodes begin elsewhere")
        for _ in range(c.uvarint()):
            up = c.uvarint()
            location += c.svarint()
            need(1 <= up <= len(self.nodes) and 0 <= location < len(self.locations), "a node")
            self.nodes.append((len(self.nodes) - up, location))
        c.done()

    def decode_rows(self, index, slot):
        c, samples = Cursor(self.only("rows", index)), Cursor(self.only("samples", index))
        stacked = {}  # row: its samples
        n = c.uvarint()
        columns = {}
        for name, read in [("series", c.uvarint), ("time", c.svarint), ("seq", c.svarint)]:
            last, columns[name] = 0, []
            for _ in range(n):
                last = signed(last + read())
                columns[name].append(last)
        sizes = [c.uvarint() for _ in range(n)]
        counts = [c.uvarint() for _ in range(n)]
        for s in self.all("stacked"):
            if s.slot == index:
                stacked = self.decode_stacked(Cursor(s.raw), counts)
        need(set(stacked) == {i for i in range(n) if sizes[i] == 0}, "rows without samples")
        rows = []
        for i in range(n):
            series = self.series[columns["series"][i]]
            totals = [c.uvarint() for _ in series["types"]]
            if i in stacked:
                need([sum(v) for v in zip(*(s[1] for s in stacked[i]))] == totals, "a total")
            mine = stacked[i] if i in stacked else self.decode_samples(samples.bytes(sizes[i]), totals)
            row = {"series": series, "id": columns["series"][i], "time": columns["time"][i], "seq": columns["seq"][i], "slot": index,
                   "totals": totals, "samples": mine}
            need(len(row["samples"]) == counts[i], "the number of samples of a row")
            rows.append(row)
        c.done()
        samples.done()
        need(n == slot.n_rows and sum(counts) == slot.n_samples, "the numbers of the directory")
        need(min(columns["time"]) == slot.time_min and max(columns["time"]) == slot.time_max, "times")
        return rows

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

    def decode_stacked(self, c, counts):
        """{row: [(node, values, 0, 0), …]} of all groups."""
        out = {}
        while c.at < len(c.data):
            numbers, lowest = [], 0
            for _ in range(c.uvarint()):
                numbers.append(lowest + c.uvarint())
                lowest = numbers[-1] + 1
            group = [[] for _ in numbers]
            need(sum(counts[i] for i in numbers) <= 1 << 20, "a group is too large")
            n_nodes, n_types = c.uvarint(), c.uvarint()
            units = [c.uvarint() for _ in range(n_types)]
            steps, more, rows = [Cursor(c.bytes(c.uvarint())) for _ in range(3)]
            columns = [[Cursor(c.bytes(c.uvarint())) for _ in range(2)] if unit else None for unit in units]
            node = -1
            for _ in range(n_nodes):
                node += 1 + steps.uvarint()
                factors = [column[0].uvarint() if column else 0 for column in columns]
                row = -1
                for _ in range(more.uvarint() + 1):
                    row += 1 + rows.uvarint()
                    value, values = 1, []
                    for factor, column in zip(factors, columns):
                        value = 0 if not column else factor * value if factor else column[1].uvarint()
                        values.append(value)
                    group[row].append((node, tuple(u * v for u, v in zip(units, values)), 0, 0))
            for column in [steps, more, rows, *(x for pair in columns if pair for x in pair)]:
                column.done()
            need(node < len(self.nodes) and not set(numbers) & set(out), "a group")
            need([len(g) for g in group] == [counts[i] for i in numbers], "the number of samples of a row")
            out.update(zip(numbers, group))
        return out

    @staticmethod
    def ids(c, n, words):
        table = [0]
        for _ in range(c.uvarint()):
            table.append(int.from_bytes(b"".join(c.bytes(8)[::-1] for _ in range(words)), "big"))
        return [table[ref] for ref in c.column(n)]

    def type_of(self, series, k):
        kind, period = series["types"][k].rsplit(":", 1), series["period"].rsplit(":", 1)
        return [series["labels"].get("__name__", ""), *kind, *period]

    def check_derived(self):
        """Whatever is summed beforehand is what the rows sum."""
        types = [[self.strings[i] for i in ids] for ids in self.types]
        need(self.type_names is None or self.type_names == [":".join(t) for t in types], "the name of a type")
        seen = [0] * len(self.series)
        each = {}  # by type: (row, k) with a value
        for r in self.rows:
            for k, total in enumerate(r["totals"]):
                if total:
                    seen[r["id"]] |= 1 << k
                    each.setdefault(types.index(self.type_of(r["series"], k)), []).append((r, k))
        need(list(self.only("seen")) == seen, "what series have")
        for s in self.all("timeline"):
            moments = {}
            for r, k in each[s.type]:
                n, total = moments.get(r["time"], (0, 0))
                moments[r["time"]] = (n + 1, total + r["totals"][k])
            need(self.timeline(s.raw) == sorted((t, *v) for t, v in moments.items()), "a timeline")
        names = self.names()
        for tree in self.all("tree"):
            table = [s for s in self.all("functions") if (s.type, s.slot, s.slots) == (tree.type, tree.slot, tree.slots)]
            rows = [(r, k) for r, k in each[tree.type] if tree.slot <= r["slot"] < tree.slot + tree.slots]
            paths, functions = self.sum_paths(rows)
            need(self.tree(tree, names) == paths, "a tree")
            need(len(table) == 1 and self.functions_of(table[0].raw, names) == functions, "a table of functions")

    @staticmethod
    def timeline(raw):
        c, at, times = Cursor(raw), 0, []
        n = c.uvarint()
        for _ in range(n):
            at = signed(at + c.svarint())
            times.append(at)
        rows, totals = [c.uvarint() for _ in range(n)], [c.uvarint() for _ in range(n)]
        c.done()
        return list(zip(times, rows, totals))

    def names(self):
        sections = self.all("names")
        if not sections:
            return []
        c = Cursor(sections[0].raw)
        names = [c.string() for _ in range(sections[0].head[0])]
        c.done()
        return names

    def sum_paths(self, rows):
        """{path: total} of all nodes with a value below them, {name: [self, total]}."""
        paths, functions = {}, {}
        for r, k in rows:
            for node, values, _, _ in r["samples"]:
                stack, v = tuple(self.stack(node)), values[k] if k < len(values) else 0
                if not v or not stack:
                    continue
                for i in range(len(stack)):
                    paths[stack[:i + 1]] = paths.get(stack[:i + 1], 0) + v
                for name in set(stack):
                    functions.setdefault(name, [0, 0])[1] += v
                functions[stack[-1]][0] += v
        return paths, functions

    @staticmethod
    def tree(section, names):
        unit, total, n_nodes = section.head
        out, todo = {}, [(0, total, ())] if n_nodes else []
        while todo:
            at, total, path = todo.pop()
            c = Cursor(section.raw)
            c.at = at
            header = c.uvarint()
            n, following, rest = header >> 2, header & 1, header & 2
            heavy = c.uvarint() if n > 1 and header & 3 else 0
            ids, leaf, lowest = [], [], 0
            for _ in range(n):
                v = c.uvarint()
                ids.append(lowest + (v >> 1))
                leaf.append(v & 1)
                lowest = ids[-1] + 1
            totals = [None if rest and i == heavy else c.uvarint() for i in range(n)]
            if rest:
                totals[heavy] = total - sum(t for t in totals if t is not None)
            refs = [None if leaf[i] or following and i == heavy else int.from_bytes(c.bytes(4), "little")
                    for i in range(n)]
            if following:
                refs[heavy] = c.at
            for i in range(n):
                below = path + (names[ids[i]],)
                out[below] = totals[i] * unit
                if not leaf[i]:
                    need(refs[i] >= c.at, "a group lies before its parent")
                    todo.append((refs[i], totals[i], below))
        need(len(out) == n_nodes, "the number of nodes of a tree")
        return out

    @staticmethod
    def functions_of(raw, names):
        c, ids, lowest = Cursor(raw), [], 0
        n, unit = c.uvarint(), c.uvarint()
        for _ in range(n):
            ids.append(lowest + c.uvarint())
            lowest = ids[-1] + 1
        selfs = [c.uvarint() * unit for _ in range(n)]
        more = [c.uvarint() * unit for _ in range(n)]
        c.done()
        return {names[i]: [s, s + m] for i, s, m in zip(ids, selfs, more)}

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
        need(len(data) >= 96 and data[:7] == b"EFBLK\0\0" and data[7] in (1, 2, 3), "head")
        version, self.level = data[7], data[40]
        need(self.level < (1 if version == 1 else len(SPANS)) and not any(data[41:56]), "head")
        self.store = data[8:24].hex()
        self.epoch, self.start, want = *struct.unpack("<Qq", data[24:40]), *struct.unpack("<Q", data[56:64])
        need(check(data[:56]) == want, "head")
        at, n, want = struct.unpack("<QQQ", data[-32:-8])
        directory = data[at:at + n]
        need(data[-8:] == b"EFBLKEND" and at + n == len(data) - 32 and check(directory) == want, "foot")
        c = Cursor(directory)
        self.tenant = c.string()
        self.time_min, self.time_max, self.seq_max = c.svarint(), c.svarint(), c.uvarint()
        self.sources = [c.string() for _ in range(c.uvarint())] if version > 1 else []
        type_names = [c.string() for _ in range(c.uvarint())] if version > 2 else []
        self.datasets, end = [], 64
        for _ in range(c.uvarint()):
            self.datasets.append(Dataset(c, data, end, version, type_names))
            end = self.datasets[-1].end
        c.done()
        need(end == at, "sections leave a gap")
        span = SPANS[self.level]
        for d in self.datasets:
            d.decode()
            need(all(r["seq"] <= self.seq_max and r["time"] // span * span == self.start for r in d.rows),
                 "a row of another range")

    def sums(self):
        """Per (tenant, service, profile type, hour): {stack, names from the root: sum of values}."""
        out = {}
        for d in self.datasets:
            stacks = {}
            for r in d.rows:
                for k, kind in enumerate(r["series"]["types"]):
                    full = ":".join([r["series"]["labels"]["__name__"], kind, r["series"]["period"]])
                    mine = out.setdefault((self.tenant, d.service, full, r["time"] // HOUR), {})
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
