# SPDX-License-Identifier: ISC
"""The system tests: command lines run from the root of the repository, each with what it must end with.

Everything is built before the first one runs, and prepare() called. {log} stands for a file of the test's own, {build}
for the build folder.
"""

import collections
import hashlib
import os
import re
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path += [HERE, os.path.join(HERE, "..", "tools")]
import abi  # pylint: disable=wrong-import-position
import disks  # pylint: disable=wrong-import-position
import load  # pylint: disable=wrong-import-position
import pairs  # pylint: disable=wrong-import-position
from scenario import build_path  # pylint: disable=wrong-import-position

# name; command (a list); status it must exit with; regular expression that its output must contain, or None; a function
# that is given its output, with the log behind it, and returns what is wrong with it, None, or (what is good to know,)
# again(output): why a run that failed says nothing of Donjon and is made once more, or None.
Test = collections.namedtuple("Test", "name command status output check again", defaults=(0, None, None, None))


def run(name, *arguments, status=0, output=None, check=None):
    """A tools/run that needs no build and keeps its log apart."""
    return Test(name, ["tools/run", *arguments, "--no-build", "--headless", "--log", "{log}"], status, output, check)


# QEMU's fault with two threads (doc/caveats.md): at a #VMEXIT or VMRUN a CPU keeps the marks that it had before.
LOST_CPU = [
    # It translates the kernel's first address by the guest's nested tables, and the kernel's state becomes the guest's: the
    # guest ends with the kernel's RIP behind VMRUN and its CR3. Our kernel gives neither to a guest.
    r"of vCPU \d+ at 0008:ffffffff80[2-9]\w{5}, .*CR3 \w+",
    # It does not hold interrupts off, and the kernel's handler of one has the guest's GS, which is where Linux has its own.
    r"fatal: exception 14 .* address 0xffff[89a-e]\w{11}, stack",
    # It translates the guest's addresses without the nested tables: Linux does not find its own IDT, which is always mapped.
    r"triple fault of vCPU .* CR2 fffffe0000000\w{3}, .* IDT fffffe0000000000:",
]


def emulator_lost_a_cpu(output):
    found = re.search("|".join(LOST_CPU), output)
    return "a CPU of the emulator was lost: " + found.group(0) if found else None


def backports(test):
    """On the second QEMU, which loses a CPU's state in fewer runs than that of Debian 12. Such a run ends there."""
    command = [*test.command, "--emulator", "backports"]
    if "--until" in command:
        place = command.index("--until") + 1
        command[place] = "|".join([command[place], *LOST_CPU])
    return test._replace(command=command, again=emulator_lost_a_cpu,
                         check=lambda output: emulator_lost_a_cpu(output) or (test.check(output) if test.check else None))


def on_one(test):
    """Both CPUs' threads on one of the build machine's, where the emulator keeps its CPUs: what runs for a minute or longer."""
    return test._replace(command=["taskset", "--cpu-list", "0", *test.command])


def refused(name, reason, *arguments):
    """Bad arguments: status 2 and a single line."""
    return Test(name, ["tools/run", *arguments], 2, r"\Adonjon: [^\n]*" + reason + r"[^\n]*\n\Z")


def clock_is_right(output):
    """The guest's clock against ours: both are whole seconds, and the guest's line came a moment ago."""
    epoch = int(re.search(r"epoch: (\d+)", output).group(1))
    difference = time.time() - epoch
    return None if -1 < difference < 2 * load.stretch() else f"the guest's clock is {difference:.1f} s behind"


def padded_sum(name, mebibytes):
    """The SHA-256 of a file of the guest with zeros behind it, as ram_block makes a disk of it."""
    with open(build_path("guest", name), "rb") as file:
        return hashlib.sha256(file.read().ljust(mebibytes << 20, b"\0")).hexdigest()


def guest_has_disks(output):
    """What was on them came to the guest as it is, and nothing that it did itself failed."""
    wanted = [f"disk: sda: as it came {padded_sum('vmlinuz', 16)}", f"as it came {padded_sum('initrd-disk', 4)}",
              "VBOX HARDDISK, 1.0, max UDMA/33", "screen: 0x80ee 0xbeef 0x12345678 0x1122334455667788", "disk: over"]
    missing = [line for line in wanted if line not in output]
    return f"not seen: {missing}" if missing else disk_never_failed(output)


def disk_never_failed(output):
    return next((line for line in output.splitlines() if "disk: FAILED" in line), None)


def disk_outlives_kills(output):
    lives = output.partition("disk: sda: as it came")[2].partition("disk: over")[0].count("part: GPT")
    return disk_never_failed(output) or (None if lives >= 5 else f"part was killed {lives} times while the guest used the disk")


def has_slept(output):
    """Ten seconds of ours, and the host's CPU was halted meanwhile."""
    typed = float(re.search(r"typed after ([\d.]+) s: b'sleep 10;", output).group(1))
    slept = float(re.search(r"seen after ([\d.]+) s", output).group(1)) - typed
    idle = max(map(float, re.findall(r"info: CPU idle ([\d.]+) %", output)), default=0.0)
    if not 9 <= slept <= 10 + load.stretch():
        return f"the guest slept for {slept:.1f} s"
    return None if idle > 90 else f"the CPU was idle for at most {idle:.1f} % of an interval"


def interrupts_count(output):
    """The local APIC's timer goes on, the serial line's interrupt comes by the IOAPIC, and nothing was spurious."""
    timer = list(map(int, re.findall(r"LOC: +(\d+) +Local timer", output)))
    serial = list(map(int, re.findall(r"4: +(\d+) +IO-APIC +4-edge +ttyS0", output)))
    errors = re.findall(r"(ERR|MIS|SPU): +(\d+)", output)
    if len(timer) != 2 or len(serial) != 2:
        return "no local timer or no ttyS0 at the IOAPIC's pin 4"
    if not timer[0] < timer[1] or not 0 < serial[0] <= serial[1]:
        return f"counts of the timer {timer}, of the serial line {serial}"
    wrong = [name for name, count in errors if count != "0"]
    return f"{wrong} are not 0" if wrong or not errors else None


def terminal_has_gone(output):
    times = len(re.findall(r"vm debian: the terminal is there\n", output))
    return None if times >= 10 else f"the driver of the terminal came back {times} times"


TERMINAL_KEEPS_ALL = (
    "tools/run tests/guest-linux/terminal.xml --no-build --headless --log {log} --type "
    "'i=0; while [ $i -lt 1500 ]; do echo line $i of 1500; i=$((i+1)); usleep 4000; done; echo written $((40+2))\\n' "
    "--after '^written 42' --type 'echo typed $((40+3))\\n' --until '^typed 43' && seq -f 'line %g of 1500' 0 1499 >{log}.wanted && "
    "tr -d '\\r' <{log}.terminal | grep -x 'line [0-9]* of 1500' | cmp - {log}.wanted")


def starts_as_a_pc(output):
    """SeaBIOS and GRUB twice, one reset, and nothing that the monitor or the guest's drivers complain of."""
    for word, times in (("Booting from Hard Disk", 2), ("Booting `Debian, small'", 2), ("guest: ready", 2), (r"guest reset \(", 1)):
        count = len(re.findall(r"vm small: (?:.*)" + word, output))
        if count < times:
            return f"'{word}' {count} times, expected {times}"
    wrong = re.search(r"outside of memory|refused|I/O error|DRDY|failed command|small: no disk|cannot be loaded", output)
    return wrong.group(0) if wrong else None


def free_pages(text):
    """What every line says is free: (core, kernel)."""
    return re.findall(r"free pages: core (\d+) of \d+, kernel (\d+) of \d+", text)


def reboots_leave_nothing(count):
    """After the last reset as much is free as after the first; an <info> line comes every five seconds."""
    def check(output):
        runs = re.split(r"guest reset \(", output)
        first, last = free_pages("".join(runs[1:3])), free_pages(runs[-1])
        if len(runs) != count + 1:
            return f"{len(runs) - 1} resets instead of {count}"
        if not first or not last:
            return "no <info> line after the first or after the last reset"
        return None if first[0] == last[-1] else f"free pages {first[0]} after the first reset, {last[-1]} after the last"
    return check


