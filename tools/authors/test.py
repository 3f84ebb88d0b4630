"""run every test, or those of some chapters or files: test [CHAPTER or FILE ...] [pytest's options]

usage: python3 run.py test [CHAPTER or FILE ...] [PYTEST_OPTIONS ...]

Every notebook is executed and every output compared with the stored one; the package, the book as a whole and
JupyterLab in a browser are tested too. All of it is tested side by side, a file on each core (up to eight), because two
threads each would only wait for each other, and the file that takes longest begins first; options such as -n 0, --pdb
or -k go to pytest.
"""

import os
import re
import sys

from tools.chapters import ROOT, THREADS, chapters_named, names_and_options
from tools.programs import hand_over_to

WITH_FILE = ("--ignore", "--deselect")  # options before the file of a test
WITH_VALUE = (*WITH_FILE, "-k", "-m", "-c", "-o", "-W", "--rootdir", "--ignore-glob", "--junitxml")
TEST = re.compile(r"\.(py|ipynb)(::.*)?$")  # what looks like a test file among options
ALONE = (
    "-n",
    "--numprocesses",
    "--pdb",
    "--trace",
    "--dist",
    "-p",
)  # options that decide themselves, or need one process
LONGEST = "test_jupyterlab.py"
SIDE_BY_SIDE = ["--dist", "loadfile", "--no-loadscope-reorder", "-p", "tools.authors.test"]


def pytest_collection_modifyitems(items):
    """Let the file that takes longest begin first: at the end, no core then waits for it."""
    items.sort(key=lambda item: item.path.name != LONGEST)


def main(arguments):
    names, options = names_and_options(arguments)
    paths = [path for name in names for path in tests_of(name)]
    before = [None, *options]  # for each option, what stands before it
    files = [
        TEST.search(option) and last not in WITH_VALUE for option, last in zip(options, before)
    ]
    paths += [whole_path(option) for option, file in zip(options, files) if file]
    options = [
        whole_path(option) if last in WITH_FILE else option
        for option, last, file in zip(options, before, files)
        if not file
    ]
    cores = cores_of_this_process()
    if cores > 1 and not paths and not any(option.startswith(ALONE) for option in options):
        options += ["-n", str(min(cores, 8)), *SIDE_BY_SIDE]
        os.environ.update(dict.fromkeys(THREADS, "1"))
    os.chdir(ROOT)
    hand_over_to([sys.executable, "-m", "pytest", *options, *paths])


def tests_of(name):
    """The file of this path, or else the notebook and the tests of the chapter whose name begins so."""
    if whole_path(name) != name or os.path.isabs(name):
        return [whole_path(name)]
    chapters = chapters_named([name])
    tests = [
        path for chapter in chapters for path in (ROOT / "tests").glob(f"test_{chapter.stem}.py")
    ]
    return [str(path) for path in [*chapters, *tests]]


def whole_path(argument):
    """A path of a file or folder that is there, with or without the name of a test behind it, made absolute."""
    path, colons, test = argument.partition("::")
    for folder in (os.getcwd(), ROOT):
        if path and not path.startswith("-") and os.path.exists(os.path.join(folder, path)):
            return os.path.join(folder, path) + colons + test
    return argument


def cores_of_this_process():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
