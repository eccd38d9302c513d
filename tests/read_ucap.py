#!/usr/bin/env python3
"""Prints the exchanges of a segment as JSON, one a line, in file order: read_ucap.py SEGMENT.ucap [KEY_FILE]

Written from docs/capture-format.md alone; needs the program zstd and the packages blake3, cryptography and msgpack. Binary
values are printed in hex, and what records tell in short is resolved. What is damaged or missing is told on standard
error, and the exit code is then 1.
"""

import json
import struct
import subprocess
import sys
import zlib

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgpack import unpackb

SEGMENT = b"\x89UCAP\r\n\x1a"
names = (b"BLK", b"CHK", b"FTR", b"END", b"SEA")
BLOCK, CHECKPOINT, FOOTER, END, SEALED = (b"\x8bU" + name + b"\r\n\x1a" for name in names)
problems = []


def check(right, place, what):
    if not right:
        problems.append(what)
        print(f"{place}: {what}", file=sys.stderr)
    return right


def u32(data, at):
    return int.from_bytes(data[at : at + 4], "little")


def in_the_clear(data, at):
    """Length and bytes of the frame at a place; no length when there is none whose checksum is right."""
    magic, length = data[at : at + 8], 0
    if magic == BLOCK and zlib.crc32(data[at : at + 44]) == u32(data, at + 44):
        length = 48 + u32(data, at + 32)
    elif magic in (CHECKPOINT, FOOTER):
        end = at + 12 + u32(data, at + 8)
        length = end + 4 - at if zlib.crc32(data[at:end]) == u32(data, end) else 0
    return length, data[at : at + length] if at + length <= len(data) else None


def opener(head, seal, key):
    """What `in_the_clear` does, for the sealed frames of a segment."""

    def derive(use, material):
        context = "understudy 2026 capture encryption key" + use
        return blake3(material, derive_key_context=context).digest()

    key = key.strip()
    master = derive("", bytes.fromhex(key.decode()) if all(c in b"0123456789abcdefABCDEF" for c in key) else key)
    if seal["cipher"] != "chacha20-poly1305" or derive(" id", master)[:8].hex() != seal["key_id"]:
        sys.exit(f"needs key {seal['key_id']} for {seal['cipher']}")
    cipher, digest = ChaCha20Poly1305(derive(" of one segment", master + seal["salt"])), blake3(head).digest()

    def read(data, at):
        if data[at : at + 8] != SEALED or zlib.crc32(data[at : at + 20]) != u32(data, at + 20):
            return 0, None
        end = at + 24 + u32(data, at + 16)
        try:
            place = digest + struct.pack("<Q", at)
            return end - at, cipher.decrypt(data[at + 8 : at + 16] + bytes(4), data[at + 24 : end], place)
        except InvalidTag:
            return end - at, None

    return read


def frames(data, at, read):
    """Offset, length and bytes of every whole frame; tells and steps over everything else."""
    while at < len(data):
        begin, (length, frame) = at, read(data, at)
        while not length and at < len(data):
            at = data.find(b"\x8bU", at + 1) % (len(data) + 1)
            length, frame = read(data, at)
        check(at == begin, begin, f"{at - begin} bytes are no whole frame")
        if length and check(frame is not None, at, "a frame is cut off, or does not open"):
            yield at, length, frame
        at += length


def fields(told, lists):
    """The fields of a message: a list of the block, or one with the values that vary."""
    number, *values = told if isinstance(told, list) else [told]
    assert len(values) == sum(len(field) == 1 for field in lists[number]), "varying values"
    return [[field[0], field[1] if len(field) > 1 else values.pop(0)] for field in lists[number]]


def records(raw):
    """The records of a block, with what they tell in short put in place."""
    parts, at, last = [], 0, b""
    while at < len(raw):
        end = at + 4 + u32(raw, at)
        parts.append(unpackb(raw[at + 4 : end]))
        at = end
    tables, *found = parts
    for record in found:
        record["a"] = (tables["a"] + record["a"]) % 2**64
        if isinstance(record["i"], int):
            record["i"] = last[:8] + ((int.from_bytes(last[8:], "big") + record["i"]) % 2**64).to_bytes(8, "big")
        last = record["i"]
        for message in (record["q"], record.get("p", {})):
            message |= {key: fields(message[key], tables["h"]) for key in "ht" if key in message}
        record["te"] = (record.get("te", 0) + record.get("tp", 0)) % 2**64
        if "r" in record:
            record["r"] = tables["r"][record["r"]]
    return found


def block(at, frame):
    """The records of a block, and what an index says of it."""
    codec, count, first, last, stored, raw_len, crc = struct.unpack_from("<B3xIQQIII", frame, 8)
    found, entry = [], [at, count, first, last, stored, raw_len]
    if check(zlib.crc32(frame[48:]) == crc, at, f"a block of {count} is damaged"):
        raw = frame[48:]
        if codec == 1:
            raw = subprocess.run(["zstd", "-dcq"], input=raw, stdout=subprocess.PIPE, check=True).stdout
        found = records(raw)
        arrivals = [record["a"] for record in found]
        right = (len(raw), len(found), min(arrivals), max(arrivals)) == (raw_len, count, first, last)
        check(right, at, "block and header differ")
    return found, entry


def main(path, key_file=None):
    with open(path, "rb") as file:
        data = file.read()
    begin = 20 + u32(data, 12)
    if data[:8] != SEGMENT or data[8:10] != b"\1\0" or zlib.crc32(data[: begin - 4]) != u32(data, begin - 4):
        sys.exit("not a segment of version 1, or its head is damaged")
    header, read = unpackb(data[16 : begin - 4]), in_the_clear
    if "seal" in header:
        with open(key_file, "rb") as file:
            read = opener(data[:begin], header["seal"], file.read())
    index, recorded, footer = [], 0, None
    for at, length, frame in frames(data, begin, read):
        if frame[:8] == BLOCK:
            found, entry = block(at, frame)
            index, recorded = index + [entry], recorded + entry[1]
            for record in found:
                print(json.dumps(record, default=bytes.hex, sort_keys=True))
            continue
        told = unpackb(frame[12:-4])
        counts = dict(told["conservation"])
        check(counts["recorded"] == recorded, at, f"{counts['recorded']} are counted, {recorded} are in blocks")
        check(counts.pop("carried_in") + counts.pop("seen") == sum(counts.values()), at, "counters do not add up")
        if frame[:8] == FOOTER:
            footer = told
            check(footer["blocks"] == index, at, "index and blocks differ")
            check(footer["digest"] == blake3(data[:at]).digest(), at, "the digest is of other bytes")
            check(data[at + length :] == struct.pack("<Q", at) + END, at + length, "the trailer is damaged")
            break
    check(footer, len(data), "not closed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
