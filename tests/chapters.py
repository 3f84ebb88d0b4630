"""What the tests of single chapters share: a chapter's functions without its other cells, and a run of it on other data."""

import ast
import contextlib
import os
import shutil
import subprocess
import symtable
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

import bigmodel_helpers as bh

ROOT = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def eagerly():
    """TensorFlow compiles no function whose source it cannot read; so it runs them line by line."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


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


def cases(chapter, name, known):
    """The cases of an exercise, made by the cell that checks it, beside the names in `known`, without the check itself."""
    cells = nbformat.read(ROOT / "notebooks" / f"{chapter}.ipynb", as_version=4).cells
    (source,) = [cell.source for cell in cells if f"\n{name} = [" in "\n" + cell.source]
    body = [node for node in ast.parse(source).body if "bh.check(" not in ast.unparse(node)]
    exec(ast.unparse(ast.Module(body, [])), known := dict(known))
    return known[name]


def asked_of(chapter, known, capsys, within=(), **ignored):
    """A function: what the check of an exercise, named by its cases, says to an answer.

    Args:
        known: the names that the cells of the cases need.
        within: for the cases whose answers may be farther off than 1e-6, by how much.
        ignored: of NumPy's warnings, those that an answer may cause, such as over="ignore".
    """
    within = dict(within)

    def asked(name, answer):
        its_cases = cases(chapter, name, known)
        with np.errstate(**ignored):
            bh.check(answer, its_cases, within=within.get(name, 1e-6))
        return capsys.readouterr().out

    return asked


def tests_of_answers(right, wrong, numbers):
    """Three tests of a chapter's exercises; its fixture `ask` tells what the check of one says to an answer.

    Args:
        right: for each exercise, by the name of its cases, right answers of different form.
        wrong: likewise, wrong ones of the kind that learners give.
        numbers: the exercises whose answer is a number: whoever errs must not be told it.
    """

    def each(answers):
        places = [(name, place) for name, found in answers.items() for place in range(len(found))]
        return pytest.mark.parametrize(("name", "number"), places)

    @each(right)
    def accepted(ask, name, number):
        said = ask(name, right[name][number])
        assert said.startswith("correct"), said

    @each(wrong)
    def refused(ask, name, number):
        said = ask(name, wrong[name][number])
        assert said.startswith("not yet"), said

    @pytest.mark.parametrize("name", numbers)
    def untold(ask, name):
        for answer in wrong[name]:
            assert "expected" not in ask(name, answer)

    return accepted, refused, untold


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


class Names(ast.NodeVisitor):
    """The names that a statement needs from before it, and those that it makes.

    >>> names = Names("b = a + 1; c = [i + b for i in h]; f = lambda d: d + e + b")
    >>> sorted(names.needed), sorted(names.made)
    (['a', 'e', 'h'], ['b', 'c', 'f'])
    """

    def __init__(self, source):
        self.needed, self.made = set(), set()
        self.visit(ast.parse(source))

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Store):
            self.made.add(node.id)
        elif node.id not in self.made:
            self.needed.add(node.id)

    def visit_Assign(self, node):
        for part in (node.value, *node.targets):
            self.visit(part)

    def visit_For(self, node):
        for part in (node.iter, node.target, *node.body, *node.orelse):
            self.visit(part)

    def visit_Import(self, node):
        self.made |= {(name.asname or name.name).split(".")[0] for name in node.names}

    visit_ImportFrom = visit_Import

    def visit_with_own_names(self, node):
        """Of what has names of its own, such as a function: what it takes from outside."""
        tables = [symtable.symtable(ast.unparse(node), "", "exec")]
        for table in tables:
            tables += table.get_children()
            for symbol in table.get_symbols():
                own = symbol.is_assigned() if table is tables[0] else not symbol.is_global()
                if symbol.is_referenced() and not own and symbol.get_name() not in self.made:
                    self.needed.add(symbol.get_name())
        if hasattr(node, "name"):
            self.made.add(node.name)

    visit_FunctionDef = visit_ClassDef = visit_Lambda = visit_with_own_names
    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_with_own_names


def leave_out(notebook, names):
    """Take from a notebook every statement that needs one of these names, or what such a statement makes.

    What a chapter shows without its data set takes long, is the same for every data set, and is tested with the chapter.
    """
    gone = set(names)
    for cell in notebook.cells:
        kept = []
        for statement in ast.parse(cell.source).body if cell.cell_type == "code" else []:
            found = Names(ast.unparse(statement))
            if found.needed & gone:
                assert not found.needed & {"dataset", "measured"}, "this depends on the data set"
                gone |= found.made
            else:
                gone -= found.made - set(names)
                kept.append(ast.unparse(statement))
        if cell.cell_type == "code":
            cell.source = "\n".join(kept)


def run_in_a_copy(chapter, folder, parameters, shorter=(), without=(), **downloads):
    """Run a chapter in a copy of the book whose data/downloads holds these made sets; return the notebook as it ran.

    Args:
        chapter: its name.
        folder: where the copy is made.
        parameters: settings of the chapter.
        shorter: what is written otherwise in the copy, as pairs (there, instead).
        without: names; what needs them is left out, as `leave_out` says.
    """
    for part in ("bigmodel_helpers", "notebooks", "data"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("downloads"))
    (folder / "data" / "downloads").mkdir()
    for name, arrays in downloads.items():
        np.savez(folder / "data" / "downloads" / f"{name}.npz", **arrays)
    path = folder / "notebooks" / f"{chapter}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    leave_out(notebook, without)
    text = nbformat.writes(notebook)
    for there, instead in shorter:
        assert text.count(there) == 1, there
        text = text.replace(there, instead)
    path.write_text(text, encoding="utf-8")
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


def run_side_by_side(folder, *runs, **options):
    """Several runs of `run_in_a_copy` at the same time, each `(chapter, parameters, downloads)`; the notebooks as they ran.

    A chapter on a little made data spends most of its time on one core, so two runs take hardly longer than one.
    """
    with ThreadPoolExecutor() as pool:
        started = [
            pool.submit(
                run_in_a_copy, chapter, folder / str(number), parameters, **options, **downloads
            )
            for number, (chapter, parameters, downloads) in enumerate(runs)
        ]
        return [run.result() for run in started]