def power_off_leaves_nothing(output):
    """At the first start the driver of the terminal has not begun, so the second is the one to compare with."""
    free = free_pages("\n".join(re.findall(r"\] vmm: starts; .*", output.partition("interface ")[2])))
    if len(free) != 4 or len(re.findall("guest powered off", output)) != 3:
        return f"{len(free)} starts of the monitor instead of 4"
    # A driver on a loaded machine may let go a moment late, which a leak never makes up for.
    same = free[3] == free[2] or all(int(last) >= int(first) for last, first in zip(free[3], free[1]))
    return None if same else f"free pages before the starts of the monitor: {free}"


def deadline_is_kept(bound):
    """With time counted in instructions the latency is the system's own, and the same in each run."""
    def check(output):
        lines = re.findall(r"deadline: .*worst latency (\d+) us, missed (\d+)", output)
        if not lines:
            return "no line about deadlines"
        worst, missed = map(int, lines[-1])
        return None if worst <= bound and missed == 0 else f"worst latency {worst} us, {missed} deadlines missed"
    return check


# All that a monitor can name, as the kernel sees it: parent, its notification, core; the terminal's signal and its vCPU.
MONITOR_CAPABILITIES = {
    1: "PT CALL",
    2: "NT SIGNAL WAIT bits 0xffffffffffffffff",
    3: "PT CALL",
    16: "NT SIGNAL bits 0x10",
    24: "VCPU RUN",
}


def capabilities(output, name):
    """What init lists of a component, in the words of abi/syscall.h: {selector: "type permissions bits"}."""
    header = (abi.ABI / "syscall.h").read_text()
    types = {value: word.removeprefix("OBJECT_") for word, value in abi.enum(header, "object_type").items()}
    permissions = abi.permissions(header)
    found = {}
    for at, kind, held, bits in re.findall(r"^\[init\] %s: capability (\d+): type (\d+), permissions (0x\w+), bits (0x\w+)$"
                                           % name, output, re.MULTILINE):
        kind = types.get(int(kind), kind)
        words = [kind] + [word.removeprefix(kind + "_") for word, bit in permissions.items()
                          if word.startswith(kind + "_") and int(held, 16) & bit]
        unnamed = int(held, 16) & ~sum(bit for word, bit in permissions.items() if word.startswith(kind + "_"))
        words += [f"and {unnamed:#x}"] if unnamed else []
        words += [f"bits {bits}"] if kind == "NT" else []
        found[int(at)] = " ".join(words)
    return found


def noise_is_bounded(output):
    """Counted: no request and no deadline is late at all, and what ends at once is started ever more seldom."""
    worst = list(map(int, re.findall(r"noisy: .*: \d+ times; 0 of \d+ requests took more than 20 ms, the worst (\d+) us", output)))
    ended, told = output.count("[init] ends: has ended"), output.count("[init] ends: no route for service LOG")
    spins, signals = (int((re.findall(rf"noisy: {phase}: (\d+) times", output) or [0])[0]) for phase in ("spinning", "signals"))
    if len(worst) != 4 or max(worst) > 20000:
        return f"the worst requests of the phases took {worst} us"
    # One for 17 spins while the server leaves them alone for a millisecond, for 160 when it serves each.
    if signals * 40 < spins:
        return f"only {signals} signals in the time of {spins} spins: the server served each"
    if not 3 <= ended <= 30 or told != 1:
        return f"what ends at once did so {ended} times, and its refused request was told {told} times"
    return deadline_is_kept(10000)(output)


def sessions_by_quota(output):
    """200 sessions of one client, one of 64 MiB, one with what its server wants, and all of the quota is back."""
    for line in (r"1 byte offered, 8192 given", r"200 sessions of 8 KiB", r"1 sessions of 65536 KiB"):
        if not re.search(rf"many: {line}: no error", output):
            return f"no '{line}' without error"
    free, before = re.search(r"many: done: (\d+) of (\d+) bytes", output).groups()
    return None if free == before else f"{free} of {before} bytes are back"


def nested_goes_on(output):
    """Of ten changes six start something; what did not change is started once and misses no message."""
    begun = {name: len(re.findall(rf"^\[init -> inner -> {name}\] \w+: begins", output, re.M)) for name in ("beat", "near", "far", "moved")}
    counted = re.findall(r"^\[init -> inner -> (near|far)\] counter: 400 messages, (\d+) missing, the longest gap (\d+) us", output, re.M)
    started = re.findall(r"^\[init -> inner -> (\w)\] hello: done", output, re.M)
    if set(begun.values()) != {1}:
        return f"not each was started once: {begun}"
    gone = len(re.findall(r"^\[init -> inner -> gone\] counter: begins", output, re.M))
    if gone != 5:
        return f"what comes five times had a session {gone} times: those before have not ended"
    if started != ["a", "a", "a", "a", "b", "c"]:
        return f"started: {started}"
    if sorted(name for name, _, _ in counted) != ["far", "near"] or any(int(gap) > 20000 for _, _, gap in counted):
        return f"the messages had gaps: {counted}"
    if not re.search(r"^\[init -> inner\] config:5: .*2X.*\n\[init -> inner\] config: the one before stays", output, re.M):
        return "the wrong configuration was not refused"
    reports = re.findall(r'<child name="near" state="runs" restarts="0" sessions="1" ram-free="[1-9]\d+" ram-used="[1-9]\d+" kernel-free="[1-9]\d*" kernel-used="[1-9]\d*" '
                         r'milliseconds="\d', output)
    if len(reports) != 2 or '<child name="c"' in output:  # while nothing changes there is nothing to read
        return f"{len(reports)} reports of near instead of 2, or one of a component that was gone"
    ended = "[init -> inner -> moved] counter: the session has ended: denied"
    return None if output.count(ended) == 1 else "the session without a route did not end"


TWO_ENDED = r"^\[init\] second: has ended"


def shares(least, most):
    """Of its CPU's time that each of two busy components had, by its own count."""
    def check(output):
        found = list(map(int, re.findall(r"busy: CPU \d: (\d+) % of \d+ ms: no error", output)))
        if len(found) != 2 or not all(least <= share <= most for share in found):
            return f"shares of {found} %, expected 2 of {least} to {most}"
        return None
    return check


def callers_go_on(output):
    """Requests from all CPUs at once: all were served, and a component that dies in the middle of its own leaves nothing."""
    done = re.search(r"callers: done: \d+ rounds on each of the CPUs 0x\w+, (\d+) of (\d+) bytes used", output)
    killed = re.search(r"killed 10 times: free pages of core (\d+) -> (\d+), of the kernel (\d+) -> (\d+)", output)
    if not done or not killed:
        return "one of the two did not come to its end"
    pages = list(map(int, killed.groups()))
    if done.group(1) != done.group(2) or pages[0] > pages[1] or pages[2] > pages[3]:
        return f"memory has gone: {done.group(0)}, {killed.group(0)}"
    return None


def example_goes_on(output):
    """Each time that the server is killed the client opens its session again; the ticks are those of a clock."""
    times = [int(hour) * 3600 + int(minute) * 60 + int(second)
             for hour, minute, second in re.findall(r"ticks: (\d\d):(\d\d):(\d\d)", output)]
    steps = [(after - before) % 86400 for before, after in zip(times, times[1:])]
    opened, killed = output.count("ticks: the clock is there"), output.count("ticker: killed 3 times")
    if len(times) != 10 or killed != 1 or not 2 <= opened <= 4:
        return f"{len(times)} ticks instead of 10, {opened} sessions instead of 2 to 4"
    if re.search("refused|died:", output):
        return "a request was refused or a component died by itself"
    return None if min(steps) >= 1 and max(steps) <= 2 + load.stretch() else f"the ticks came after {steps} s"


def evil_is_contained(output):
    killed = re.findall(r"vmm: killed (\d+) times: free pages of core (\d+) -> (\d+), of the kernel (\d+) -> (\d+)", output)
    listed, ended = capabilities(output, "vmm"), re.findall(r"^\[init\] vmm: (\d+) capabilities$", output, re.MULTILINE)
    started = len(re.findall(r"vm debian: started", output))
    if [kill[0] for kill in killed] != ["50", "100"]:
        return "the monitor was not killed 50 and 100 times"
    if any(kill[1] != kill[2] or kill[3] != kill[4] for kill in killed):
        return f"pages leaked: {killed}"
    if not 50 < started < 140:
        return f"the monitor came {started} times to start its guest: the kills did not hit both before and after it"
    if "\n[init -> evil] evil: a line?[core] not core's??[2J\n" not in output.replace("\r\n", "\n"):
        return "the log shows another line than evil's one"
    if listed != MONITOR_CAPABILITIES or ended != [str(len(listed))]:
        return f"the monitor's capabilities are {listed}"
    # What init and core do at a death and a start comes first: a quarter of a millisecond at most.
    return deadline_is_kept(500)(output)


