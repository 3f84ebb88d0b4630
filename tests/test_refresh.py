"""Storing notebooks in one normal form."""

import base64

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.authors import refresh
from tools.chapters import THREADS
from tools.watching import fingerprint


@pytest.fixture
def notebook(tmp_path):
    def write(*sources):
        path = tmp_path / "99_test.ipynb"
        nbformat.write(
            new_notebook(cells=[new_markdown_cell("# ?"), *map(new_code_cell, sources)]), path
        )
        return path

    return write


EXPLORER = """import bigmodel_helpers as bh
def draw(figure, *, height):
    figure.subplots().plot([0, 1], [0, height])
    return "A line."
bh.explore(draw, height=(2, 0, 5, 1))"""


def test_refreshing_twice_changes_no_byte(notebook):
    path = notebook("print(1)", EXPLORER)
    assert refresh.refresh(path) is False
    first = path.read_bytes()
    assert refresh.refresh(path) is True
    assert path.read_bytes() == first
    stored = nbformat.reads(first.decode(), as_version=4)
    assert "widgets" not in stored.metadata
    assert set(stored.cells[2].outputs[0].data) == {"image/png", "text/html", "text/plain"}
    assert [cell.execution_count for cell in stored.cells[1:]] == [1, 2]
    assert b"\r" not in first and list(path.parent.iterdir()) == [path]


def test_what_was_measured_is_kept_as_a_fingerprint_and_what_figures_show_is_not(notebook):
    claim = "import bigmodel_helpers as bh\nbh.claim('a third', 1 / 3, at_least=0.3)"
    for sources in ((claim, EXPLORER), (claim, claim)):
        path = notebook(*sources)
        refresh.refresh(path)
        stored = nbformat.read(path, as_version=4)
        assert stored.metadata.measured == fingerprint({"a third 0.3333333333333333"})
        assert len(stored.cells) == 3
        for output in stored.cells[2].outputs:
            assert set(output.get("metadata", {}).get("image/png", {})) <= {
                "alt",
                "width",
                "height",
            }


def test_each_chapter_is_run_in_its_folder_with_one_thread_and_what_became_of_it_is_said(
    notebook, monkeypatch, capsys
):
    path = notebook(f"import os\nprint([os.environ[n] for n in {THREADS}], sorted(os.listdir()))")
    monkeypatch.setattr(refresh, "chapters_named", lambda names: [path] if names == ["99"] else [])
    for name in THREADS:
        monkeypatch.setenv(name, "3")
    refresh.main(["99"])
    refresh.main(["99"])
    assert capsys.readouterr().out == ("99_test.ipynb ... stored\n99_test.ipynb ... unchanged\n")
    (output,) = nbformat.read(path, as_version=4).cells[1].outputs
    assert output.text == f"{['1'] * len(THREADS)} ['99_test.ipynb']\n"


def test_the_picture_of_the_cover_is_kept_beside_the_chapters(notebook):
    path = notebook("print(1)", EXPLORER)
    tagged = nbformat.read(path, as_version=4)
    tagged.cells[2].metadata["tags"] = ["cover"]
    nbformat.write(tagged, path)
    for _ in range(2):
        refresh.refresh(path)
        (output,) = nbformat.read(path, as_version=4).cells[2].outputs
        cover = path.parent / "pictures" / "99_test.png"
        assert cover.read_bytes() == base64.b64decode(output.data["image/png"])
        cover.write_bytes(b"an older one")


def test_editors_metadata_is_dropped_and_ours_is_kept(notebook):
    path = notebook("print(1)")
    changed = nbformat.read(path, as_version=4)
    changed.metadata["language_info"] = {"name": "python", "version": "3.99"}
    changed.cells[1].metadata = {
        "scrolled": True,
        "tags": ["parameters"],
        "slideshow": {"slide_type": "skip"},
    }
    nbformat.write(changed, path)
    refresh.refresh(path)
    stored = nbformat.read(path, as_version=4)
    assert "version" not in stored.metadata.language_info
    assert stored.metadata.rise == {"center": False, "scroll": True}, "slides begin at the top"
    assert dict(stored.cells[1].metadata) == {
        "tags": ["parameters"],
        "slideshow": {"slide_type": "skip"},
    }


@pytest.mark.parametrize(
    "source",
    ["1 / 0", "import sys; print(1, file=sys.stderr)", "import warnings; warnings.warn('x')"],
)
def test_a_cell_that_stops_or_warns_leaves_the_file_as_it_was(notebook, source):
    path = notebook("print(1)", source)
    before = path.read_bytes()
    said = "cell 2 writes to the error stream|a cell stopped"
    with pytest.raises(SystemExit, match=f"({said}); the file is as it was"):
        refresh.refresh(path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
