# SPDX-License-Identifier: ISC
"""The system tests: command lines run from the root of the repository, each with what it must end with.

Everything is built before the first one runs. {log} stands for a file of the test's own.
"""

import collections
import re
import time

# name; command (a list); status it must exit with; regular expression that its output must contain, or None; a function
# that is given its output and returns what is wrong with it, or None
Test = collections.namedtuple("Test", "name command status output check", defaults=(0, None, None))


def run(name, *arguments, status=0, output=None, check=None):
    """A tools/run that needs no build and keeps its log apart."""
    return Test(name, ["tools/run", *arguments, "--no-build", "--headless", "--log", "{log}"], status, output, check)


def refused(name, reason, *arguments):
    """Bad arguments: status 2 and a single line."""
    return Test(name, ["tools/run", *arguments], 2, r"\Adonjon: [^\n]*" + reason + r"[^\n]*\n\Z")


def clock_is_right(output):
    """The guest's clock against ours: both are whole seconds, and the guest's line came a moment ago."""
    epoch = int(re.search(r"epoch: (\d+)", output).group(1))
    difference = time.time() - epoch
    return None if -1 <= difference <= 3 else f"the guest's clock is {difference:.0f} s behind"


def linux(memory, *arguments):
    """Boots the Debian guest with so many MiB to its shell; it sees nearly all of them, and KVM's interface."""
    seen = {96: r"4\d", 1024: r"9\d\d", 6144: r"5\d\d\d"}[memory]
    return run(f"linux: {memory} MiB {' '.join(arguments)}".strip(), "linux", "--guest-memory", str(memory), "--until",
               rf"guest: ready: Linux 6\.\S+, {seen} MiB, hypervisor KVM", *arguments)


READY = "guest: ready"
REBOOT = ["--after", READY, "--type", "reboot -f\\n"]
POWEROFF = ["--after", READY, "--type", "poweroff -f\\n"]

TESTS = [
    run("linux: reboot 50 times", "linux", *REBOOT * 50, *POWEROFF, "--timeout", "880"),
    # 96 MiB is the least in which this kernel boots, on plain QEMU too: it wants 64 MiB for itself from 16 MiB on.
    linux(96),
    run("linux: 64 MiB are too few", "linux", "--guest-memory", "64", "--until", r"needs \d+ MiB of memory.*has 64 MiB"),
    linux(1024),
    linux(6144),
    linux(1024, "--machine", "q35"),
    run("linux: power off", "linux", *POWEROFF, output="the machine has powered off"),
    run("linux: clock", "linux", "--type", "echo epoch: $(date +%s)\\n", "--until", r"epoch: \d+", check=clock_is_right),
    run("linux: sleep", "linux", "--type", "sleep 10; echo awake\\n", "--until", "^awake"),
    run("linux: interrupts", "linux", "--type", "cat /proc/interrupts\\n", "--until", "LOC: .*Local timer"),
    run("iso: BIOS", "linux", "--iso", "bios", "--until", READY),
    run("iso: UEFI", "linux", "--iso", "uefi", "--until", READY),
    run("evil", "evil", "--until", "evil: done"),
    refused("run: unknown scenario", "no scenario 'nosuch'", "nosuch"),
    refused("run: more than one CPU", "--smp 2", "linux", "--smp", "2"),
    refused("run: unknown machine", "--machine pdp11", "linux", "--machine", "pdp11"),
    refused("run: unknown option", "--bogus", "linux", "--bogus"),
    refused("run: --after without --type", "--after", "linux", "--after", "x"),
    refused("run: bad pattern", "no regular expression", "linux", "--until", "("),
]
