# SPDX-License-Identifier: ISC
"""What Linux pays for being a guest: CPU seconds of the emulator's process, with Donjon and without.

The same kernel and initramfs (scenarios/bench-work.xml), as much memory for the guest as for the machine without Donjon,
the same -cpu, -nodefaults, a quiet console on a serial line. Counted are the spans from the guest kernel's entry to
"guest: ready" and between the lines that the guest's work prints. Runs come in pairs, one after the other: the machine's
moods are those of both.

The boot is measured with two processors, too: two vCPUs on two CPUs, against two CPUs.

  bench_linux.py [PAIRS]   prints the seconds and ratios of each pair; the medians last
"""

import os
import re
import select
import socket
import statistics
import subprocess
import sys
import time

import run
from scenario import ROOT, Scenario, build_path

SCENARIO = "bench-work"
MEMORY = 256
PAIRS = 3
LIMIT = 180
COMMAND_LINE = "console=ttyS0 quiet"
# The points in time, in order. The first is the guest kernel's entry: the monitor's line, and without Donjon the
# firmware's last one, which it writes to its debug port.
POINTS = (r"guest: ready", r"work: begin", r"work: fork", r"work: mmap", r"work: pipe", r"work: compile")
ENTRY_GUEST = r"vm debian: started"
ENTRY_PLAIN = r"Booting from ROM"
FAILED = re.compile(r"work: failed.*")
# figure: (from, to) of the points, the entry being 0
SPANS = {"linux.boot": (0, 1), "linux.work": (2, 6), "linux.work.fork": (2, 3), "linux.work.mmap": (3, 4),
         "linux.work.pipe": (4, 5), "linux.work.compile": (5, 6)}
# processors: (what is added to the figures' names, the last point that is waited for)
PROCESSORS = {1: ("", 6), 2: (".vcpus2", 1)}


class Failed(Exception):
    """The message says which run did not come to its end."""


def cpu_seconds(pid):
    """Of all threads of a process so far, by its CPU-time clock (Linux: see clock_getcpuclockid(3))."""
    return time.clock_gettime(~pid << 3 | 2)


def watch(arguments, channels, points, log):
    """Runs QEMU, whose output comes by the channels {name: more arguments}; the CPU seconds at the points."""
    pairs = {name: socket.socketpair() for name in channels}
    for name, more in channels.items():
        arguments = arguments + ["-chardev", f"socket,id={name},fd={pairs[name][1].fileno()}", *more]
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT,
                               pass_fds=[theirs.fileno() for _, theirs in pairs.values()], start_new_session=True)
    try:
        for _, theirs in pairs.values():
            theirs.close()
        return follow(process.pid, [ours for ours, _ in pairs.values()], points, log)
    finally:
        process.kill()
        process.wait()
        for ours, _ in pairs.values():
            ours.close()


def follow(pid, sockets, points, log):
    seen, texts, deadline = [], {ours: "" for ours in sockets}, time.monotonic() + LIMIT
    with open(log, "w", encoding="utf-8") as file:
        while len(seen) < len(points):
            for ours in select.select(sockets, [], [], 1)[0]:
                data = ours.recv(65536)
                now = cpu_seconds(pid)
                file.write(data.decode("utf-8", "replace"))
                texts[ours] += data.decode("utf-8", "replace")
                if FAILED.search(texts[ours]):
                    raise Failed(f"{FAILED.search(texts[ours]).group()} ({log})")
                if not data:
                    sockets.remove(ours)
                if len(seen) < len(points) and re.search(points[len(seen)], texts[ours]):
                    seen.append(now)
                texts[ours] = texts[ours][-200:]
            if time.monotonic() > deadline or not sockets:
                raise Failed(f"'{points[len(seen)]}' not seen ({log})")
    return seen


def points_to(entry, processors):
    return [entry, *POINTS[:PROCESSORS[processors][1]]]


def with_donjon(number, processors):
    log = build_path("bench", f"work-{number}.log")
    options = run.parse_arguments([SCENARIO, "--headless", "--no-build", "--guest-memory", str(MEMORY), "--log", log,
                                   "--smp", str(processors), "--vcpus", str(processors)])
    scenario = Scenario(SCENARIO)
    run.configure(scenario, options)
    arguments = run.prepare(scenario, options)[1][0]
    channels = {"com1": ["-serial", "chardev:com1"], "com2": ["-serial", "chardev:com2"]}
    return watch(arguments, channels, points_to(ENTRY_GUEST, processors), log)


def without(number, processors):
    arguments = ["qemu-system-x86_64", "-accel", "tcg", "-machine", "pc", "-cpu", "EPYC", "-smp", str(processors),
                 "-m", str(MEMORY), "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none",
                 "-kernel", build_path("guest", "vmlinuz"), "-initrd", build_path("guest", "initrd-work"),
                 "-append", COMMAND_LINE]
    channels = {"com1": ["-serial", "chardev:com1"], "bios": ["-device", "isa-debugcon,iobase=0x402,chardev=bios"]}
    return watch(arguments, channels, points_to(ENTRY_PLAIN, processors), build_path("bench", f"plain-{number}.log"))


def spans(points):
    return {name: points[end] - points[begin] for name, (begin, end) in SPANS.items() if end < len(points)}


def measure(pairs=PAIRS):
    """({name: the median ratio}, a line for each pair). Raises Failed."""
    os.makedirs(build_path("bench"), exist_ok=True)
    ratios, lines = {}, []
    for processors, (suffix, _) in PROCESSORS.items():
        for number in range(pairs):
            ours, plain = spans(with_donjon(number, processors)), spans(without(number, processors))
            for name in ours:
                ratios.setdefault(f"{name}.ratio{suffix}", []).append(ours[name] / plain[name])
            lines.append(", ".join(f"{name.removeprefix('linux.')}{suffix} {ours[name]:.2f} s : {plain[name]:.2f} s"
                                   for name in ours))
    return {name: statistics.median(values) for name, values in ratios.items()}, lines


def main():
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS
    os.chdir(ROOT)
    try:
        medians, lines = measure(pairs)
    except Failed as error:
        print(f"donjon: bench: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    for name, value in medians.items():
        print(f"{name} {value:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
