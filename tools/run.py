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
from ends import Ends
from machine import EMULATORS, MACHINES, Keyboard, Machine, disk_arguments, qemu_arguments
from scenario import BUILD, ROOT, Refused, Scenario, build_environment, build_path, check_scenario, refuse

PROMPT = "# $"
READY = "guest: ready"
EXITS = r"\d+ exits: "
REPORT = r"\] report {}: \d+ lines"
LOG_TAIL = 40
# Seconds of silence after an unfinished line, by which a guest is taken to wait for input; and without one.
PROMPT_QUIET, QUIET = 0.3, 5.0
# How long the log may go on after a line that ends the scenario: its neighbours say more.
LAST_WORDS = 0.5

EPILOG = r"""
Patterns are Python regular expressions, searched line by line in the log and in the terminal's output.

  --type TEXT types TEXT into COM2, the first guest's terminal. \n, \t, \\ and \xHH are understood. It waits until the
  pattern of the --after before it is seen in the terminal's output ('log:REGEX': in the log), where only what came since
  the text before counts. Without --after a text waits for a shell's prompt ('# '), the first one for 'guest: ready' and
  then the prompt. --until counts from the last text on.

    tools/run linux --headless --type 'uname -r\n' --until '^6\.'
    tools/run linux --headless --after 'guest: ready' --type 'reboot -f\n' --after 'guest: ready' --type 'poweroff -f\n'

  --terminal N makes what follows it go to the N-th guest's terminal (COM3, COM4) instead of the first's, in scenarios
  with several of them (<run terminals="2"/>). --until looks at all. The terminals' output is in LOG.terminal,
  LOG.terminal2 and so on.

    tools/run two-linux --headless --type 'echo first\n' --terminal 2 --type 'echo second\n' --until '^second'

  --guest-memory MIB replaces the memory attribute of every <vm> in the configuration handed to core (the file in
  scenarios/ stays as it is), and gives the machine 384 MiB more than that unless --memory says otherwise.

  --vcpus N gives every guest N virtual CPUs in the same way; they run on the machine's CPUs (--smp) as far as the scenario
  grants them (<start cpus=...>).

    tools/run linux --smp 2 --vcpus 4 --headless --until 'guest: ready'

  --exits has the monitors log how often their guests exited, by reason, as soon as they print 'guest: ready'; they
  always do at a guest's end. With --headless it is waited for unless --until says otherwise.

    tools/run linux --headless --exits

  --report NAME has report_rom show the report of this label (doc/report.md) and prints the last one when the run ends: with
  --headless as soon as there is one, unless --until says otherwise.

    tools/run report --headless --report inner

Without --until, the user's terminal is connected to the first guest (or to that of the last --terminal) until the machine
is powered off or Ctrl-] is typed. Standard output then carries this guest's terminal only; the log is in its file. What is
typed before the guest waits for input is kept and sent when it does. A scenario without terminals shows its log instead.

A scenario is looked at before it boots, as by tools/check. The run ends as soon as no more can come: when kernel, core or
init have said their last, when a component fails and is not started again (not with <run failures="expected"/> in the
scenario), or when all have ended. --unchecked leaves it to the system to find what is wrong; with --faulty the run also goes
on when components fail, for scenarios that are wrong on purpose.

  Machines in Bochs boot from a CD by GRUB; with some 100 million instructions a second all takes its time.

Exit status:
  0  the pattern was seen; without --until: the machine ended in order, or the user quit
  1  the pattern was not seen in time, or the machine ended before; the last lines of the log are printed.
     Also when the build failed or a package could not be installed
  2  bad arguments or a bad scenario: a line for each fault. Nothing was started, or init or a component has refused its
     part of the configuration
"""


class OneLineParser(argparse.ArgumentParser):
    """Bad arguments are answered by one line."""

    def error(self, message):
        refuse(f"{message} (see tools/run --help)")


