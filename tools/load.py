# SPDX-License-Identifier: ISC
"""How loaded the build machine is. Limits of time are there for what hangs: none may depend on what else runs."""

import glob
import os
import time


def stretch():
    """How much longer than alone a piece of work takes now: wall time over CPU time, at least 1."""
    started, spent = time.monotonic(), time.process_time()
    while time.process_time() - spent < 0.05:
        pass
    return max(1.0, (time.monotonic() - started) / (time.process_time() - spent))


def waited(process):
    """Seconds that the most hindered thread of a process wanted a CPU and had none; 0.0 where Linux does not tell."""
    longest = 0
    for path in glob.glob(f"/proc/{process}/task/*/schedstat"):
        try:
            with open(path, encoding="ascii") as file:
                longest = max(longest, int(file.read().split()[1]))
        except (OSError, IndexError, ValueError):
            pass  # the thread has ended meanwhile
    return longest / 1e9


if __name__ == "__main__":
    print(f"{os.cpu_count()} CPUs, stretch {stretch():.1f}")
