# SPDX-License-Identifier: ISC
"""The form of README.md, doc/*.md and abi/*.md: what a reader or a diff would stumble over.

  documents.py [FILE...]

* A line has at most 120 characters, unless it belongs to a table or holds a link's address that is too long to break.
* A cell of a table has at most 240 characters.
* No date but in doc/results.md: all else is in the present tense.
* A link into the tree leads to a file or folder that is there; one with #, to a heading of that file. So does a path in the
  text that begins with a folder of the tree; a C file may be named without its suffix.

Prints a line for each mistake. Exit status: 0 none, 1 some.
"""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINE, CELL = 120, 240
DATED = os.path.join("doc", "results.md")
ISO_DATE = re.compile(r"\b(?:19|20)\d\d-[01]\d-[0-3]\d\b")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+?)\s*$", re.MULTILINE)
FOLDERS = sorted(name for name in os.listdir(ROOT) if os.path.isdir(os.path.join(ROOT, name)) and name not in ("build", ".git"))
PATH = re.compile(r"(?<![\w/.])((?:%s)/[\w./-]*[\w/])" % "|".join(map(re.escape, FOLDERS)))
CELL_END = re.compile(r"(?<!\\)\|")


def anchors(path):
    """The fragments by which a file's headings can be named: lower case, hyphens for spaces, no punctuation."""
    with open(path, encoding="utf-8") as file:
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(file.read())}


def wrong_link(path, target):
    """What is wrong with a link from the file at `path`, or None."""
    if re.match(r"[a-z]+:", target):
        return None
    name, _, fragment = target.partition("#")
    file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
    if not os.path.exists(file):
        return f"expected a file for link '{target}', found none at {os.path.relpath(file, ROOT)}"
    if fragment and fragment not in anchors(file):
        return f"expected a heading for link '{target}', found none in {os.path.relpath(file, ROOT)}"
    return None


def wrong_path(text):
    """What is wrong with a path in the text, or None. One with a word in capitals (NAME) is an example."""
    if re.search(r"\b[A-Z]+\b", text) and not text.endswith("README.md"):
        return None
    path = os.path.join(ROOT, text)
    return None if os.path.exists(path) or os.path.exists(path + ".c") else f"expected a file of the tree, found '{text}'"


def mistakes(path):
    """(line's number, what is wrong) of one file."""
    name = os.path.relpath(path, ROOT)
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    for number, line in enumerate(lines, 1):
        table = line.lstrip().startswith("|")
        if not table and len(line) > LINE and not LINK.search(line):
            yield number, f"expected at most {LINE} characters, found {len(line)}"
        cells = CELL_END.split(line) if table else []
        if any(len(cell) > CELL for cell in cells):
            yield number, f"expected cells of at most {CELL} characters, found {max(map(len, cells))}"
        if name != DATED and ISO_DATE.search(line):
            yield number, f"expected no date, found {ISO_DATE.search(line).group(0)}: results of runs belong to {DATED}"
        for target in LINK.findall(line):
            wrong = wrong_link(path, target)
            if wrong:
                yield number, wrong
        for wrong in filter(None, map(wrong_path, PATH.findall(LINK.sub("", line)))):
            yield number, wrong


def main():
    paths = [os.path.abspath(path) for path in sys.argv[1:]]
    paths = paths or [os.path.join(ROOT, "README.md"),
                      *sorted(glob.glob(os.path.join(ROOT, "doc", "*.md")) + glob.glob(os.path.join(ROOT, "abi", "*.md")))]
    found = [f"{os.path.relpath(path, ROOT)}:{number}: {wrong}" for path in paths for number, wrong in mistakes(path)]
    print("\n".join([*found, f"documents: {len(paths)} files, {len(found)} mistakes"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
