# SPDX-License-Identifier: ISC
"""make bench: boots the scenarios bench and bench-vm under deterministic instruction counting and judges what they log.

A figure is a line "bench: NAME = NUMBER UNIT" of the log; "bench: done" ends them, "bench: failed" spoils them. The
machine runs twice, and the figures have to be the same to the digit. tests/bench/limits has a line "NAME LIMIT" for each
that may not be exceeded; a limit whose figure is missing fails too. What is found is printed as a table and written to
build/bench.json: {"name": {"value": n, "unit": "...", "limit": n or null, "peer": {"who": n}}}.
Exit status: 0 all within their limits, 1 not.
"""

import json
import os
import re
import subprocess
import sys

from scenario import ROOT, build_environment, build_path

FIGURE = re.compile(r"bench: (\S+) = (\d+) (\w+)\s*$")
FAILED = re.compile(r"bench: (failed: .*?)\s*$")
LIMITS = os.path.join("tests", "bench", "limits")
RUNS = 2
SCENARIOS = ("bench", "bench-vm")

# What others need, counted by the same method (instructions of the emulator).
PEERS = {
    "ipc.cross_pd.words0": {"seL4": 395, "NOVA": 539},
    "ipc.cross_pd.words10": {"seL4": 1572},
    "vmexit.out.kernel-loop": {"KVM, OUT to user level": 2872},
    "vmexit.out.user": {"KVM, OUT to user level": 2872},
    "notification.signal_wait": {"Linux, pipe round trip": 10373},
}


def read_limits():
    """{name: limit} of the limits' file."""
    limits = {}
    if os.path.exists(LIMITS):
        with open(LIMITS, encoding="utf-8") as file:
            for line in file:
                line = line.split("#")[0].strip()
                if line:
                    name, limit = line.split()
                    limits[name] = int(limit)
    return limits


def measure(number):
    """One run of each scenario: ({name: (value, unit)}, reason or None)."""
    lines = []
    for scenario in SCENARIOS:
        log = build_path("log", f"{scenario}-{number}.log")
        # The first run builds what is missing.
        command = ["tools/run", scenario, "--headless", "--deterministic", "--until", "bench: done", "--log", log]
        command += ["--no-build"] if number else []
        if subprocess.run(command, check=False, env=build_environment()).returncode:
            return {}, f"{scenario} did not finish"
        with open(log, encoding="utf-8", errors="replace") as file:
            lines += file.readlines()
    failed = next((match.group(1) for match in map(FAILED.search, lines) if match), None)
    figures = {match.group(1): (int(match.group(2)), match.group(3)) for match in map(FIGURE.search, lines) if match}
    return figures, failed


def judge(figures, limits):
    """The contents of bench.json, and the names that are over their limits or missing."""
    result, bad = {}, []
    for name in [*figures, *(name for name in limits if name not in figures)]:
        value, unit = figures.get(name, (None, "instructions"))
        limit = limits.get(name)
        if value is None or (limit is not None and value > limit):
            bad.append(name)
        result[name] = {"value": value, "unit": unit, "limit": limit, "peer": PEERS.get(name, {})}
    return result, bad


def main():
    os.chdir(ROOT)
    runs = []
    for number in range(RUNS):
        figures, reason = measure(number)
        if reason or not figures:
            print(f"donjon: bench: {reason or 'no figures'}", file=sys.stderr)
            return 1
        runs.append(figures)
    result, bad = judge(runs[0], read_limits())
    with open(build_path("bench.json"), "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    for name, entry in result.items():
        value = "missing" if entry["value"] is None else entry["value"]
        limit = "" if entry["limit"] is None else f"limit {entry['limit']}"
        peers = ", ".join(f"{who} {count}" for who, count in entry["peer"].items())
        print(f"{name:<36}{value:>10} {entry['unit']:<13}{limit:<14}{'FAIL  ' if name in bad else ''}{peers}".rstrip())
    different = [name for name in runs[0] if any(run.get(name) != runs[0][name] for run in runs[1:])]
    for name in different:
        print(f"{name}: not the same in each run: {', '.join(str(run.get(name)) for run in runs)}")
    print(f"{len(runs[0])} figures of {RUNS} runs, {len(different)} differ, {len(bad)} over their limits or missing")
    return 1 if bad or different else 0


if __name__ == "__main__":
    sys.exit(main())