FAULTS = {
    "page fault": ["kernel-read", "kernel-write", "code-write", "stack-execute", "stack-overflow", "stack-pointer"],
    "general protection fault": ["noncanonical", "hlt", "cli", "port", "msr", "cr3", "interrupt"],
    "invalid opcode": ["ud2"],
    "divide error": ["divide"],
    "FPU not available": ["fpu"],
    "debug exception": ["trap-flag"],
}


def all_have_crashed(output):
    for fault, names in FAULTS.items():
        for name in names:
            if len(re.findall(rf"^\[init\] {name}: died: {fault} at ", output, re.MULTILINE)) != 1:
                return f"'{name}' did not die of a {fault}"
    if "was let through" in output:
        return "a fault was let through"
    return None if len(re.findall("null: died: page fault", output)) > 1 else "'null' was not started again"


def says(*lines):
    """Each of these regular expressions is found in just one line."""
    def check(output):
        for line in lines:
            found = len(re.findall(line, output, re.MULTILINE))
            if found != 1:
                return f"{found} lines with '{line}'"
        return None
    return check


BAD_COMPONENTS = says(
    r"^\[init\] missing: binary 'nosuch': not among the boot modules",
    r"^\[init\] truncated: binary 'truncated': .* truncated",
    r"^\[init\] text: binary 'text': .* no ELF file",
    r"^\[init\] little-ram: RAM: needs \d+ KiB, has 64 KiB",
    r'^\[init\] little-kernel: kernel memory: kernel="2" is too little',
    r"^\[init\] greedy: RAM: needs 8388608 KiB, has \d+ KiB",
    r"^\[init\] greedy-kernel: kernel memory: needs 1000000 pages, has \d+",
    r"^\[init\] unrouted: no route for service LOG",
    r"^\[init -> hello\] hello: done")
BAD_GUESTS = says(
    r"^\[init -> text\] vm text: kernel: expected boot flag",
    r"^\[init -> truncated\] vm truncated: kernel: truncated: expected 0x\w+ bytes",
    r"^\[init -> elf64\] vm elf64: kernel: expected an ELF32 file \(class 1\), found 0x2",
    r'^\[init -> firmware\] vm firmware: firmware="nosuch": not found',
    r'^\[init -> rom\] vm rom: firmware="text": expected a multiple of 64 KiB up to 8 MiB, found \d+ bytes',
    r'^\[init -> missing\] vm missing: kernel="nosuch": not found',
    r'^\[init -> initrd\] vm initrd: initrd="nosuch": not found',
    r'^\[init -> module\] vm module: module rom="nosuch": not found',
    r"^\[init -> modules\] vm modules: module: a Linux kernel takes none",
    r"^\[init -> small\] vm small: kernel and initrd: needs \d+ MiB of memory below 3 GiB, has 64 MiB",
    r"^\[init -> tiny\] config: line \d+: <vm> memory '0': expected",
    r"^\[init -> little-ram\] vm little-ram: memory: needs 96 MiB, cannot get them: out of RAM quota",
    r"^\[init -> little-kernel\] vm little-kernel: .*: out of kernel pages",
    r'^\[init -> builtin\] vm builtin: guest="nosuch": expected',
    r"^\[init -> none\] config: line \d+: <vm>: expected attribute firmware, kernel or guest",
    r"^\[init -> attribute\] config: line \d+: <vm> has no attribute 'gest'",
    r"^\[init -> denied\] vm denied: cannot be created: denied",
    r"^\[init -> good\] vm good: no terminal \(closed\)",
    r"^\[init -> good\] vm good: guest: hello",
    r"^\[init -> hello\] hello: done")


SOAK_SEEDS = range(1000, 21000, 1000)


def prepare(build):
    """Files of tests/bad that are best made: good ones, cut off. And disks, tables, scenarios that differ by a number."""
    os.makedirs(os.path.join(build, "test"), exist_ok=True)
    disks.make(build)
    for source, name, size in (("target/hello.elf", "truncated.elf", 5000), ("guest/vmlinuz", "truncated-vmlinuz", 3000000)):
        with open(os.path.join(build, source), "rb") as whole, open(os.path.join(build, "test", name), "wb") as part:
            part.write(whole.read(size))
    for name, base in (("rmrr", 0x5800000), ("rmrr-low", 0x200000)):  # a DMAR with nothing but 32 MiB that some device uses
        with open(os.path.join(build, "test", name), "wb") as table:
            table.write(struct.pack("<BB10xHHHHQQ", 38, 0, 1, 24, 0, 0, base, base + (32 << 20) - 1))
    with open(os.path.join(build, "test", "hpet"), "wb") as table:  # where SeaBIOS puts the first disk's registers
        table.write(struct.pack("<IB3xQBHB", 0x8086a201, 0, 0xfebf4000, 0, 100, 0))
    for seed in SOAK_SEEDS:
        with open(os.path.join(build, "test", f"soak-{seed}.xml"), "w", encoding="ascii") as scenario:
            scenario.write(f'<donjon root="ktest.elf">\n  <run memory="256"/>\n  <ktest only="soak" soak="30" seed="{seed}"/>\n</donjon>\n')


def disks_are_right(clients, kills):
    """Each client found all that was answered; each server was killed so often, and its clients saw several of its lives."""
    def check(output):
        for name in clients:
            done = re.search(rf"\] scribbler {name}: done: .* opened (\d+) times, (\d+) wrong", output)
            if not done or int(done.group(2)):
                return f"{name}: {done.group(0) if done else 'not done'}"
            if kills and int(done.group(1)) < 3:
                return f"{name} saw only {done.group(1)} lives of its server"
        for name, times in kills.items():
            if f"{name}: killed {times} times" not in output:
                return f"{name} was not killed {times} times"
        return None
    return check


def chaos_leaves_nothing(output):
    """The disks are right, and with all of them open as much is free after the last deaths as after those before."""
    wrong = disks_are_right(["disk", "5a000000-0000-4000-8000-000000000003"], {"nvme": 25, "part": 25, "vdi": 25})(output)
    if wrong:
        return wrong
    before, _, later = re.split(r"(?s)^.*killed 25 times", output)[1].partition("killed 2 times")
    after = re.split(r"(?s)^.*killed 2 times", later)[-1].partition(": done: ")[0]
    least = [min(((int(core), int(kernel)) for core, kernel in free_pages(text)), default=None) for text in (before, after)]
    return None if None not in least and least[1] >= least[0] else f"free pages before and after the last deaths: {least}"


def memory_is_kept(output):
    """Of 128 MiB 32 are a device's, 17 the kernel's: neither has any of the other's."""
    free = int(re.search(r"^\[core\] (\d+) MiB free", output, re.MULTILINE).group(1))
    return None if free <= 128 - 32 - 16 else f"{free} MiB are free"


def bad_config(name, line):
    """A configuration that init refuses as a whole, by one line; core goes on."""
    return run(f"bad: {name}", "log", "--faulty", "--config", f"tests/bad/{name}.xml", "--until", "init has ended",
               check=says(r"^\[init\] " + line, r"^\[init\] "))


def linux(memory, *arguments):
    """Boots the Debian guest with so many MiB to its shell; it sees nearly all of them, and KVM's interface."""
    seen = {96: r"4\d", 1024: r"9\d\d", 6144: r"5\d\d\d"}[memory]
    return run(f"linux: {memory} MiB {' '.join(arguments)}".strip(), "linux", "--guest-memory", str(memory), "--until",
               rf"guest: ready: Linux 6\.\S+, {seen} MiB, hypervisor KVM", *arguments)


def pairs_are_covered(output):
    """Every call has given every status that the specification names for it, in a test that expected it."""
    covered, total, lines = pairs.compare(output)
    return "; ".join(lines[:3]) if lines else (f"{covered} of {total} pairs of call and status",)


def pairs_are_seen(wanted):
    """The pairs that the rest cannot have for want of such a machine."""
    def check(output):
        missing = wanted - pairs.seen(output)
        return f"not given: {sorted(missing)}" if missing else None
    return check


