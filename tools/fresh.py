"""get a new copy of a chapter to work in, and keep the old one: fresh CHAPTER [...]

usage: python3 run.py fresh CHAPTER [CHAPTER ...]
"""

import sys

from _chapters import chosen, command, renew


def main(arguments):
    if not arguments:
        sys.exit("usage: python3 run.py fresh CHAPTER, for example: python3 run.py fresh 01")
    for chapter in chosen(arguments):
        kept = renew(chapter)
        print(f"work/{chapter.name} is new" + (f"; yours is kept as work/{kept}." if kept else "."))


if __name__ == "__main__":
    command(main)
