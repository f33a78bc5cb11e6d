# SPDX-License-Identifier: ISC
"""make bench: boots scenarios/bench.xml under deterministic instruction counting and judges the figures it logs.

A figure is a line "bench: NAME = NUMBER" of the log; "bench: done" ends them. tests/bench-limits has a line "NAME LIMIT" for
each that may not be exceeded; a limit whose figure is missing fails too. Two runs give the same figures to the digit.
Exit status: 0 all within their limits, 1 not.
"""

import os
import re
import subprocess
import sys

from scenario import ROOT, build_path

FIGURE = re.compile(r"bench: ([\w./ -]+?) = (\d+)\s*$")
LIMITS = os.path.join("tests", "bench-limits")


def read_limits():
    """{name: limit} of the limits' file; a name may contain spaces."""
    limits = {}
    if os.path.exists(LIMITS):
        with open(LIMITS, encoding="utf-8") as file:
            for line in file:
                line = line.split("#")[0].strip()
                if line:
                    name, limit = line.rsplit(maxsplit=1)
                    limits[name] = int(limit)
    return limits


def main():
    os.chdir(ROOT)
    log = build_path("log", "bench.log")
    command = ["tools/run", "bench", "--headless", "--deterministic", "--until", "bench: done", "--log", log]
    if subprocess.run(command, check=False).returncode:
        return 1
    with open(log, encoding="utf-8", errors="replace") as file:
        figures = {match.group(1): int(match.group(2)) for match in map(FIGURE.search, file) if match}

    failed = 0
    limits = read_limits()
    for name in [*figures, *(name for name in limits if name not in figures)]:
        figure, limit = figures.get(name), limits.get(name)
        good = figure is not None and (limit is None or figure <= limit)
        failed += not good
        print(f"{name:<40}{'missing' if figure is None else figure:>12}"
              + ("" if limit is None else f"  limit {limit}") + ("" if good else "  FAIL"))
    print(f"{len(figures)} figures (instructions), {failed} over their limits or missing")
    return 1 if failed or not figures else 0


if __name__ == "__main__":
    sys.exit(main())
