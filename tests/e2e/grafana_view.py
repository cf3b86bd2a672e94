"""What Grafana's data source makes of answers: data frames. Every demand that its code has on an answer is checked
here, since Grafana would crash or draw nonsense: Bad says which one was not met. Answers are the JSON of the
official stubs. Standard library only.
"""
CUMULATIVE = {"cpu", "alloc_space", "alloc_objects", "alloc_in_new_tlab_bytes", "alloc_in_new_tlab_objects"}
UNITS = {"nanoseconds": "ns", "count": "short"}
RATES = {"bytes": "binBps", "count": "ops"}


class Bad(Exception):
    """The data source could not work with the answer."""


def need(what, good):
    if not good:
        raise Bad(what)


def quads(names, level, depth):
    values = [int(v) for v in level.get("values", [])]
    need("level %d has %d values" % (depth, len(values)), values and len(values) % 4 == 0)
    x = 0
    for i in range(0, len(values), 4):
        offset, total, self_, name = values[i:i + 4]
        need("level %d: offset %d, total %d, self %d" % (depth, offset, total, self_),
             offset >= 0 and 0 <= self_ <= total)
        need("level %d: name %d of %d" % (depth, name, len(names)), 0 <= name < len(names))
        x += offset
        yield x, x + total, self_, names[name]
        x += total


def flame_rows(answer):
    """Rows (level, value, self, label, path) of the frame: what lies in a parent's interval is its child."""
    flame = answer.get("flamegraph")
    need("a flame graph", flame is not None)
    names, levels = flame.get("names"), flame.get("levels")
    need("names and levels", names and levels)
    need("one root of four values", len(levels[0].get("values", [])) == 4)
    rows, above = [], None
    for depth, level in enumerate(levels):
        row, at = [], 0
        for begin, end, self_, name in quads(names, level, depth):
            path, parent = (), None
            if above is not None:
                while at < len(above) and begin >= above[at][1]:
                    at += 1
                need("level %d: %d to %d has no parent" % (depth, begin, end),
                     at < len(above) and above[at][0] <= begin and end <= above[at][1])
                parent = above[at]
                path = parent[2] + (name,)
                parent[3][0] += end - begin
            row.append((begin, end, path, [self_]))
            rows.append((depth, end - begin, self_, name, path))
        check_sums(depth - 1, above or [])
        above = row
    check_sums(len(levels) - 1, above)
    need("the root is the total", rows[0][1] == int(flame.get("total", 0)) and rows[0][3] == "total")
    need("the largest self", max(r[2] for r in rows) == int(flame.get("maxSelf", 0)))
    return rows


def check_sums(depth, row):
    """A node is itself and its children, without a gap: below them there is nothing else."""
    for begin, end, path, (known,) in row:
        need("level %d: %r is %d, not %d" % (depth, path, end - begin, known), known == end - begin)


def stacks(rows):
    """{path joined by ;: self}, as recorded answers have it."""
    out = {}
    for _, _, self_, _, path in rows:
        if self_:
            key = ";".join(name.replace(";", ":") for name in path)
            out[key] = out.get(key, 0) + self_
    return out


def call_site(known):
    """The first four frames of the largest stack, and what lies below them."""
    site = max(known, key=known.get).split(";")[:4]
    return site, {k: v for k, v in known.items() if k.split(";")[:4] == site}


def factor(kind, step):
    """What a point is multiplied with, and the unit of the product."""
    _, sample_type, unit, _, _ = kind.split(":")
    if sample_type in CUMULATIVE:
        return (1 / step / 1e9, "cores") if unit == "nanoseconds" else (1 / step, RATES[unit])
    if unit in ("nanoseconds", "bytes") and kind.startswith(("mutex", "block")):
        return 1 / step, UNITS.get(unit, unit)
    return 1, UNITS.get(unit, unit)


def series_frames(answer, kind, step):
    """One frame per series: (labels, unit, [(time, value)], [exemplar])."""
    frames, (by, unit) = [], factor(kind, step)
    for series in answer.get("series", []):
        points = series.get("points", [])
        need("points", points)
        times = [int(p.get("timestamp", 0)) for p in points]
        need("times rise: %r" % times, times[0] > 0 and all(a < b for a, b in zip(times, times[1:])))
        labels = {p["name"]: p.get("value", "") for p in series.get("labels", [])}
        exemplars = [e for p in points for e in p.get("exemplars", [])]
        for e in exemplars:
            need("an exemplar's id, time and value: %r" % e, (len(e.get("profileId", "")) == 36 or
                 len(e.get("spanId", "")) == 16) and int(e["timestamp"]) > 0 and int(e["value"]) > 0)
        frames.append((labels, unit, [(t, p.get("value", 0) * by) for t, p in zip(times, points)], exemplars))
    return frames


def heatmap_frames(answer):
    """(labels, {time: counts}, [exemplar]) of each series."""
    frames = []
    for series in answer.get("series", []):
        slots, exemplars = {}, []
        for slot in series.get("slots", []):
            low, counts = slot.get("yMin", []), slot.get("counts", [])
            need("20 buckets", len(low) == len(counts) == 20)
            need("buckets do not fall", all(a <= b for a, b in zip(low, low[1:])))
            need("a slot has something", sum(counts) > 0)
            slots[int(slot["timestamp"])] = counts
            exemplars += slot.get("exemplars", [])
        need("slots in order", slots and list(slots) == sorted(slots))
        frames.append(({p["name"]: p.get("value", "") for p in series.get("labels", [])}, slots, exemplars))
    return frames
