#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Sabotages the system, one line at a time, and looks whether its tests see it.

The sabotages are in tests/mutants/*.txt; the head of kernel.txt says how they are written. Each is made in a copy of the tree
below the build folder, never here. For one of the kernel the test that should catch it is booted first; if it does not, all
of ktest and the kernel's unit tests are. Others name one unit test or one system test, which must pass without the sabotage
and fail with it. One that no test catches has survived and is a failure, unless it is listed as a survivor with a reason
(doc/mutants.md); so is one whose text is not there any more, and a listed survivor that is caught.

  mutants.py [PATTERN]   those whose name matches; the last line is 'N killed, N survived, N failed'
  mutants.py --check     only: whether each can be applied
"""

import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import threading
import time

from scenario import BUILD, ROOT, build_environment, build_path

JOBS = 2
CONFIG = '<donjon root="ktest.elf"><run memory="256"/><ktest only="{}" {}/></donjon>\n'
EDU = ("--qemu=-device", "--qemu=edu,dma_mask=0xffffffffffffffff,addr=5")
FIRST_LIMIT, ALL_LIMIT, HOST_LIMIT, SYSTEM_LIMIT = 60, 400, 300, 1800
TWO = "2 CPUs: "
HOST, FUZZ, SYSTEM = "host: ", "fuzz: ", "system: "
FUZZ_RUNS = ("-runs=400000", "-seed=1", "-max_len=800", "-verbosity=0", "-print_final_stats=0")
SEEDED_RUNS = ("-runs=20000", "-seed=1", "-verbosity=0", "-print_final_stats=0")  # with a corpus beside the fuzzer
MADE = ("guest",)  # what is made once and only read by tests
# What such a machine is, and what tests/kernel/iommu-*.xml says of it.
IOMMUS = {"AMD: ": ("q35-amd-iommu", 'faults="0"'),
          "Intel: ": ("q35-intel-iommu", 'passes-old-form="1" passes-writes="1"')}
UNTIL = r"^FAIL |^\[kernel\] fatal|^ktest: done"


class Mutant:
    """name, file, old, new: texts; test: part of the name of the tests that should catch it; survives: reason or ""."""

    def __init__(self, block, where):
        self.name, self.file, self.test, self.survives = "", "", "", ""
        old, new = [], []
        for line in block:
            mark, text = line[0], line[2:]
            if mark == "=":
                self.name, self.file = (part.strip() for part in text.split("|"))
            elif mark in "-+":
                (old if mark == "-" else new).append(text)
            elif mark == "?":
                self.test = text
            elif mark == "!":
                self.survives += (" " if self.survives else "") + text
            else:
                sys.exit(f"{where}: a line begins with '{mark}'")
        if not self.name or not old or not self.test:
            sys.exit(f"{where}: mutant '{self.name}' is not complete")
        self.old, self.new = "\n".join(old), "\n".join(new)

    def complaint(self):
        """Why it cannot be applied, or None."""
        try:
            with open(os.path.join(ROOT, self.file), encoding="utf-8") as file:
                found = file.read().count(self.old)
        except OSError as error:
            return str(error)
        return None if found == 1 else f"does not apply: its text is {found} times in {self.file}"


def read():
    """All mutants."""
    mutants = []
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "mutants", "*.txt"))):
        with open(path, encoding="utf-8") as file:
            for block in re.split(r"\n(?:[ \t]*\n)+", file.read()):
                lines = [line for line in block.splitlines() if line and not line.startswith("#")]
                if lines:
                    mutants.append(Mutant(lines, os.path.relpath(path, ROOT)))
    names = [mutant.name for mutant in mutants]
    if len(set(names)) != len(names):
        sys.exit(f"mutants: the name '{max(names, key=names.count)}' is there twice")
    return mutants


def call(command, limit, **environment):
    """(exit status or None when out of time, output)"""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              timeout=limit, env={**build_environment(), **environment})
        return done.returncode, done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        return None, (error.stdout or b"").decode("utf-8", "replace")


class Workshop:
    """A copy of the tree with its own build folder; one mutant at a time."""

    def __init__(self, number):
        self.root = os.path.abspath(build_path("mutants", str(number)))
        self.build = os.path.join(self.root, "build")
        shutil.rmtree(self.root, ignore_errors=True)  # also what an older kernel was built to
        os.makedirs(self.root)
        for name in os.listdir(ROOT):
            if not name.startswith(".") and not name.startswith("build"):
                self.copy(name)
        os.makedirs(os.path.join(self.build, "target"), exist_ok=True)
        for name in MADE:
            os.symlink(os.path.abspath(os.path.join(ROOT, build_path(name))), os.path.join(self.build, name))
        self.failing = None  # unit tests of the kernel that fail without a mutant

    def prepare_kernel(self):
        """What a mutant of the kernel needs."""
        if self.failing is not None:
            return
        shutil.copy(os.path.join(ROOT, build_path("target", "ktest.elf")), os.path.join(self.build, "target"))
        status, output = self.make("kernel")
        if status:
            raise RuntimeError("the kernel without a mutant cannot be built:\n" + output)
        self.failing = set()
        self.failing = self.host_tests()

    def copy(self, name):
        source, target = os.path.join(ROOT, name), os.path.join(self.root, name)
        if os.path.isfile(source):
            shutil.copy2(source, target)
            return
        shutil.copytree(source, target)

    def make(self, *targets):
        return call(["make", "-s", "-C", self.root, f"BUILD={self.build}", "WARNINGS=-w", *targets], 300)

    def boot(self, only, limit, machine=("--deterministic",), more=""):
        """None, or what caught it."""
        config, log = os.path.join(self.root, "config.xml"), os.path.join(self.root, "log")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(only, more))
        status, output = call([sys.executable, os.path.join(ROOT, "tools", "run.py"), "ktest", "--no-build", "--headless",
                               *machine, "--config", config, "--log", log, "--timeout", str(limit), "--until", UNTIL],
                              limit + 60, BUILD=self.build)
        seen = re.search(r"^donjon: seen after [^:]*: (.*)", output, re.M)
        if status == 2 or status is None or "\nTraceback " in "\n" + output:  # no verdict on the kernel
            raise RuntimeError(output)
        if seen and seen.group(1).startswith("ktest: done"):
            with open(log, encoding="utf-8", errors="replace") as file:
                total = re.search(r"ktest: (\d+) passed, (\d+) failed", file.read())
            if total and total.group(1) == "0":
                raise RuntimeError(f"no test is called '{only}'")
            return None
        if seen:
            return seen.group(1)
        return "the machine was reset" if "was reset" in output else "nothing came any more"

    def host_tests(self):
        """The names of the unit tests that fail, but for those that always do."""
        self.make("-k", "HOST_DIRS=kernel", "host-tests")
        programs = self.make("HOST_DIRS=kernel", "list-host-tests")[1].split()
        return {os.path.basename(program) for program in programs
                if not os.path.exists(program) or call([program], HOST_LIMIT)[0] != 0} - self.failing

    def unit_tests(self):
        """None, or what caught it."""
        return ", ".join(f"unit test {name}" for name in sorted(self.host_tests())) or None

    def host_test(self, path):
        """None, or what the unit test of this path says."""
        test = os.path.join(self.build, "host", "tests", path)
        if os.path.exists(test):
            os.remove(test)
        part = re.match(r"(?:drivers|servers)/[^/]+|[^/]+", path).group()
        status, output = self.make(f"HOST_DIRS=lib {part}", test)
        if status:
            raise RuntimeError("it does not compile:\n" + "\n".join(output.splitlines()[-5:]))
        status, output = call([test], HOST_LIMIT)
        failed = re.findall(r"\[  FAILED  \] (\w+)$", output, re.M)
        return None if status == 0 else f"{path}: {', '.join(dict.fromkeys(failed)) or f'status {status}'}"

    def fuzz_test(self, path):
        """None, or what the fuzzer of this path says after as many runs as it finds planted bugs in."""
        fuzzer = os.path.join(self.build, "fuzz", path)
        if os.path.exists(fuzzer):
            os.remove(fuzzer)
        status, output = self.make(f"HOST_DIRS={os.path.dirname(path)}", fuzzer)
        if status:
            raise RuntimeError("it does not compile:\n" + "\n".join(output.splitlines()[-5:]))
        runs, seed, found = FUZZ_RUNS, re.sub("_fuzz$", "_corpus", path), os.path.join(self.build, "corpus", path)
        if os.path.isdir(seed):
            os.makedirs(found, exist_ok=True)
            runs = (*SEEDED_RUNS, found, seed)
        status, output = call([fuzzer, *runs, f"-artifact_prefix={self.build}/"], HOST_LIMIT)
        found = re.search(r"^SUMMARY: (.*)", output, re.M)
        return None if status == 0 else f"{path}: {found.group(1) if found else f'status {status}'}"

    def system_test(self, name):
        """None, or what the system test of this name says."""
        status, output = call([sys.executable, os.path.join(self.root, "tools", "test.py"), "--boot", f"^{re.escape(name)}$"],
                              SYSTEM_LIMIT, BUILD=self.build)
        if status == 0 and "\n1 passed, 0 failed" in output:
            return None
        failed = re.search(r"^FAIL  (?!build)(.*)", output, re.M)
        if not failed:
            raise RuntimeError("the test was not run:\n" + "\n".join(output.splitlines()[-5:]))
        return re.sub(r" {2,}", " ", failed.group(1))

    def passes(self, test):
        """Whether the unit test, fuzzer or system test passes; None, or what it says."""
        for prefix, run in ((HOST, self.host_test), (FUZZ, self.fuzz_test), (SYSTEM, self.system_test)):
            if test.startswith(prefix):
                return run(test[len(prefix):])
        raise RuntimeError(f"no test is meant by '{test}'")

    def caught(self, mutant):
        if mutant.test.startswith((HOST, FUZZ, SYSTEM)):
            return self.passes(mutant.test)
        status, output = self.make("kernel")
        if status:
            raise RuntimeError("it does not compile:\n" + "\n".join(output.splitlines()[-5:]))
        if mutant.test.startswith("unit:"):
            return self.unit_tests()
        if mutant.test.startswith(TWO):
            return self.boot(mutant.test[len(TWO):], ALL_LIMIT, ("--smp", "2"))
        for prefix, (machine, more) in IOMMUS.items():
            if mutant.test.startswith(prefix):
                return self.boot(mutant.test[len(prefix):], FIRST_LIMIT, ("--deterministic", "--machine", machine, *EDU), more)
        return self.boot(mutant.test, FIRST_LIMIT) or self.boot("", ALL_LIMIT) or self.unit_tests()

    def run(self, mutant):
        """What caught it, None if nothing did."""
        if not mutant.test.startswith((HOST, FUZZ, SYSTEM)):
            self.prepare_kernel()
        elif mutant.test not in good:
            complaint = self.passes(mutant.test)
            if complaint:
                raise RuntimeError(f"its test fails without it: {complaint}")
            good.add(mutant.test)
        path = os.path.join(self.root, mutant.file)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace(mutant.old, mutant.new))
            return self.caught(mutant)
        finally:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)


free, lock = [], threading.Lock()
good = set()  # unit and system tests that pass without a mutant


def run(mutant):
    """(what is wrong or None, how it was caught or why it need not be, seconds)"""
    started = time.monotonic()
    reason = mutant.complaint()
    if reason:
        return reason, "", 0.0
    with lock:
        if not free and not run.made:
            free.extend(Workshop(number) for number in range(JOBS))
            run.made = True
        shop = free.pop()
    try:
        caught = shop.run(mutant)
    except RuntimeError as error:
        return str(error), "", time.monotonic() - started
    finally:
        with lock:
            free.append(shop)
    seconds = time.monotonic() - started
    if mutant.survives:
        return (f"is listed as a survivor and was caught: {caught}" if caught else None), "survives: " + mutant.survives, seconds
    return (None if caught else "survived"), caught or "", seconds


run.made = False


def main():
    os.chdir(ROOT)
    mutants = read()
    if sys.argv[1:] == ["--check"]:
        complaints = [f"{mutant.name}: {mutant.complaint()}" for mutant in mutants if mutant.complaint()]
        print("\n".join(complaints + [f"{len(mutants)} mutants, {len(complaints)} do not apply"]))
        return 1 if complaints else 0
    mutants = [mutant for mutant in mutants if re.search(sys.argv[1] if len(sys.argv) > 1 else "", mutant.name)]
    print("  building the kernel", flush=True)
    if call(["make", "-s", f"BUILD={BUILD}", build_path("target", "ktest.elf")], 600)[0]:
        sys.exit("mutants: ktest cannot be built")
    count = {"killed": 0, "survived": 0, "failed": 0}
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for mutant, result in zip(mutants, pool.map(run, mutants)):
            reason, detail, seconds = result
            count["failed" if reason else "survived" if mutant.survives else "killed"] += 1
            print(f"{'FAIL ' if reason else 'ok   '} {mutant.name:<44} {seconds:6.1f} s  {reason or detail}", flush=True)
    print(", ".join(f"{number} {word}" for word, number in count.items()), flush=True)
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
