#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""make test, test-host, test-slow and test-night: builds, runs all host test programs and the commands of tests/system.py.

One line per test: verdict, name, seconds. What a failed one printed follows it. At the end the slowest ten; the last line is the
total, and the exit status is 0 only if nothing failed. A test that needs what cannot be had here is skipped, and counted so.
Limits of time are stretched by the load of the machine.
  test.py [--host | --boot | --slow | --night] [PATTERN]
--host: unit tests only; --boot: system tests only, with what gcc builds; instead of these, --slow: the tests that take long,
--night: the longest, and the mutants (tools/mutants.py); PATTERN: only tests whose name it is found in
"""

import argparse
import concurrent.futures
import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time

import load
import mutants
from scenario import BUILD, ROOT, build_environment, build_path

PARALLEL = 2
HOST_LIMIT, SYSTEM_LIMIT, SLOW_LIMIT = 120, 900, 7200
RUNS_MORE = 5  # where a run's output proves that the emulator has failed
OUTPUT_LINES, SLOWEST = 60, 10


class Report:
    """Counts verdicts and prints them as they come."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.times = []
        self.lock = threading.Lock()

    def add(self, name, reason, seconds, detail="", output=""):
        with self.lock:
            self.times.append((seconds, name))
            if reason is None:
                self.passed += 1
                print(f"ok    {name:<48} {seconds:6.1f} s{detail}", flush=True)
            else:
                self.failed += 1
                print(f"FAIL  {name:<48} {seconds:6.1f} s  {reason}", flush=True)
                for line in output.rstrip().splitlines()[-OUTPUT_LINES:]:
                    print(f"      | {line}", flush=True)


    def skip(self, name, reason):
        with self.lock:
            self.skipped += 1
            print(f"skip  {name:<48}           {reason}", flush=True)

    def close(self, seconds):
        """The slowest tests, then the total."""
        print(f"the slowest of {len(self.times)}, which took {round(sum(taken for taken, _ in self.times))} s:")
        for taken, name in sorted(self.times, reverse=True)[:SLOWEST]:
            print(f"      {name:<48} {taken:6.1f} s")
        print(f"all took {round(seconds) // 60} min {round(seconds) % 60} s")
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)


def wait(process, limit):
    """Its output. The limit is that of an idle machine; raises TimeoutExpired."""
    started = time.monotonic()
    while True:
        try:
            return process.communicate(timeout=limit)[0]
        except subprocess.TimeoutExpired:
            if time.monotonic() - started >= limit * load.stretch():
                raise


def execute(command, limit):
    """(exit status or None when out of time, output, seconds)."""
    started = time.monotonic()
    # A group of its own: a test that hangs is ended with all that it started.
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=build_environment(), start_new_session=True) as process:
        try:
            output, status = wait(process, limit), process.returncode
        except subprocess.TimeoutExpired:
            # tools/run ends its QEMU on SIGTERM; what is deaf to that is killed.
            os.killpg(process.pid, signal.SIGTERM)
            try:
                output = process.communicate(timeout=10)[0]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output = process.communicate()[0]
            status = None
    return status, output.decode("utf-8", "replace"), time.monotonic() - started


def make(*arguments):
    return execute(["make", f"-j{os.cpu_count() or 1}", f"BUILD={BUILD}", *arguments], 1800)


def host_test(path, report):
    name = os.path.relpath(path, build_path("host", "tests"))
    if not os.path.exists(path):
        report.add(name, "not built", 0)
        return
    status, output, seconds = execute([path], HOST_LIMIT)
    cases = re.search(r"^\[=+\] (?:\S+: )?(\d+) test\(s\) run", output, re.MULTILINE)
    reason = None if status == 0 else "out of time" if status is None else f"exit status {status}"
    report.add(name, reason, seconds, f"  {cases.group(1)} cases" if cases else "", output)


