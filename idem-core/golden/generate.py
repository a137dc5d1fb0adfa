#!/usr/bin/env python3
"""Writes the golden files of this directory, from the documented layout and without any code of idem.

    pip install blake3 xxhash && python3 generate.py

The files are a promise to every stored record. Run this to check them against a second implementation
(nothing may change), or to add a file; never to make a failing test pass.
"""
import pathlib
import struct

import blake3
import xxhash

HERE = pathlib.Path(__file__).parent


def write(name, data):
    text = data.hex()
    lines = [text[at : at + 100] for at in range(0, len(text), 100)]
    path = HERE / f"{name}.hex"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def digest(*parts):
    """BLAKE3 over parts, each behind its length as 8 little-endian bytes."""
    hasher = blake3.blake3()
    for part in parts:
        hasher.update(struct.pack("<Q", len(part)) + part)
    return hasher.digest()


def storage_key(scope, client_key):
    return digest(b"idem scope 1", scope)[:16] + digest(b"idem key 1", scope, client_key)


def varint(number):
    """An unsigned integer as bincode 2 writes it in its standard configuration."""
    assert number < 1 << 16
    return bytes([number]) if number < 251 else b"\xfb" + struct.pack("<H", number)


def header(state, first, second, step):
    attempt, sequence = 0x01020304, 0x1112131415161718
    owner, fingerprint = bytes(range(0x20, 0x30)), bytes(range(0x60, 0x80))
    start = struct.pack(">BBIQ", 1, state, attempt, sequence)
    return start + owner + struct.pack(">QQQ", first, second, step) + fingerprint


def unfinished(progress):
    return b"\x00" + (b"\x00" if progress is None else b"\x01" + varint(len(progress)) + progress)


def value(data):
    return b"\x01" + varint(len(data)) + data


DEADLINE = 0x3132333435363738
DAY = 24 * 3600 * 1_000_000
STEP = 0x4142434445464748
DONE = header(3, DEADLINE, DEADLINE + DAY, 0)
RECORDS = {
    "locked": header(1, DEADLINE, DAY, 0) + unfinished(None),
    "locked_checkpoint": header(1, DEADLINE, DAY, STEP) + unfinished(b"charged"),
    "released": header(2, DEADLINE, DAY, STEP) + unfinished(b"charged"),
    "completed_value": DONE + value(b"3 apples"),
    "completed_long": DONE + value(b"\xab" * 300),
    "completed_empty": DONE + value(b""),
    "unavailable_other": DONE + b"\x02\x00",
    "unavailable_too_large": DONE + b"\x02\x01",
    "unavailable_streamed": DONE + b"\x02\x02",
    "unavailable_upgraded": DONE + b"\x02\x03",
    "unavailable_panicked": DONE + b"\x02\x04",
    "unavailable_not_encodable": DONE + b"\x02\x05",
}

key = storage_key(b"tenant-7", b"order-1")
write("storage_key", key)
write("storage_key_shared", storage_key(b"", b"order-1"))
write("fingerprint", digest(b"payments v1", b"POST", b"/payments", b"", b'{"cents":1200}'))
# A format byte, then MessagePack: ("booked", 1200, -3, [7, 300]) and {"kind": "card", "at": null}.
TUPLE = b"\x94" + b"\xa6booked" + b"\xcd\x04\xb0" + b"\xfd" + b"\x92\x07\xcd\x01\x2c"
NAMED = b"\x82" + b"\xa4kind" + b"\xa4card" + b"\xa2at" + b"\xc0"
write("typed", b"\xc1\x92" + TUPLE + NAMED)
for name, record in RECORDS.items():
    for cover, covered_from in (("whole", 0), ("body", 54)):
        seed = xxhash.xxh3_64_intdigest(key)
        checksum = xxhash.xxh3_64_intdigest(record[covered_from:], seed=seed)
        write(f"{cover}/{name}", record + struct.pack(">Q", checksum))
