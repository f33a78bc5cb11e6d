# SPDX-License-Identifier: ISC
"""The disks of the tests of part and vdi, made of nothing but their description.

  gpt(path, mebibytes, [(name, first, sectors), ...])   a GPT of sectors of 512 bytes, both tables
  counted(path, mebibytes)                              bytes to be known again
  image(path, mebibytes, parent=None)                   a VDI image with the room that it may take
  fill(path, [...], {name: file})                       files in partitions
  cut(path, source, bytes)                              a file's beginning
"""

import os
import struct
import subprocess
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


def counted(path, mebibytes):
    """Words of 64 bits, each its own number."""
    with open(path, "wb") as raw:
        raw.write(struct.pack(f"<{mebibytes << 17}Q", *range(mebibytes << 17)))


def image(path, mebibytes, parent=None, block=None):
    """What a VDI has before its data is 2 MiB at most. Without a parent its disk is what counted() makes."""
    if os.path.exists(path):
        os.remove(path)
    size = ["--block-size", str(block)] if block else []
    if parent:
        subprocess.run(["tools/image", "create", "--type", "differencing", *size, path, parent], check=True)
    else:
        counted(path + ".raw", mebibytes)
        subprocess.run(["tools/image", "convert", *size, path + ".raw", path], check=True)
        os.remove(path + ".raw")
    os.truncate(path, (mebibytes + 2) << 20)


def fill(path, partitions, files):
    """Puts a file into each partition that has one."""
    with open(path, "r+b") as disk:
        for name, first, _ in partitions:
            if name in files:
                with open(files[name], "rb") as content:
                    disk.seek(first * SECTOR)
                    disk.write(content.read())


def cut(path, source, size):
    """The beginning of a file."""
    with open(source, "rb") as whole, open(path, "wb") as part:
        part.write(whole.read(size))


MIB = (1 << 20) // SECTOR
TWO = [("one", 2048, 4096), ("two", 8192, 4096)]
# What tests/block/chaos.xml boots with: an image, its parent and a plain partition.
CHAOS = [("base", 1 * MIB, 10 * MIB), ("today", 11 * MIB, 10 * MIB), ("plain", 21 * MIB, 2 * MIB)]
# What scenarios/bench-disk.xml reads: an image of the usual size of block.
BENCH = [("image", 1 * MIB, 10 * MIB)]


def make(build):
    """The disks of tests/block, in the build folder."""
    folder = os.path.join(build, "test")

    def path(name):
        return os.path.join(folder, name)

    os.makedirs(folder, exist_ok=True)
    gpt(path("gpt.img"), 8, TWO)
    gpt(path("gpt-first.img"), 8, [*TWO, ("twin", 2 * 8192, 1), ("over", 2048 + 4095, 2)], "first")
    gpt(path("gpt-both.img"), 8, TWO, "both")
    counted(path("no-table.img"), 1)
    image(path("base.vdi"), 8)
    image(path("today.vdi"), 8, path("base.vdi"), 4096)
    cut(path("no-map.vdi"), path("base.vdi"), 1 << 20)
    cut(path("short.vdi"), path("base.vdi"), 5 << 20)
    with open(path("base.vdi"), "rb") as parent, open(path("changed.vdi"), "wb") as changed:
        header = bytearray(parent.read(4 << 20))
        header[0x198] ^= 1  # uuidModify
        changed.write(header + parent.read())
    gpt(path("chaos.img"), 24, CHAOS)
    fill(path("chaos.img"), CHAOS, {"base": path("base.vdi"), "today": path("today.vdi")})
    gpt(path("bench.img"), 12, BENCH)
    fill(path("bench.img"), BENCH, {"image": path("base.vdi")})
