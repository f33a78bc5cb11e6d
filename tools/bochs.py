# SPDX-License-Identifier: ISC
"""A machine in Bochs, for what QEMU's processor does not have: Intel VT-x. It boots from a CD; its serial lines are
pseudo-terminals, since Bochs takes no descriptors. HLT costs it nothing, so virtual time runs ahead of ours.
"""

import fcntl
import os
import struct

from machine import Line, Machine
from scenario import Refused

# Name of the machine: model of the processor.
MACHINES = {"bochs-vtx": "corei5_arrandale_m520", "bochs-vtx-x2apic": "corei7_skylake_x", "bochs-svm": "ryzen"}
BIOS = "/usr/share/bochs/BIOS-bochs-latest"
VGA_BIOS = "/usr/share/vgabios/vgabios.bin"
NEEDED = ("/usr/bin/bochs", BIOS, VGA_BIOS)
MEMORY_MAX, CPUS_MAX = 2048, 8

TIOCGPTN, TIOCSPTLCK = 0x80045430, 0x40045431
FAREWELL = "Bochs is exiting with the following message:"
POWERED_OFF = "soft power off"

# Instructions a virtual second: many, so that a guest with a periodic timer gets to work in between.
CONFIGURATION = """\
display_library: rfb, options="timeout=0"
config_interface: textconfig
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, iodebug=1
romimage: file={bios}, options=fastboot
vgaromimage: file={vga_bios}
memory: guest={memory}, host={memory}
cpu: model={model}, count={cpus}, ips=500000000, reset_on_triple_fault=0
clock: sync=none, time0=1700000000
vga: realtime=0
pci: enabled=1, chipset=i440fx
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={image}, status=inserted
boot: cdrom
com1: enabled=1, mode=term, dev={log}
com2: enabled=1, mode=term, dev={terminal}
log: {bochs_log}
panic: action=fatal
error: action=ignore
"""


def require():
    """Bochs and its firmware are installed."""
    for path in NEEDED:
        if not os.path.exists(path):
            raise Refused(f"{path} is missing: tools/bootstrap bochs iso installs it")


class Pseudoterminal:
    """The master's end; like a socket to whoever reads and writes it. Without a slave open it waits, until one was."""

    def __init__(self):
        self.descriptor = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(self.descriptor, TIOCSPTLCK, struct.pack("i", 0))
        self.name = "/dev/pts/%d" % struct.unpack("I", fcntl.ioctl(self.descriptor, TIOCGPTN, b"\0" * 4))

    def fileno(self):
        return self.descriptor

    def recv(self, count):
        try:
            return os.read(self.descriptor, count)
        except OSError:  # EIO: the slave was closed
            return b""

    def sendall(self, data):
        while data:
            data = data[os.write(self.descriptor, data):]


class BochsMachine(Machine):
    """A running Bochs; the image is deleted with it."""

    def __init__(self, options, image, log_path, terminal_paths):
        ends = [Pseudoterminal(), Pseudoterminal()]
        self.log, self.terminals = Line(log_path, ends[0]), [Line(terminal_paths[0], ends[1])]
        self.lines = [self.log, *self.terminals]
        self.files = [log_path + ".bochsrc", log_path + ".go", image]
        with open(self.files[0], "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(bios=BIOS, vga_bios=VGA_BIOS, memory=options.memory, image=image,
                                            log=ends[0].name, terminal=ends[1].name, cpus=options.smp,
                                            model=options.cpu or MACHINES[options.machine],
                                            bochs_log=log_path + ".bochs"))
        with open(self.files[1], "w", encoding="utf-8") as file:
            # To the debugger that Debian's Bochs begins with.
            file.writelines(command + "\n" for command in [*options.bochs_commands, "c"])
        # Closed when Bochs ends, which may be before it opens the pseudo-terminals.
        self.alive, theirs = os.pipe()
        self.launch(["bochs", "-q", "-f", self.files[0], "-rc", self.files[1]], log_path + ".out", [theirs])
        os.close(theirs)

    def read(self, seconds, extra=()):
        got = super().read(seconds, [*extra, self.alive])
        if got == [(self.alive, None)]:
            for line in self.lines:
                line.open = False
        return [(source, data) for source, data in got if source != self.alive]

    def stop(self):
        if self.status is None:
            for path in self.files:
                os.unlink(path)
        return super().stop()

    def is_orderly(self):
        return POWERED_OFF in self.complaint()

    def was_reset(self):
        return False

    def complaint(self):
        """What Bochs says it ends with; "" if nothing."""
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace").partition(FAREWELL)[2].strip().partition("\n")[0]
