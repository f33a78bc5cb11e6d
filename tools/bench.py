# SPDX-License-Identifier: ISC
"""make bench: path lengths, exits and ratios, and whether they are within their limits. doc/figures.md says what they are.

A figure of a path is a line "bench: NAME = NUMBER UNIT" in the log of a scenario that runs under deterministic instruction
counting; "bench: done" ends them, "bench: failed" spoils them. The scenarios run twice, and the figures have to be the same
to the digit. The second run is traced (bench_trace.py): from the trace come the counts beside a path and the longest
stretches with interrupts off, and the trace of a path has to be as long as its figure. Then Linux boots, twice
deterministically for the exits until it is ready, and some more times for the ratios (bench_linux.py). What VT-x costs
is measured in Bochs (bench_vtx.py).

tests/bench/limits has a line "NAME LIMIT" for each figure that may not be exceeded, "NAME:COUNT LIMIT" for a count beside
one; a limit whose figure is missing fails too. What is found is printed as a table and written to build/bench.json:
{"name": {"value": n, "unit": "...", "limit": n or null, "peer": {"who": n}, "counts": {"what": n}, "limits": {"what": n}}},
the last two only where there are any.
  bench.py [--paths]   --paths: without Linux, in some seconds
Exit status: 0 all within their limits, 1 not.
"""

import concurrent.futures
import json
import os
import re
import subprocess
import sys

import bench_linux
import bench_trace
import bench_vtx
from scenario import BUILD, ROOT, Scenario, build_environment, build_path

sys.path.append(os.path.join(ROOT, "tests"))
import disks  # pylint: disable=wrong-import-position

FIGURE = re.compile(r"bench: (\S+) = (\d+) (\w+)\s*$", re.MULTILINE)
FAILED = re.compile(r"bench: (failed: .*?)\s*$", re.MULTILINE)
EXITS = re.compile(r"(\d+) exits:((?: [a-z-]+ \d+)+)")
LIMITS = os.path.join("tests", "bench", "limits")
RUNS = 2
SCENARIOS = ("bench", "bench-vm", "bench-block", "bench-disk")
# Disks that answer long after a request has gone its way, so that this is always the same: an empty one at each controller, and
# one with a partition and an image. What they wait for is the build machine's clock.
EMPTY = "driver=null-co,size=67108864,read-zeroes=on,latency-ns=2000000,node-name"
DISKS = ["-blockdev", f"{EMPTY}=n0", "-device", "ide-hd,drive=n0,bus=ide.0,serial=DISK42",
         "-blockdev", f"{EMPTY}=n1", "-device", "nvme,drive=n1,serial=DISK43,addr=4",
         "-blockdev", f"{EMPTY}=n2", "-device", "virtio-blk-pci,drive=n2,serial=DISK44,addr=5,disable-legacy=on,iommu_platform=on",
         "-drive", "if=none,id=d3,format=raw,snapshot=on,throttling.iops-read=20,file={disk}",
         "-device", "nvme,drive=d3,serial=DISK45,addr=6"]
MORE = {"bench-disk": ["--machine", "q35-amd-iommu", *(f"--qemu={word}" for word in DISKS)]}
LINUX_SCENARIOS = ("linux", bench_linux.SCENARIO, "bench-idle")
IDLE_SECONDS = 20  # of the guest's, between its lines "idle: begin" and "idle: end" (tests/guest-linux/init)
# A guest's figures are means over many rounds, and the emulator does not count an instruction that exits: their traces,
# of a single round, may differ by so much. Others are equal.
TRACE_TOLERANCE = 0.02
DISK = re.compile(r"(ahci|nvme|virtio_blk)\.")
DISK_TOLERANCE, CHAIN_TOLERANCE = 0.15, 0.5
COLUMNS = {"cr3": "CR3", "wrmsr": "WRMSR", "xsave": "XSAVE", "vmcb": "VMCB", "vmcs": "VMCS"}

# What others need, counted by the same method (instructions of the emulator).
PEERS = {
    "ipc.cross_pd.words0": {"seL4": 395, "NOVA": 539},
    "ipc.cross_pd.words10": {"seL4": 1572},
    "vmexit.out.kernel-loop": {"KVM, OUT to user level": 2872},
    "vmexit.out.user": {"KVM, OUT to user level": 2872},
    "vmexit.out.user.vtx": {"KVM-Intel, OUT to user level": 2960},
    "vmexit.cpuid.user.vtx": {"KVM-Intel, in the kernel": 970},
    "notification.signal_wait": {"Linux, pipe round trip": 10373},
    "linux.boot.exits": {"KVM with kvmtool": 40000},
    "linux.boot.ratio": {"KVM with kvmtool": 1.5},
}


