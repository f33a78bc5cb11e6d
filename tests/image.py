#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""tools/image from end to end: images made, converted, compacted and refused; where there is qemu-img, it agrees.

Exit status: 0 all as expected, 1 not, with a line that says what.
"""

import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOL = os.path.join(ROOT, "tools", "image")  # builds the program, then is it
PROGRAM = os.path.join(ROOT, os.environ.get("BUILD", "build"), "host", "tools", "image")
SIZE = 9 * 1024 * 1024 + 512


def run(folder, *command, status=0, says=""):
    """Its standard output; it must exit with status, and one of its two outputs must contain what it says."""
    result = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != status or says not in result.stdout + result.stderr:
        sys.exit(f"image: {' '.join(command)}: exit status {result.returncode}, expected {status} and '{says}': "
                 f"{result.stdout}{result.stderr}")
    if status and result.stderr.count("\n") != 1:
        sys.exit(f"image: {' '.join(command)}: its error is not one line: {result.stderr}")
    return result.stdout


def image(folder, *arguments, status=0, says=""):
    return run(folder, PROGRAM, *arguments, status=status, says=says)


def conversions(folder):
    """There and back again, through a chain, into a fixed image."""
    with open(os.path.join(folder, "raw"), "wb") as file:
        file.write(os.urandom(3 << 20))
        file.seek(5 << 20)
        file.write(b"end of a block")
        file.truncate(SIZE)
    image(folder, "convert", "raw", "a.vdi")
    image(folder, "check", "a.vdi", says="a.vdi: 4 of 10 blocks have a slot, 0 slots leaked")
    image(folder, "info", "a.vdi", says=f"{SIZE} bytes")
    image(folder, "create", "--type", "differencing", "b.vdi", "a.vdi")
    image(folder, "check", "b.vdi", "a.vdi", says="b.vdi: 0 of 10 blocks")
    image(folder, "compact", "a.vdi")
    image(folder, "convert", "b.vdi", "a.vdi", "back")
    run(folder, "cmp", "raw", "back")
    image(folder, "convert", "--type", "fixed", "b.vdi", "a.vdi", "fixed.vdi")
    image(folder, "check", "fixed.vdi", says="10 of 10 blocks")
    if not shutil.which("qemu-img"):
        print("image: no qemu-img (package qemu-utils): not compared with it")
        return
    for name in ("a.vdi", "fixed.vdi"):
        run(folder, "qemu-img", "check", "-f", "vdi", name)
        run(folder, "qemu-img", "compare", "-f", "raw", "-F", "vdi", "raw", name)


def refusals(folder):
    """Whatever is wrong is told in one line."""
    image(folder, "check", "b.vdi", status=1, says="parents of the differencing image 0: expected at least 1, found 0")
    image(folder, "check", "b.vdi", "fixed.vdi", status=1, says="another parent")
    image(folder, "check", "raw", status=1, says="signature")
    image(folder, "info", "nothing", status=1, says="No such file")
    image(folder, "convert", "a.vdi", "raw", status=1, says="File exists")
    image(folder, "create", "--size", "1000", "c.vdi", status=1, says="disk size: expected a multiple of 512")
    image(folder, "create", "--size", "5x", "c.vdi", status=2, says="--help")
    image(folder, "create", "c.vdi", status=2, says="--help")
    image(folder, "frobnicate", "a.vdi", status=2, says="--help")
    os.truncate(os.path.join(folder, "fixed.vdi"), SIZE)
    image(folder, "check", "fixed.vdi", status=1, says="image is cut")
    with open(os.path.join(folder, "a.vdi"), "r+b") as file:
        file.seek((1 << 20) + 4)
        file.write(bytes(4))  # block 1 has block 0's slot
    image(folder, "check", "a.vdi", status=1, says="blocks that have the slot of another one: expected 0, found 1")
    image(folder, "compact", "a.vdi", status=1, says="slot of block 1: expected not the one of block 0, found 0")


def main():
    with tempfile.TemporaryDirectory() as folder:
        run(folder, TOOL, "--help", says="tools/image create")
        conversions(folder)
        refusals(folder)
    print("image: done")


if __name__ == "__main__":
    main()
