"""write exercises and solutions alone, a notebook for each chapter: solutions FOLDER [CHAPTER ...]

usage: python3 run.py solutions FOLDER [CHAPTER ...]      all chapters unless told
"""

import sys
from pathlib import Path

from tools.chapters import chapters_named
from tools.handouts import new_folder, only_solutions, read, write


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        sys.exit(
            "usage: python3 run.py solutions FOLDER [CHAPTER ...], for example: solutions ../solutions 01"
        )
    chapters = chapters_named(arguments[1:])
    target = Path(arguments[0]).expanduser().absolute()
    with new_folder(target) as folder:
        for chapter in chapters:
            write(only_solutions(read(chapter)), folder / f"{chapter.stem}.solutions.ipynb")
    print(f"{target} holds the solutions of {', '.join(chapter.stem[:2] for chapter in chapters)}.")
