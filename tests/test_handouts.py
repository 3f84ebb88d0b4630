"""What is handed out: the students' book, without solutions and whole all the same, and the solutions for the lecturer."""

import os
import re
import subprocess
import sys
import zipfile

import nbformat
import pytest
from answers import exercises
from chapters import Names

from tools import handouts
from tools.chapters import chapters_named
from tools.teachers import solutions, student

CHAPTERS = chapters_named([])
LINK = re.compile(r"\]\(([^)#:]+)[^):]*\)")  # to a file, not to an address


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The students' book."""
    folder = tmp_path_factory.mktemp("lecturer") / "for students"
    student.main([str(folder)])
    return folder


def sources(notebook, kind):
    return [cell.source for cell in notebook.cells if cell.cell_type == kind]


@pytest.fixture(scope="module", params=CHAPTERS, ids=[path.stem for path in CHAPTERS])
def both(request, book):
    """A chapter, and what students get of it."""
    paths = request.param, book / "notebooks" / request.param.name
    return [nbformat.read(path, as_version=4) for path in paths]


def test_no_solution_is_handed_out_and_all_else_as_it_is(both):
    whole, handed = both
    nbformat.validate(handed)
    text = "\n".join(cell.source for cell in handed.cells)
    assert "Solution to" not in text and "_solution" not in text and "a solution" not in text
    shown = "".join(o.get("text", "") for cell in handed.cells for o in cell.get("outputs", []))
    assert not re.search(r"correct: \d+ of", shown)
    kept, before = {cell.id: cell for cell in handed.cells}, {cell.id: cell for cell in whole.cells}
    changed = [before[name].source for name, cell in kept.items() if before[name] != cell]
    assert len(changed) == 1 and "## Exercises" in changed[0], "where solutions were announced"
    for exercise in exercises(whole):
        assert whole.cells[exercise.stub].id in kept and whole.cells[exercise.check].id in kept
    for mark in ("<summary>Hint</summary>", "\n## Sources", "\n## What we have shown", "\n### "):
        assert (
            f"\n{text}".count(mark) == "\n".join(["", *sources(whole, "markdown")]).count(mark) > 0
        )


def test_nothing_that_is_handed_out_needs_what_is_not(both):
    whole, handed = both
    kept = Names("\n".join(sources(handed, "code")))
    made = {cell.id: Names(cell.source).made for cell in whole.cells if cell.cell_type == "code"}
    removed = set().union(*(made[name] for name in set(made) - {cell.id for cell in handed.cells}))
    assert len(removed) >= 3 and removed & kept.needed == set()


def test_the_students_book_needs_nothing_from_the_whole_one(book):
    def said(*command):
        environ = {k: text for k, text in os.environ.items() if not k.startswith("BIGMODEL")}
        done = subprocess.run(
            [sys.executable, *command], cwd=book, env=environ, capture_output=True, text=True
        )
        return done.stdout + done.stderr

    assert "to read:\n  fresh" in said("run.py") and "to teach" not in said("run.py")
    assert "there is no command 'test'; there are: fresh, lab." in said("run.py", "test")
    assert said("tools", "fresh", "01") == "work/01_backprop.ipynb is new.\n"
    assert (book / "work" / "01_backprop.ipynb").read_bytes() == (
        book / "notebooks" / "01_backprop.ipynb"
    ).read_bytes()
    loads = "import sys, run; from tools.readers import lab; print(*sys.modules)"
    assert "tools.readers.lab" in said("-c", loads)


def test_no_link_of_the_students_book_is_broken(book):
    pages = {"README.md": (book / "README.md").read_text("utf-8")}
    for path in book.glob("notebooks/*.ipynb"):
        text = "\n".join(sources(nbformat.read(path, as_version=4), "markdown"))
        pages[f"notebooks/{path.name}"] = text
    assert len(pages) == len(CHAPTERS) + 1
    links = [
        ((book / page).parent / link) for page, text in pages.items() for link in LINK.findall(text)
    ]
    assert len(links) > 20
    assert [link for link in links if not link.exists()] == []
    assert "run.py test" not in pages["README.md"] and "run.py lab" in pages["README.md"]


def test_the_zip_holds_the_folder(book):
    with zipfile.ZipFile(book.with_name("for students.zip")) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    files = {path for path in book.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    files = {path for path in files if (book / "work") not in path.parents}
    assert names == {path.relative_to(book.parent).as_posix() for path in files}
    assert not any(".ipynb_checkpoints" in name or "downloads" in name for name in names)


def test_the_solutions_are_written_for_the_chapters_that_are_named(tmp_path, capsys):
    solutions.main([str(tmp_path / "a" / "solutions"), "01", "03"])
    assert capsys.readouterr().out.endswith("solutions holds the solutions of 01, 03.\n")
    paths = sorted((tmp_path / "a" / "solutions").iterdir())
    assert [path.name[:13] for path in paths] == ["01_backprop.s", "03_evaluation"]
    for path, chapter in zip(paths, [CHAPTERS[1], CHAPTERS[3]]):
        found, whole = (nbformat.read(p, as_version=4) for p in (path, chapter))
        nbformat.validate(found)
        assert sources(found, "markdown")[0].startswith("# Solutions: ")
        asked = exercises(whole)
        text, code = "\n".join(sources(found, "markdown")), sources(found, "code")
        for number, exercise in enumerate(asked, 1):
            assert f"\n### {number}. " in text and f"#### Solution to {number}\n" in text + "\n"
            assert whole.cells[exercise.stub].source in code
            assert whole.cells[exercise.check].source not in code
        assert len(code) >= 2 * len(asked) and "folded" not in text
        shown = [o.text for cell in found.cells for o in cell.get("outputs", []) if "text" in o]
        assert len([text for text in shown if text.startswith("correct")]) == len(asked)


@pytest.mark.parametrize("command", [student, solutions])
def test_what_is_there_is_never_written_over(command, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine", encoding="utf-8")
    for name in ("full", "full/mine"):
        with pytest.raises(SystemExit, match=f"{name} is there already; give the name of a new"):
            command.main([str(tmp_path / name)])
    assert (tmp_path / "full" / "mine").read_text(encoding="utf-8") == "mine"
    with pytest.raises(SystemExit, match="cannot be written .*give a folder where you may write"):
        command.main([str(tmp_path / "full" / "mine" / "new")])
    for arguments in ([], ["--all"]):
        with pytest.raises(SystemExit, match="usage: python3 run.py s.* FOLDER"):
            command.main(arguments)


def test_a_zip_that_is_there_is_kept(tmp_path):
    (tmp_path / "new.zip").write_text("mine", encoding="utf-8")
    with pytest.raises(SystemExit, match="new.zip too, which is there already"):
        student.main([str(tmp_path / "new")])
    assert [path.name for path in tmp_path.iterdir()] == ["new.zip"]


def test_an_empty_folder_is_filled_and_a_failure_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    solutions.main([str(tmp_path / "new"), "00"])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["00_start_here.solutions.ipynb"]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(student, "write", full)
    with pytest.raises(SystemExit, match="No space left on device"):
        student.main([str(tmp_path / "other")])
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_chapter_without_the_sentence_on_solutions_is_as_it_was():
    notebook = {"cells": [{"cell_type": "markdown", "source": ["# A\n", "text"]}], "nbformat": 4}
    assert handouts.without_solutions(notebook) == notebook
