# SPDX-License-Identifier: ISC
"""A scenario: the XML file that says which modules boot and what init starts.

Only what concerns the boot is read here (<module> and <run>, and of <start> what tells whether it comes again); the rest is
checked by check_scenario(), by the sources that read it in the system. Used by everything that boots a scenario: tools/run,
tools/iso, the tests and the benchmarks.
"""

import collections
import os
import re
import subprocess
import sys
import xml.parsers.expat

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD") or "build"
SEABIOS = "/usr/share/seabios"

# QEMU's loader separates modules by commas and file from name by a space.
NAME = re.compile(r"[A-Za-z0-9_.-]{1,31}\Z")
FILE = re.compile(r"[A-Za-z0-9_./+-]+\Z")
VM_MEMORY = re.compile(r"""(<vm\b[^<>]*?\bmemory\s*=\s*["'])[^"'<>]*""")
VM_VCPUS = re.compile(r"""(<vm\b[^<>]*?)\s+vcpus\s*=\s*(?:"[^"<>]*"|'[^'<>]*')""")
VM = re.compile(r"<vm\b(?![^<>]*\bexits\s*=)")
REPORT = re.compile(r"""<report\b[^<>]*?\blabel\s*=\s*(?:"([^"<>]*)"|'([^'<>]*)')[^<>]*?(?=/?>)""")


# parents: the tags around it, from the root.
Element = collections.namedtuple("Element", "tag attributes line parents")


class Refused(Exception):
    """What was asked for cannot be done; the message is one line for the user."""


def build_path(*parts):
    """A path below the build folder, relative to the root of the repository unless BUILD is absolute."""
    return os.path.join(BUILD, *parts)


