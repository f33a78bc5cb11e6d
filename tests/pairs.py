#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Which statuses each call can give by the specification, and which of them the kernel's tests have seen.

abi/calls.md says it in two ways: a table in the call's own section, and the text at the head for those that every call
gives which looks a selector up or creates an object. A section whose own table names STATUS_BAD_CAP is complete without
the text at the head. The test program (tests/kernel) prints what it covered as 'ktest: call N gives A B C'.

  pairs.py LOG...   compares; exit status 1 if a pair is missing in all of these logs, or covered but not specified
"""

import re
import sys

from abi import ABI, enum

# No test can have these, for the reason given.
IMPOSSIBLE = {("CALL_PLATFORM_CONTROL", "STATUS_DEAD"): "the platform cannot be destroyed"}
# These need another machine than the rest; tests/system.py boots it.
WITHOUT_SVM = {("CALL_CREATE_VCPU", "STATUS_UNSUPPORTED")}
TWO_CPUS = {("CALL_IPC_CALL", "STATUS_BAD_CPU"), ("CALL_VCPU_RUN", "STATUS_BAD_CPU")}
IOMMU = {("CALL_CREATE_DEVICE", status) for status in ("STATUS_OK", "STATUS_BUSY", "STATUS_BAD_ARG", "STATUS_NO_MEMORY",
                                                        "STATUS_EXISTS")}
IOMMU |= {("CALL_DEVICE_ASSIGN", status) for status in ("STATUS_OK", "STATUS_BUSY", "STATUS_BAD_ARG", "STATUS_BAD_CAP",
                                                        "STATUS_BAD_PERM", "STATUS_DEAD")}
ELSEWHERE = WITHOUT_SVM | TWO_CPUS | IOMMU
RETURNS_NOT = {"CALL_IPC_REPLY"}


def specified():
    """The set of (call, status)."""
    pairs = set()
    text = (ABI / "calls.md").read_text()
    for section in re.split(r"^## \d+ (?=CALL_)", text, flags=re.M)[1:]:
        call = re.match(r"CALL_\w+", section).group(0)
        own = set()
        for row in re.findall(r"^\| ((?:`STATUS_\w+`(?:, )?)+) \|", section, re.M):
            own |= set(re.findall(r"STATUS_\w+", row))
        if call not in RETURNS_NOT:
            own.add("STATUS_OK")
        if "STATUS_BAD_CAP" not in own and re.search(r"^\| R\w+ .*\|.*\bneeds `", section, re.M):
            own |= {"STATUS_BAD_CAP", "STATUS_BAD_PERM", "STATUS_DEAD"}
        if call.startswith("CALL_CREATE_"):
            own |= {"STATUS_EXISTS", "STATUS_BAD_ARG", "STATUS_NO_MEMORY"}
        pairs |= {(call, status) for status in own}
    return pairs - set(IMPOSSIBLE)


def seen(log):
    """The set of (call, status) that a log has."""
    header = (ABI / "syscall.h").read_text()
    calls, statuses = ({number: name for name, number in enum(header, kind).items()} for kind in ("call", "status"))
    return {(calls[int(call)], statuses[int(status)])
            for call, row in re.findall(r"^ktest: call (\d+) gives([ \d]*)", log, re.M) for status in row.split()}


def compare(log, elsewhere=ELSEWHERE):
    """(covered, all, what is wrong: lines)."""
    wanted, covered = specified(), seen(log)
    lines = [f"{call} never gave {status}" for call, status in sorted(wanted - covered - elsewhere)]
    lines += [f"{call} gave {status}, which is not specified" for call, status in sorted(covered - wanted)]
    return len(wanted & covered), len(wanted), lines


def main():
    texts = []
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8", errors="replace") as file:
            texts.append(file.read().replace("\r", ""))
    covered, total, lines = compare("\n".join(texts), ELSEWHERE if len(texts) == 1 else set())
    for line in lines:
        print("pairs:", line)
    print(f"pairs: {covered} of {total} pairs of call and status covered")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