class Type(argparse.Action):
    """--after, --type and --terminal, in the order in which they were given: [(terminal, pattern or None, text)]."""

    def __call__(self, parser, namespace, value, option=None):
        if option == "--after":
            if namespace.after is not None:
                raise argparse.ArgumentError(None, "--after must be followed by --type")
            namespace.after = value
        elif option == "--terminal":
            if namespace.after is not None:
                raise argparse.ArgumentError(None, "--after must be followed by --type")
            namespace.terminal = value
        else:
            namespace.type = (namespace.type or []) + [(namespace.terminal, namespace.after, value)]
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
                        help="give up after so long, not counting what other work on the build machine took "
                        "(default 240; none when connected to the terminal)")
    parser.add_argument("--type", metavar="TEXT", action=Type, help="type into the first guest; may be repeated")
    parser.add_argument("--after", metavar="REGEX", action=Type, type=after, help="what the next --type waits for")
    parser.add_argument("--terminal", metavar="N", action=Type, type=number(1, 3), default=1,
                        help="the guest that is typed into from here on")
    parser.add_argument("--smp", metavar="N", type=number(1, 256), default=1, help="CPUs of the machine")
    parser.add_argument("--vcpus", metavar="N", type=number(1, 8), help="virtual CPUs of every guest; see below")
    parser.add_argument("--machine", metavar="NAME", default="pc", help=", ".join(MACHINES) + " (default pc); in Bochs: " + ", ".join(bochs.MACHINES))
    parser.add_argument("--emulator", choices=EMULATORS, default="stock",
                        help="which QEMU: Debian's, or that of its backports, which is fetched into the build folder (default stock)")
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
    parser.add_argument("--exits", action="store_true", help="count the guests' exits by reason; see below")
    parser.add_argument("--report", metavar="NAME", help="print what a component reports; see below")
    parser.add_argument("--unchecked", action="store_true", help="do not look at the scenario first; see below")
    parser.add_argument("--faulty", action="store_true", help="unchecked, and components may fail; see below")
    parser.add_argument("--no-build", action="store_true", help="boot what is built already")
    parser.add_argument("--qemu", metavar="WORD", action="append", default=[],
                        help="one more word for QEMU's command line; may be repeated (--qemu=-trace --qemu=...)")
    parser.add_argument("--bochs", metavar="COMMAND", action="append", default=[], dest="bochs_commands",
                        help="a command for Bochs's debugger before the machine runs; may be repeated")
    parser.add_argument("--print", action="store_true", dest="print_only", help="print QEMU's command line and end")
    options = parser.parse_args(arguments)
    if options.after is not None:
        parser.error("--after must be followed by --type")
    if options.smp != 1 and options.deterministic:
        refuse(f"--smp {options.smp}: counted instructions make a time for one CPU only")
    machines = (*MACHINES, *bochs.MACHINES)
    if options.machine not in machines:
        refuse(f"--machine {options.machine}: unknown; there are {', '.join(machines)}")
    options.bochs = options.machine in bochs.MACHINES
    if options.bochs and (options.iso or options.deterministic or options.gdb or options.print_only):
        refuse(f"--machine {options.machine} boots a CD of its own in Bochs: no --iso, --deterministic, --gdb, --print")
    if options.bochs and options.emulator != "stock":
        refuse(f"--emulator {options.emulator}: --machine {options.machine} is one of Bochs")
    if options.bochs_commands and not options.bochs:
        refuse(f"--bochs: --machine {options.machine} is not one of Bochs")
    if options.iso and (options.config or options.guest_memory or options.vcpus or options.exits or options.report):
        refuse("--iso boots the image as it is: --config, --guest-memory, --vcpus, --exits and --report cannot be combined with it")
    if (options.exits or options.report) and options.config:
        refuse("--exits and --report change the scenario's configuration: --config cannot be combined with them")
    if options.exits and options.headless and options.until is None:
        options.until = re.compile(EXITS)
    if options.report and options.headless and options.until is None:
        options.until = re.compile(REPORT.format(re.escape(options.report)))
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


