"""Storing notebooks in one normal form."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.authors import refresh
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
    with pytest.raises(SystemExit, match="the file is as it was"):
        refresh.refresh(path)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
