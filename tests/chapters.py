"""What the tests of single chapters share: a chapter's functions without its other cells, and a run of it on other data."""

import ast
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image

import bigmodel_helpers as bh

ROOT = Path(__file__).resolve().parent.parent


def functions(chapter, names, known):
    """These functions, classes and values of a chapter, defined beside the names in `known`, without its other code."""
    known = dict(known)
    for cell in nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", as_version=4).cells:
        for node in ast.parse(cell.source).body if cell.cell_type == "code" else []:
            targets = node.targets if isinstance(node, ast.Assign) else [node]
            if any(
                getattr(target, "id", getattr(target, "name", None)) in names for target in targets
            ):
                exec(ast.unparse(node), known)
    return [known[name] for name in names]


def check_settings(chapter, **changed):
    """Set some settings of a chapter, and run what stands before its set-up: the checks; the settings as they then are."""
    settings = {}
    for cell in nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", as_version=4).cells:
        if "parameters" in cell.metadata.get("tags", []):
            exec(cell.source, {}, settings)
        if cell.cell_type == "code" and "bh.setup(" in cell.source:
            checks = cell.source[: cell.source.index("bh.setup(")]
            exec(checks, {"bh": bh}, settings := settings | changed)
    return settings


def read_pictures(chapter, folder):
    """Run the cell of a chapter that reads the pictures of a folder."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if "bh.image_folder(dataset, size)" in cell.source]
    rng = np.random.default_rng(0)
    known = {"bh": bh, "np": np, "dataset": str(folder), "size": 32, "epochs": 1, "rng": rng}
    exec(cell.source, known)
    return known


def made_data(picture, label, train, test):
    """Random pictures and labels under Keras' array names; shapes of one picture and one label, numbers of both parts."""
    rng = np.random.default_rng(0)
    return {
        f"{kind}_{part}": rng.integers(0, high, size=(n, *shape), dtype=np.uint8)
        for part, n in (("train", train), ("test", test))
        for kind, high, shape in (("x", 256, picture), ("y", 10, label))
    }


def made_folder(folder, count):
    """A folder with so many colour pictures of random blocks, of several sizes; its path."""
    folder.mkdir()
    for number, blocks in enumerate(
        np.random.default_rng(0).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    ):
        size = 40 + number % 30, 50
        Image.fromarray(blocks).resize(size).save(folder / f"{number}.jpg")
    return folder


def run_in_a_copy(chapter, folder, parameters, **downloads):
    """Run a chapter in a copy of the book whose data/downloads holds these made sets; return the notebook as it ran."""
    for part in ("bigmodel_helpers", "notebooks", "data"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("downloads"))
    (folder / "data" / "downloads").mkdir()
    for name, arrays in downloads.items():
        np.savez(folder / "data" / "downloads" / f"{name}.npz", **arrays)
    command = [
        sys.executable,
        "-m",
        "papermill",
        "--cwd",
        "notebooks",
        "--no-progress-bar",
        f"notebooks/{chapter}.ipynb",
        "out.ipynb",
    ]
    for name, value in parameters.items():
        command += ["-p", name, str(value)]
    environ = os.environ | {"PYTHONPATH": str(folder)}
    environ.pop("PYTEST_CURRENT_TEST", None)
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(folder / "out.ipynb", as_version=4)


def run_side_by_side(folder, *runs):
    """Several runs of `run_in_a_copy` at the same time, each `(chapter, parameters, downloads)`; the notebooks as they ran.

    A chapter on a little made data spends most of its time on one core, so two runs take hardly longer than one.
    """
    with ThreadPoolExecutor() as pool:
        started = [
            pool.submit(run_in_a_copy, chapter, folder / str(number), parameters, **downloads)
            for number, (chapter, parameters, downloads) in enumerate(runs)
        ]
        return [run.result() for run in started]
