# SPDX-License-Identifier: ISC
"""The execution trace of marked paths: builds the plugin tools/bench_trace.c, and reads what it writes.

  bench_trace.py TRACE LOG PROGRAM.elf [NAME...]   where the instructions of the paths go, function by function

TRACE and LOG are those of one run (make bench leaves them in build/bench/), PROGRAM what ran at user level.
"""

import bisect
import collections
import os
import re
import subprocess
import sys

from scenario import ROOT, build_path

SOURCE = os.path.join("tools", "bench_trace.c")
FLAGS = ["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror", "-shared", "-fPIC",
         "-fvisibility=hidden"]
# "bench: path 3 = NAME": the path that is marked with this number.
PATH = re.compile(r"bench: path (\d+) = (\S+)\s*$", re.MULTILINE)
COUNTED = ("cr3", "wrmsr", "xsave", "vmcb")
KERNEL = 1 << 63


def build_plugin():
    """The plugin's path; compiled if it is older than its source."""
    plugin = build_path("bench", "trace.so")
    if not os.path.exists(plugin) or os.path.getmtime(plugin) < os.path.getmtime(SOURCE):
        os.makedirs(os.path.dirname(plugin), exist_ok=True)
        # Another compiler than gcc may be under test: this is no part of what is measured.
        subprocess.run(["gcc", *FLAGS, "-o", plugin + ".new", SOURCE], check=True)
        os.replace(plugin + ".new", plugin)
    return os.path.abspath(plugin)


def level(address):
    """Who executes there: the built-in guests are below 4 MiB, where all programs begin."""
    return "kernel" if address >= KERNEL else "program" if address >= 4 << 20 else "guest"


class Trace:
    """paths {name: [(address, class)]}, between the two RDTSCs that measured them; stretches {name: the same}."""

    def __init__(self, path, log):
        names = dict((int(number), name) for number, name in PATH.findall(log))
        self.paths, self.stretches = {}, {}
        self.overhead = 0
        with open(path, encoding="ascii") as file:
            steps = []
            for line in file:
                word, rest = line.split(maxsplit=1)
                if word == "vmruns":
                    continue
                if word == "path":
                    steps = self.paths.setdefault(names.get(int(rest.split()[0]), int(rest.split()[0])), [])
                elif word == "stretch":
                    steps = self.stretches.setdefault(names.get(int(rest.split()[0]), int(rest.split()[0])), [])
                else:
                    steps.append((int(word, 16), rest.strip()))
        for name, steps in self.paths.items():
            # The measuring program's own, which is where it ends: what it measures may read the time too. An interrupt
            # may come between the mark and the first RDTSC.
            times = [i for i, step in enumerate(steps) if step[1] == "rdtsc" and level(step[0]) == level(steps[-1][0])]
            if times:
                self.paths[name] = steps[times[0] + 1 if len(times) > 1 else 0:times[-1] + 1]
        self.overhead = len(self.paths.pop(0, []))

    def length(self, name):
        """The path's instructions, without those of the measurement itself."""
        return len(self.paths[name]) - self.overhead

    def counts(self, name):
        """How often the path does what costs a processor more than an instruction."""
        seen = collections.Counter(step[1] for step in self.paths[name])
        seen["vmcb"] += seen["vmrun"]
        return {what: seen[what] for what in COUNTED}


class Symbols:
    """The functions of an ELF file by address."""

    def __init__(self, path):
        lines = subprocess.run(["nm", path], check=True, stdout=subprocess.PIPE).stdout.decode().splitlines()
        found = sorted((int(fields[0], 16), fields[2]) for fields in map(str.split, lines)
                       if len(fields) == 3 and fields[1] in "tT")
        self.addresses, self.names = [address for address, _ in found], [name for _, name in found]

    def find(self, address):
        place = bisect.bisect_right(self.addresses, address) - 1
        return self.names[place] if place >= 0 else hex(address)


def profile(steps, kernel, program):
    """[(where, function, instructions)] in the order of their first execution."""
    symbols = {"kernel": kernel.find, "program": program.find, "guest": lambda _: ""}
    counts = collections.Counter((level(address), symbols[level(address)](address)) for address, _ in steps)
    return [(*where, count) for where, count in counts.items()]


def main():
    trace_path, log_path, program_path, *names = sys.argv[1:]
    paths = [os.path.abspath(path) for path in (trace_path, log_path, program_path)]
    os.chdir(ROOT)
    with open(paths[1], encoding="utf-8", errors="replace") as file:
        trace = Trace(paths[0], file.read().replace("\r", ""))
    kernel, program = Symbols(build_path("kernel", "kernel.elf")), Symbols(paths[2])
    for name, steps in [*trace.paths.items(), *trace.stretches.items()]:
        if names and name not in names:
            continue
        print(f"{name}: {len(steps)} instructions, {trace.overhead} of them the measurement's own"
              if name in trace.paths else f"{name}: {len(steps)} instructions with interrupts off")
        for where, function, count in profile(steps, kernel, program):
            print(f"  {count:6}  {where:<8} {function}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