def configure(scenario, options):
    """options.config and options.memory as the machine needs them, with what --guest-memory and the like change."""
    highest = max([options.terminal, *(terminal for terminal, _, _ in options.type or [])])
    if highest > scenario.terminals:
        raise Refused(f"--terminal {highest}: {scenario.path} has {scenario.terminals} (<run terminals=...>)")
    if options.guest_memory or options.vcpus or options.exits or options.report:
        if options.guest_memory:
            scenario.text = scenario.config_with_guest_memory(options.guest_memory)
        if options.vcpus:
            scenario.text = scenario.config_with_vcpus(options.vcpus)
        if options.exits:
            scenario.text = scenario.config_with_exits(READY)
        if options.report:
            scenario.text = scenario.config_with_report(options.report)
        options.config = build_path("run", scenario.name + (f"-{options.guest_memory}M" if options.guest_memory else "")
                                    + (f"-{options.vcpus}cpus" if options.vcpus else "")
                                    + ("-exits" if options.exits else "") + ("-report" if options.report else "") + ".xml")
        os.makedirs(os.path.dirname(options.config), exist_ok=True)
        temporary = f"{options.config}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(scenario.text)
        os.replace(temporary, options.config)
    if options.memory is None:
        options.memory = max(scenario.memory, (options.guest_memory or 0) + 384 if options.guest_memory else 0)


def look_at(scenario, options):
    """Ends the program if tools/check finds something, in the configuration that core is to be handed."""
    if not options.faulty and not options.unchecked:
        check_scenario(scenario, options.config, options.memory)


def build(scenario, options):
    with build_lock():
        command("tools/bootstrap")
        command("make", "-s", "check", "QUIET=1", f"BUILD={BUILD}")
        look_at(scenario, options)
        groups = ["backports"] if options.emulator == "backports" else []
        groups += ["disk"] if "--small" in scenario.guest_options() else []
        command("tools/bootstrap", *groups, *(["iso"] if options.iso else ["iso", "bochs"] if options.bochs else []))
        programs = [scenario.root, *(file for _, file in scenario.modules if "/" not in file and ":" not in file)]
        print("donjon: building", file=sys.stderr)
        command("make", "-s", f"-j{os.cpu_count() or 1}", "scenario", "QUIET=1", f"BUILD={BUILD}", f"PROGRAMS={' '.join(programs)}")
        if scenario.needs_guest():
            command("tools/guest", *scenario.guest_options())
        if options.iso:
            command("tools/iso", "--no-build", options.scenario)


def prepare(scenario, options):
    """Everything that the machine needs: (its class, the arguments)."""
    options.name = scenario.name
    kernel = build_path("kernel", "kernel.mb1")
    if not os.path.isfile(kernel):
        raise Refused(f"{kernel} does not exist: is there a kernel/?")
    if options.iso and not os.path.isfile(build_path(f"donjon-{scenario.name}.iso")):
        raise Refused(f"{build_path(f'donjon-{scenario.name}.iso')} does not exist: make it with tools/iso")
    modules = scenario.boot_modules(options.config)
    look_at(scenario, options)
    log = options.log or build_path("log", scenario.name + ".log")
    os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
    terminals = [log + ".terminal" + (str(number) if number > 1 else "") for number in range(1, scenario.terminals + 1)]
    if options.bochs:
        bochs.require()
        if options.memory > bochs.MEMORY_MAX:
            raise Refused(f"Bochs machines have at most {bochs.MEMORY_MAX} MiB of memory, not {options.memory}")
        if options.smp > bochs.CPUS_MAX:
            raise Refused(f"--smp {options.smp}: Bochs machines have at most {bochs.CPUS_MAX} CPUs")
        if len(terminals) > 1:
            raise Refused(f"Bochs machines have one terminal here, {scenario.path} has {len(terminals)}")
        image = os.path.abspath(log + ".iso")
        command("tools/iso", "--no-build", "--text", "--output", image, *(["--config", options.config] if options.config else []),
                options.scenario)
        return bochs.BochsMachine, (options, image, log, terminals)
    return Machine, (qemu_arguments(options, kernel, modules, scenario.append)
                     + disk_arguments(scenario.disks) + options.qemu, log, terminals)