class Spoilt(Exception):
    """The message says which run brought no figures, and why."""


def read_limits(paths_only):
    """{name or name:count: limit} of the limits' file."""
    limits = {}
    if os.path.exists(LIMITS):
        with open(LIMITS, encoding="utf-8") as file:
            for line in file:
                line = line.split("#")[0].strip()
                if line:
                    name, limit = line.split()
                    if not (paths_only and name.startswith(("linux.", "vm.idle."))):
                        limits[name] = float(limit) if "." in limit else int(limit)
    return limits


def boot(scenario, number, until, *plugin):
    """One deterministic run: what it logged, and the path of the trace, if there is one."""
    log, trace = build_path("bench", f"{scenario}-{number}.log"), build_path("bench", f"{scenario}-{number}.trace")
    command = ["tools/run", scenario, "--headless", "--deterministic", "--no-build", "--until", until, "--log", log]
    command += [word.replace("{disk}", build_path("test", "bench.img")) for word in MORE.get(scenario, [])]
    if plugin:
        command += ["--qemu=-plugin", "--qemu=" + ",".join([*plugin, f"out={os.path.abspath(trace)}"])]
    if scenario == "linux":
        command += ["--exits"]
    result = subprocess.run(command, check=False, env=build_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode:
        raise Spoilt(f"{scenario} did not finish\n{result.stdout.decode('utf-8', 'replace')}")
    with open(log, encoding="utf-8", errors="replace") as file:
        return file.read().replace("\r", ""), trace


def measure_paths(number, plugin):
    """One run of each scenario: ({name: (value, unit)}, {name: counts}). Traced if there is a plugin."""
    figures, counts = {}, {}
    for scenario in SCENARIOS:
        text, trace_path = boot(scenario, number, "bench: done", *plugin)
        if FAILED.search(text):
            raise Spoilt(f"{scenario}: {FAILED.search(text).group(1)}")
        found = {name: (int(value), unit) for name, value, unit in FIGURE.findall(text)}
        if plugin:
            trace = bench_trace.Trace(trace_path, text)
            for name in trace.paths:
                counts[name] = trace.counts(name)
                check_trace(name, trace.length(name), found[name][0], counts[name]["vmcb"] > 0)
            found |= {name: (len(steps), "instructions") for name, steps in trace.stretches.items()}
        figures |= found
    if not figures:
        raise Spoilt("no figures")
    return figures, counts


def differs(name, figure, first):
    """Whether two runs have different figures. When a disk answers is the build machine's affair, and how many go together."""
    tolerance = CHAIN_TOLERANCE if ".part." in name else DISK_TOLERANCE
    near = figure and DISK.match(name) and abs(figure[0] - first[0]) <= first[0] * tolerance
    return figure != first and not near


def check_trace(name, length, figure, guest):
    """The counts are those of the path that was measured, or of none."""
    # The timer's interrupt comes to a guest by the luckiest moment of many, which the trace need not have.
    if abs(length - figure) > (figure * TRACE_TOLERANCE if guest else 0) and name != "vm.timer_inject":
        raise Spoilt(f"{name}: the trace has {length} instructions, the figure is {figure}")


def measure_exits(number, *plugin):
    """One boot of Linux until it is ready: ({reason: exits}, VMRUNs or None)."""
    text, trace = boot("linux", number, r"\d+ exits:", *plugin)
    words = EXITS.search(text).group(2).split()
    with open(trace, encoding="ascii") if plugin else open(os.devnull, encoding="ascii") as file:
        vmruns = re.search(r"^vmruns (\d+)", file.read(), re.MULTILINE)
    return dict(zip(words[::2], map(int, words[1::2]))), vmruns and int(vmruns.group(1))


def measure_idle(plugin):
    """VMRUNs a virtual second of a guest that has had nothing to do for half a minute."""
    _, trace = boot("bench-idle", 0, r"idle: over", plugin, "only=vmrun")
    with open(trace, encoding="ascii") as file:
        begin, end = map(int, re.findall(r"^vmruns (\d+)", file.read(), re.MULTILINE)[:2])
    return (end - begin) / IDLE_SECONDS


def measure_linux(plugin):
    """({name: (value, unit)}, {name: counts}, what differs between the runs)."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(measure_exits, 0), pool.submit(measure_exits, 1, plugin, "only=vmrun")]
        (reasons, _), (again, vmruns) = [future.result() for future in runs]
    idle = measure_idle(plugin)
    counts = reasons | {"host-interrupt": vmruns - sum(again.values())}
    ratios, lines = bench_linux.measure()
    print("\n".join(lines))
    figures = {"linux.boot.exits": (vmruns, "exits")}
    figures["vm.idle.exits_per_s"] = (idle, "exits/s")
    figures |= {name: (round(value, 3), "ratio") for name, value in ratios.items()}
    return figures, {"linux.boot.exits": counts}, [] if reasons == again else [f"linux.boot.exits: {reasons}, {again}"]


def judge(figures, counts, limits):
    """The contents of bench.json, and the limits that are exceeded or have no figure."""
    result, bad = {}, []
    names = dict.fromkeys([*figures, *(name.split(":")[0] for name in limits)])
    for name in names:
        value, unit = figures.get(name, (None, "instructions"))
        limit = limits.get(name)
        if value is None or (limit is not None and value > limit):
            bad.append(name)
        result[name] = {"value": value, "unit": unit, "limit": limit, "peer": PEERS.get(name, {})}
        if name in counts:
            result[name]["counts"] = counts[name]
        own = {what.split(":")[1]: limits[what] for what in limits if what.startswith(name + ":")}
        if own:
            result[name]["limits"] = own
        bad += [f"{name}:{what}" for what, limit in own.items() if counts.get(name, {}).get(what, limit + 1) > limit]
    return result, bad


def print_table(result, bad):
    print(f"{'':<34}{'':>10} {'':<13}{'limit':>9}" + "".join(f"{title:>6}" for title in COLUMNS.values()))
    for name, entry in result.items():
        value = "missing" if entry["value"] is None else entry["value"]
        limit = "" if entry["limit"] is None else entry["limit"]
        counts = entry.get("counts", {})
        is_path = "cr3" in counts
        columns = "".join(f"{counts.get(what, 0) if is_path else '':>6}" for what in COLUMNS)
        rest = [f"FAIL {what}" for what in bad if what.split(":")[0] == name]
        rest += [f"{who} {count}" for who, count in entry["peer"].items()]
        rest += [] if is_path else [f"{what} {count}" for what, count in counts.items()]
        print(f"{name:<34}{value:>10} {entry['unit']:<13}{limit:>9}{columns}  {', '.join(rest)}".rstrip())


def build(paths_only):
    """The kernel and what the scenarios boot; no more, so that it does not hang on what is not measured."""
    scenarios = [Scenario(name) for name in (*SCENARIOS, *(() if paths_only else LINUX_SCENARIOS))]
    files = [file for scenario in scenarios for file in (scenario.root, *(file for _, file in scenario.modules))]
    targets = sorted({Scenario.module_path(file) for file in files if not file.startswith("guest:")})
    commands = [["make", "-s", f"-j{os.cpu_count() or 1}", f"BUILD={BUILD}", "kernel", *targets]]
    commands += [] if paths_only else [["tools/guest", "--work"]]
    for command in commands:
        if subprocess.run(command, check=False, env=build_environment(), stdout=sys.stderr).returncode:
            raise Spoilt(f"failed: {' '.join(command)}")
    os.makedirs(build_path("bench"), exist_ok=True)
    disks.make(os.path.join(ROOT, BUILD))


def main():
    paths_only = sys.argv[1:] == ["--paths"]
    os.chdir(ROOT)
    try:
        build(paths_only)
        plugin = bench_trace.build_plugin()
        runs = [measure_paths(number, [plugin] if number == RUNS - 1 else []) for number in range(RUNS)]
        figures, counts = dict(runs[-1][0]), dict(runs[-1][1])
        different = [f"{name}: {', '.join(str(run.get(name)) for run, _ in runs)}" for name in runs[0][0]
                     if any(differs(name, run.get(name), runs[0][0][name]) for run, _ in runs[1:])]
        vtx_figures, vtx_counts, _ = bench_vtx.measure()
        figures, counts = figures | vtx_figures, counts | vtx_counts
        if not paths_only:
            more_figures, more_counts, more_different = measure_linux(plugin)
            figures, counts, different = figures | more_figures, counts | more_counts, different + more_different
    except (Spoilt, bench_linux.Failed, bench_vtx.Failed) as error:
        print(f"donjon: bench: {error}", file=sys.stderr)
        return 1
    result, bad = judge(figures, counts, read_limits(paths_only))
    with open(build_path("bench.json"), "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    print_table(result, bad)
    for line in different:
        print(f"not the same in each run: {line}")
    print(f"{len(figures)} figures of {RUNS} runs, {len(different)} differ, {len(bad)} over their limits or missing")
    return 1 if bad or different else 0


if __name__ == "__main__":
    sys.exit(main())