def read_log(path):
    """What the test's machine has logged; "" if it had none."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return "\n" + file.read().replace("\r", "")


def run_test(test, limit):
    """(why it failed or None, something to say, why it is to be run again or None, seconds, output)"""
    log = build_path("log", "test-" + re.sub(r"\W+", "-", test.name) + ".log")
    if os.path.exists(log):
        os.remove(log)
    command = [word.replace("{log}", log).replace("{build}", BUILD) for word in test.command]
    status, output, seconds = execute(command, limit)
    whole = output + read_log(log)
    detail = ""
    if status != test.status:
        reason = "out of time" if status is None else f"exit status {status}, expected {test.status}"
    elif test.output and not re.search(test.output, output, re.MULTILINE):
        reason = f"its output lacks '{test.output}'"
    else:
        reason = test.check(whole) if test.check else None
        if isinstance(reason, tuple):  # nothing is wrong, but there is something to say
            reason, detail = None, "  " + reason[0]
    return reason, detail, test.again(whole) if reason and test.again else None, seconds, output


def system_test(test, report, limit=SYSTEM_LIMIT):
    lost = []
    while True:
        reason, detail, again, seconds, output = run_test(test, limit)
        if not again or len(lost) == RUNS_MORE:
            break
        lost.append(again)
    report.add(test.name, reason, seconds, detail + "".join(f"  again: {why}" for why in lost), output)


def slow_test(test, report):
    system_test(test, report, SLOW_LIMIT)


def without_unavailable(report, jobs):
    """The jobs but for those that need the second QEMU, if it cannot be had."""
    needing = [job for job in jobs if getattr(job[1], "command", []) and "backports" in job[1].command]
    if not needing or execute(["tools/backports"], 600)[0] == 0:
        return jobs
    for _, test in needing:
        report.skip(test.name, "the backports with the second QEMU cannot be reached")
    return [job for job in jobs if job not in needing]


def takes_all(job):
    """Whether it runs an emulator with a thread for each of two CPUs: beside another test both would come late."""
    command = getattr(job[1], "command", [])
    return "--smp" in command and not any("bochs" in word for word in command)


def mutant_test(mutant, report):
    reason, detail, seconds = mutants.run(mutant)
    report.add(f"mutant: {mutant.name}", reason, seconds, "  " + detail)


def build(report, name, *targets):
    """A build is a test too: the sources must be clean under the compiler."""
    status, output, seconds = make("-k", *targets)
    report.add(name, None if status == 0 else "the build failed", seconds, "", output)
    return status == 0


def system_tests():
    specification = importlib.util.spec_from_file_location("system", os.path.join(ROOT, "tests", "system.py"))
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def prepare_system(report):
    """What the system tests boot; False when there is no point in booting."""
    if not build(report, "build (gcc)" if "clang" not in os.environ.get("CC", "") else "build", "all"):
        return False
    build(report, "build (clang)", "all", "CC=clang", f"BUILD={build_path('clang')}")
    status, output, seconds = execute(["tools/guest", "--small"], 1200)
    report.add("guest: kernel and initramfs", None if status == 0 else "failed", seconds, "", output)
    for scenario in ("linux", "ktest"):
        status, output, seconds = execute(["tools/iso", "--no-build", scenario], 300)
        report.add(f"iso of {scenario}", None if status == 0 else "failed", seconds, "", output)
    return True


def boot_jobs(report, wanted):
    """[(function, its argument)], of all system tests; the guest is there already."""
    status, output, seconds = make("all")
    if status != 0:
        report.add("build", "the build failed", seconds, "", output)
        return []
    module = system_tests()
    module.prepare(BUILD)
    return [(system_test, test) for test in module.TESTS + module.SLOW_TESTS if wanted.search(test.name)]


def long_jobs(report, wanted, night):
    """[(function, its argument)]"""
    if not build(report, "build", "all"):
        return []
    status, output, seconds = execute(["tools/guest", "--small"], 1200)
    report.add("guest: kernel and initramfs", None if status == 0 else "failed", seconds, "", output)
    if status:
        return []
    system_tests().prepare(BUILD)
    tests = system_tests().NIGHT_TESTS if night else system_tests().SLOW_TESTS
    jobs = [(slow_test, test) for test in tests if wanted.search(test.name)]
    if night:
        jobs += [(mutant_test, mutant) for mutant in mutants.read() if wanted.search(f"mutant: {mutant.name}")]
    return jobs


def all_jobs(report, wanted, host):
    """[(function, its argument)]"""
    build(report, "build of the host tests", "host-tests")
    programs = make("-s", "list-host-tests")[1].split()
    jobs = [(host_test, path) for path in programs if wanted.search(path)]
    if not host and prepare_system(report):
        module = system_tests()
        try:
            module.prepare(BUILD)
        except OSError as error:
            report.add("files of the tests", str(error), 0)
        jobs += [(system_test, test) for test in module.TESTS if wanted.search(test.name)]
    return jobs


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--host", action="store_true", help="host unit tests only")
    kind.add_argument("--boot", action="store_true", help="system tests only, slow ones too, with what gcc builds")
    kind.add_argument("--slow", action="store_true", help="the slow tests")
    kind.add_argument("--night", action="store_true", help="the longest, and the mutants")
    parser.add_argument("pattern", nargs="?", default="", help="regular expression: only tests whose name matches")
    options = parser.parse_args()
    os.chdir(ROOT)
    report = Report()
    wanted = re.compile(options.pattern)
    started = time.monotonic()
    if options.slow or options.night:
        jobs = long_jobs(report, wanted, options.night)
    else:
        jobs = boot_jobs(report, wanted) if options.boot else all_jobs(report, wanted, options.host)
    jobs = without_unavailable(report, jobs)
    for job, argument in filter(takes_all, jobs):
        job(argument, report)
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        for future in [pool.submit(job, argument, report) for job, argument in jobs if not takes_all((job, argument))]:
            future.result()

    report.close(time.monotonic() - started)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
