"""write the book without its solutions, as a folder and a zip to hand out: student FOLDER

usage: python3 run.py student FOLDER

The folder is a whole book: `python3 run.py lab` opens it. Neither solutions are in it nor what only authors and lecturers
need. The zip beside it, FOLDER.zip, holds the same. What the folded cells compare an answer with is still to be read in
some of them: they are for practice, not for marks.
"""

import re
import shutil
import sys
from pathlib import Path

from tools.chapters import ROOT, chapters_named
from tools.handouts import new_folder, read, without_solutions, write

FILES = (
    *("run.py", "pyproject.toml", "requirements.lock", "requirements-gpu.lock", "LICENSE"),
    "CITATION.cff",
)
FOLDERS = ("bigmodel_helpers", "data", "notebooks/pictures", "tools/readers")
# what the readers' commands load
TOOLS = (
    *("__init__", "__main__", "chapters", "complaints", "environment", "index_settings", "locking"),
    *("programs", "surroundings"),
)
NOT_COPIED = shutil.ignore_patterns("__pycache__", ".*", "downloads")
BEGINNING = """
This is the students' edition: a whole book, with exercises that check your answers, and without their solutions.

With Python 3.11, 3.12 or 3.13, on Linux, macOS (Apple silicon) or Windows, in this folder:

    python3 run.py lab      # opens the book in JupyterLab

The first call sets everything up in the folder `.venv`: 0.5 GB to download and 2 GB on disk; later calls start at once. On
Windows the command is `py run.py lab`. If the set-up fails, it says why and where its log is.

"""
SECTIONS = ("The chapters", "To study", "Larger data", "GPU", "Licence")  # of the README


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit(
            "usage: python3 run.py student FOLDER, for example: python3 run.py student ../for-students"
        )
    target = Path(arguments[0]).expanduser().absolute()
    zipped = target.with_name(f"{target.name}.zip")
    if zipped.exists():
        sys.exit(f"student writes {zipped} too, which is there already; give another name.")
    with new_folder(target) as folder:
        hand_out(folder)
        made = shutil.make_archive(str(folder), "zip", folder.parent, folder.name)
        Path(made).replace(zipped)
    print(f"{target} is the students' book, and {zipped.name} beside it holds the same.")


def hand_out(folder):
    """Write the students' book into an empty folder."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=NOT_COPIED)
    for name in (*FILES, *(f"tools/{name}.py" for name in TOOLS)):
        shutil.copy(ROOT / name, folder / name)
    for chapter in chapters_named([]):
        write(without_solutions(read(chapter)), folder / "notebooks" / chapter.name)
    title, *sections = re.split(r"(?m)^## ", (ROOT / "README.md").read_text(encoding="utf-8"))
    text = title.splitlines()[0] + "\n" + BEGINNING
    text += "".join(f"## {part}" for part in sections if part.startswith(SECTIONS))
    (folder / "README.md").write_text(text, encoding="utf-8", newline="\n")
