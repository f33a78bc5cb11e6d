# SPDX-License-Identifier: ISC
"""tools/run: boots a scenario in QEMU or Bochs, waits for a pattern or connects the user's terminal to the first guest."""

import argparse
import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys

import bochs
from machine import Keyboard, Machine, qemu_arguments
from scenario import BUILD, ROOT, Refused, Scenario, build_environment, build_path, refuse

PROMPT = "# $"
READY = "guest: ready"
LOG_TAIL = 40

EPILOG = r"""
Patterns are Python regular expressions, searched line by line in the log and in the terminal's output.

  --type TEXT types TEXT into COM2, the first guest's terminal. \n, \t, \\ and \xHH are understood. It waits until the
  pattern of the --after before it is seen in the terminal's output ('log:REGEX': in the log), where only what came since
  the text before counts. Without --after a text waits for a shell's prompt ('# '), the first one for 'guest: ready' and
  then the prompt. --until counts from the last text on.

    tools/run linux --headless --type 'uname -r\n' --until '^6\.'
    tools/run linux --headless --after 'guest: ready' --type 'reboot -f\n' --after 'guest: ready' --type 'poweroff -f\n'

  --guest-memory MIB replaces the memory attribute of every <vm> in the configuration handed to core (the file in
  scenarios/ stays as it is), and gives the machine 384 MiB more than that unless --memory says otherwise.

Without --until, the terminal is connected to the first guest until it powers the machine off or Ctrl-] is typed.
Standard output then carries the guest's terminal only; the log is in its file.

  Machines in Bochs boot from a CD by GRUB; with some 100 million instructions a second all takes its time.

Exit status:
  0  the pattern was seen; without --until: the machine ended in order, or the user quit
  1  the pattern was not seen in time, or the machine ended before; the last lines of the log are printed.
     Also when the build failed or a package could not be installed
  2  bad arguments or a bad scenario: one line says what is wrong. Nothing was started
"""


class OneLineParser(argparse.ArgumentParser):
    """Bad arguments are answered by one line."""

    def error(self, message):
        refuse(f"{message} (see tools/run --help)")


class Type(argparse.Action):
    """--after and --type, in the order in which they were given: [(pattern or None, text)]."""

    def __call__(self, parser, namespace, value, option=None):
        if option == "--after":
            if namespace.after is not None:
                raise argparse.ArgumentError(None, "--after must be followed by --type")
            namespace.after = value
        else:
            namespace.type = (namespace.type or []) + [(namespace.after, value)]
            namespace.after = None


def unescape(text):
    """The bytes that a text given to --type stands for."""
    named = {"n": "\n", "t": "\t", "r": "\r", "e": "\x1b", "\\": "\\"}

    def replace(match):
        code = match.group(1)
        return chr(int(code[1:], 16)) if code[0] == "x" else named[code]

    return re.sub(r"\\(x[0-9a-fA-F]{2}|[ntre\\])", replace, text).encode()


def pattern(text):
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no regular expression: {error}") from None


def after(text):
    pattern(text.removeprefix("log:"))
    return text


def number(low, high):
    def convert(text):
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"expected a number from {low} to {high}, not '{text}'")
        return int(text)

    return convert


def parse_arguments(arguments):
    parser = OneLineParser(prog="tools/run", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
                           description="Builds what is missing and boots scenarios/SCENARIO.xml in QEMU or Bochs.",
                           allow_abbrev=False)
    parser.add_argument("scenario", metavar="SCENARIO", help="name in scenarios/, or the path of an .xml file")
    parser.add_argument("--headless", action="store_true", help="print progress and verdict only; read no keys")
    parser.add_argument("--until", metavar="REGEX", type=pattern, help="end with 0 as soon as this is seen")
    parser.add_argument("--timeout", metavar="SECONDS", type=number(1, 86400),
                        help="give up after so long (default 240; none when connected to the terminal)")
    parser.add_argument("--type", metavar="TEXT", action=Type, help="type into the first guest; may be repeated")
    parser.add_argument("--after", metavar="REGEX", action=Type, type=after, help="what the next --type waits for")
    parser.add_argument("--smp", metavar="N", type=number(1, 256), default=1, help="CPUs of the machine; 1 for now")
    parser.add_argument("--machine", metavar="NAME", default="pc", help="pc (default), q35; in Bochs: " + ", ".join(bochs.MACHINES))
    parser.add_argument("--cpu", metavar="MODEL", help="the emulator's name of the processor; QEMU's with features: 'EPYC,-svm'")
    parser.add_argument("--memory", metavar="MIB", type=number(16, 1 << 20),
                        help="the machine's memory (default: the scenario's <run memory=...>, or 1024)")
    parser.add_argument("--guest-memory", metavar="MIB", type=number(1, 1 << 20), help="the guest's memory; see below")
    parser.add_argument("--log", metavar="FILE", help="where the log goes (default build/log/SCENARIO.log); "
                        "the terminal's output goes to FILE.terminal")
    parser.add_argument("--config", metavar="FILE", help="hand this file to core as configuration, not the scenario's")
    parser.add_argument("--iso", choices=("bios", "uefi"), help="boot the ISO image (see tools/iso) by this firmware")
    parser.add_argument("--deterministic", action="store_true",
                        help="count instructions for time: every run the same, for benchmarks")
    parser.add_argument("--gdb", action="store_true", help="wait for gdb (target remote :1234); no time limit")
    parser.add_argument("--no-build", action="store_true", help="boot what is built already")
    parser.add_argument("--print", action="store_true", dest="print_only", help="print QEMU's command line and end")
    options = parser.parse_args(arguments)
    if options.after is not None:
        parser.error("--after must be followed by --type")
    if options.smp != 1:
        refuse(f"--smp {options.smp}: a later version brings more than one CPU")
    machines = ("pc", "q35", *bochs.MACHINES)
    if options.machine not in machines:
        refuse(f"--machine {options.machine}: unknown; there are {', '.join(machines)}")
    options.bochs = options.machine in bochs.MACHINES
    if options.bochs and (options.iso or options.deterministic or options.gdb or options.print_only):
        refuse(f"--machine {options.machine} boots a CD of its own in Bochs: no --iso, --deterministic, --gdb, --print")
    if options.iso and (options.config or options.guest_memory):
        refuse("--iso boots the image as it is: --config and --guest-memory cannot be combined with it")
    return options


