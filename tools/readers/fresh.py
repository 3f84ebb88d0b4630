"""get a new copy of a chapter to work in, and keep the old one: fresh CHAPTER [...]

usage: python3 run.py fresh CHAPTER [CHAPTER ...]
"""

import sys

from tools.chapters import chapters_named, renew, writing_into_the_book


def main(arguments):
    if not arguments:
        sys.exit("usage: python3 run.py fresh CHAPTER, for example: python3 run.py fresh 01")
    for chapter in chapters_named(arguments):
        with writing_into_the_book():
            kept = renew(chapter)
        print(f"work/{chapter.name} is new" + (f"; yours is kept as work/{kept}." if kept else "."))