def build_environment():
    """The environment for a make of our own: not the caller's job server, whose descriptors are not passed on."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


class Scenario:
    """name, path, root (the root task's file), modules [(name, file)] without core and config, the defaults of <run>; starts:
    {name of a component: its <start>}, clients: the components with a route to a driver of serial ports."""

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
        elements = self._elements()
        root = elements[0]
        if root.tag != "donjon":
            raise Refused(f"{self.path}:{root.line}: the root element is <{root.tag}>, expected <donjon>")
        self.root = root.attributes.get("root", "core.elf")
        self.modules, self.module_lines, self.starts = [], {}, {}
        run, name, ports, routes = None, "", set(), []
        for element in elements[1:]:
            if element.parents == ["donjon"] and element.tag == "module":
                self._add_module(element)
            elif element.parents == ["donjon"] and element.tag == "start":
                name = element.attributes.get("name", "")
                self.starts[name] = element
            elif element.parents == ["donjon"] and element.tag == "run":
                run = run or element
            elif element.tag == "port" and element.parents[-1] == "config":
                ports.add(name)
            elif element.tag == "child" and element.parents[-1] == "service":
                routes.append((name, element.attributes.get("name", "")))
        self.clients = {client for client, server in routes if server in ports}
        self._read_run(run or Element("run", {}, root.line, []))

    def _elements(self):
        """All elements in their order, with their lines."""
        elements, parents = [], []
        parser = xml.parsers.expat.ParserCreate()

        def start(tag, attributes):
            elements.append(Element(tag, attributes, parser.CurrentLineNumber, list(parents)))
            parents.append(tag)

        parser.StartElementHandler = start
        parser.EndElementHandler = lambda _: parents.pop()
        try:
            parser.Parse(self.text.encode(), True)
        except xml.parsers.expat.ExpatError as error:
            raise Refused(f"{self.path}:{error.lineno}: {xml.parsers.expat.ErrorString(error.code)}") from None
        return elements

    def _add_module(self, element):
        name, file = element.attributes.get("name", ""), element.attributes.get("file", "")
        if not NAME.match(name) or name in ("core", "config"):
            raise Refused(f"{self.path}:{element.line}: <module name=\"{name}\">: not a name for a module")
        if name in self.module_lines:
            raise Refused(f"{self.path}:{element.line}: <module name=\"{name}\"> is there twice")
        self.modules.append((name, file))
        self.module_lines[name] = element.line

    def _read_run(self, run):
        def number(name, fallback, low, high, what):
            text = run.attributes.get(name, str(fallback))
            if not text.isdecimal() or not low <= int(text) <= high:
                raise Refused(f"{self.path}:{run.line}: <run {name}=\"{text}\">: expected {what}")
            return int(text)

        self.memory = number("memory", 1024, 16, 1 << 20, "a number of MiB, 16 or more")
        self.append = run.attributes.get("append", "")
        self.terminals = number("terminals", 1, 1, 3, "1 to 3, as there are COM2 to COM4")
        self.disks = number("disks", 0, 0, 4, "0 to 4")
        failures = run.attributes.get("failures", "end")
        if failures not in ("end", "expected"):
            raise Refused(f"{self.path}:{run.line}: <run failures=\"{failures}\">: expected end or expected")
        self.expects_failures = failures == "expected"

    def needs_guest(self):
        """Whether tools/guest has to build something first."""
        return any(file.startswith("guest:") for _, file in self.modules)

    def guest_options(self):
        """What tools/guest has to build beside kernel and initramfs, for these modules."""
        more = {"guest:initrd-work": "--work", "guest:small.vdi": "--small"}
        return [more[file] for _, file in self.modules if file in more]

    @staticmethod
    def module_path(file):
        """Where a module's file stands: 'guest:X', 'tree:X' and 'seabios:X' name the guest's folder, the repository's root, and
        the folder of Debian's package."""
        if file.startswith("guest:"):
            return build_path("guest", file[len("guest:"):])
        if file.startswith("tree:"):
            return file[len("tree:"):]
        if file.startswith("seabios:"):
            return os.path.join(SEABIOS, file[len("seabios:"):])
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

    def config_with_report(self, label):
        """The scenario's text with report_rom told to show this report on the log."""
        reports = {found[1] or found[2]: found for found in REPORT.finditer(self.text)}
        if label not in reports:
            there = f"there are {', '.join(sorted(reports))}" if reports else "there are none"
            raise Refused(f"--report {label}: {self.path} has no such <report label=...>: {there}")
        found = reports[label]
        shown = re.sub(r"""\s+log\s*=\s*(?:"[^"]*"|'[^']*')""", "", found[0]) + ' log="yes"'
        return self.text[:found.start()] + shown + self.text[found.end():]

    def boot_modules(self, config=None):
        """All modules in boot order as (name, path): the root task, the configuration, then the scenario's own."""
        modules = [("core", self.module_path(self.root)), ("config", config or self.path)]
        modules += [(name, self.module_path(file)) for name, file in self.modules]
        for name, path in modules:
            if not FILE.match(path):
                line = f":{self.module_lines[name]}" if name in self.module_lines else ""
                raise Refused(f"{self.path}{line}: module '{name}': the loader takes no such file name: '{path}'")
            if not os.path.isfile(os.path.join(ROOT, path)):
                line = f":{self.module_lines[name]}" if name in self.module_lines else ""
                raise Refused(f"{self.path}{line}: module '{name}': {path} does not exist")
        return modules


def check_scenario(scenario, config, memory):
    """Ends the program with status 2 and a line for each fault if the scenario cannot run as it is written: tools/check.c, for
    a scenario that init reads. config: the file that core is handed, None: the scenario's own; memory: the machine's, in MiB."""
    program = build_path("host", "check")
    if scenario.root != "core.elf" or not os.path.isfile(os.path.join(ROOT, program)):
        return
    modules = [f"{name}={scenario.module_path(file)}" for name, file in scenario.modules]
    status = subprocess.run([program, config or scenario.path, str(memory), str(scenario.terminals), *modules],
                            cwd=ROOT, check=False).returncode
    if status:
        sys.exit(status if status in (1, 2) else 1)


def refuse(message):
    """Ends the program as for all bad arguments: one line, status 2."""
    print(f"donjon: {message}", file=sys.stderr)
    sys.exit(2)