def configured(scenario, options):
    """The scenario that core's configuration makes; None when it cannot be read."""
    if options.config is None:
        return scenario
    try:
        return Scenario(os.path.join(".", options.config))
    except Refused:
        return None


class Session:
    """One boot: what is still to be typed, what is waited for, and who listens."""

    def __init__(self, machine, options, scenario):
        self.machine, self.options = machine, options
        self.until = options.until
        self.connected = machine.terminals[options.terminal - 1]
        self.texts = []
        for number, after, text in options.type or []:
            terminal = machine.terminals[number - 1]
            if after is None and all(terminal is not known for known, _, _, _ in self.texts):
                self.texts.append((terminal, terminal, re.compile(READY), b""))
            line = machine.log if (after or "").startswith("log:") else terminal
            wanted = re.compile(after.removeprefix("log:") if after else PROMPT)
            self.texts.append((terminal, line, wanted, unescape(text)))
        self.interactive = not options.headless and self.until is None
        self.seen = None
        # A scenario without a terminal has only its log to show.
        self.shown = machine.log if self.interactive and not scenario.clients else self.connected
        self.ends = Ends(configured(scenario, options), options.config or scenario.path,
                         scenario.expects_failures or options.faulty, self.until is None and not self.texts)
        self.ends_at = None
        self.held, self.is_ready, self.spoke_at = b"", False, None

    def limit(self):
        if self.options.gdb:
            return None
        return self.options.timeout or (None if self.interactive else 240)

    def advance(self):
        """Acts on what the machine has said. True when the pattern has been seen."""
        log = self.machine.log
        while self.texts:
            terminal, line, wanted, data = self.texts[0]
            found = line.search(wanted)
            if found is None:
                break
            log.skip(found[1] if line is log else len(log.pending))
            if line is terminal:
                terminal.skip(found[1])
            terminal.send(data)
            if self.options.headless and data:
                print(f"donjon: typed after {self.machine.elapsed():.1f} s: {data!r}", file=sys.stderr)
            self.texts.pop(0)
        if not self.texts and self.until is not None:
            line = self.until_line()
            if line is not None:
                self.seen = line.search(self.until)[0]
                return True
        # What a terminal has said while another one is waited for is kept for the text that waits for it.
        waited = [line for _, line, _, _ in self.texts[1:]]
        for line in self.machine.lines:
            if line is log or not self.texts or line is self.texts[0][1] or line not in waited:
                line.skip_lines()
        return False

    def until_line(self):
        """The line on which the pattern is seen, or None."""
        return next((line for line in [*self.machine.terminals, self.machine.log] if line.search(self.until)), None)

    def finish_line(self):
        """Waits a moment for the rest of the line that the pattern was seen in, so as to print it whole."""
        line = self.until_line()
        deadline = self.machine.elapsed() + 1.0
        start = line.search(self.until)[1]
        while "\n" not in line.pending[start:]:
            left = deadline - self.machine.elapsed()
            if left <= 0 or self.machine.ended():
                break
            for source, data in self.machine.read(left):
                self.take(source, data)
        found = line.search(self.until)
        self.seen = found[0] if found else self.seen

    def show(self, data):
        if not self.options.headless:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def send_held(self):
        """Sends what the user has typed as soon as the guest waits for it: what comes before, its kernel throws away."""
        if not self.is_ready and self.spoke_at is not None:
            quiet = self.machine.elapsed() - self.spoke_at
            self.is_ready = quiet > (PROMPT_QUIET if self.connected.pending.strip() else QUIET)
        if self.is_ready and self.held:
            self.connected.send(self.held)
            self.held = b""

    def take(self, source, data):
        """What the machine has said on a line."""
        if source is self.shown:
            self.show(data)
        if source is self.connected:
            self.spoke_at = self.machine.elapsed()
        if source is self.machine.log:
            self.ends.feed(data)
            if self.ends.reason and self.ends_at is None:
                self.ends_at = self.machine.elapsed() + LAST_WORDS

    def left(self, limit):
        """Seconds until something is to be done though nothing comes."""
        left = 3600.0
        if limit is not None:
            left = limit + self.machine.waited - self.machine.elapsed()
            if left <= 0:
                left = limit + self.machine.hindered() - self.machine.elapsed()
        if self.ends_at is not None:
            left = min(left, self.ends_at - self.machine.elapsed())
        return min(left, PROMPT_QUIET) if self.held else left

    def run(self, keyboard):
        """Until the pattern is seen, the machine or the scenario ends, the user quits or the time is over: the reason's name."""
        machine, limit = self.machine, self.limit()
        keys = [keyboard.descriptor] if keyboard else []
        while not machine.ended():
            left = self.left(limit)
            if left <= 0:
                return "over" if self.ends_at is not None else "timeout"
            for source, data in machine.read(left, keys):
                if source in keys:
                    typed = keyboard.read()
                    if typed is None:
                        return "quit"
                    if not typed:
                        keys = []
                    self.held += typed
                else:
                    self.take(source, data)
            if self.advance():
                self.finish_line()
                return "seen"
            self.send_held()
        return "ended"