def nothing_failed(output):
    failed = re.findall(r"^FAIL .*", output, re.MULTILINE)
    return failed[0] if failed else None


KTEST_PASSED = r"^ktest: \d+ passed, 0 failed"


def kernel(name, scenario, *arguments, until=KTEST_PASSED, check=None):
    """The kernel's own test, every run the same."""
    return run(name, scenario, "--deterministic", "--timeout", "800", *arguments, "--until", until, check=check)


# What QEMU 10.0.2 gets wrong, looked up in the manual.
BACKPORTS_KNOWN = {
    "vcpu: TSC_AUX": "RDTSCP in a guest leaves out bit 31 of TSC_AUX (APM vol. 3, RDTSCP: ECX is TSC_AUX[31:0])",
}


def fails_as_known(known):
    """Those tests of the kernel failed, and no other."""
    def check(output):
        failed = set(re.findall(r"^FAIL ([^:]+: [^:]+):", output, re.MULTILINE))
        return None if failed == known.keys() else f"failed: {sorted(failed)}"
    return check


def kernel_on_two(name, scenario, *arguments, check=None):
    """The same on two CPUs, which cannot be counted: each run is another one."""
    return run(name, scenario, "--smp", "2", "--timeout", "800", *arguments, "--until", KTEST_PASSED, check=check)


def soak_on_two(seed):
    """600 s in twenty parts, most of them by night: as a whole, with both CPUs at work, many would end by the emulator's fault,
    and where the CPUs often wait for each other 10.0.2 takes six seconds for one."""
    return backports(kernel_on_two(f"kernel: soak for 30 s on two CPUs, {seed}", f"{{build}}/test/soak-{seed}.xml"))


def steps_are_short(output):
    """No request to attach or detach takes core more than these instructions, the caller's own among them."""
    longest = {what: int(ticks) for what, ticks in re.findall(r"steps: (.*): \d+ requests, the longest (\d+)", output)}
    if len(longest) != 5:
        return f"{len(longest)} of 5 kinds of requests"
    return next((f"{what}: {ticks} instructions" for what, ticks in longest.items() if ticks > 20000), None)


def bounds_hold(output):
    """No request of init's takes core more than 100,000 instructions."""
    longest = {what: int(ticks) for what, ticks in re.findall(r"bounds: (.*): no error, \d+ requests, the longest (\d+)", output)}
    if len(longest) != 9:
        return f"{len(longest)} of 9 kinds of requests"
    return next((f"{what}: {ticks} instructions" for what, ticks in longest.items() if ticks > 100000), None)


# A machine that executes an instruction in 8 ns instead of 1: the same seconds take an eighth of the time.
UNHURRIED = ["--qemu=-icount", "--qemu=shift=3,sleep=off"]


def kernel_iommu(vendor, *arguments, check=None):
    """Devices behind an IOMMU: edu does the DMA, and there are more functions than an IOMMU's tags."""
    others = [f"pci-testdev,addr={slot:#x}.{function},multifunction=on" for slot in range(6, 24) for function in range(8)
              if (slot, function) != (0x14, 0)]  # QEMU's IOAPIC sends its interrupts as that
    words = [word for device in ["edu,dma_mask=0xffffffffffffffff,addr=5", *others] for word in ("-device", device)]
    return kernel(f"kernel: {vendor} IOMMU", f"tests/kernel/iommu-{vendor}.xml", "--machine", f"q35-{vendor}-iommu",
                  *(f"--qemu={word}" for word in words), *arguments, check=check or pairs_are_seen(pairs.IOMMU))


def dma_is_contained(faults):
    """One driver's client loses nothing by its ten deaths, the other one's device reaches nobody; and that is told."""
    def check(output):
        killed = re.findall(r"nvme: killed 10 times: free pages of core (\d+) -> (\d+), of the kernel (\d+) -> (\d+)", output)
        rogue = output.partition("[init -> rogue]")[2]
        if len(re.findall(r"^\[init -> nvme\] namespace 1: 8192 sectors of 512 bytes, serial 'donjon0'", output, re.M)) < 5:
            return "the driver was not started again"
        if not re.search(r"^\[init -> blk\] blk donjon0: \d{3,} requests", output, re.M) or len(killed) != 1:
            return "the driver's client was not served to its end, or the driver not killed 10 times"
        if any(int(kill[0]) > int(kill[1]) or int(kill[2]) > int(kill[3]) for kill in killed):
            return f"pages leaked: {killed}"  # more at the end: the other driver has ended meanwhile
        if not re.search(r"outside: 255 addresses", rogue) or not re.search(r"forge: \d{3} messages", rogue):
            return "the other driver did not do its worst"
        if "as they should be" not in rogue or "[init -> rogue] done" not in output:
            return "the other driver did not read its own disk afterwards"
        if "canary: 0 words changed, 0 interrupts" not in output:
            return "the canary's memory was written to, or its interrupt came"
        if faults and not re.search(r"^\[core\] device 00:05.0 of init -> rogue: DMA to 0x\w+00000 was refused", output, re.M):
            return "no line about a DMA that was refused"
        return None
    return check


def dma(vendor, *arguments):
    """QEMU 7.2 does not report faults of AMD's IOMMU."""
    return run(f"dma: {vendor} IOMMU" + (", two CPUs" if "--smp" in arguments else ""), "dma", "--machine", f"q35-{vendor}-iommu", *arguments,
               "--until", "dma: done", check=dma_is_contained(vendor == "intel"))


# QEMU's device for each driver of disks: of disk d0, which has the serial number DISK42.
DISK_DEVICES = {
    "ahci": "ide-hd,drive=d0,bus=ide.0,serial=DISK42",
    "nvme": "nvme,drive=d0,serial=DISK42,addr=4",
    "virtio_blk": "virtio-blk-pci,drive=d0,serial=DISK42,addr=4,disable-legacy=on,iommu_platform=on",
}


def with_disk(name, scenario, device, until, *arguments, check=None, drive="", devices=()):
    """A Test of a scenario with one disk of 64 MiB, empty at first, which is the test's own; the build machine's disk plays no part."""
    disk = "{build}/test/" + re.sub(r"\W+", "-", name) + ".img"
    return Test(name, ["sh", "-c", f"mkdir -p {{build}}/test && rm -f {disk} && truncate -s 64M {disk} && "
                       f"exec tools/run tests/block/{scenario}.xml --no-build --headless --log {{log}} {' '.join(arguments)} "
                       f"--qemu=-drive --qemu=if=none,id=d0,format=raw,file={disk},cache=unsafe{drive} "
                       f"{' '.join(f'--qemu=-device --qemu={one}' for one in (device, *devices))} --until '{until}'"], check=check)


def disk_driver(driver, vendor, kills):
    """A disk behind an IOMMU, tested by its Block session, or with its driver killed under load."""
    def check(output):
        if not kills:
            return None if re.search(r"blk DISK42: [3-9]\d{3} requests", output) else "not all was tried"
        pages = re.search(rf"{driver}: killed 20 times: free pages of core (\d+) -> (\d+), of the kernel (\d+) -> (\d+)", output)
        if not pages or int(pages[1]) > int(pages[2]) or int(pages[3]) > int(pages[4]):
            return f"not killed 20 times, or pages leaked: {pages and pages[0]}"
        return None if re.search(r"blk DISK42: \d{4,} requests, \d{3,} of them flushes", output) else "there was no load"

    return with_disk(f"{driver}: {'killed 20 times' if kills else 'a disk'}, {vendor} IOMMU", driver + ("-kills" if kills else ""),
                     DISK_DEVICES[driver], "blk DISK42: done", "--machine", f"q35-{vendor}-iommu",
                     *(["--deterministic"] if kills else []), check=check)


# tests/guest: how many tests pass in each mode at least, and the monitor's reasons for the resets, in their order.
GUEST_TESTS = {"real": 84, "protected": 107, "pae": 108, "long": 106, "compat": 107}
GUEST_RESETS = ["triple fault", "port 0xcf9", "port 0xcf9", *["8042 or port 0x92"] * 3, "INIT", "port 0xcf9"]


def guest_passes(mode, more=0):
    def check(output):
        passed = int(re.search(rf"verdict {mode}: (\d+) passed", output).group(1))
        resets = re.findall(r"guest reset \((.*)\)", output)
        if passed < GUEST_TESTS[mode] + more:
            return f"{passed} tests instead of {GUEST_TESTS[mode] + more}"
        vector = ["port 0xcf9"] if mode == "real" else []
        return None if resets == GUEST_RESETS + vector else f"resets by {resets}"
    return check


