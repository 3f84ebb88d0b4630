"""plant defects in a chapter or a file, and see who notices: mutants [CHAPTER or FILE.py ...]

usage: python3 run.py mutants [CHAPTER or FILE.py ...] [--count N]      all chapters unless told; 40 defects in each file

Each defect is planted alone, in a copy of the book, and the tests that belong to the file run there until one fails; as
many copies work side by side as there are cores. Verdicts are kept in .runs/mutants/ until the file or its tests change,
so an interrupted call goes on where it was. Prints a table, and each defect that nobody noticed.
"""

import contextlib
import importlib.util
import itertools
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path

from tools.authors.test import cores_of_this_process
from tools.chapters import ROOT, THREADS, names_and_options
from tools.mutation import chosen, mutants_of
from tools.verdicts import Verdicts

NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".runs", ".uv-cache", "work", "downloads", "__pycache__", "node_modules"
)
# beside a file's own examples and tests/test_NAME.py: who else exercises it, the quickest first
EXERCISED_BY = {
    "conftest.py": ["tests/test_guards.py"],
    "run.py": ["tests/test_run.py"],
    "bigmodel_helpers/claims.py": ["tests/test_exercises.py"],
    "bigmodel_helpers/data.py": ["tests/test_larger_data.py"],
    "bigmodel_helpers/explore.py": ["tests/test_plotting.py"],
    "bigmodel_helpers/pictures.py": ["tests/test_image_folder.py"],
    "bigmodel_helpers/runtime.py": ["tests/test_surroundings.py"],
    "tools/__main__.py": ["tests/test_tools.py", "tests/test_surroundings.py", "tests/test_run.py"],
    "tools/chapter_mutants.py": ["tests/test_runs.py"],
    "tools/figure_faults.py": ["tests/test_figures.py"],
    "tools/watching.py": ["tests/test_guards.py", "tests/test_tools.py"],
    "tools/verdicts.py": ["tests/test_tools.py"],
    "tools/complaints.py": ["tests/test_environment.py", "tests/test_run.py"],
    "tools/environment.py": ["tests/test_run.py"],
    "tools/index_settings.py": [
        "tests/test_surroundings.py",
        "tests/test_environment.py",
        "tests/test_run.py",
    ],
    "tools/locking.py": ["tests/test_environment.py", "tests/test_run.py"],
    "tools/programs.py": ["tests/test_tools.py", "tests/test_run.py"],
    "tools/figures.py": ["tests/test_figures.py", "tests/test_guards.py"],
    "tools/outputs.py": ["tests/test_guards.py"],
    "tools/runs.py": ["tests/test_tools.py"],
    "tools/authors/mutants.py": ["tests/test_tools.py"],
    "tools/authors/robust.py": ["tests/test_tools.py", "tests/test_runs.py"],
    "tools/authors/test.py": ["tests/test_tools.py"],
    "tools/readers/fresh.py": ["tests/test_chapters.py"],
    "tools/readers/lab.py": ["tests/test_chapters.py"],
    "tools/teachers/solutions.py": ["tests/test_handouts.py"],
    "tools/teachers/student.py": ["tests/test_handouts.py"],
}
# imported once, before the processes of the tests part from each other
WARM = (
    *("numpy", "pytest", "nbval.plugin", "nbformat", "nbclient", "IPython", "ipywidgets"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "PIL.Image"),
)
OPTIONS = ["-x", "-q", "--tb=line", "--color=no", "-p", "no:cacheprovider", "-p", "no:xdist"]
OPTIONS += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]


def main(arguments):
    names, options = names_and_options(arguments)
    count = count_asked_for(options)
    files = [name for name in names if name.endswith(".py")]
    chapters = [name for name in names if name not in files]
    rows = [verdicts(path_in_the_book(name), count or 40) for name in files]
    if files:
        print(table(rows))
    if chapters or not files:
        from tools.chapter_mutants import plant

        plant(chapters, count)


def count_asked_for(options):
    """How many defects the options ask for, or None."""
    match = re.fullmatch(r"(--count[ =](\d+))?", " ".join(options))
    if not match or match.group(2) and int(match.group(2)) < 1:
        sys.exit(f"mutants does not know {' '.join(options)}; it takes --count 60.")
    return int(match.group(2)) if match.group(2) else None


def path_in_the_book(name):
    """A file's path from the book's folder, wherever the reader stands."""
    for folder in (Path.cwd(), ROOT):
        path = (folder / name).resolve()
        if path.is_file() and path.is_relative_to(ROOT):
            return path.relative_to(ROOT).as_posix()
    sys.exit(f"there is no file {name} in the book.")


def holders_of(file):
    """What holds a file: its own examples, the tests that bear its name, and who else exercises it."""
    own = f"tests/test_{Path(file).stem}.py"
    paths = dict.fromkeys([file, own, *EXERCISED_BY.get(file, [])])
    return [
        path
        for path in paths
        if (ROOT / path).exists() and (path != file or ">>>" in (ROOT / path).read_text("utf-8"))
    ]


