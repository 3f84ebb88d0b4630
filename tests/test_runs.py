"""Runs of a chapter with other seeds, and of a chapter with a defect: what is kept, what is reported, who notices."""

import base64
import io

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from bigmodel_helpers.plotting import Bundle
from tools import chapter_mutants, runs, verdicts
from tools.authors import robust
from tools.watching import fingerprint

SOURCES = [
    "seed = 0  # any whole number",
    "import numpy as np\nimport bigmodel_helpers as bh\nrng = np.random.default_rng(seed)",
    "def double(x):\n    unused = 7\n    return 2 * x",
    "print('twice three:', double(3))",
    "bh.claim('a draw', rng.uniform(), at_least=0, at_most=1)",
    "bh.claim('twice a draw', double(rng.uniform()), at_most=1.5)",
    "answer = 1\nprint('the end')",
]


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """A chapter of seven cells, executed and stored."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in SOURCES])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "name": "python3",
        "language": "python",
    }
    NotebookClient(notebook, kernel_name="python3", extra_arguments=["--log-level=ERROR"]).execute()
    path = tmp_path_factory.mktemp("book") / "99_tiny.ipynb"
    nbformat.write(notebook, path)
    return path


def test_a_chapter_is_run_with_each_seed_once_and_what_failed_is_told(
    chapter, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(runs, "KEPT", tmp_path)
    monkeypatch.setattr(robust, "KEPT", tmp_path)
    tasks = [(chapter, f"seed-{seed}", {"seed": seed}, {}) for seed in (1, 2)]
    assert all("ran to its end" in line for line in runs.runs_side_by_side(tasks, 1))
    assert list(runs.runs_side_by_side(tasks, 1)) == [], "what has run is kept"
    failed = robust.report(chapter, ["seed-1", "seed-2"])
    said = capsys.readouterr().out
    draws = [runs.read_run(chapter, f"seed-{seed}")[1] for seed in (1, 2)]
    twice = [claims[1]["value"] for claims in draws]
    assert len(set(twice)) == 2
    assert failed == (max(twice) > 1.5)
    assert "99_tiny: claims over 2 seeds" in said and "twice a draw; at most 1.5" in said
    assert (tmp_path / "99_tiny.png").exists()


def test_a_stored_chapter_is_compared_again_and_again_without_a_change():
    parts = [nbformat.v4.new_output("stream", text=text) for text in ("one\n", "two\n")]
    stored, fresh = (
        new_notebook(cells=[new_code_cell("", outputs=nbformat.from_dict(parts))]) for _ in "ab"
    )
    assert [robust.changed("99_tiny", stored, fresh) for _ in range(3)] == [[], [], []]
    fresh.cells[0].outputs[1].text = "three\n"
    assert len(robust.changed("99_tiny", stored, fresh)) == 1


def shown(figure_of):
    """The outputs of a cell that shows one picture."""
    raw = io.BytesIO()
    Image.new("RGB", (40, 20), figure_of).save(raw, "png")
    data, metadata = Bundle(raw.getvalue(), "A block.")._repr_mimebundle_()
    data["image/png"] = base64.b64encode(raw.getvalue()).decode()
    return [new_output("display_data", data, metadata=metadata)]


def test_what_a_run_draws_otherwise_counts_where_it_measured_the_same_as_what_is_stored():
    claims = [{"exactly": "one 1.0"}, {"exactly": "two 2.0"}]
    stored = new_notebook(cells=[new_code_cell("", outputs=shown("red"))])
    stored.metadata.measured = fingerprint({"one 1.0", "two 2.0"})
    assert robust.same_numbers(stored, claims)
    assert not robust.same_numbers(stored, claims[:1]) and not robust.same_numbers(stored, [{}])
    fresh = new_notebook(cells=[new_code_cell("", outputs=shown("blue"))])
    for run, same, faults in ((fresh, True, 1), (fresh, False, 0), (stored, True, 0)):
        assert len(robust.changed("99_tiny", stored, run, same)) == faults


def test_a_defect_that_is_drawn_and_not_measured_is_noticed_by_its_figure(chapter):
    running = chapter_mutants.Chapter(chapter, nbformat.read(chapter, as_version=4))
    running.shown = {3: (shown("red"), "1f"), 5: (shown("red"), "2e")}
    assert running.drawn_otherwise({3: (shown("red"), "1f"), 5: (shown("red"), "2e")}) == ""
    said = running.drawn_otherwise({3: (shown("red"), "1f"), 5: (shown("blue"), "2e")})
    assert said.startswith("figure: the picture has changed")
    assert running.drawn_otherwise({3: (shown("red"), "0"), 5: (shown("blue"), "2e")}) == ""
    assert running.drawn_otherwise({4: (shown("blue"), "2e")}) == "", "nothing to compare it with"


def test_who_notices_a_defect_is_found_where_it_shows(chapter, tmp_path, monkeypatch):
    monkeypatch.setattr(verdicts, "KEPT", tmp_path)
    monkeypatch.setattr(chapter_mutants, "who_of_the_tests", lambda *_: "nobody")
    found = dict(chapter_mutants.verdicts(chapter, 1000))
    assert dict(chapter_mutants.verdicts(chapter, 1000)) == found, "what is known is kept"

    def who(*words):
        verdicts = {v.split(":")[0] for where, v in found.items() if all(w in where for w in words)}
        assert verdicts, words
        return verdicts

    assert who("cell 2", "becomes `return 2 / x`") == {"output"}
    assert who("cell 2", "unused = 7") == {"nobody"}
    assert who("cell 4", "at_most=1") <= {"output", "claim"}
    assert who("cell 6", "answer = 1") == {"nobody"}
    assert not any("cell 0" in where for where in found), "settings may be turned"


def test_verdicts_of_a_chapter_depend_on_what_is_stored_in_it(chapter):
    notebook = nbformat.read(chapter, as_version=4)
    before = list(chapter_mutants.depends_on(chapter, notebook))
    notebook.cells.append(new_markdown_cell("prose"))
    assert list(chapter_mutants.depends_on(chapter, notebook)) == before
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    code[0].outputs = []
    assert list(chapter_mutants.depends_on(chapter, notebook)) != before


def test_a_defect_is_looked_for_in_what_uses_the_cell_and_nothing_else(chapter):
    notebook = nbformat.read(chapter, as_version=4)
    running = chapter_mutants.Chapter(chapter, notebook)
    assert list(running.users_of(2)) == [3, 5]
    running.reached = 6
    assert not running.is_stale([2, 3, 5])
    running.names[5] = ({"answer"}, set())
    assert not running.is_stale([2, 3, 4])
    running.names[5] = ({"double"}, set())
    assert running.is_stale([3]) and not running.is_stale([4])
