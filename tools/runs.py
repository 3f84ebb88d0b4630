"""Runs of a chapter under other conditions, each kept until the chapter changes: its outputs and its claims."""

import contextlib
import hashlib
import io
import json
import math
import os
import shutil
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import nbformat

from tools.chapters import ROOT, THREADS
from tools.watching import measurement

KEPT = ROOT / ".runs"  # ignored by git; may be deleted at any time
FIGURES_OF = "1-threads"  # the run whose Matplotlib figures are kept, to plant faults in them
INSIDE = """import sys
sys.path.insert(0, {root!r})
import bigmodel_helpers
from tools.watching import watch
from tools.runs import noted
watch({figures!r})
bigmodel_helpers.claim = noted(bigmodel_helpers.claim, {path!r})"""


def noted(claim, path):
    """A `claim` that writes each number with its bounds into a file, and goes on where one does not hold."""
    Path(path).write_text("", encoding="ascii")

    def claim_and_note(name, value, **bounds):
        try:
            claim(name, value, **bounds)
            holds = True
        except AssertionError as error:
            print(error)
            holds = False
        if bounds.get("equals") is None or bounds.get("within") is not None:
            bounds = {key: float(bound) for key, bound in bounds.items() if bound is not None}
            line = {"name": name, "value": float(value), "bounds": bounds, "holds": holds}
        else:
            line = {"name": name, "value": str(value), "bounds": {}, "holds": holds}
        line["exactly"] = measurement(name, value)
        with open(path, "a", encoding="ascii") as file:
            file.write(json.dumps(line) + "\n")

    return claim_and_note


def place_of(chapter):
    """The folder for the runs of a chapter as it is now; those of an earlier state are deleted."""
    digest = hashlib.sha256()
    for cell in nbformat.read(chapter, as_version=4).cells:
        if cell.cell_type == "code":
            digest.update(cell.source.encode() + b"\0")
    for path in sorted((ROOT / "bigmodel_helpers").glob("*.py")):
        digest.update(path.read_bytes())
    place = KEPT / chapter.stem / digest.hexdigest()[:12]
    if not place.exists():
        shutil.rmtree(place.parent, ignore_errors=True)
        place.mkdir(parents=True)
    return place


def run(chapter, place, label, parameters, environ):
    """Run a chapter with papermill and keep its notebook and claims under this label; what stopped it, or nothing."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    os.environ.update(dict.fromkeys(THREADS, "1") | environ)
    part, noting = place / f"{label}.part.ipynb", place / f"{label}.claims"
    notebook = nbformat.read(chapter, as_version=4)
    figures = str(place / "figures") if label == FIGURES_OF else None
    source = INSIDE.format(root=str(ROOT), path=str(noting), figures=figures)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(source))
    nbformat.write(notebook, part)
    stopped = ""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            papermill.execute_notebook(
                part,
                part,
                parameters,
                cwd=str(chapter.parent),
                progress_bar=False,
                execution_timeout=1800,
                coalesce_streams=True,
                extra_arguments=["--log-level=ERROR"],
            )
    except PapermillExecutionError as error:
        stopped = f"{error.ename}: {error.evalue}"
    notebook = nbformat.read(part, as_version=4)
    notebook.cells = [
        cell
        for cell in notebook.cells[1:]
        if "injected-parameters" not in cell.metadata.get("tags", [])
        and "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    notebook.metadata["stopped"] = stopped
    nbformat.write(notebook, part)
    os.replace(part, place / f"{label}.ipynb")
    return stopped


def runs_side_by_side(tasks, cores):
    """Do what is not yet done of `(chapter, label, parameters, environ)`, one thread a core; yield each as it ends."""
    waiting, places = [], {chapter: place_of(chapter) for chapter in {task[0] for task in tasks}}
    for chapter, label, parameters, environ in tasks:
        place = places[chapter]
        if not (place / f"{label}.ipynb").exists():
            waiting.append((chapter, place, label, parameters, environ))
    if not waiting:
        return
    with ProcessPoolExecutor(cores, get_context("spawn"), max_tasks_per_child=1) as pool:
        futures = {pool.submit(run, *task): task for task in waiting}
        try:
            for number, future in enumerate(as_completed(futures), 1):
                chapter, _, label, _, _ = futures[future]
                yield f"{number} of {len(waiting)}: {chapter.stem}, {label}: {future.result() or 'ran to its end'}"
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            sys.exit("interrupted; call again to go on: what has run is kept.")


def read_run(chapter, label):
    """The notebook of a run, and its claims in order."""
    place = place_of(chapter)
    lines = (place / f"{label}.claims").read_text(encoding="ascii").splitlines()
    return nbformat.read(place / f"{label}.ipynb", as_version=4), list(map(json.loads, lines))


def distances(value, bounds):
    """How far a number lies inside each of its bounds."""
    sides = {
        "at_least": lambda bound: value - bound,
        "at_most": lambda bound: bound - value,
        "within": lambda bound: bound - abs(value - bounds["equals"]),
    }
    return [sides[key](bound) for key, bound in bounds.items() if key in sides]


def on_even_scale(values, bounds):
    """Numbers and bounds as they are, or their logarithms if those lie more evenly around their mean.

    Ratios and counts of steps have a long tail on one side, where a deviation says little; their logarithms have none.
    """
    numbers = [*values, *bounds.values()]
    if min(numbers) <= 0 or "within" in bounds or "equals" in bounds:
        return values, bounds, "plain"
    logs = [math.log(value) for value in values]
    if abs(skewness(values)) <= abs(skewness(logs)):
        return values, bounds, "plain"
    return logs, {key: math.log(bound) for key, bound in bounds.items()}, "log"


def skewness(values):
    """The third moment of what has mean 0 and variance 1; 0 where nothing varies."""
    mean, spread = statistics.fmean(values), statistics.pstdev(values)
    return statistics.fmean(((value - mean) / (spread or 1)) ** 3 for value in values)


def room(values, bounds):
    """How far the mean lies inside the bounds, in standard deviations; infinite where nothing varies."""
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    return (
        math.inf if spread <= 1e-12 * max(abs(mean), 1) else min(distances(mean, bounds)) / spread
    )
