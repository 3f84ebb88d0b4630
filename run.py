#!/usr/bin/env python3
"""The one command of this book: makes its environment on first use, then does what you ask.

usage: python3 run.py [--cpu | --gpu] COMMAND [ARGUMENTS]

Needs nothing but Python. The environment is the folder .venv beside this file; each of its packages is
pinned and checked by hash. It is changed in its place when the locks have changed or another build of
TensorFlow is asked for, and made anew when its Python has changed, the book was moved, or a set-up was
interrupted. Delete .venv to start over.

  --cpu   the CPU build of TensorFlow, without a question
  --gpu   the build for an NVIDIA GPU (Linux, x86_64)
"""

import ast
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
if str(ROOT) not in sys.path:  # where Python was told not to look beside the file that it runs
    sys.path.insert(0, str(ROOT))

from tools import environment  # noqa: E402
from tools.programs import hand_over_to  # noqa: E402
from tools.surroundings import without_python_settings  # noqa: E402

GROUPS = {"readers": "to read", "teachers": "to teach", "authors": "to write and test"}


def main(arguments):
    asked = []
    # only before the command: behind it, they are the command's
    while arguments and arguments[0] in ("--cpu", "--gpu"):
        asked.append(arguments[0][2:])
        arguments = arguments[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        return print(help_text())
    name, found = arguments[0], commands()
    if name not in found:
        sys.exit(f"run.py: there is no command '{name}'; there are: {', '.join(found)}.")
    if arguments[1:2] in (["-h"], ["--help"]):
        return print(docstring(found[name]))
    if len(set(asked)) > 1:
        sys.exit("run.py: --cpu and --gpu exclude each other; give one of them.")
    python = environment.ready(
        asked[0] if asked else None, authors=found[name].parent.name == "authors"
    )
    hand_over_to(
        [str(python), str(ROOT / "tools"), *arguments], without_python_settings(os.environ)
    )


def commands():
    """The file of each command, by its name: those for readers, for teachers, and for authors, as far as they are there."""
    folders = [ROOT / "tools" / group for group in GROUPS]
    return {path.stem: path for folder in folders for path in sorted(folder.glob("[a-z]*.py"))}


def docstring(path):
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def help_text():
    """The usage above, then a line for each command: the first line of its docstring."""
    lines = [docstring(Path(__file__)), ""]
    for group, what in GROUPS.items():
        found = [path for path in commands().values() if path.parent.name == group]
        lines += [f"{what}:"] * bool(found)
        lines += [f"  {path.stem:9} {docstring(path).splitlines()[0]}" for path in found]
    return "\n".join(lines)


if __name__ == "__main__":
    for stream in filter(None, (sys.stdout, sys.stderr)):
        # a folder's name may hold letters that a terminal does not know
        stream.reconfigure(errors="replace")
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("run.py: interrupted; what was not finished is done again by the next call.")
    except environment.SetupError as problem:
        sys.exit(f"run.py: {problem}")
