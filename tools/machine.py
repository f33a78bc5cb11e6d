# SPDX-License-Identifier: ISC
"""A QEMU machine and its serial lines: COM1 carries the log, COM2 is the first guest's terminal, COM3 the second's.

QEMU emulates the CPU (TCG): /dev/kvm, where it exists, need not give SVM to a guest. The lines are socket pairs, so
nothing is polled and no name is left in the file system. The log is a pipe: of a socket's buffer each byte that QEMU writes
takes most of a kilobyte, and with the buffer full the emulated UART, and whoever polls it, waits for us to be scheduled.
"""

import codecs
import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import tty

import load
from scenario import ROOT, Refused, build_path

CTRL_BRACKET = b"\x1d"
ESCAPES = re.compile("\x1b\\[[0-9;?=]*[A-Za-z]|\x1b[()][A-B0-2]|\x1b[=>78]|\r|\0")
PIPE_BYTES = 1 << 20
DETERMINISTIC = ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01,clock=vm", "-seed", "1"]
FIRMWARE = "/usr/share/ovmf/OVMF.fd"
# Names of machines: QEMU's, and what else they have.
MACHINES = {"pc": [], "q35": [], "q35-amd-iommu": ["-device", "amd-iommu,intremap=on"],
            "q35-intel-iommu": ["-device", "intel-iommu,intremap=on,caching-mode=on"]}
# What the second QEMU (tools/backports) wants otherwise: its amd-iommu lets everything through unless told not to.
BACKPORTS_MACHINES = {**MACHINES, "q35-amd-iommu": ["-device", "amd-iommu,intremap=on,pt=off"]}
EMULATORS = ("stock", "backports")
# What a kernel under test writes to the exit device makes QEMU's status odd; 0x10 stands for an orderly end.
ORDERLY = (0, 0x10 << 1 | 1)
DISK_PATTERN = 0x9e3779b97f4a7c15
DISK_BYTES = 4 << 20


def emulator_arguments(emulator):
    """The first words of QEMU's command line: its program, and where that finds its firmware."""
    if emulator == "stock":
        return ["qemu-system-x86_64"]
    folder = build_path("backports", "root", "usr")
    if not os.path.isfile(os.path.join(ROOT, folder, "bin", "qemu-system-x86_64")):
        raise Refused(f"--emulator {emulator}: {folder} is not there: tools/bootstrap backports fetches it")
    return [os.path.join(folder, "bin", "qemu-system-x86_64"), "-L", os.path.join(folder, "share", "qemu"), "-L",
            os.path.join(folder, "share", "seabios")]


def qemu_arguments(options, kernel, modules, append):
    """The command line but for the serial lines. modules is [(name, path)], paths relative to ROOT."""
    machines = MACHINES if options.emulator == "stock" else BACKPORTS_MACHINES
    arguments = [*emulator_arguments(options.emulator), "-accel", "tcg", "-machine", options.machine.split("-")[0], "-m", str(options.memory)]
    cpu = options.cpu or "EPYC"
    arguments += ["-cpu", cpu + ",-rdrand" if options.deterministic else cpu, "-smp", str(options.smp)]
    arguments += ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none"]
    arguments += ["-device", "isa-debug-exit,iobase=0xf4", *machines[options.machine]]
    if options.deterministic:
        arguments += DETERMINISTIC
    if options.gdb:
        arguments += ["-s", "-S"]
    if options.iso:
        image = build_path(f"donjon-{options.name}.iso")
        arguments += ["-drive", f"if=none,id=cd,media=cdrom,readonly=on,format=raw,file={image}"]
        arguments += ["-device", "ide-cd,drive=cd,bootindex=0"]
        if options.iso == "uefi":
            arguments += ["-bios", FIRMWARE]
    else:
        arguments += ["-kernel", kernel, "-initrd", ",".join(f"{path} {name}" for name, path in modules)]
        if append:
            arguments += ["-append", append]
    return arguments


