# SPDX-License-Identifier: ISC
"""The bare-metal guests on QEMU itself: a second opinion on what they expect.

    reference.py BUILD MODE

What QEMU 7.2 answers otherwise stands in KNOWN with the reason; each was looked up in the manuals. A test that fails and is
not listed, or is listed and passes, ends the program with status 1, and so does a missing verdict.
"""

import os
import re
import subprocess
import sys

KNOWN = {
    "register.msr-faults": "no #GP by an unknown MSR or by reserved bits in one; RDPMC is #UD",
    "fault.double-raised": "the same: RDMSR raises nothing",
    "mmio.absent": "an empty bus reads 0, on a PC it floats to ones",
    "fault.device-pages": "the same",
    "apic.software-disabled": "does not set the masks of the LVTs (SDM vol. 3, 11.4.7.2)",
    "apic.illegal-vector": "sends vectors below 16 and reports no error (SDM vol. 3, 11.5.3)",
    "ioapic.registers": "bits 17 to 31 of an entry can be written",
    "pit.modes": "mode 4's output is low while it counts; there is no null-count flag (8254 data sheet)",
    "pit.gate": "channel 2 counts in mode 0 while its gate is low (8254 data sheet)",
    "clock.tsc-write": "the TSC cannot be written",
    "apic.off": "an APIC that was disabled by its MSR takes nothing from the 8259s and stays off",
}
LIMIT = 120
ARGUMENTS = ["-accel", "tcg", "-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01,clock=vm", "-cpu", "EPYC,-rdrand", "-m", "64",
             "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"]


def main():
    build, mode = sys.argv[1:]
    image = os.path.join(build, "target", f"guest-{mode}.elf")
    run = subprocess.run(["qemu-system-x86_64", *ARGUMENTS, "-kernel", image], stdin=subprocess.DEVNULL, capture_output=True,
                         timeout=LIMIT, check=False)
    text = run.stdout.decode("utf-8", "replace").replace("\r", "")
    passed = set(re.findall(rf"^guest: {mode}: (\S+) ok$", text, re.MULTILINE))
    failed = set(re.findall(rf"^guest: {mode}: (\S+) FAILED", text, re.MULTILINE))
    verdict = re.search(rf"^guest: verdict {mode}: (\d+) passed, (\d+) failed$", text, re.MULTILINE)
    print(text)
    wrong = sorted(failed - KNOWN.keys()) + [f"{name} (passes now)" for name in sorted(passed & KNOWN.keys())]
    if not verdict or wrong:
        print(f"reference: {mode}: no verdict" if not verdict else f"reference: {mode}: unexplained: {', '.join(wrong)}")
        return 1
    print(f"reference: {mode}: {verdict.group(1)} passed, {len(failed)} known differences")
    return 0


if __name__ == "__main__":
    sys.exit(main())