@contextlib.contextmanager
def build_lock():
    """One build at a time in one build folder: tests run several of us."""
    os.makedirs(BUILD, exist_ok=True)
    with open(build_path(".lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def command(*arguments):
    """Runs a step of the build, its output on standard error: standard output is the guest's."""
    if subprocess.run(arguments, stdout=sys.stderr, env=build_environment(), check=False).returncode:
        print(f"donjon: failed: {' '.join(arguments)}", file=sys.stderr)
        sys.exit(1)


def build(scenario, options):
    with build_lock():
        command("tools/bootstrap", *(["iso"] if options.iso else ["iso", "bochs"] if options.bochs else []))
        command("make", "-s", f"-j{os.cpu_count() or 1}", "all", f"BUILD={BUILD}")
        if scenario.needs_guest():
            command("tools/guest")
        if options.iso:
            command("tools/iso", "--no-build", options.scenario)


def prepare(scenario, options):
    """Everything that the machine needs: (its class, the arguments)."""
    options.name = scenario.name
    config = options.config
    if options.guest_memory:
        text = scenario.config_with_guest_memory(options.guest_memory)
        config = build_path("run", f"{scenario.name}-{options.guest_memory}M.xml")
        os.makedirs(os.path.dirname(config), exist_ok=True)
        temporary = f"{config}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, config)
    if options.memory is None:
        options.memory = max(scenario.memory, (options.guest_memory or 0) + 384 if options.guest_memory else 0)
    kernel = build_path("kernel", "kernel.mb1")
    if not os.path.isfile(kernel):
        raise Refused(f"{kernel} does not exist: is there a kernel/?")
    if options.iso and not os.path.isfile(build_path(f"donjon-{scenario.name}.iso")):
        raise Refused(f"{build_path(f'donjon-{scenario.name}.iso')} does not exist: make it with tools/iso")
    modules = scenario.boot_modules(config)
    log = options.log or build_path("log", scenario.name + ".log")
    os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
    if options.bochs:
        bochs.require()
        if options.memory > bochs.MEMORY_MAX:
            raise Refused(f"Bochs machines have at most {bochs.MEMORY_MAX} MiB of memory, not {options.memory}")
        image = os.path.abspath(log + ".iso")
        command("tools/iso", "--no-build", "--text", "--output", image, *(["--config", config] if config else []),
                options.scenario)
        return bochs.BochsMachine, (options.machine, options.cpu, options.memory, image, log, log + ".terminal")
    return Machine, (qemu_arguments(options, kernel, modules, scenario.append), log, log + ".terminal")


class Session:
    """One boot: what is still to be typed, what is waited for, and who listens."""

    def __init__(self, machine, options):
        self.machine, self.options = machine, options
        self.until = options.until
        self.texts = []
        for after, text in options.type or []:
            if after is None and not self.texts:
                self.texts.append((machine.terminal, re.compile(READY), b""))
            line = machine.log if (after or "").startswith("log:") else machine.terminal
            self.texts.append((line, re.compile(after.removeprefix("log:") if after else PROMPT), unescape(text)))
        self.interactive = not options.headless and self.until is None
        self.seen = None

    def limit(self):
        if self.options.gdb:
            return None
        return self.options.timeout or (None if self.interactive else 240)

    def advance(self):
        """Acts on what the machine has said. True when the pattern has been seen."""
        log, terminal = self.machine.log, self.machine.terminal
        while self.texts:
            line, wanted, data = self.texts[0]
            found = line.search(wanted)
            if found is None:
                break
            log.skip(found[1] if line is log else len(log.pending))
            terminal.skip(found[1] if line is terminal else 0)
            self.machine.send(data)
            if self.options.headless:
                print(f"donjon: typed after {self.machine.elapsed():.1f} s: {data!r}", file=sys.stderr)
            self.texts.pop(0)
        if not self.texts and self.until is not None:
            found = terminal.search(self.until) or log.search(self.until)
            self.seen = found and found[0]
            if found:
                return True
        log.skip_lines()
        terminal.skip_lines()
        return False

    def finish_line(self):
        """Waits a moment for the rest of the line that the pattern was seen in, so as to print it whole."""
        line = self.machine.terminal if self.machine.terminal.search(self.until) else self.machine.log
        deadline = self.machine.elapsed() + 1.0
        start = line.search(self.until)[1]
        while "\n" not in line.pending[start:]:
            left = deadline - self.machine.elapsed()
            if left <= 0 or self.machine.ended():
                break
            for source, data in self.machine.read(left):
                if source is self.machine.terminal:
                    self.show(data)
        found = line.search(self.until)
        self.seen = found[0] if found else self.seen

    def show(self, data):
        if not self.options.headless:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def run(self, keyboard):
        """Until the pattern is seen, the machine ends, the user quits or the time is over: the reason's name."""
        machine, limit = self.machine, self.limit()
        keys = [keyboard.descriptor] if keyboard else []
        while not machine.ended():
            left = 3600.0 if limit is None else limit - machine.elapsed()
            if left <= 0:
                return "timeout"
            for source, data in machine.read(left, keys):
                if source in keys:
                    typed = keyboard.read()
                    if typed is None:
                        return "quit"
                    if not typed:
                        keys = []
                    machine.send(typed)
                elif source is machine.terminal:
                    self.show(data)
            if self.advance():
                self.finish_line()
                return "seen"
        return "ended"


def print_tail(machine, paths):
    log, terminal = machine.log.tail(LOG_TAIL), machine.terminal.tail(10)
    print(f"--- last lines of the log ({paths[0]})", file=sys.stderr)
    print("\n".join(log) or "(empty)", file=sys.stderr)
    if terminal:
        print(f"--- last lines of the terminal ({paths[1]})\n" + "\n".join(terminal), file=sys.stderr)


def verdict(session, reason, paths):
    """Prints how it went and returns the exit status."""
    machine, options = session.machine, session.options
    status = machine.stop()
    spent = f"{machine.elapsed():.1f} s, {machine.cpu_seconds:.1f} s of CPU time"
    if reason == "seen":
        print(f"donjon: seen after {spent}: {session.seen.strip()}", file=sys.stderr)
        return 0
    if reason == "quit":
        return 0
    reset = reason == "ended" and machine.was_reset()
    if reason == "ended" and options.until is None and not session.texts and machine.is_orderly() and not reset:
        print(f"donjon: the machine has powered off after {spent}", file=sys.stderr)
        return 0
    print_tail(machine, paths)
    waited = session.texts[0][1] if session.texts else options.until
    missing = f"'{waited.pattern}' not seen" if waited else "not over"
    if reason == "timeout":
        print(f"donjon: {missing} after {spent}", file=sys.stderr)
    else:
        complaint = machine.complaint()
        detail = f" ({complaint})" if complaint else ""
        how = "was reset, perhaps by a triple fault," if reset else f"ended with status {status}{detail}"
        print(f"donjon: the machine {how} after {spent}" + (f"; {missing}" if waited else ""), file=sys.stderr)
    return 1


def main():
    options = parse_arguments(sys.argv[1:])
    # Files named on the command line are the caller's, everything else is relative to the repository.
    for name in ("log", "config"):
        if getattr(options, name):
            setattr(options, name, os.path.relpath(getattr(options, name), ROOT))
    if "/" in options.scenario:
        options.scenario = os.path.relpath(options.scenario, ROOT)
    os.chdir(ROOT)
    try:
        scenario = Scenario(options.scenario)
        if options.config and not os.path.isfile(options.config):
            raise Refused(f"--config {options.config}: no such file")
        if not options.no_build:
            build(scenario, options)
        kind, arguments = prepare(scenario, options)
        paths = arguments[-2:]
    except Refused as error:
        refuse(error)
    if options.print_only:
        print(" ".join(f"'{word}'" if set(word) & set(" ,;") else word for word in arguments[0]))
        return 0
    # A killed run must not leave its QEMU behind, nor one whose terminal is gone; nohup ignores that.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: sys.exit(1))
    machine = kind(*arguments)
    try:
        session = Session(machine, options)
        if session.interactive:
            print(f"donjon: log in {paths[0]}; Ctrl-] quits", file=sys.stderr)
        if options.gdb:
            print(f"donjon: gdb {build_path('kernel', 'kernel.elf')} -ex 'target remote :1234'", file=sys.stderr)
        with Keyboard() if session.interactive else contextlib.nullcontext() as keyboard:
            reason = session.run(keyboard)
        return verdict(session, reason, paths)
    finally:
        machine.stop()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(1)
