# SPDX-License-Identifier: ISC
"""The bare-metal guests on QEMU itself: a second opinion on what they expect.

    reference.py BUILD MODE [EMULATOR]

EMULATOR: stock (QEMU 7.2, the default) or backports (10.0.2, tools/backports). What each answers otherwise stands in KNOWN with
the reason; each was looked up in the manuals. A test that fails and is not listed, or is listed and passes, ends the program
with status 1, and so does a missing verdict. QEMU 10 gets no further than MOV to CS, which is the last but the resets.
"""

import os
import re
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
from machine import emulator_arguments  # pylint: disable=wrong-import-position
from scenario import Refused, refuse  # pylint: disable=wrong-import-position

BOTH = {
    "register.msr-faults": "no #GP by an unknown MSR or by reserved bits in one; RDPMC is #UD",
    "fault.double-raised": "the same: RDMSR raises nothing",
    "resume.faults": "the same; and RF is 0 in the flags that a fault pushes",
    "resume.strings": "and in those that an interrupt pushes in the middle of REP INS (SDM vol. 3, 17.3.1.1)",
    "mmio.absent": "an empty bus reads 0, on a PC it floats to ones",
    "fault.device-pages": "the same",
    "apic.software-disabled": "does not set the masks of the LVTs (SDM vol. 3, 11.4.7.2)",
    "apic.illegal-vector": "sends vectors below 16 and reports no error (SDM vol. 3, 11.5.3)",
    "ioapic.registers": "bits 17 to 31 of an entry can be written",
    "pit.modes": "mode 4's output is low while it counts; there is no null-count flag (8254 data sheet)",
    "pit.gate": "channel 2 counts in mode 0 while its gate is low (8254 data sheet)",
    "clock.tsc-write": "the TSC cannot be written",
    "end.limit": "goes on at 0 behind the end of real mode's code segment, a processor at 0x10000, which is #GP",
}
KNOWN = {
    "stock": BOTH | {"apic.off": "an APIC that was disabled by its MSR takes nothing from the 8259s and stays off"},
    # The last: APM vol. 3, MOV: #UD "if an attempt was made to load the CS register". It pushes CS 1 and IP 3 instead.
    "backports": BOTH | {"user.privileged": "WBINVD at CPL 3 raises no #GP (APM vol. 3, WBINVD)",
                         "exception.mov-to-cs": "#UD with a wrong frame: nothing can go on"},
}
END = "exception.mov-to-cs"
LIMIT = 120
ARGUMENTS = ["-accel", "tcg", "-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01,clock=vm", "-cpu", "EPYC,-rdrand", "-m", "64",
             "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"]


def main():
    build, mode, emulator = [*sys.argv[1:], "stock"][:3]
    os.environ["BUILD"] = build
    image = os.path.join(build, "target", f"guest-{mode}.elf")
    try:
        command = [*emulator_arguments(emulator), *ARGUMENTS, "-kernel", image]
    except Refused as error:
        refuse(error)
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False)
    text = run.stdout.decode("utf-8", "replace").replace("\r", "")
    passed = set(re.findall(rf"^guest: {mode}: (\S+) ok$", text, re.MULTILINE))
    failed = set(re.findall(rf"^guest: {mode}: (\S+) FAILED", text, re.MULTILINE))
    ended = re.search(rf"^guest: verdict {mode}: \d+ passed, \d+ failed$", text, re.MULTILINE)
    known = KNOWN[emulator]
    if END in known:
        # It is the last that can be told of.
        failed.add(END)
        ended = "apic.off" in passed | failed and END not in passed
    print(text)
    wrong = sorted(failed - known.keys()) + [f"{name} (passes now)" for name in sorted(passed & known.keys())]
    if not ended or wrong:
        print(f"reference: {mode}: no verdict" if not ended else f"reference: {mode}: unexplained: {', '.join(wrong)}")
        return 1
    print(f"reference: {mode}: {len(passed)} passed, {len(failed)} known differences")
    return 0


if __name__ == "__main__":
    sys.exit(main())