def print_tail(machine):
    print(f"--- last lines of the log ({machine.log.path})", file=sys.stderr)
    print("\n".join(machine.log.tail(LOG_TAIL)) or "(empty)", file=sys.stderr)
    for line in machine.terminals:
        tail = line.tail(10)
        if tail:
            print(f"--- last lines of the terminal ({line.path})\n" + "\n".join(tail), file=sys.stderr)


def print_report(label, path):
    """The last report that is whole, on standard output: report_rom shows each line, and at the end how many they were."""
    shown = re.compile(r"\] report " + re.escape(label) + r"(?:([|+]) (.*)|: (\d+) lines)$")
    lines, last = [], None
    with open(path, encoding="utf-8", errors="replace") as file:
        for found in filter(None, (shown.search(line.rstrip("\r\n")) for line in file)):
            if found[3] is None:
                lines.append(found[2] + ("" if found[1] == "+" else "\n"))
                continue
            last = "".join(lines) if len(lines) == int(found[3]) else last
            lines = []
    if last is None:
        print(f"donjon: nothing was reported as '{label}'", file=sys.stderr)
    else:
        print(last, end="", flush=True)


def verdict(session, reason):
    """Prints how it went and returns the exit status."""
    machine, options = session.machine, session.options
    status = machine.stop()
    spent = f"{machine.elapsed():.1f} s, {machine.cpu_seconds:.1f} s of CPU time"
    if reason == "seen":
        print(f"donjon: seen after {spent}: {session.seen.strip()}", file=sys.stderr)
        return 0
    if reason == "quit":
        return 0
    if reason == "over" or (reason == "ended" and session.ends.status):
        if options.headless:
            print_tail(machine)
        waited = session.texts[0][2] if session.texts else options.until
        if waited:
            print(f"donjon: '{waited.pattern}' not seen after {spent}", file=sys.stderr)
        print(f"donjon: {session.ends.reason}", file=sys.stderr)
        return session.ends.status
    reset = reason == "ended" and machine.was_reset()
    if reason == "ended" and options.until is None and not session.texts and machine.is_orderly() and not reset:
        print(f"donjon: the machine has powered off after {spent}", file=sys.stderr)
        return 0
    print_tail(machine)
    waited = session.texts[0][2] if session.texts else options.until
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
        configure(scenario, options)
        if not options.no_build:
            build(scenario, options)
        kind, arguments = prepare(scenario, options)
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
        session = Session(machine, options, scenario)
        if session.interactive:
            where = "the log follows and is" if session.shown is machine.log else "log"
            print(f"donjon: {where} in {machine.log.path}; Ctrl-] quits", file=sys.stderr)
        if options.gdb:
            print(f"donjon: gdb {build_path('kernel', 'kernel.elf')} -ex 'target remote :1234'", file=sys.stderr)
        with Keyboard() if session.interactive else contextlib.nullcontext() as keyboard:
            reason = session.run(keyboard)
        status = verdict(session, reason)
        if options.report:
            print_report(options.report, machine.log.path)
        return status
    finally:
        machine.stop()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(1)
