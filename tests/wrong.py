# SPDX-License-Identifier: ISC
"""Scenarios with one mistake each, of those that people make (tests/wrong/*.xml): tools/run must name file, line and reason.

    wrong.py BUILD

The first line of each says what it must end with: <!-- MISTAKE. Expected: status N, line L: WORDS -->. Those with status 1
boot: only the running system can know. Each must end within LIMIT seconds, stretched by the machine's load.
"""

import glob
import os
import re
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import load  # pylint: disable=wrong-import-position

LIMIT = 5.0
EXPECTED = re.compile(r"<!-- .*\. Expected: status ([12]), line (\d+): (.*) -->$")


def wrong_with(path):
    """What is not as the scenario's first line says, or None."""
    with open(path, encoding="utf-8") as file:
        status, line, words = EXPECTED.match(file.readline().strip()).groups()
    started = time.monotonic()
    limit = LIMIT * load.stretch()
    command = ["tools/run", path, "--no-build", "--headless", "--until", "never seen", "--timeout", "60"]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    seconds, output = time.monotonic() - started, run.stdout.decode("utf-8", "replace")
    if run.returncode != int(status):
        return f"status {run.returncode} instead of {status}: {output[-300:]}"
    if not re.search(rf"^donjon: {re.escape(path)}:{line}: .*{re.escape(words)}", output, re.MULTILINE):
        return f"no line with '{path}:{line}: ... {words}': {output[-300:]}"
    return f"{seconds:.1f} s instead of {limit:.1f}" if seconds > limit else None


def main():
    os.environ["BUILD"] = sys.argv[1]
    paths = sorted(glob.glob("tests/wrong/*.xml"))
    failures = 0
    for path in paths:
        wrong = wrong_with(path)
        if wrong:
            failures += 1
            print(f"{path}: {wrong}")
    print(f"wrong: {len(paths)} scenarios, {failures} not as expected")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