def make_disk(path):
    """A disk whose 64-bit words hold their number times a constant (tests/rogue), made anew unless it is as it should be."""
    wanted = b"".join((number * DISK_PATTERN & (1 << 64) - 1).to_bytes(8, "little") for number in range(DISK_BYTES // 8))
    try:
        with open(path, "rb") as file:
            if file.read() == wanted:
                return
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(wanted)
    os.replace(temporary, path)


def disk_arguments(count):
    """NVMe disks at 00:04.0 and the slots behind it; what is written to them goes with the machine."""
    arguments = []
    for number in range(count):
        path = build_path("run", "disk.img")
        make_disk(os.path.join(ROOT, path))
        arguments += ["-drive", f"if=none,id=disk{number},format=raw,snapshot=on,file={path}"]
        arguments += ["-device", f"nvme,drive=disk{number},serial=donjon{number},addr={4 + number}"]
    return arguments


class Line:
    """One serial line: our end, the file that keeps what it said, and the text still to be searched."""

    def __init__(self, path, ours):
        self.ours = ours
        self.path = path
        self.file = open(path, "wb", buffering=0)
        self.open = True
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.escape = ""
        self.pending = ""

    def read(self):
        """Takes what has come and returns it; b"" when the machine has hung up."""
        try:
            data = os.read(self.ours.fileno(), 65536)
        except OSError:  # of a pseudo-terminal, whose other end has gone: EIO
            data = b""
        if not data:
            self.open = False
            return b""
        self.file.write(data)
        # An escape sequence may be cut at the end: it waits for its rest.
        text = self.escape + self.decoder.decode(data)
        cut = text.rfind("\x1b", max(0, len(text) - 16))
        cut = len(text) if cut < 0 or ESCAPES.match(text, cut) else cut
        self.pending += ESCAPES.sub("", text[:cut])
        self.escape = text[cut:]
        return data

    def search(self, pattern):
        """Searches line by line; (the line found in, the offset of its rest in pending) or None."""
        start = 0
        for line in self.pending.split("\n"):
            match = pattern.search(line)
            if match:
                return line, start + match.end()
            start += len(line) + 1
        return None

    def skip(self, offset):
        """Forgets the text up to offset."""
        self.pending = self.pending[offset:]

    def send(self, data):
        try:
            self.ours.sendall(data)
        except ConnectionError:
            pass

    def skip_lines(self):
        """Forgets complete lines: they have been searched."""
        self.skip(self.pending.rfind("\n") + 1)

    def tail(self, count):
        with open(self.path, "rb") as file:
            text = ESCAPES.sub("", file.read().decode("utf-8", "replace"))
        return text.rstrip("\n").split("\n")[-count:] if text.strip() else []


class QemuLine(Line):
    """One of QEMU's, with QEMU's end of it."""

    def __init__(self, path, output_only=False):
        if output_only:
            ours, theirs = os.pipe()
            fcntl.fcntl(ours, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            ours, self.theirs = open(ours, "rb", buffering=0), open(theirs, "wb", buffering=0)
        else:
            ours, self.theirs = socket.socketpair()
        self.output_only = output_only
        super().__init__(path, ours)

    def arguments(self, name):
        """QEMU's, for a character device of this name."""
        end = self.theirs.fileno()
        if self.output_only:
            return ["-add-fd", f"fd={end},set={end}", "-chardev", f"file,id={name},append=on,path=/dev/fdset/{end}"]
        return ["-chardev", f"socket,id={name},fd={end}"]


class Machine:
    """A running emulator, here QEMU. status is None until it has ended; cpu_seconds is known then."""

    def __init__(self, arguments, log_path, terminal_paths):
        self.log, self.terminals = QemuLine(log_path, output_only=True), [QemuLine(path) for path in terminal_paths]
        self.lines = [self.log, *self.terminals]
        self.monitor, monitor = socket.socketpair()
        for number, line in enumerate(self.lines, start=1):
            arguments = arguments + [*line.arguments(f"com{number}"), "-serial", f"chardev:com{number}"]
        ends = [line.theirs.fileno() for line in self.lines]
        arguments = arguments + ["-chardev", f"socket,id=qmp,fd={monitor.fileno()}", "-mon", "chardev=qmp,mode=control"]
        self.launch(arguments, log_path + ".qemu", [*ends, monitor.fileno()])
        for line in self.lines:
            line.theirs.close()
        monitor.close()
        # Only then are events told, of which was_reset() reads.
        self.monitor.sendall(b'{"execute": "qmp_capabilities"}\n')

    def launch(self, arguments, errors, descriptors):
        """Starts the emulator, which inherits the descriptors; what it prints goes to the file."""
        self.started = time.monotonic()
        self.errors = open(errors, "w+b")
        self.process = subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=self.errors,
                                        stderr=self.errors, pass_fds=descriptors, start_new_session=True)
        self.status, self.cpu_seconds, self.waited = None, 0.0, 0.0

    def elapsed(self):
        return time.monotonic() - self.started

    def hindered(self):
        """Seconds that it could not run because others did."""
        if self.status is None:
            self.waited = max(self.waited, load.waited(self.process.pid))
        return self.waited

    def read(self, seconds, extra=()):
        """Waits for input on the lines and on the descriptors in extra; [(Line or descriptor, data or None)]."""
        lines = {line.ours.fileno(): line for line in self.lines if line.open}
        ready = select.select(list(lines) + list(extra), [], [], max(0.0, seconds))[0]
        return [(lines[fd], lines[fd].read()) if fd in lines else (fd, None) for fd in ready]

    def ended(self):
        """All lines closed: the machine is gone and all it said has been read."""
        return not any(line.open for line in self.lines)

    def stop(self):
        """Ends the emulator if it still runs, and returns its status."""
        if self.status is None:
            if not self.ended():
                # Not by the Popen, which would wait for one that has ended, and its CPU time would be lost.
                os.kill(self.process.pid, signal.SIGTERM)
            deadline = time.monotonic() + 5
            pid = 0
            while pid == 0:
                pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
                if pid == 0:
                    if time.monotonic() > deadline:
                        os.kill(self.process.pid, signal.SIGKILL)
                    time.sleep(0.01)
            self.status = os.waitstatus_to_exitcode(status)
            self.process.returncode = self.status
            self.cpu_seconds = usage.ru_utime + usage.ru_stime
        return self.status

    def is_orderly(self):
        """Whether the ended machine was powered off."""
        return self.status in ORDERLY

    def was_reset(self):
        """Whether the ended machine asked for a reset, or fell into one by a triple fault, and not for power-off."""
        self.monitor.setblocking(False)
        try:
            return b'"guest-reset"' in self.monitor.recv(65536)
        except OSError:
            return False

    def complaint(self):
        """The last that QEMU itself printed, warnings left out; "" if nothing."""
        self.errors.seek(0)
        lines = self.errors.read().decode("utf-8", "replace").splitlines()
        return next((line for line in reversed(lines) if line.strip() and " warning: " not in line), "")


class Keyboard:
    """The user's terminal in raw mode, given back on leaving; plain input when standard input is no terminal."""

    def __init__(self):
        self.descriptor = sys.stdin.fileno()
        self.saved = None

    def __enter__(self):
        if os.isatty(self.descriptor):
            self.saved = termios.tcgetattr(self.descriptor)
            # What has been typed already is kept, which is not the default.
            tty.setraw(self.descriptor, termios.TCSADRAIN)
        return self

    def __exit__(self, *_):
        if self.saved:
            termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self.saved)

    def read(self):
        """The bytes typed; None when the user quits; b"" at the end of plain input."""
        data = os.read(self.descriptor, 4096)
        return None if self.saved and CTRL_BRACKET in data else data
