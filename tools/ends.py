# SPDX-License-Identifier: ISC
"""What ends a scenario although its machine goes on, read from the log: the last words of the kernel, core or init, and
components that do not come back. Without it a run whose guest never starts would wait for ever.
"""

import codecs
import re

# The log's lines come from core, which lets no component write one of these: [init -> NAME] stands before theirs.
SYSTEM = [re.compile(pattern) for pattern in (
    r"\[(kernel)\] (fatal: .*)",
    r"\[(core)\] (init (?:has ended|has died|cannot start).*|core has died.*|no module init.*|no kernel memory for init|no memory for the book.*|"
    r"the kernel (?:speaks|refuses) .*|the machine stays on.*)",
    r"\[(init)\] (the machine cannot be powered off.*)")]
NOT_STARTED = re.compile(r"\[init\] ([^ :]+): ((?:binary '[^']*'|RAM|kernel memory|cannot be started): .*)")
FAILED = re.compile(r"\[init\] ([^ :]+): (died: .*|has failed .*)")
ENDED = re.compile(r"\[init\] ([^ :]+): has ended$")
SAID = re.compile(r"\[init -> ([^\]]+)\] (.*)")
REFUSED = re.compile(r"\[init\] config:(\d+): (.*)")
# A monitor's: its guest runs, and nobody can see or reach it.
NO_TERMINAL = re.compile(r"vm [^ :]+: no terminal \(.*")
# As components write it: see config_read of drivers and of the monitor.
COMPONENT_REFUSED = re.compile(r"config:(?: line)? ?(\d+): (.*)")


class Ends:
    """reason: None while the scenario goes on, then the line that says why not; status: what the program is to end with."""

    def __init__(self, scenario, config, expects_failures, nothing_awaited):
        """scenario: that of the configuration, or None if it cannot be read; config: the configuration's path."""
        self.starts = scenario.starts if scenario else {}
        self.clients = scenario.clients if scenario else set()
        self.config, self.expects_failures, self.nothing_awaited = config, expects_failures, nothing_awaited
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.pending = ""
        self.last_words, self.refusal, self.over, self.failed = {}, None, set(), False
        self.reason, self.status = None, None

    def feed(self, data):
        """The log's next bytes."""
        *lines, self.pending = (self.pending + self.decoder.decode(data)).split("\n")
        for line in lines:
            if self.reason is None:
                self._line(line.rstrip("\r"))

    def _line(self, line):
        refused, said = REFUSED.match(line), SAID.match(line)
        if refused:
            self.refusal = f"{self.config}:{refused.group(1)}: {refused.group(2)}"
        elif said:
            self.last_words[said.group(1)] = said.group(2)
            name = said.group(1).partition(" -> ")[0]
            if name in self.clients and NO_TERMINAL.match(said.group(2)) and not self.expects_failures:
                self._end(1, f"{self.config}:{self.starts[name].line}: {name}: {said.group(2)}")
        for pattern in SYSTEM:
            match = pattern.match(line)
            if match and self.refusal and match.group(1) == "core":
                self._end(2, self.refusal)
            elif match:
                self._end(1, f"{match.group(1)}: {match.group(2)}")
        for pattern in (NOT_STARTED, FAILED, ENDED):
            match = pattern.match(line)
            if match and match.group(1) in self.starts:
                self._component(pattern, *match.groups())

    def _component(self, pattern, name, how=""):
        start = self.starts[name]
        restart = start.attributes.get("restart", "no")
        if pattern is FAILED and restart != "no" or pattern is ENDED and restart == "always":
            return
        if pattern is ENDED and start.attributes.get("essential") in ("yes", "true"):
            return  # the machine powers off
        self.over.add(name)
        self.failed |= pattern is not ENDED
        if pattern is not ENDED and not self.expects_failures:
            self._failed(name, start.line, how)
        elif self.over >= self.starts.keys():
            self._end(1 if self.failed or not self.nothing_awaited else 0, "no component is left")
        elif self.nothing_awaited and self.clients and self.over >= self.clients:
            self._end(1 if self.failed else 0, f"{name} has ended: nobody is left at a terminal")

    def _failed(self, name, line, how):
        words = self.last_words.get(name, "")
        refused = COMPONENT_REFUSED.match(words)
        if refused:
            self._end(2, f"{self.config}:{refused.group(1)}: {name}: {refused.group(2)}")
        else:
            self._end(1, f"{self.config}:{line}: {name}: {how}" + (f"; its last words: {words}" if words else ""))

    def _end(self, status, reason):
        self.status, self.reason = status, reason
