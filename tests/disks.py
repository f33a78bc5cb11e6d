# SPDX-License-Identifier: ISC
"""The disks of the tests of part and vdi, made of nothing but their description.

  gpt(path, mebibytes, [(name, first, sectors), ...])   a GPT of sectors of 512 bytes, both tables
  cut(path, source, bytes)                              a file's beginning
"""

import struct
import uuid
import zlib

SECTOR = 512
ENTRIES, ENTRY = 128, 128
TABLE = ENTRIES * ENTRY // SECTOR
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def partition_uuid(number):
    """That of a disk's partition: known, so that a scenario can name it."""
    return uuid.UUID(int=0x5a000000000040008000000000000000 + number)


def _entries(partitions):
    table = b""
    for number, (name, first, sectors) in enumerate(partitions, 1):
        table += struct.pack("<16s16sQQQ72s", LINUX.bytes_le, partition_uuid(number).bytes_le, first, first + sectors - 1, 0,
                             name.encode("utf-16-le"))
    return table.ljust(ENTRIES * ENTRY, b"\0")


def _header(own, other, entries_at, last, entries):
    def pack(crc):
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, own, other, 2 + TABLE, last - TABLE - 1,
                           partition_uuid(0).bytes_le, entries_at, ENTRIES, ENTRY, zlib.crc32(entries))
    return pack(zlib.crc32(pack(0))).ljust(SECTOR, b"\0")


def gpt(path, mebibytes, partitions, damage=None):
    """A new disk. damage: of the first table, "first"; of both, "both"."""
    last = (mebibytes << 20) // SECTOR - 1
    entries = _entries(partitions)
    first = _header(1, last, 2, last, entries)
    second = _header(last, 1, last - TABLE, last, entries)
    if damage:
        first = b"\0" * SECTOR
    if damage == "both":
        second = b"\0" * SECTOR
    with open(path, "wb") as disk:
        disk.write(struct.pack("<446xB3sB3sII48xH", 0, b"\0\2\0", 0xee, b"\xff\xff\xff", 1, last, 0xaa55) + first + entries)
        disk.seek((last - TABLE) * SECTOR)
        disk.write(entries + second)


def cut(path, source, size):
    """The beginning of a file."""
    with open(source, "rb") as whole, open(path, "wb") as part:
        part.write(whole.read(size))
