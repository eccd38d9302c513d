#!/usr/bin/env python3
"""Prints the exchanges of a closed segment as JSON, one a line, in file order.

usage: read_ucap.py SEGMENT.ucap

Written from docs/capture-format.md alone, with the standard library and any zstd at hand. Binary values are printed in
hex; what records tell from each other or from the tables of their block is resolved. Exits with 1 and says where, when anything is not as documented; BLAKE3 is not in the standard library, so digests
are not compared.
"""

import json
import struct
import subprocess
import sys
import zlib


def check(right, what):
    if not right:
        sys.exit(f"read_ucap: {what}")


def unpack(data, at=0):
    """One MessagePack value and the offset behind it."""
    first = data[at]
    at += 1

    def number(code):
        size = struct.calcsize(code)
        return struct.unpack(">" + code, data[at : at + size])[0], at + size

    def raw(size, start):
        check(start + size <= len(data), "value runs past its map")
        return data[start : start + size], start + size

    def array(count, start):
        values = []
        for _ in range(count):
            value, start = unpack(data, start)
            values.append(value)
        return values, start

    def table(count, start):
        values, start = array(2 * count, start)
        return dict(zip(values[::2], values[1::2])), start

    if first < 0x80:
        return first, at
    if first < 0x90:
        return table(first & 0x0F, at)
    if first < 0xA0:
        return array(first & 0x0F, at)
    if first < 0xC0:
        value, at = raw(first & 0x1F, at)
        return value.decode(), at
    if first >= 0xE0:
        return first - 0x100, at
    if first in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[first], at
    numbers = {0xCA: "f", 0xCB: "d", 0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q"}
    numbers |= {0xD0: "b", 0xD1: "h", 0xD2: "i", 0xD3: "q"}
    if first in numbers:
        return number(numbers[first])
    lengths = {0xC4: "B", 0xC5: "H", 0xC6: "I", 0xD9: "B", 0xDA: "H", 0xDB: "I"}
    lengths |= {0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I"}
    check(first in lengths, f"MessagePack type {first:#x} has no place here")
    size, at = number(lengths[first])
    if first >= 0xDE:
        return table(size, at)
    if first >= 0xDC:
        return array(size, at)
    value, at = raw(size, at)
    return (value.decode() if first >= 0xD9 else value), at


def unpack_all(data):
    value, end = unpack(data)
    check(end == len(data), "bytes after the value")
    return value


def checked(data, crc, what):
    check(zlib.crc32(data) == crc, f"{what}: checksum does not match")
    return data


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def decompress(payload):
    try:
        from compression import zstd  # Python 3.14

        return zstd.decompress(payload)
    except ImportError:
        return subprocess.run(["zstd", "-dcq"], input=payload, stdout=subprocess.PIPE, check=True).stdout


def map_frame(data, at, magic):
    check(data[at : at + 8] == magic, f"byte {at}: no {magic[1:5].decode()}")
    end = at + 12 + u32(data, at + 8)
    checked(data[at:end], u32(data, end), f"byte {at}")
    return unpack_all(data[at + 12 : end]), end + 4


def fields(told, lists):
    """The fields of a message: a list of the block, or one with the values that vary."""
    number, *values = told if isinstance(told, list) else [told]
    values = iter(values)
    resolved = [[field[0], field[1] if len(field) > 1 else next(values)] for field in lists[number]]
    check(next(values, None) is None, "more values than the list leaves open")
    return resolved


def resolve(record, tables, last):
    """Puts in place what a record tells in short; returns its id."""
    record["a"] = (tables["a"] + record["a"]) % 2**64
    if isinstance(record["i"], int):
        low = (int.from_bytes(last[8:], "big") + record["i"]) % 2**64
        record["i"] = last[:8] + low.to_bytes(8, "big")
    for message in (record["q"], record.get("p", {})):
        for key in ("h", "t"):
            if key in message:
                message[key] = fields(message[key], tables["h"])
    record["te"] = (record.get("te", 0) + record.get("tp", 0)) % 2**64
    if "r" in record:
        record["r"] = tables["r"][record["r"]]
    return record["i"]


def block(data, at):
    fields = struct.unpack_from("<8sB3xIQQIIII", data, at)
    magic, codec, count, first, last, stored, raw_len, payload_crc, header_crc = fields
    check(magic == b"\x8bUBLK\r\n\x1a", f"byte {at}: no block")
    checked(data[at : at + 44], header_crc, f"byte {at}: block header")
    payload = checked(data[at + 48 : at + 48 + stored], payload_crc, f"byte {at}: payload")
    check(codec in (0, 1), f"byte {at}: codec {codec}")
    raw = decompress(payload) if codec == 1 else payload
    check(len(raw) == raw_len, f"byte {at}: {len(raw)} bytes instead of {raw_len}")
    parts, place = [], 0
    while place < len(raw):
        end = place + 4 + u32(raw, place)
        parts.append(unpack_all(raw[place + 4 : end]))
        place = end
    tables, records, previous = parts[0], parts[1:], None
    for record in records:
        previous = resolve(record, tables, previous)
    arrivals = [record["a"] for record in records]
    check((min(arrivals), max(arrivals)) == (first, last), f"byte {at}: span of arrivals")
    check(len(records) == count, f"byte {at}: {len(records)} records instead of {count}")
    return records, [at, count, first, last, stored, raw_len], at + 48 + stored


def main(path):
    with open(path, "rb") as file:
        data = file.read()
    magic, major, _, length = struct.unpack_from("<8sHHI", data)
    check(magic == b"\x89UCAP\r\n\x1a" and major == 1, "not a segment of version 1")
    checked(data[: 16 + length], u32(data, 16 + length), "head")
    header = unpack_all(data[16 : 16 + length])
    check(header["schema"] == "exchange", f"records are {header['schema']}")

    footer_at, end_magic = struct.unpack_from("<Q8s", data, len(data) - 16)
    check(end_magic == b"\x8bUEND\r\n\x1a", "not closed")
    footer, end = map_frame(data, footer_at, b"\x8bUFTR\r\n\x1a")
    check(end == len(data) - 16, "trailer is not behind the footer")

    at, index, records = 20 + length, [], []
    while at < footer_at:
        if data[at : at + 5] == b"\x8bUCHK":
            _, at = map_frame(data, at, b"\x8bUCHK\r\n\x1a")
            continue
        found, entry, at = block(data, at)
        records += found
        index.append(entry)
    check(index == footer["blocks"], "index and blocks differ")
    counts = dict(footer["conservation"])
    check(counts["recorded"] == len(records), "footer counts other records")
    begin = counts.pop("carried_in") + counts.pop("seen")
    check(begin == sum(counts.values()), "counters do not add up")
    for record in records:
        print(json.dumps(record, default=bytes.hex, sort_keys=True))


if __name__ == "__main__":
    check(len(sys.argv) == 2, "usage: read_ucap.py SEGMENT.ucap")
    main(sys.argv[1])
