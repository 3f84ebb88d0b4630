"""What a lecturer hands out: chapters without their solutions, and the solutions without the chapters."""

import contextlib
import json
import re
import sys
import tempfile
from pathlib import Path

SOLUTION = "#### Solution to "
NEXT = re.compile(r"#{1,3} ")  # a heading that ends a solution
WITH_SOLUTIONS = "a hint, and a solution under a folded heading"


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(notebook, path):
    text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def source(cell):
    return "".join(cell["source"])


def parts(cells):
    """The cells of a notebook, each with whether it belongs to a solution.

    >>> titles = ["## Exercises", "### 1. Add", "#### Solution to 1", "x = 2", "### 2. Go on", "#### Solution to 2", "## Sources"]
    >>> [solves for solves, _ in parts([{"source": [title]} for title in titles])]
    [False, False, True, True, False, True, False]
    """
    solves = False
    for cell in cells:
        if source(cell).startswith(SOLUTION):
            solves = True
        elif cell.get("cell_type") != "code" and NEXT.match(source(cell)):
            solves = False
        yield solves, cell


def without_solutions(notebook):
    """A chapter as students get it: no solution and nothing that a solution has shown."""
    kept = []
    for solves, cell in parts(notebook["cells"]):
        if not solves:
            lines = [line.replace(WITH_SOLUTIONS, "and a hint") for line in cell["source"]]
            kept.append(cell | {"source": lines})
    return notebook | {"cells": kept}


def only_solutions(notebook):
    """The exercises of a chapter and their solutions, to be read beside the chapter: all but the cells that check."""
    title = source(notebook["cells"][0]).splitlines()[0].lstrip("# ")
    text = f"# Solutions: {title}\n\nTo be read: the code needs the cells of the chapter, and runs there."
    kept = [{"cell_type": "markdown", "id": "title", "metadata": {}, "source": [text]}]
    inside = False
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and source(cell).startswith("## "):
            inside = source(cell).startswith("## Exercises")
        if inside and not cell["metadata"].get("jupyter", {}).get("source_hidden"):
            lines = [line for line in cell["source"] if WITH_SOLUTIONS not in line]
            kept.append(cell | {"source": lines, "metadata": {}})  # nothing is folded here
    return notebook | {"cells": kept}


@contextlib.contextmanager
def new_folder(target):
    """A folder that is to be filled, and gets its name when all of it is written; nothing of it stays if that fails."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        sys.exit(f"{target} is there already; give the name of a new folder.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as parent:
            part = Path(parent) / target.name
            part.mkdir()
            yield part
            if target.exists():
                target.rmdir()
            part.replace(target)
    except OSError as error:
        sys.exit(
            f"{target} cannot be written ({error.strerror}); give a folder where you may write."
        )
