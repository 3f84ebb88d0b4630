"""hold every claim against ten seeds, other thread counts and no oneDNN: robust [CHAPTER ...]

usage: python3 run.py robust [CHAPTER ...]      about fourteen times a chapter's running time

Executes the chapter anew for each of them, compares every text output with the stored one (after the tests' two
sanitize rules), and prints how far each measured number ranged, beside its bound. Stores nothing.
"""

import os
import re
import statistics
import sys

import nbformat
from nbclient.exceptions import CellExecutionError
from nbval.plugin import get_sanitize_patterns

from tools.authors.refresh import client_for
from tools.chapters import ROOT, THREADS, chapters_named

RUNS = [({"seed": seed}, {}) for seed in range(10)]
RUNS += [({}, dict.fromkeys(THREADS, str(threads))) for threads in (1, 2, 4)] + [
    ({}, {"TF_ENABLE_ONEDNN_OPTS": "0"})
]
RULES = get_sanitize_patterns((ROOT / "tests" / "nbval_sanitize.cfg").read_text(encoding="ascii"))
MEASURED = re.compile(r"^(.*): measured (\S+), (.*)$", re.MULTILINE)


def main(arguments):
    failed = False
    for path in chapters_named(arguments):
        stored, measured = nbformat.read(path, as_version=4), {}
        for parameters, environ in RUNS:
            label = f"{path.name} {parameters or environ}"
            try:
                fresh = execute(path, parameters, environ)
            except CellExecutionError as error:
                failed = True
                print(f"{label}: STOPPED\n{error}", flush=True)
                continue
            differing = [
                f"code cell {number}\n  stored: {before}\n  now:    {now}"
                for number, (before, now) in enumerate(
                    zip(texts_of(stored), texts_of(fresh), strict=True), 1
                )
                if sanitized(before) != sanitized(now)
            ]
            failed |= bool(differing)
            print(
                "\n".join([f"{label}: {'TEXT DIFFERS' if differing else 'same text'}", *differing]),
                flush=True,
            )
            for name, value, bound in MEASURED.findall("\n".join(texts_of(fresh))):
                measured.setdefault((name, bound), []).append(float(value))
        for (name, bound), values in measured.items():
            spread = f"{min(values):.4g} to {max(values):.4g}, std {statistics.stdev(values):.2g}"
            print(f"  {name}: {spread}; {bound}")
    sys.exit(failed)


def execute(path, parameters, environ):
    """The notebook after a run with other settings, without the cell that set them."""
    notebook = nbformat.read(path, as_version=4)
    place = (
        next(
            i
            for i, cell in enumerate(notebook.cells)
            if "parameters" in cell.metadata.get("tags", [])
        )
        + 1
    )
    source = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    notebook.cells.insert(place, nbformat.v4.new_code_cell(source))
    client_for(notebook, path).execute(env=os.environ | environ)
    del notebook.cells[place]
    return notebook


def texts_of(notebook):
    """The text of each code cell's outputs."""
    return [
        "\n".join(
            output.get("text") or output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def sanitized(text):
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    return text
