# SPDX-License-Identifier: ISC
"""A scenario: the XML file that says which modules boot and what init starts.

Only what concerns the boot is read here (<module> and <run>); the rest is init's, which checks it strictly and names
line and reason. Used by everything that boots a scenario: tools/run, tools/iso, the tests and the benchmarks.
"""

import os
import re
import sys
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD") or "build"

# QEMU's loader separates modules by commas and file from name by a space.
NAME = re.compile(r"[A-Za-z0-9_.-]{1,31}\Z")
FILE = re.compile(r"[A-Za-z0-9_./+-]+\Z")
VM_MEMORY = re.compile(r"""(<vm\b[^<>]*?\bmemory\s*=\s*["'])[^"'<>]*""")
VM_VCPUS = re.compile(r"""(<vm\b[^<>]*?)\s+vcpus\s*=\s*(?:"[^"<>]*"|'[^'<>]*')""")
VM = re.compile(r"<vm\b(?![^<>]*\bexits\s*=)")


class Refused(Exception):
    """What was asked for cannot be done; the message is one line for the user."""


def build_path(*parts):
    """A path below the build folder, relative to the root of the repository unless BUILD is absolute."""
    return os.path.join(BUILD, *parts)


def build_environment():
    """The environment for a make of our own: not the caller's job server, whose descriptors are not passed on."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


class Scenario:
    """name, path, root (the root task's file), modules [(name, file)] without core and config, the defaults of <run>."""

    def __init__(self, name):
        self.name = name
        if "/" in name or name.endswith(".xml"):
            self.path = name
            self.name = os.path.splitext(os.path.basename(name))[0]
        else:
            self.path = os.path.join("scenarios", name + ".xml")
        if not NAME.match(self.name):
            raise Refused(f"'{name}' is no name of a scenario")
        try:
            with open(os.path.join(ROOT, self.path), encoding="utf-8") as file:
                self.text = file.read()
        except OSError:
            raise Refused(f"no scenario '{name}': {self.path} does not exist{self._others()}") from None
        except UnicodeDecodeError:
            raise Refused(f"{self.path} is not UTF-8") from None
        self._parse()

    @staticmethod
    def _others():
        folder = os.path.join(ROOT, "scenarios")
        names = sorted(f[:-4] for f in os.listdir(folder) if f.endswith(".xml")) if os.path.isdir(folder) else []
        return f" (there are: {', '.join(names)})" if names else ""

    def _parse(self):
        try:
            root = ElementTree.fromstring(self.text.encode())
        except ElementTree.ParseError as error:
            reason = str(error).split(":")[0]
            raise Refused(f"{self.path}:{error.position[0]}: {reason}") from None
        if root.tag != "donjon":
            raise Refused(f"{self.path}: the root element is <{root.tag}>, expected <donjon>")
        self.root = root.get("root", "core.elf")
        self.modules = []
        for element in root.findall("module"):
            name, file = element.get("name", ""), element.get("file", "")
            if not NAME.match(name) or name in ("core", "config"):
                raise Refused(f"{self.path}: <module name=\"{name}\">: not a name for a module")
            if name in (known for known, _ in self.modules):
                raise Refused(f"{self.path}: <module name=\"{name}\"> is there twice")
            self.modules.append((name, file))
        run = root.find("run")
        defaults = run.attrib if run is not None else {}
        try:
            self.memory = int(defaults.get("memory", "1024"))
        except ValueError:
            raise Refused(f"{self.path}: <run memory=\"{defaults['memory']}\">: expected a number of MiB") from None
        self.append = defaults.get("append", "")
        terminals = defaults.get("terminals", "1")
        if terminals not in ("1", "2", "3"):
            raise Refused(f"{self.path}: <run terminals=\"{terminals}\">: expected 1 to 3, as there are COM2 to COM4")
        self.terminals = int(terminals)
        disks = defaults.get("disks", "0")
        if disks not in ("0", "1", "2", "3", "4"):
            raise Refused(f"{self.path}: <run disks=\"{disks}\">: expected 0 to 4")
        self.disks = int(disks)

    def needs_guest(self):
        """Whether tools/guest has to build something first."""
        return any(file.startswith("guest:") for _, file in self.modules)

    def needs_work(self):
        """Whether the guest's second initramfs is one of the modules."""
        return any(file == "guest:initrd-work" for _, file in self.modules)

    @staticmethod
    def module_path(file):
        """Where a module's file stands: 'guest:X' and 'tree:X' name the guest's folder and the repository's root."""
        if file.startswith("guest:"):
            return build_path("guest", file[len("guest:"):])
        if file.startswith("tree:"):
            return file[len("tree:"):]
        return build_path("target", file)

    def config_with_guest_memory(self, mebibytes):
        """The scenario's text with the memory of each <vm> replaced; line numbers stay."""
        text, count = VM_MEMORY.subn(rf"\g<1>{mebibytes}M", self.text)
        if count == 0:
            raise Refused(f"{self.path} has no <vm memory=...>: --guest-memory has nothing to change")
        return text

    def config_with_vcpus(self, vcpus):
        """The scenario's text with each <vm> given so many virtual CPUs."""
        text, count = re.subn(r"<vm\b", f'<vm vcpus="{vcpus}"', VM_VCPUS.sub(r"\g<1>", self.text))
        if count == 0:
            raise Refused(f"{self.path} has no <vm>: --vcpus has nothing to change")
        return text

    def config_with_exits(self, line):
        """The scenario's text with each <vm> told to log its exits when its guest prints the line."""
        text, count = VM.subn(rf'<vm exits="{line}"', self.text)
        if count == 0:
            raise Refused(f"{self.path} has no <vm>: there are no exits to count")
        return text

    def boot_modules(self, config=None):
        """All modules in boot order as (name, path): the root task, the configuration, then the scenario's own."""
        modules = [("core", self.module_path(self.root)), ("config", config or self.path)]
        modules += [(name, self.module_path(file)) for name, file in self.modules]
        for name, path in modules:
            if not FILE.match(path):
                raise Refused(f"module '{name}': the loader takes no such file name: '{path}'")
            if not os.path.isfile(os.path.join(ROOT, path)):
                raise Refused(f"{self.path}: module '{name}': {path} does not exist")
        return modules


def refuse(message):
    """Ends the program as for all bad arguments: one line, status 2."""
    print(f"donjon: {message}", file=sys.stderr)
    sys.exit(2)
