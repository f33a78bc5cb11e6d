# SPDX-License-Identifier: ISC
"""make run as a person uses it, at a pseudo terminal: waits for the guest's shell, types, reads the answer and quits.

interactive.py BUILD LOG: boots what is built in BUILD. Exit status 0 when the shell has answered and Ctrl-] has ended it.
"""

import contextlib
import os
import pty
import re
import select
import signal
import sys
import time

LIMIT = 120
# The shell asks the terminal where its cursor is; nobody answers here, which it takes well.
PROMPT = r"# (\x1b\[6n)?\Z"
# What is waited for, and the keys that are typed then. The sum is not in what is typed: only the guest can have said it.
# The first text is typed before there is a guest.
DIALOGUE = [(r"Ctrl-\] quits", b"echo early $((20+2))\r"), ("guest: ready", b""), (r"early 22\r?\n", b""),
            (PROMPT, b"echo sum $((40+2))\r"), (r"sum 42\r?\n", b""), (PROMPT, b"\x1d")]


def talk(terminal):
    """The part of the dialogue that was not reached: [] when all went well."""
    seen, left, deadline = "", list(DIALOGUE), time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            data = os.read(terminal, 65536).decode("utf-8", "replace")
        except OSError:
            break  # the other side has closed
        sys.stdout.write(data)
        seen += data
        while left and re.search(left[0][0], seen):
            keys = left.pop(0)[1]
            if keys:
                os.write(terminal, keys)
                seen = ""
    return left


def main():
    build, log = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    process, terminal = pty.fork()
    if process == 0:
        os.execvp("make", ["make", "-s", "run", f"BUILD={build}", f"ARGS=--no-build --log {log}"])
    left = DIALOGUE
    try:
        left = talk(terminal)
    finally:
        if left:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGTERM)
        status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    print(f"\ninteractive: {'no answer' if left else 'answered'}, status {status}")
    return 1 if left or status else 0


if __name__ == "__main__":
    sys.exit(main())
