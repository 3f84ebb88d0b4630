"""run every test, or those of one chapter: test [CHAPTER ...] [pytest's options]

usage: python3 run.py test [CHAPTER ...] [PYTEST_OPTIONS ...]

Every notebook is executed and every output compared with the stored one; the package, the book as a whole and
JupyterLab in a browser are tested too. With more than three cores, files are tested side by side.
"""
import os
import sys

from _chapters import ROOT, become, chosen, command, split


def main(arguments):
    names, options = split(arguments)
    paths = [str(path) for path in chosen(names)] if names else []
    cores = os.cpu_count() or 1
    if cores > 3 and not names:
        options += ["-n", str(cores // 2), "--dist", "loadfile"]
    os.chdir(ROOT)
    become([sys.executable, "-m", "pytest", *options, *paths])


if __name__ == "__main__":
    command(main)
