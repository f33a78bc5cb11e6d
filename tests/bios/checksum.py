# SPDX-License-Identifier: ISC
"""Makes the sum of all bytes of an option ROM zero by its last byte: checksum.py FILE."""

import sys

with open(sys.argv[1], "r+b") as file:
    rom = file.read()
    if len(rom) % 512 or rom[-1] or rom[:3] != bytes((0x55, 0xaa, len(rom) // 512)):
        sys.exit(f"{sys.argv[1]}: not an option ROM of {len(rom)} bytes with room for a checksum")
    file.seek(-1, 2)
    file.write(bytes((-sum(rom) & 0xff,)))