# What Bochs gets wrong: VM exits by EPT violations leave a pending trap of single-stepping, against SDM vol. 3, 28.3.4;
# ADOX does not set OF.
BOCHS_FAILURES = {"debug.single-step", "mmio.vex"}
# The tests of CR8, which QEMU's SVM does not survive.
BOCHS_MORE = {"long": 3}


def guest_passes_on_bochs(mode):
    def check(output):
        passed = int(re.search(rf"verdict {mode}: (\d+) passed", output).group(1))
        failed = set(re.findall(rf"^.*guest: {mode}: (\S+) FAILED", output, re.MULTILINE))
        if failed - BOCHS_FAILURES:
            return f"failed: {sorted(failed - BOCHS_FAILURES)}"
        return guest_passes(mode, BOCHS_MORE.get(mode, 0))(output.replace(f"verdict {mode}: {passed} ", f"verdict {mode}: {passed + len(failed)} "))
    return check


def vtx(name, scenario, until, *arguments, machine="bochs-vtx", check=None):
    """On Bochs, which has VT-x; everything takes its time there."""
    return run(name, scenario, "--machine", machine, "--timeout", "800", "--until", until, *arguments, check=check)


def guest_on_vtx(mode):
    """With the newer processor, which has all instructions that the tests of devices try."""
    return vtx(f"guest: {mode} on VT-x", f"guest-{mode}", rf"verdict {mode}: \d+ passed", machine="bochs-vtx-x2apic",
               check=guest_passes_on_bochs(mode))


def guest(mode):
    """The bare-metal guest on the monitor, with time counted in instructions, and the same image on QEMU itself."""
    return [run(f"guest: {mode}", f"guest-{mode}", "--deterministic", "--until", rf"verdict {mode}: \d+ passed, 0 failed",
                check=guest_passes(mode)),
            *(Test(f"guest: {mode} on QEMU" + (" 10" if emulator == "backports" else ""),
                   ["python3", "tests/guest/reference.py", "{build}", mode, emulator],
                   output=r"reference: \w+: \d+ passed, \d+ known differences") for emulator in ("stock", "backports"))]


SMP_RESETS = ["triple fault", "triple fault", "port 0xcf9", "INIT", "port 0xcf9", "triple fault"]


def smp_passes(output):
    """tests/guest/smp: all tests, and the resets in their order."""
    passed = int(re.search(r"verdict long: (\d+) passed", output).group(1))
    resets = re.findall(r"guest reset \((.*)\)", output)
    if passed < 30:
        return f"{passed} tests instead of 30"
    return None if resets == SMP_RESETS else f"resets by {resets}"


def load_is_carried(share):
    """The load found nothing wrong, the guest's kernel complained of nothing, and its clock went as ours did."""
    def check(output):
        complaint = re.search(r"load: dmesg: .*|load: FAILED.*|rcu: .*stall.*|soft lockup.*", output)
        if complaint:
            return complaint.group(0)
        if "load: done, 0 failures" not in output:
            return "the load was not done"
        guest = [int(ms) for ms in re.findall(r"load: time (\d+)", output)]
        ours = [int(ms) for ms in re.findall(r"vm debian: at (\d+) ms", output)]
        if len(guest) < 2 or len(ours) < 2:
            return "the clocks were not compared"
        drift = abs((guest[1] - guest[0]) / (ours[1] - ours[0]) - 1)
        detached = re.findall(r"detached (\d+) times and changed meanwhile (\d+) times", output)
        if any(changed != "0" for _, changed in detached):
            return f"memory changed while it was detached: {detached}"
        return None if drift < share else f"the guest's clock drifted by {drift * 100:.3f} %"
    return check


def hostile_is_contained(milliseconds, latency=100):
    """Every attack of the scenario was made and survived; the heart never stood still for longer; nothing died."""
    with open(os.path.join(os.path.dirname(__file__), "..", "scenarios", "hostile.xml"), encoding="utf-8") as file:
        attacks = re.findall(r'<attack name="([^"]+)"', file.read())

    def check(output):
        survived = dict(re.findall(r"hostile: (\S+) survived, \d+ resets; heartbeat gap (\d+) us", output))
        missing = [name for name in attacks if name not in survived]
        gap = float(re.search(r"hostile: done, \d+ attacks, 0 failed, worst heartbeat gap ([\d.]+) ms", output).group(1))
        died = re.findall(r"^\[init\] (\w+: died: .*)", output, re.MULTILINE)
        died += re.findall(r"^\[init\] ((?:heart|referee|deadline|\w+): has (?:ended|failed).*)", output, re.MULTILINE)
        died = [line for line in died if line != "hostile: has ended"]  # it resets itself too often: its monitor stops it
        if missing or died:
            return f"not survived: {missing}; {died}"
        if gap > milliseconds:
            return f"the heart stood still for {gap} ms"
        return deadline_is_kept(latency)(output) or (f"{len(attacks)} attacks, worst heartbeat gap {gap} ms",)
    return check


def without_vms(name, reason, *arguments):
    """The system boots and its components run; a VM says in one line what the processor lacks."""
    return run(f"without VMs: {name}", "spin", "--faulty", *arguments, "--until", "deadline: done",
               check=says(rf"^\[init -> vmm\] vm \w+: cannot run here: {reason}$"))


READY = "guest: ready"
FOUR_ON_TWO = ["--smp", "2", "--vcpus", "4", "--type", "nproc\\n", "--until", r"^4\r?$"]


def reboots(count):
    """The last command leaves time for an <info> line after the last reset. A page lost by each shows after a few."""
    return run(f"linux: reboot {count} times", "linux", *REBOOT * count, "--after", READY, "--type", "sleep 7; poweroff -f\\n",
               "--timeout", str(240 + 60 * count), check=reboots_leave_nothing(count))


REBOOT = ["--after", READY, "--type", "reboot -f\\n"]
POWEROFF = ["--after", READY, "--type", "poweroff -f\\n"]

def firmware_starts(cpus, times):
    """SeaBIOS has found the machine as it is, so often, and nothing that we had to refuse."""
    found = (r"Running on QEMU \(i440fx\)", "kvmclock: stable tsc", "fw_cfg DMA interface supported", "len 0x0000000004000000 .RAM.",
             r"ACPI: parse DSDT", rf"Found {cpus} cpu\(s\)", "e820 map has 6 items")

    def check(output):
        for line in found:
            count = len(re.findall(rf"vm pc: debug: .*{line}", output))
            if count != times:
                return f"{count} lines with '{line}' instead of {times}"
        wrong = re.search("outside of memory|refused|cannot be changed|unknown MSR.*|WARNING.*", output)
        return wrong.group(0) if wrong else None
    return check


BIOS = "tests/bios/bios.xml"
BIOS_DISK = "tests/bios/disk.xml"


def firmware_starts_disk(output):
    """All verdicts; and sectors come in blocks: the words of those that are read and written alone are 49,152."""
    bad = re.search(r"debug: (disk|screen): .*BAD", output)
    missing = [test for test in ("disk: read", "disk: write", "screen: text", "screen: mode", "disk: over")
               if f"debug: {test} good" not in output]
    exits = re.search(r"vm pc: \d+ exits: io (\d+)", output)
    if bad or missing or not exits:
        return bad.group(0) if bad else f"missing: {missing or 'exits'}"
    return None if int(exits.group(1)) < 16000 else f"{exits.group(1)} exits for ports"


BIOS_ROM = "tests/bios/rom.xml"


def rom_is_content(output):
    """All that the option ROM has tried by itself and by the firmware's services; its lines are on the guest's screen."""
    good = re.findall(r"vm pc: rom: (.*): ok", output)
    wanted = ["timer", "serial port", "memory map", "shadow RAM", "ROM", "other processor"]
    if "FAILED" in output or good != wanted:
        return f"the verdicts are {re.findall('vm pc: rom: .*: (?:ok|FAILED)', output)}"
    return says(r"vm pc: debug: rom: begins", r"vm pc: rom: by INT 14h")(output)


