"""run every test, or those of one chapter: test [CHAPTER ...] [pytest's options]

usage: python3 run.py test [CHAPTER ...] [PYTEST_OPTIONS ...]

Every notebook is executed and every output compared with the stored one; the package, the book as a whole and
JupyterLab in a browser are tested too. Files are tested side by side, one on each core (up to eight); two threads each
would only wait for each other.
"""

import os
import sys

from _chapters import ROOT, THREADS, become, chosen, command, split


def main(arguments):
    names, options = split(arguments)
    paths = [str(path) for path in chosen(names)] if names else []
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if cores > 1 and not names:
        options += ["-n", str(min(cores, 8)), "--dist", "loadfile"]
        os.environ.update(dict.fromkeys(THREADS, "1"))
    os.chdir(ROOT)
    become([sys.executable, "-m", "pytest", *options, *paths])


if __name__ == "__main__":
    command(main)
