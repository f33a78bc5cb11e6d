# SPDX-License-Identifier: ISC
"""Path lengths on VT-x: the scenario bench-vm in Bochs, whose TSC counts instructions.

The built-in guest prints what an exit costs, by its own TSC, as it does in QEMU. While it measures the OUT, Bochs's debugger
stops at that instruction, and once traces all instructions until the guest comes there again: the trace has to be as long as
the figure, and what it does that is dearer than an instruction is counted in it.

  bench_vtx.py   prints the figures and, of the traced path, all instructions that are counted
"""

import os
import re
import subprocess
import sys

import bochs
from scenario import ROOT, Refused, build_environment, build_path

MACHINE, SCENARIO, PATH = "bochs-vtx", "bench-vm", "vmexit.out.user"
FIGURE = re.compile(r"bench: (\S+) = (\d+) instructions\s*$", re.MULTILINE)
# An instruction in the debugger's trace.
STEP = re.compile(r"^\(0\)\.\[\d+\] \[0x[0-9a-f]+\] [0-9a-f]+:([0-9a-f]+) \(.*?\): (.*?)\s*;", re.MULTILINE)
GUEST_BASE = 0x100000  # BUILTIN_BASE of vmm/test/builtin.S
WARM, LONGEST = 40, 5000
# From one OUT to the next the guest executes this many more than its figure counts.
AROUND = 8
COUNTED = {"cr3": r"mov cr3", "wrmsr": r"wrmsr", "xsave": r"f?x(save|rstor)", "vmcb": r"vm(resume|launch|ptrld|clear)",
           "vmcs": r"vm(read|write)"}


class Failed(Exception):
    """The message says what the run did not bring."""


def traced_address():
    """Where the guest executes the OUT that is measured."""
    symbols = subprocess.run(["nm", build_path("target", "vmm.elf")], check=True, stdout=subprocess.PIPE).stdout.decode()
    places = {name: int(address, 16) for address, _, name in map(str.split, symbols.splitlines())}
    return GUEST_BASE + places["builtin_out_measured"] - places["builtin_out"]


def run(log):
    """(what the guest printed, [(address, instruction)] of one exit)."""
    address = traced_address()
    commands = [f"lb {address:#x}", *["c"] * WARM, "trace on", f"s {LONGEST}", "trace off", "d 1"]
    arguments = [f"--bochs={command}" for command in commands]
    result = subprocess.run(["tools/run", SCENARIO, "--machine", MACHINE, "--headless", "--no-build", "--until", "bench: done",
                             "--log", log, *arguments], check=False, env=build_environment(), stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    if result.returncode:
        raise Failed(f"{SCENARIO} on {MACHINE} did not finish\n{result.stdout.decode('utf-8', 'replace')}")
    with open(log, encoding="utf-8", errors="replace") as file:
        text = file.read().replace("\r", "")
    with open(log + ".out", encoding="utf-8", errors="replace") as file:
        steps = [(int(place, 16), what) for place, what in STEP.findall(file.read())]
    if not steps or steps[0][0] != address:
        raise Failed(f"{PATH} on {MACHINE}: the trace of {len(steps)} instructions does not begin with the guest's OUT")
    # The breakpoint ends it there.
    return text, steps


def measure():
    """({name.vtx: (value, unit)}, {name.vtx: counts}, the trace). Raises Failed."""
    os.makedirs(build_path("bench"), exist_ok=True)
    try:
        bochs.require()
    except Refused as error:
        raise Failed(str(error)) from None
    text, steps = run(build_path("bench", "bench-vtx.log"))
    figures = {name + ".vtx": (int(value), "instructions") for name, value in FIGURE.findall(text)}
    value = figures.get(PATH + ".vtx", (0,))[0]
    if len(steps) - AROUND != value:
        raise Failed(f"{PATH} on {MACHINE}: the trace has {len(steps) - AROUND} instructions, the figure is {value}")
    counts = {what: sum(1 for _, step in steps if re.match(pattern, step)) for what, pattern in COUNTED.items()}
    return figures, {PATH + ".vtx": counts}, steps


def main():
    os.chdir(ROOT)
    try:
        figures, counts, steps = measure()
    except Failed as error:
        print(f"donjon: bench: {error}", file=sys.stderr)
        return 1
    for name, (value, unit) in figures.items():
        print(f"{name} {value} {unit} {counts.get(name, '')}")
    for place, step in steps:
        if any(re.match(pattern, step) for pattern in COUNTED.values()):
            print(f"  {place:#18x}  {step}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