TESTS = [
    reboots(8),
    run("bios: POST, reset, POST", BIOS, "--after", r"log:guest reset \(port 0xcf9\)", "--type", " ", "--until",
        "debug: No bootable device", check=firmware_starts(1, 2)),
    run("bios: 4 processors", BIOS, "--vcpus", "4", "--until", "debug: No bootable device", check=firmware_starts(4, 1)),
    run("bios: shadow RAM and services", BIOS_ROM, "--vcpus", "2", "--after", "press a key", "--type", "x", "--until",
        "vm pc: rom: key x", check=rom_is_content),
    run("bios: a guest's jump to the reset vector", BIOS_ROM, "--after", "press a key", "--type", "x", "--until",
        r"guest reset \(port 0xcf9\)"),
    run("bios: starts from an IDE disk", BIOS_DISK, "--deterministic", "--until", r"vm pc: \d+ exits", check=firmware_starts_disk),
    run("bios: boot menu by key", BIOS, "--after", "Press ESC", "--type", r"\x1b", "--until", "^Select boot device"),
    run("linux: reboot=b", "linux", "--config", "tests/linux/reboot-bios.xml", *REBOOT, *POWEROFF, "--until", "guest powered off",
        check=says(r"guest reset \(port 0xcf9\)")),
    run("evil", "evil", "--deterministic", "--until", "evil: done", check=evil_is_contained),
    run("noisy", "noisy", "--deterministic", *UNHURRIED, "--until", "noisy: (done|failed)", check=noise_is_bounded),
    run("nested", "nested", "--deterministic", "--until", "nested: done", check=nested_goes_on),
    run("evil below an inner init", "tests/components/evil/below.xml", "--deterministic", "--until", "evil: done: .*, all refused"),
    run("nested: the configuration's server dies", "tests/components/changer/again.xml", "--deterministic", "--timeout", "60",
        "--until", "nested: done", check=nested_goes_on),
    run("many sessions", "tests/components/many/many.xml", "--deterministic", "--timeout", "60", "--until", "many: done", check=sessions_by_quota),
    run("example", "example", "--until", r"^\[init\] ticks: has ended", check=example_goes_on),
    run("noisy: two CPUs", "noisy", "--smp", "2", "--until", "noisy: done"),
    run("busy: two on one CPU", "tests/components/busy/shared.xml", "--deterministic", "--until", TWO_ENDED, check=shares(40, 55)),
    backports(on_one(run("busy: two CPUs", "tests/components/busy/busy.xml", "--smp", "2", "--until", TWO_ENDED,
                         check=shares(85, 102)))),
    run("callers", "tests/components/callers/callers.xml", "--until", "killed 10 times|callers: failed", check=callers_go_on),
    run("callers: two CPUs", "tests/components/callers/callers.xml", "--smp", "2", "--timeout", "200", "--until",
        "killed 10 times|callers: failed|core has died", check=callers_go_on),
    # 96 MiB is the least in which this kernel boots, on plain QEMU too: it wants 64 MiB for itself from 16 MiB on.
    linux(96),
    refused("linux: 64 MiB are too few", r"linux-64M.xml:32: .*needs \d+ MiB of memory.*has 64 MiB", "linux", "--guest-memory", "64",
            "--no-build"),
    linux(1024),
    linux(6144),
    linux(1024, "--machine", "q35"),
    run("linux: power off", "linux", *POWEROFF, output="the machine has powered off", check=says("guest powered off")),
    run("linux: power off leaves nothing", "poweroff", *POWEROFF * 3, "--until", "vmm: starts;",
        check=power_off_leaves_nothing),
    run("linux: clock", "linux", "--type", "echo epoch: $(date +%s)\\n", "--until", r"epoch: \d+", check=clock_is_right),
    run("guest: the system itself", "tests/guest/nested.xml", "--deterministic", "--until", r"vm nested: \[init -> hello\] hello: done"),
    run("linux: without KVM's clock", "tests/guest-linux/no-kvmclock.xml", "--deterministic", "--until", READY,
        check=says(r"\] tsc: Fast TSC calibration using PIT$", r"\] tsc: Detected (1000\.\d+|999\.[89]\d*) MHz processor$")),
    run("linux: sleep", "linux", "--type", "sleep 10; echo awake\\n", "--until", "^awake", check=has_slept),
    run("linux: IDE disk, CD and screen", "tests/linux/disk.xml", "--until", "disk: over|disk: FAILED", "--timeout", "300", check=guest_has_disks),
    run("linux: a disk's server is killed", "tests/linux/disk-kills.xml", "--deterministic", "--until", "disk: over|disk: FAILED", "--timeout", "600",
        check=disk_outlives_kills),
    run("linux: interrupts", "linux", "--type", "cat /proc/interrupts; sleep 1; cat /proc/interrupts; echo counted\\n",
        "--until", "^counted", check=interrupts_count),
    Test("wrong: scenarios with a mistake each", ["python3", "tests/wrong.py", "{build}"],
         output=r"^wrong: [4-9]\d scenarios, 0 not as expected$"),
    Test("make run: a shell that answers", ["python3", "tests/interactive.py", "{build}", "{log}"]),
    run("iso: BIOS", "linux", "--iso", "bios", "--until", READY),
    run("iso: UEFI", "linux", "--iso", "uefi", "--until", READY),
    # Only GRUB puts the RSDP into RAM; the rest of ktest runs below, deterministically.
    *(run(f"iso: {firmware.upper()} keeps the RSDP", "ktest", "--iso", firmware, "--until", "PASS memory: the RSDP")
      for firmware in ("bios", "uefi")),
    run("attach and detach in steps", "tests/components/steps/steps.xml", "--deterministic", "--until", "steps: done: 0 failures",
        check=steps_are_short),
    run("core: bounds", "tests/components/bounds/bounds.xml", "--deterministic", "--until", "bounds: done: 0 failures",
        check=bounds_hold),
    run("spin", "spin", "--deterministic", "--until", "deadline: done", check=deadline_is_kept(100)),
    # Both shells answer, each at its own terminal.
    run("two-linux", "two-linux", "--type", "echo first $((40+1))\\n", "--after", "^first 41", "--type", "\\n", "--terminal", "2",
        "--type", "echo second $((40+2))\\n", "--until", "^second 42",
        check=says(r"^\[init -> vmm-first\] vm first: first 41$", r"^\[init -> vmm-second\] vm second: second 42$")),
    # The writer's texts are whole and in order for the reader while report_rom is killed; who may not read does not.
    run("report", "report", "--deterministic", "--until", "ROM 'secret': not found",
        check=says(r"follower: \d+ contents, 0 faults$", r"report 'numbers': expected at most 16384 bytes, found 16385$",
                   r"inner -> first\] hello: done$")),
    # From the disk by SeaBIOS and GRUB; what was written and synced is there after a reset by the guest.
    run("small: a PC from its disk", "small", "--type", "echo kept $((40+2)) >/kept; sync; reboot\\n", "--after", "guest: ready",
        "--type", "", "--type", "cat /kept; mount | grep -c /dev/sda1\\n", "--until", "^kept 42", "--timeout", "400", check=starts_as_a_pc),
    Test("report: shown by tools/run", ["tools/run", "report", "--headless", "--deterministic", "--log", "{log}", "--report", "inner"],
         output=r'^<state>\n  <child name="first" state="ended" restarts="0" [^\n]*/>\n</state>\n'),
    refused("run: a report that is not there", "there are inner, numbers, settings", "report", "--report", "nosuch"),
    # Its driver is killed while the guest writes and is typed to; what the terminal has shown is looked at.
    Test("terminal: the driver is killed", ["sh", "-c", TERMINAL_KEEPS_ALL], check=terminal_has_gone),
    run("crash", "crash", "--deterministic", "--until", "null: starts again in 320 ms", check=all_have_crashed),
    run("log: a processor without SVM", "log", "--cpu", "qemu64,-svm", "--until", "hello: done"),
    run("log: memory that a device uses", "log", "--qemu=-acpitable", "--qemu=sig=DMAR,data={build}/test/rmrr", "--until",
        "hello: done", check=memory_is_kept),
    run("log: modules in memory that a device uses", "log", "--qemu=-acpitable", "--qemu=sig=DMAR,data={build}/test/rmrr-low",
        "--until", "no module init: nothing to start",
        check=says(r"^\[core\] module init lies in memory that a device uses and is left out$", r"^\[core\] module init ")),
    without_vms("neither SVM nor VT-x", "the processor has neither SVM nor VT-x", "--cpu", "EPYC,-svm"),
    without_vms("SVM without nested paging", "the processor has SVM without nested paging", "--cpu", "EPYC,-npt"),
    without_vms("VT-x without EPT", "the processor has VT-x without EPT", "--machine", "bochs-vtx", "--cpu",
                "core2_penryn_t9600"),
    without_vms("VT-x without unrestricted guest", "the processor has VT-x without unrestricted guest", "--machine",
                "bochs-vtx", "--cpu", "corei5_lynnfield_750"),
    without_vms("a processor of 2005", "the processor has neither SVM nor VT-x", "--machine", "bochs-svm", "--cpu",
                "athlon64_venice"),
    vtx("kernel: VT-x", "ktest", KTEST_PASSED, "--config", "tests/kernel/bochs.xml"),
    guest_on_vtx("real"),
    guest_on_vtx("long"),
    run("bad: components", "tests/bad/components.xml", "--faulty", "--until", "hello: done", check=BAD_COMPONENTS),
    run("bad: guests", "tests/bad/guests.xml", "--faulty", "--until", "hello: done", check=BAD_GUESTS),
    run("bad: module missing", "log", "--faulty", "--config", "tests/bad/module.xml", "--until", "hello: done",
        check=says(r"^\[init\] config:4: module 'nosuch': not among the boot modules")),
    bad_config("syntax", "config:6: </start> where </route> is expected"),
    bad_config("element", "config:3: <strat> has no place in <donjon>"),
    bad_config("route", "config:5: route of service LOG leads to 'nobody', which is not started"),
    Test("abi: specification and headers", ["python3", "tests/abi.py"]),
    Test("image: tools/image from end to end", ["python3", "tests/image.py"], output="^image: done"),
    Test("circles of files that call each other", ["python3", "tests/circles.py"]),
    Test("format: as make format leaves it", ["make", "-s", "check-format"]),
    Test("documents: form, links and paths", ["python3", "tests/documents.py"], output=" 0 mistakes"),
    Test("mutants: all can be applied", ["tools/mutants.py", "--check"], output=" 0 do not apply"),
    Test("tcb: within the budgets", ["tools/tcb"]),
    kernel("kernel", "ktest", check=pairs_are_covered),
    kernel("kernel: FXSAVE", "ktest", "--cpu", "EPYC,-xsave"),
    kernel("kernel: a processor without SVM", "tests/kernel/without-svm.xml", "--cpu", "EPYC,-svm",
           check=pairs_are_seen(pairs.WITHOUT_SVM)),
    kernel("kernel: a processor with more than guests get", "tests/kernel/leaks.xml", "--cpu", "max"),
    vtx("kernel: VT-x, a processor with more than guests get", "ktest", KTEST_PASSED, "--config", "tests/kernel/leaks.xml",
        "--cpu", "tigerlake", machine="bochs-vtx-x2apic"),
    run("linux: a processor with more than guests get", "linux", "--cpu", "max", "--until", READY),
    kernel("kernel: soak for 10 s", "tests/kernel/soak.xml", *UNHURRIED),
    backports(kernel_on_two("kernel: two CPUs", "tests/kernel/two-cpus.xml", check=pairs_are_seen(pairs.TWO_CPUS))),
    kernel_iommu("amd"),
    kernel_iommu("intel"),
    run("dma: a BAR where something else is", "dma", "--machine", "q35-intel-iommu", "--qemu=-machine", "--qemu=hpet=off",
        "--qemu=-acpitable", "--qemu=sig=HPET,data={build}/test/hpet", "--until", "DEVICE '00:04.0': not supported",
        check=says(r"^\[core\] device 00:04\.0: BAR 0, 0x4000 bytes at 0xfebf4000: expected .*, found the HPET$",
                   r"^\[core\] device .*expected")),
    run("blk: a disk in RAM", "blk", "--until", "blk scratch: done", check=says(r"blk scratch: \d{4,} requests")),
    run("part: two clients, and part is killed", "tests/block/part.xml", "--until", r"^\[init\] two: has ended",
        check=disks_are_right(["one", "5a000000-0000-4000-8000-000000000002"], {"part": 20})),
    run("part: bad tables", "tests/block/tables.xml", "--faulty", "--until", r"^\[init\] one: has ended", check=says(
        r"^\[init -> part-none\] part: partition table: expected the signature 43605 at the end of sector 0, found 0$",
        r"^\[init -> part-both\] part: GPT: expected at least one table that is whole, found 0$",
        r"^\[init -> part-first\] part: first GPT, sector 1: expected the signature 'EFI PART', found another$",
        r"^\[init -> part-first\] part: partition 3: expected sectors within 34 to 16350, found 16384 to 16384$",
        r"^\[init -> part-first\] part: partition 4: expected sectors of its own, .*, which overlaps partition 1$",
        r"^\[init -> part-first\] part: GPT, partitions: 2; the second table is used$",
        r"^\[init -> part-first\] part: partition 'nosuch': there is none of this name or UUID$",
        r"^\[init -> one\] scribbler one: done: .* 0 wrong$")),
    run("vdi: bad images", "tests/block/images.xml", "--faulty", "--until", r"^\[init\] client-good: has ended", check=says(
        r"^\[init -> empty\] vdi: image 'empty': signature at 0x40: expected 0xbeda107f, a VDI image's, found 0x0$",
        r"^\[init -> no-map\] vdi: image 'no-map': expected its map of 32 bytes at 1048576 on the disk, found a disk of 1048576 bytes$",
        r"^\[init -> short\] vdi: image 'short': image is cut: size for block 3: expected at least 6291456, found 5242880$",
        r"^\[init -> changed\] vdi: image 'today': parent was written after its child was made: .* expected \S+, found \S+$",
        r"^\[init -> orphan\] vdi: image 'today': parents of the differencing image 0: expected at least 1, found 0$",
        r"^\[init -> client-empty\] Block 'empty': not found$",
        r"^\[init -> client-good\] scribbler good: done: .* 0 wrong$")),
    run("chaos: part and vdi are killed under load", "tests/block/chaos.xml", "--deterministic", "--until",
        r"^\[init\] image: has ended", check=disks_are_right(["disk", "5a000000-0000-4000-8000-000000000003"],
                                                            {"part": 50, "vdi": 50})),
    run("chaos: a driver, part and vdi are killed under load", "tests/block/chaos-driver.xml", "--deterministic", "--timeout", "400",
        "--machine", "q35-amd-iommu", "--qemu=-drive",
        "--qemu=if=none,id=d0,format=raw,file={build}/test/chaos.img,snapshot=on,cache=unsafe", "--qemu=-device",
        "--qemu=nvme,drive=d0,serial=DISK42,addr=4", "--until", r"^\[init\] image: has ended", check=chaos_leaves_nothing),
    run("blk: another disk", "tests/components/blk/another.xml", "--until", "blk scratch: done",
        check=says("blk scratch: another disk is there now")),
    *(disk_driver(driver, vendor, kills) for driver in DISK_DEVICES for vendor in ("amd", "intel") for kills in (False, True)),
    with_disk("nvme: three namespaces", "nvme-namespaces", "nvme,id=c,serial=DISK42,addr=4", r"scribbler DISK42:3: done",
              "--machine", "q35-intel-iommu", "--qemu=-drive", "--qemu=if=none,id=d1,driver=null-co,size=1M",
              "--qemu=-drive", "--qemu=if=none,id=d2,driver=null-co,size=1M,read-zeroes=on",
              devices=("nvme-ns,drive=d1,bus=c,nsid=1,ms=8", "nvme-ns,drive=d0,bus=c,nsid=3", "nvme-ns,drive=d2,bus=c,nsid=7"), check=says(
                  r"^\[init -> nvme\] namespace 1: it has metadata, in its blocks or beside them: expected none$",
                  r"^\[init -> nvme\] namespace 3: 131072 sectors of 512 bytes, serial 'DISK42:3'$",
                  r"^\[init -> nvme\] namespace 7: 2048 sectors of 512 bytes, serial 'DISK42:7'$",
                  r"^\[init -> none\] Block '1': not found$",
                  r"^\[init -> scribbler\] scribbler DISK42:3: done: .* 0 wrong$")),
    # QEMU has a transitional device's DMA go around the IOMMU, and says so.
    with_disk("virtio_blk: a transitional device of QEMU's", "virtio_blk", "virtio-blk-pci,drive=d0,addr=4", "virtio_blk: has failed",
              "--machine", "q35-intel-iommu", "--faulty", "--timeout", "30", check=says(
                  r"^\[init -> virtio_blk\] device 00:04.0: its DMA does not go through the IOMMU \(QEMU: iommu_platform=on\)$")),
    with_disk("virtio_blk: a disk that can only be read", "virtio_blk-read-only", DISK_DEVICES["virtio_blk"], r"scribbler 0: done",
              "--machine", "q35-intel-iommu", drive=",readonly=on", check=says(
                  r"^\[init -> virtio_blk\] device 00:04.0: 131072 sectors .*, read-only", r"^\[init -> scribbler\] scribbler 0: done: .* 0 wrong$")),
    dma("amd"),
    dma("intel"),
    *(run(f"bad: devices, {vendor} IOMMU", "tests/bad/devices.xml", "--machine", f"q35-{vendor}-iommu", "--until",
          r"grabber: \d+ tried, 0 wrong") for vendor in ("amd", "intel")),
    run("dma: without an IOMMU", "dma", "--faulty", "--until", "canary: 0 words changed",
        check=says(r"^\[core\] init -> rogue: device 00:05.0: there is no IOMMU",
                   r"^\[init -> rogue\] device 00:05.0: not supported by this machine")),
    backports(run("linux: two CPUs", "linux", "--smp", "2", "--until", r"guest: ready")),
    # A newcomer's QEMU, too, boots with two CPUs.
    run("linux: two CPUs on the stock QEMU", "linux", "--smp", "2", "--until", r"guest: ready"),
    run("linux: the second QEMU", "linux", "--emulator", "backports", "--until", r"guest: ready"),
    kernel("kernel: the second QEMU", "ktest", "--emulator", "backports", until=r"^ktest: \d+ passed, \d+ failed",
           check=fails_as_known(BACKPORTS_KNOWN)),
    run("hostile", "hostile", "--deterministic", "--until", "hostile: done", "--timeout", "600", check=hostile_is_contained(50)),
    run("linux: 2 vCPUs on one CPU", "linux", "--vcpus", "2", "--deterministic", "--type", "nproc\\n", "--until", r"^2\r?$"),
    # Its two threads on one CPU of the build machine: on two, even the second QEMU has lost a CPU's state once (doc/caveats.md).
    on_one(backports(run("linux: 4 vCPUs on two CPUs", "linux", *FOUR_ON_TWO))),
    Test("bench", ["python3", "tools/bench.py"], output=" 0 differ, 0 over"),
    *(test for mode in GUEST_TESTS for test in guest(mode)),
    refused("run: unknown scenario", "no scenario 'nosuch'", "nosuch"),
    refused("run: binary without a module", r"module.xml:5: hello: binary 'hello' is not among the modules", "tests/bad/module.xml"),
    refused("run: no XML", r"tests/bad/syntax.xml:6: ", "tests/bad/syntax.xml"),
    refused("run: more than one CPU, counted", "--smp 2", "linux", "--smp", "2", "--deterministic"),
    refused("run: unknown machine", "--machine pdp11", "linux", "--machine", "pdp11"),
    refused("run: unknown option", "--bogus", "linux", "--bogus"),
    refused("run: a terminal that is not there", "--terminal 2", "linux", "--terminal", "2", "--type", "x"),
    refused("run: --after without --type", "--after", "linux", "--after", "x"),
    refused("run: bad pattern", "no regular expression", "linux", "--until", "("),
]

