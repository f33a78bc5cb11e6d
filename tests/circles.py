#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Circles of files that call each other, read off the linked programs: what is in one can only be understood together.

A file calls another one if a function in it has a direct call or jump to a function there (objdump), after the compiler has
inlined what stands in headers; a function pointer that is handed in is no call. Two files are in one circle if each calls
the other, perhaps through more files. Circles larger than two files have a limit for each program, and only shrink.
  circles.py [--calls] [PART...]
PART: kernel, core, init or vmm; all without. --calls: also the calls within each circle, most seldom first, which is where
a cut costs least.
Exit status: 0 within the limits, 1 a circle is larger than its limit, 2 a program is not there: make all.
"""

import collections
import os
import re
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from scenario import ROOT, build_path  # pylint: disable=wrong-import-position

# The program of each part, and of how many files its largest circle may consist.
PARTS = {"kernel": (("kernel", "kernel.elf"), 2), "core": (("target", "core.elf"), 1), "init": (("target", "init.elf"), 6),
         "vmm": (("target", "vmm.elf"), 3)}
SYMBOL = re.compile(r"^([0-9a-f]+) [tTwW] (\S+)\t(\S+):\d+$", re.MULTILINE)
FUNCTION = re.compile(r"^([0-9a-f]+) <\S+>:$")
TARGET = re.compile(r"\t(?:call|jmp|j[a-z]+)q? +([0-9a-f]+) <[^>+]+(?:\+(0x[0-9a-f]+))?>")


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def calls(program):
    """{file: {file that it calls: {(caller, callee)}}} and the number of functions."""
    places = {}  # by address: static functions of two files may have one name
    for address, name, path in SYMBOL.findall(run("nm", "--line-numbers", program)):
        places[int(address, 16)] = (os.path.relpath(path, ROOT) if os.path.isabs(path) else path, name)
    graph = collections.defaultdict(lambda: collections.defaultdict(set))
    caller = None
    for line in run("objdump", "--disassemble", "--no-show-raw-insn", program).splitlines():
        begins = FUNCTION.match(line)
        if begins:
            caller = places.get(int(begins.group(1), 16))
            continue
        found = TARGET.search(line)
        callee = places.get(int(found.group(1), 16) - int(found.group(2) or "0", 16)) if found else None
        if caller and callee and caller[0] != callee[0]:
            graph[caller[0]][callee[0]].add((caller[1], callee[1]))
    return graph, len(places)


def circles(graph):
    """The strongly connected components of more than one file (Tarjan), largest first."""
    index, low, stack, found = {}, {}, [], []

    def visit(file):
        index[file] = low[file] = len(index)
        stack.append(file)
        for target in sorted(graph[file]):
            if target not in index:
                visit(target)
                low[file] = min(low[file], low[target])
            elif target in stack:
                low[file] = min(low[file], index[target])
        if low[file] == index[file]:
            at = stack.index(file)
            found.append(sorted(stack[at:]))
            del stack[at:]

    for file in sorted(graph):
        if file not in index:
            visit(file)
    return sorted((circle for circle in found if len(circle) > 1), key=len, reverse=True)


def main():
    words = sys.argv[1:]
    if "--help" in words:
        print(__doc__)
        return 0
    show_calls = "--calls" in words
    parts = [word for word in words if word != "--calls"] or list(PARTS)
    failed = 0
    for part in parts:
        if part not in PARTS:
            print(f"circles: no part '{part}'; there are {', '.join(PARTS)}", file=sys.stderr)
            return 2
        place, limit = PARTS[part]
        program = os.path.join(ROOT, build_path(*place))
        if not os.path.exists(program):
            print(f"circles: {program} is not there: make all", file=sys.stderr)
            return 2
        graph, functions = calls(program)
        if functions < 50:  # a program without line numbers would have no circles either
            print(f"circles: {program}: only {functions} functions with a source", file=sys.stderr)
            return 2
        found = circles(graph)
        largest = max(map(len, found), default=1)
        failed += largest > limit
        print(f"{part}: {functions} functions in {len(graph)} files that call; largest circle {largest} of at most {limit} files"
              + (", OVER" if largest > limit else ""))
        for circle in found:
            print(f"  {len(circle)}: {' '.join(circle)}")
            if show_calls:
                edges = [(source, target) for source in circle for target in graph[source] if target in circle]
                for source, target in sorted(edges, key=lambda edge: len(graph[edge[0]][edge[1]])):
                    names = sorted(f"{caller} > {callee}" for caller, callee in graph[source][target])
                    print(f"      {source} > {target}: {'; '.join(names[:4])}{' ...' if len(names) > 4 else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