def verdicts(file, count):
    """Plant defects in a file; `(file, tests, {mutant: who noticed, or ""})`."""
    source, tests = (ROOT / file).read_text(encoding="utf-8"), holders_of(file)
    if not tests:
        sys.exit(f"no test belongs to {file}.")
    mutants, all_of_them = chosen(found := mutants_of(source), count), len(found)
    print(f"{file}: {len(mutants)} of {all_of_them} defects, held by {', '.join(tests)}")
    name = file.removesuffix(".py").replace("/", "-")
    kept = Verdicts(name, [(ROOT / path).read_bytes() for path in [file, *tests]])
    waiting = [mutant for mutant in mutants if kept.get(file, mutant) is None]
    if waiting:
        with Copies(file, tests) as copies, ThreadPoolExecutor(copies.count) as pool:

            def judge(mutant):
                kept.note(file, mutant, who := copies.who_notices(mutant.source))
                print(f"  {mutant.kind} at {mutant.description}: {who or 'NOBODY'}", flush=True)

            list(pool.map(judge, waiting))
    return file, all_of_them, {mutant: kept.get(file, mutant) for mutant in mutants}


def table(rows):
    """The verdicts in a table, and each defect that nobody noticed."""
    lines = [f"\n{'planted':>8} {'of':>6} {'noticed':>8} {'share':>6}  file"]
    for file, all_of_them, found in rows:
        noticed = sum(map(bool, found.values()))
        share = noticed / len(found) if found else 1
        lines.append(f"{len(found):8} {all_of_them:6} {noticed:8} {share:6.1%}  {file}")
    for file, _, found in rows:
        lines += [
            f"nobody noticed {file}, {mutant.kind} at {mutant.description}"
            for mutant, who in found.items()
            if not who
        ]
    return "\n".join(lines)


class Copies:
    """Copies of the book, one for each core, in which a file is changed and its tests run."""

    def __init__(self, file, tests, count=None):
        self.file, self.tests, self.count = file, tests, count or cores_of_this_process()
        self.context = get_context(
            "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
        )
        if hasattr(self.context, "set_forkserver_preload"):
            self.context.set_forkserver_preload(list(WARM))
        self.outside = {name: os.environ.get(name) for name in THREADS}
        self.times = itertools.count(10**9)

    def __enter__(self):
        os.environ.update(dict.fromkeys(THREADS, "1"))
        self.folder = Path(tempfile.mkdtemp(prefix="bigmodel-mutants-"))
        self.free = [self.folder / str(number) for number in range(self.count)]
        for copy in self.free:
            shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
        self.timeout, start = 600, time.monotonic()
        source = (ROOT / self.file).read_text(encoding="utf-8")
        if who := self.who_notices(source):
            self.__exit__()
            sys.exit(f"the tests of {self.file} fail without any defect: {who}")
        self.timeout = 60 + 8 * (time.monotonic() - start)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, value in self.outside.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value

    def who_notices(self, source):
        """Which test fails first with this source in the file's place; nothing if all of them pass."""
        copy = self.free.pop()
        try:
            (copy / self.file).write_text(source, encoding="utf-8", newline="\n")
            # of its own time, so that what was compiled from the defect before is not taken for it
            os.utime(copy / self.file, 2 * (next(self.times),))
            log = self.folder / f"{copy.name}.log"
            process = self.context.Process(target=run_tests, args=(copy, self.tests, log))
            process.start()
            process.join(self.timeout)
            if process.exitcode is None:
                end_all_of(process)
                return "the clock"
            if process.exitcode == 0:
                return ""
            return first_failure(log.read_text(encoding="utf-8", errors="replace"))
        finally:
            self.free.append(copy)


def end_all_of(process):
    """End a process that hangs, with all that it has started."""
    with contextlib.suppress(OSError, AttributeError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def run_tests(copy, tests, log):
    """Run tests in a copy of the book and nowhere else; the exit code is pytest's."""
    with contextlib.suppress(OSError, AttributeError):
        os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w", 1, "utf-8") for number in (1, 2))
    os.chdir(copy)
    sys.path[:] = [str(copy)] + [folder for folder in sys.path if Path(folder) != ROOT]
    for name in list(sys.modules):
        if name.partition(".")[0] in ("bigmodel_helpers", "conftest", "run", "tools"):
            del sys.modules[name]
    found = importlib.util.find_spec("bigmodel_helpers").origin
    if not Path(found).is_relative_to(copy):
        raise ImportError(f"the copy's package is to be tested, but {found} would be")
    import pytest

    sys.exit(int(pytest.main([*OPTIONS, "--rootdir", str(copy), *tests])))


def first_failure(output):
    """Who complained first, from what pytest printed.

    >>> first_failure("..F\\nFAILED tests/test_a.py::test_b[3 - 2] - assert 0\\n1 failed")
    'tests/test_a.py::test_b[3 - 2]'
    """
    pattern = r"^(?:FAILED|ERROR) (\S+::\w+\[.*?\](?= - |$)|\S+)"
    found = re.search(pattern, output, re.MULTILINE)
    return found.group(1) if found else "pytest itself"
