"""Plots as SVG without libraries: lines over powers of ten on both axes, one panel beside another."""
import math
from xml.sax.saxutils import escape

COLOURS = ["#c0392b", "#2471a3", "#1e8449", "#7d3c98", "#b9770e"]
WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 240, 56, 34, 60


def powers(values):
    """The powers of ten that enclose the values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


class Axis:
    def __init__(self, values, begin, end):
        self.low, self.high = powers(values)
        self.begin, self.end = begin, end

    def at(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        return [10.0 ** e for e in range(self.low, self.high + 1)]


def text(x, y, said, anchor="middle"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'


def panel(left, title, lines, y_values):
    """lines: {name: [(x, y)]}; all panels share the y axis."""
    xs = [x for points in lines.values() for x, _ in points] or [1, 10]
    x_axis, y_axis = Axis(xs, left, left + WIDTH), Axis(y_values, TOP + HEIGHT, TOP)
    out = [f'<rect x="{left}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#888"/>',
           text(left + WIDTH / 2, TOP + HEIGHT + 34, title)]
    for v in x_axis.ticks():
        out.append(text(x_axis.at(v), TOP + HEIGHT + 16, f"{v:g}"))
    for v in y_axis.ticks():
        out.append(f'<path d="M{left} {y_axis.at(v):.1f}h{WIDTH}" stroke="#ddd"/>')
        out.append(text(left - 6, y_axis.at(v) + 4, f"{v:g}", "end"))
    for i, points in enumerate(lines.values()):
        colour = COLOURS[i % len(COLOURS)]
        at = [(x_axis.at(x), y_axis.at(y)) for x, y in sorted(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in at]
    return out


def growth_svg(panels):
    """[(title, {name: [(amount, milliseconds)]})] → the text of an SVG file."""
    names = list(panels[0][1])
    ys = [y for _, lines in panels for points in lines.values() for _, y in points] or [1, 10]
    width = LEFT + len(panels) * (WIDTH + GAP)
    height = TOP + HEIGHT + 50 + 18 * len(names)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="#fff"/>',
           text(LEFT, 20, "milliseconds, warm p50", "start")]
    for i, (title, lines) in enumerate(panels):
        out += panel(LEFT + i * (WIDTH + GAP), title, lines, ys)
    for i, name in enumerate(names):
        y = TOP + HEIGHT + 56 + 18 * i
        out.append(f'<path d="M{LEFT} {y}h24" stroke="{COLOURS[i % len(COLOURS)]}" stroke-width="2"/>')
        out.append(text(LEFT + 32, y + 4, name, "start"))
    return "\n".join(out) + "\n</svg>\n"