# make test-slow
SLOW_TESTS = [
    vtx("bios: shadow RAM and services on VT-x", BIOS_ROM, "vm pc: rom: press a key", check=rom_is_content),
    vtx("bios: shadow RAM, 2 vCPUs on 2 CPUs with VT-x", BIOS_ROM, "vm pc: rom: press a key", "--vcpus", "2", "--smp", "2",
        check=rom_is_content),
    backports(run("bios: shadow RAM, 2 vCPUs on 2 CPUs", BIOS_ROM, "--vcpus", "2", "--smp", "2", "--until",
                  "vm pc: rom: press a key", check=rom_is_content)),
    vtx("bios: POST on VT-x", BIOS, "debug: No bootable device", check=firmware_starts(1, 1)),
    # On two CPUs, where no run is as the one before, and a loaded machine makes them late.
    reboots(50),
    backports(dma("amd", "--smp", "2")),
    backports(dma("intel", "--smp", "2")),
    backports(run("linux: 4 vCPUs on two CPUs, unpinned", "linux", *FOUR_ON_TWO)),
    backports(run("linux: reset with 4 vCPUs", "linux", "--smp", "2", "--vcpus", "4", "--type", "reboot -f\\n", "--after",
                  "log:guest reset", "--type", "", "--after", "guest: ready", "--type", "nproc\\n", "--until", r"^4\r?$")),
    backports(run("guest: several processors", "guest-smp", "--smp", "2", "--until", r"verdict long: \d+ passed, 0 failed",
               check=smp_passes)),
    on_one(backports(run("linux: a load on 4 vCPUs", "smp", "--smp", "2", "--until", "load: over", "--timeout", "600",
                      check=load_is_carried(0.005)))),
    # A second for each attack instead of 60 ms, so that monitors end and are started, which core and init do first.
    Test("hostile: a second each",
         ["sh", "-c", """sed 's/<run milliseconds="60"/<run milliseconds="1000"/' scenarios/hostile.xml >{build}/hostile-long.xml && """
          "exec tools/run hostile --config {build}/hostile-long.xml --no-build --headless --log {log} --deterministic "
          "--until 'hostile: done' --timeout 7000"], check=hostile_is_contained(50, 500)),
    on_one(backports(run("linux: memory detached under 4 vCPUs", "smp-churn", "--smp", "2", "--until", "load: over", "--timeout",
                      "600", check=load_is_carried(0.005)))),
    run("linux: drift of 2 vCPUs, counted", "smp", "--vcpus", "2", "--deterministic", "--until", "load: over", "--timeout", "1800",
        check=load_is_carried(0.001)),
    kernel("kernel: soak for 600 s", "tests/kernel/slow-soak.xml", "--timeout", "7000", *UNHURRIED),
    *(soak_on_two(seed) for seed in SOAK_SEEDS[:5]),
    vtx("kernel: VT-x, all rounds", "ktest", KTEST_PASSED),
    vtx("kernel: VT-x with x2APIC", "ktest", KTEST_PASSED, "--config", "tests/kernel/bochs.xml", machine="bochs-vtx-x2apic"),
    vtx("kernel: VT-x, two CPUs", "ktest", KTEST_PASSED, "--config", "tests/kernel/slow-bochs-two-cpus.xml", "--smp", "2",
        machine="bochs-vtx-x2apic"),
    *(guest_on_vtx(mode) for mode in ("protected", "pae", "compat")),
    vtx("linux: VT-x", "linux", READY),
    # CPUID says the frequency, so nothing is calibrated.
    vtx("linux: VT-x without KVM's clock", "tests/guest-linux/no-kvmclock.xml", READY,
        check=lambda output: None if "] tsc: Detected 500." in output and "TSC calibration" not in output else "it calibrated"),
    vtx("linux: VT-x with XSAVEC", "linux", "context size is 832 bytes, using 'compacted' format", "--cpu", "corei7_skylake_x",
        "--type", "dmesg | grep x86/fpu\\n"),
    vtx("guest: several processors on VT-x", "guest-smp", r"verdict long: \d+ passed, 0 failed", check=smp_passes,
        machine="bochs-vtx-x2apic"),
    vtx("linux: VT-x, 2 vCPUs on two CPUs", "linux", r"^2\r?$", "--smp", "2", "--vcpus", "2", "--type", "nproc\\n"),
    # With next RIP and flush by ASID, which QEMU's has not. The test after these ends this emulator by a triple fault.
    vtx("kernel: SVM on Bochs", "ktest", "PASS vcpu: TSC_AUX", "--config", "tests/kernel/bochs.xml", machine="bochs-svm",
        check=nothing_failed),
    kernel("kernel: 1000000 objects of each type, 100000 spaces", "tests/kernel/slow-many.xml", "--timeout", "7000"),
    kernel("kernel: 200000 random states of a vCPU", "tests/kernel/slow-nonsense.xml", "--timeout", "7000"),
]

# make test-night, with the mutants
NIGHT_TESTS = [soak_on_two(seed) for seed in SOAK_SEEDS[5:]]
