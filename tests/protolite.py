"""Protobuf for tests: reads our own .proto texts, encodes and decodes messages as the dicts of proto3
JSON (camelCase, 64-bit integers as strings, enums as names, bytes as base64). Standard library only, and
written from the protobuf documentation, so that it is independent of the server's own tables."""
import base64
import os
import re
import struct

ROOT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "proto")
VARINTS = {"int32", "int64", "uint32", "uint64", "bool"}


class Schema:
    def __init__(self):
        self.messages, self.enums, self.rpcs = {}, {}, {}
        for folder, _, files in os.walk(ROOT):
            for name in files:
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    self.read(re.sub(r"//[^\n]*", "", f.read()))

    def read(self, text):
        package = re.search(r"package ([\w.]+);", text).group(1)
        for kind, name, body in re.findall(r"\b(message|enum|service) (\w+) \{(.*?)\n\}", text, flags=re.S):
            full = package + "." + name
            if kind == "enum":
                self.enums[full] = {n: int(v) for n, v in re.findall(r"(\w+) = (\d+);", body)}
            elif kind == "service":
                for rpc, ask, answer in re.findall(r"rpc (\w+)\(([\w.]+)\)\s+returns \(([\w.]+)\)", body):
                    self.rpcs[f"/{full}/{rpc}"] = (self.qualify(ask, package), self.qualify(answer, package))
            else:
                self.messages[full] = [self.field(package, *m) for m in re.findall(
                    r"(optional |repeated )?([\w.]+) (\w+) = (\d+)(?: \[json_name = \"(\w+)\"\])?;", body)]

    @staticmethod
    def qualify(name, package):
        return name if "." in name else package + "." + name

    def field(self, package, label, kind, name, number, json_name):
        json_name = json_name or re.sub(r"_(\w)", lambda m: m.group(1).upper(), name)
        scalar = kind in VARINTS or kind in ("string", "bytes", "double")
        return {"repeated": label == "repeated ", "optional": label == "optional ",
                "kind": kind if scalar else self.qualify(kind, package), "scalar": scalar,
                "number": int(number), "json": json_name}

    # encoding

    def encode(self, message, value):
        out = b""
        for f in self.messages[message]:
            if f["json"] not in value:
                continue
            v = value[f["json"]]
            if f["repeated"] and (f["kind"] in VARINTS or f["kind"] == "double" or f["kind"] in self.enums):
                out += tag(f["number"], 2) + sized(b"".join(self.scalar(f["kind"], x) for x in v))
                continue
            for x in v if f["repeated"] else [v]:
                out += self.one(f, x)
        return out

    def one(self, f, x):
        kind = f["kind"]
        if kind in VARINTS or kind in self.enums:
            return tag(f["number"], 0) + self.scalar(kind, x)
        if kind == "double":
            return tag(f["number"], 1) + self.scalar(kind, x)
        if kind == "string":
            return tag(f["number"], 2) + sized(x.encode())
        if kind == "bytes":
            return tag(f["number"], 2) + sized(base64.b64decode(x))
        return tag(f["number"], 2) + sized(self.encode(kind, x))

    def scalar(self, kind, x):
        if kind == "double":
            return struct.pack("<d", float(x))
        if kind in self.enums:
            x = self.enums[kind][x] if isinstance(x, str) else x
        return varint(int(x) & (2**64 - 1))

    # decoding

    def decode(self, message, data):
        fields, out, at = {f["number"]: f for f in self.messages[message]}, {}, 0
        while at < len(data):
            key, at = read_varint(data, at)
            raw, at = read_value(data, at, key & 7)
            f = fields.get(key >> 3)
            if f is None:
                raise ValueError(f"{message}: unknown field {key >> 3}")
            for v in self.values(f, key & 7, raw):
                if f["repeated"]:
                    out.setdefault(f["json"], []).append(v)
                elif f["optional"] or f["kind"] in self.messages or v not in (0, "0", "", False, None):
                    out[f["json"]] = v
        return out

    def values(self, f, wire, raw):
        kind = f["kind"]
        if kind == "string":
            yield raw.decode()
        elif kind == "bytes":
            yield base64.b64encode(raw).decode()
        elif kind in self.messages:
            yield self.decode(kind, raw)
        elif wire == 2:  # packed
            at = 0
            while at < len(raw):
                v, at = read_value(raw, at, 1 if kind == "double" else 0)
                yield self.shown(kind, v)
        else:
            yield self.shown(kind, raw)

    def shown(self, kind, v):
        if kind == "double":
            d = struct.unpack("<d", v)[0]
            return int(d) if d == int(d) else d
        if kind in self.enums:
            return next((n for n, k in self.enums[kind].items() if k == v), v)
        if kind == "bool":
            return bool(v)
        signed = v - 2**64 if kind.startswith("int") and v >= 2**63 else v
        return str(signed) if kind.endswith("64") else signed


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def tag(number, wire):
    return varint(number << 3 | wire)


def sized(data):
    return varint(len(data)) + data


def read_varint(data, at):
    shift = value = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
        shift += 7


def read_value(data, at, wire):
    if wire == 0:
        return read_varint(data, at)
    if wire == 1:
        return data[at:at + 8], at + 8
    if wire == 2:
        n, at = read_varint(data, at)
        if at + n > len(data):
            raise ValueError("a field is longer than its message")
        return data[at:at + n], at + n
    raise ValueError(f"wire type {wire}")
