#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Hold the specification abi/*.md and the headers together: numbers of calls, permission bits, root selectors,
and that every status, group and exit that one of them names exists in the other.

Exit code 0: they agree; 1: each difference is a line."""

import pathlib
import re
import sys

ABI = pathlib.Path(__file__).resolve().parent.parent / "abi"


def enum(text, name):
    """Names and values of an enum in a header."""
    body = re.search(r"enum %s \{(.*?)\};" % name, text, re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    values, following = {}, 0
    for item in filter(None, (part.strip() for part in body.split(","))):
        word, _, value = (part.strip() for part in item.partition("="))
        if value:
            following = eval(re.sub(r"(\d)[uUlL]+", r"\1", value), {}, dict(values))  # our own header
        values[word] = following
        following += 1
    return values


def permissions(syscall):
    """The permission bits of each type, as <type>_<permission>: value."""
    bits = {name: int(value, 16) for name, value in re.findall(r"#define PERM_(\w+)\s+(0x\w+)u", syscall)}
    del bits["DESTROY"], bits["ALL"]
    return bits


def main():
    differences = []

    def same(what, header, specification):
        for key in sorted(set(header) | set(specification)):
            if header.get(key) != specification.get(key):
                differences.append("%s %s: header %s, specification %s"
                                   % (what, key, header.get(key), specification.get(key)))

    syscall, vcpu, boot = ((ABI / name).read_text() for name in ("syscall.h", "vcpu.h", "boot.h"))
    calls_md, vcpu_md, boot_md = ((ABI / name).read_text() for name in ("calls.md", "vcpu.md", "boot.md"))

    calls = enum(syscall, "call")
    calls.pop("CALLS")
    same("call", calls, {name: int(n) for n, name in re.findall(r"^## (\d+) (CALL_\w+)", calls_md, re.M)})

    table = {}
    for kind, rights in re.findall(r"^\| `(\w+)` \|(.*)\|$", calls_md.split("## Objects")[1].split("## 0")[0], re.M):
        for name, value in re.findall(r"`(\w+)` (0x\w+)", rights):
            table["%s_%s" % (kind, name)] = int(value, 16)
    same("permission", permissions(syscall), table)

    selectors = enum(syscall, "root_selector")
    selectors.pop("ROOT_SELECTORS")
    same("selector", selectors, {name: int(n) for name, n in re.findall(r"`(ROOT_\w+)` (\d+)", boot_md)})

    statuses = set(enum(syscall, "status")) - {"STATUSES"}
    named = set(re.findall(r"STATUS_\w+", calls_md + vcpu_md))
    differences += ["status %s is in one of header and specification only" % s for s in sorted(statuses ^ named)]

    groups = set(enum(vcpu, "vcpu_group")) - {"VCPU_GROUPS"}
    named = set(re.findall(r"^\| (.*?) \|", vcpu_md.split("| group |")[1].split("\n\n")[0], re.M))
    named = set(re.findall(r"`(VCPU_\w+)`", " ".join(named)))
    differences += ["group %s is in one of header and specification only" % g for g in sorted(groups ^ named)]

    exits = set(enum(vcpu, "vcpu_exit")) - {"VCPU_EXITS", "VCPU_EXIT_NONE"}
    rows = re.findall(r"^\| (`VCPU_EXIT.*?) \|", vcpu_md, re.M)
    named = set()
    for row in rows:
        named |= {n if n.startswith("VCPU_EXIT_") else "VCPU_EXIT_" + n for n in re.findall(r"`(\w+)`", row)}
    differences += ["exit %s is in one of header and specification only" % e for e in sorted(exits ^ named)]

    version = re.search(r"MAJOR (\d+)\n.*MINOR (\d+)", syscall)
    for name, text in (("calls.md", calls_md), ("vcpu.md", vcpu_md), ("boot.md", boot_md)):
        if "Version %s.%s." % version.groups() not in text:
            differences.append("%s: expected version %s.%s" % ((name,) + version.groups()))
    for name in re.findall(r"`(BOOT_\w+|ROOT_\w+ADDRESS)`", boot_md):
        if name not in boot:
            differences.append("boot.md names %s, boot.h does not" % name)

    for line in differences:
        print("abi:", line)
    if not differences:
        print("abi: specification and headers agree: %d calls, %d statuses, %d groups, %d exits"
              % (len(calls), len(statuses), len(groups), len(exits)))
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
