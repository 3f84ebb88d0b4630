"""The commands: how they are called, what `test` asks of pytest, what `robust` and `mutants` report."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import bigmodel_helpers as bh
import run
import tools.__main__
from bigmodel_helpers import plotting
from tools import chapters as the_chapters
from tools import runs, verdicts
from tools.authors import mutants, robust
from tools.authors import test as test_command
from tools.mutation import mutants_of
from tools.readers import fresh
from tools.watching import fingerprint

ROOT = Path(__file__).resolve().parent.parent


def test_ctrl_c_ends_a_command_with_a_word(monkeypatch):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(fresh, "main", interrupted)
    with pytest.raises(SystemExit, match="interrupted"):
        tools.__main__.main(["fresh", "01"])


def test_a_command_is_found_by_its_name_also_without_run_py(capsys):
    tools.__main__.main([])
    assert "to read:" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="there is no command 'frehs'; there are: .*fresh"):
        tools.__main__.main(["frehs"])


@pytest.fixture
def pytest_called(monkeypatch):
    """What `run.py test` makes pytest do, on a machine of twelve cores."""
    calls = []
    monkeypatch.setattr(test_command, "hand_over_to", lambda program: calls.append(program[3:]))
    monkeypatch.setattr(test_command, "cores_of_this_process", lambda: 12)
    monkeypatch.chdir(ROOT)
    for name in the_chapters.THREADS:
        monkeypatch.setenv(name, "3")

    def called(*arguments):
        test_command.main(list(arguments))
        return calls[-1], {os.environ[name] for name in the_chapters.THREADS}

    return called


def test_all_files_are_tested_side_by_side_with_one_thread_each(pytest_called):
    assert pytest_called() == (["-n", "8", *test_command.SIDE_BY_SIDE], {"1"})
    assert pytest_called("-x", "-k", "data") == (
        ["-x", "-k", "data", "-n", "8", *test_command.SIDE_BY_SIDE],
        {"1"},
    )


def test_on_one_core_nothing_runs_side_by_side(pytest_called, monkeypatch):
    monkeypatch.setattr(test_command, "cores_of_this_process", lambda: 1)
    assert pytest_called("-x") == (["-x"], {"3"})


def test_the_file_that_takes_longest_begins_first(tmp_path):
    """Seen in what pytest collects; xdist hands the files out in this order, if told to leave them so."""
    (tmp_path / "tests").mkdir()
    for name in ("test_a.py", test_command.LONGEST, "test_z.py"):
        assert name != test_command.LONGEST or (ROOT / "tests" / name).exists()
        (tmp_path / "tests" / name).write_text("def test_one(): pass\ndef test_two(): pass\n")
    options = ["--rootdir", tmp_path, "-c", os.devnull, "--collect-only", "-q", tmp_path]
    program = [sys.executable, "-m", "pytest", *options, *test_command.SIDE_BY_SIDE]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    collected = [line.split("::")[0] for line in done.stdout.splitlines() if "::" in line]
    names = [test_command.LONGEST, "test_a.py", "test_z.py"]
    assert [Path(path).name for path in collected[::2]] == names, done.stdout + done.stderr
    assert "--no-loadscope-reorder" in test_command.SIDE_BY_SIDE


def test_a_chapter_is_its_notebook_and_its_tests(pytest_called):
    files = [
        str(ROOT / "notebooks" / "01_backprop.ipynb"),
        str(ROOT / "tests" / "test_01_backprop.py"),
    ]
    assert pytest_called("01") == (files, {"3"})
    assert pytest_called("01", "-x") == (["-x", *files], {"3"})


@pytest.mark.parametrize(
    "options", [["--pdb"], ["-n", "0"], ["-n2"], ["--trace"], ["-p", "no:xdist"]]
)
def test_options_that_decide_about_processes_are_left_to_do_so(pytest_called, options):
    assert pytest_called(*options) == (options, {"3"})


def test_files_are_found_from_the_readers_folder_and_from_the_books(pytest_called, monkeypatch):
    file = str(ROOT / "tests" / "test_tools.py")
    assert pytest_called("tests/test_tools.py::test_x", "-q") == (["-q", f"{file}::test_x"], {"3"})
    assert pytest_called("-q", "tests/test_tools.py") == (["-q", file], {"3"})
    monkeypatch.chdir(ROOT / "tests")
    assert pytest_called("test_tools.py") == ([file], {"3"})
    monkeypatch.chdir(ROOT.parent)
    assert pytest_called("tests/test_tools.py") == ([file], {"3"})
    for option in ("--ignore", "--deselect"):
        options = ["-q", option, file, "-x", "-n", "8", *test_command.SIDE_BY_SIDE]
        assert pytest_called("-q", option, "tests/test_tools.py", "-x") == (options, {"1"})
    options = ["-k", "test_tools.py", "-n", "8", *test_command.SIDE_BY_SIDE]
    assert pytest_called("-k", "test_tools.py") == (options, {"1"})
    with pytest.raises(SystemExit, match="there is no chapter 77"):
        pytest_called("77")


def test_who_reads_needs_no_authors_packages():
    """A reader's command, and what it imports, is there without the authors' group."""
    groups = {path.parent.name for path in run.commands().values()}
    assert groups == {"readers", "teachers", "authors"}
    assert {name for name, path in run.commands().items() if path.parent.name == "readers"} >= {
        "lab",
        "fresh",
    }
    code = (
        "import sys; import tools.readers.lab, tools.readers.fresh, tools.__main__;"
        "import tools.teachers.student, tools.teachers.solutions, tools.teachers.wheels;"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and not {"nbformat", "pytest", "nbclient", "yaml"} & set(
        done.stdout.split()
    )


# --- runs under other conditions, and what is made of them


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The runs of a chapter of three code cells, kept in a folder of their own."""
    book = tmp_path / "book"
    (book / "bigmodel_helpers").mkdir(parents=True)
    (book / "bigmodel_helpers" / "a.py").write_text("1")
    monkeypatch.setattr(runs, "ROOT", book)
    monkeypatch.setattr(runs, "KEPT", tmp_path / "kept")
    cells = [new_markdown_cell("# ?"), *(new_code_cell(text) for text in ("a", "b", "c"))]
    for number, cell in enumerate(cells[1:]):
        cell.outputs = [new_output("stream", name="stdout", text=f"{number}\n")]
    nbformat.write(new_notebook(cells=cells), book / "01_one.ipynb")
    return book / "01_one.ipynb"


def change_cell(chapter, number, source):
    notebook = nbformat.read(chapter, as_version=4)
    notebook.cells[number].source = source
    nbformat.write(notebook, chapter)


def test_runs_are_kept_until_the_code_of_the_chapter_or_a_helper_changes(kept):
    place = runs.place_of(kept)
    (place / "seed-0.ipynb").write_text("")
    assert place.parent == runs.KEPT / "01_one" and runs.place_of(kept) == place
    change_cell(kept, 0, "# Another text?")
    assert runs.place_of(kept) == place and (place / "seed-0.ipynb").exists()
    change_cell(kept, 2, "bb")
    other = runs.place_of(kept)
    assert other != place and other.is_dir() and not place.exists()
    (runs.ROOT / "bigmodel_helpers" / "a.py").write_text("2")
    assert runs.place_of(kept) not in (place, other)


def test_each_claim_is_noted_and_none_stops_the_chapter(tmp_path, capsys):
    path = tmp_path / "claims"
    claim = runs.noted(bh.claim, str(path))
    assert path.read_text() == "", "what an earlier run has noted is gone"
    claim("a", np.float32(0.5), at_least=0.25)
    claim("b", 0.5, at_most=0.25)
    claim("c", 0.5, equals=0.5, within=np.float64(0.125))
    claim("d", (1, 2), equals=(1, 2))
    claim("e", 3, equals=4)
    claim("f", 0.51, equals=0.5, within=0.1)
    claim("accuracy", 0.5, at_least=0.9)
    assert list(map(json.loads, path.read_text().splitlines())) == [
        {
            "name": "a",
            "value": 0.5,
            "bounds": {"at_least": 0.25},
            "holds": True,
            "exactly": "a 0.5",
        },
        {
            "name": "b",
            "value": 0.5,
            "bounds": {"at_most": 0.25},
            "holds": False,
            "exactly": "b 0.5",
        },
        {
            "name": "c",
            "value": 0.5,
            "bounds": {"equals": 0.5, "within": 0.125},
            "holds": True,
            "exactly": "c 0.5",
        },
        {"name": "d", "value": "(1, 2)", "bounds": {}, "holds": True, "exactly": "d (1, 2)"},
        {"name": "e", "value": "3", "bounds": {}, "holds": False, "exactly": "e 3.0"},
        {
            "name": "f",
            "value": 0.51,
            "bounds": {"equals": 0.5, "within": 0.1},
            "holds": True,
            "exactly": "f 0.51",
        },
        {
            "name": "accuracy",
            "value": 0.5,
            "bounds": {"at_least": 0.9},
            "holds": False,
            "exactly": "accuracy 0.5",
        },
    ]
    said = capsys.readouterr().out.splitlines()
    assert said[6].startswith("accuracy is 0.5, but it must be at least 0.9")
    assert len(said) == 7 and said[1].startswith("b is 0.5, but it must be at most 0.25")


@pytest.mark.parametrize(
    ("value", "bounds", "inside"),
    [
        (3, {"at_least": 1}, [2]),
        (3, {"at_most": 7}, [4]),
        (3, {"at_least": 1, "at_most": 7}, [2, 4]),
        (3, {"at_least": 4}, [-1]),
        (3, {"equals": 5, "within": 3}, [1]),
        (7, {"equals": 5, "within": 3}, [1]),
        (9, {"equals": 5, "within": 3}, [-1]),
    ],
)
def test_how_far_a_number_lies_inside_its_bounds(value, bounds, inside):
    assert runs.distances(value, bounds) == inside


def test_room_is_the_mean_s_distance_to_the_nearest_bound_in_deviations():
    values = [1.0, 2.0, 3.0]
    assert runs.room(values, {"at_least": -2}) == 4
    assert runs.room(values, {"at_least": -2, "at_most": 5}) == 3
    assert runs.room(values, {"at_most": 1}) == -1
    assert runs.room(values, {"at_least": 0.0}) == 2
    assert runs.room(values, {"at_most": 2.5}) == 0.5
    assert runs.room(values, {"at_least": -9.0, "at_most": 1.0}) == -1
    assert runs.room(values, {"equals": 3.0, "within": 4.0}) == 3
    assert runs.room([2.0, 2.0, 2.0], {"at_least": 2.0}) == float("inf")
    assert runs.room([4.0, 4.0 + 1e-13], {"at_least": 4}) == float("inf")
    assert runs.room([1e6, 1e6 + 1e-7], {"at_least": 4}) == float("inf")
    assert runs.room([0.0, 1e-9], {"at_least": -1}) < float("inf")


@pytest.mark.parametrize(
    ("options", "seeds"),
    [
        ([], range(10)),
        (["--seeds", "2"], range(2)),
        (["--seeds", "3"], range(3)),
        (["--seeds=30"], range(30)),
        (["--seeds", "100-129"], range(100, 130)),
        (["--seeds=100-129"], range(100, 130)),
        (["--seeds", "1-100"], range(1, 101)),
    ],
)
def test_seeds_can_be_asked_for(options, seeds):
    assert robust.seeds_asked_for(options) == seeds


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seeds", "1"], "1 seeds asked for; from 2 to 100"),
        (["--seeds", "101"], "101 seeds asked for; from 2 to 100"),
        (["--seeds", "7-7"], "1 seeds"),
        (["--seeds", "0-100"], "101 seeds"),
        (["--seeds"], "robust does not know --seeds; it takes --seeds 30"),
        (["--seeds", "x"], "it takes --seeds 30"),
        (["--seed", "3"], "it takes --seeds 30"),
        (["--seeds", "3", "-v"], "it takes --seeds 30"),
        (["--seeds", "-3"], "does not know --seeds -3"),
        (["--speed", "3"], "does not know --speed 3"),
    ],
)
def test_seeds_that_cannot_be_had_are_refused(options, words):
    with pytest.raises(SystemExit, match=words):
        robust.seeds_asked_for(options)


def run_of(kept, label, values, stopped="", texts=("0\n", "1\n", "2\n"), holds=True):
    """Keep a run: its outputs, and a claim with two numbers."""
    notebook = nbformat.read(kept, as_version=4)
    for cell, text in zip(notebook.cells[1:], texts):
        cell.outputs[0].text = text
    notebook.metadata["stopped"] = stopped
    place = runs.place_of(kept)
    nbformat.write(notebook, place / f"{label}.ipynb")
    lines = [
        {"name": "loss", "value": value, "bounds": {"at_most": 9.0}, "holds": holds}
        for value in values
    ]
    lines.append({"name": "count", "value": "3", "bounds": {}, "holds": True})
    (place / f"{label}.claims").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def reported(kept, monkeypatch, capsys):
    """What `report` returns, prints and draws of some runs."""
    drawn = []
    monkeypatch.setattr(robust, "draw", lambda rows, path: drawn.append((rows, path)))
    monkeypatch.setattr(robust, "read_envelopes", lambda stem: {})

    def report(**runs_of_labels):
        for label, options in runs_of_labels.items():
            run_of(kept, label.replace("_", "-"), **options)
        failed = robust.report(kept, [label.replace("_", "-") for label in runs_of_labels])
        return failed, capsys.readouterr().out.splitlines(), drawn

    return report


def test_a_claim_s_numbers_are_told_over_the_seeds_and_no_other_runs(reported):
    failed, lines, drawn = reported(
        seed_0={"values": [1.0, 4.0]},
        seed_1={"values": [3.0, 8.0]},
        **{"2_threads": {"values": [100.0, 100.0]}},
    )
    assert failed is False
    assert lines[:2] == ["", "01_one: claims over 2 seeds"]
    assert [line.split() for line in lines[3:]] == [
        "1 2 3 1.414 4.9 plain loss; at most 9".split(),
        "4 6 8 2.828 1.1! plain loss (2); at most 9".split(),
    ]
    ((rows, path),) = drawn
    assert rows == [
        ("loss", [1.0, 3.0], {"at_most": 9.0}),
        ("loss (2)", [4.0, 8.0], {"at_most": 9.0}),
    ]
    assert path == robust.KEPT / "01_one.png"


def test_each_claim_is_a_row_of_marks_in_deviations_from_its_bound(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(plotting, "png_bytes", lambda figure: seen.append(figure) or b"png")
    rows = [
        ("loss", [1.0, 3.0], {"at_most": 9.0}),
        ("the same", [2.0, 2.0], {"at_most": 9.0}),
        (70 * "n", [5.0, 6.0, 7.0], {"at_least": 4.0, "at_most": 20.0}),
    ]
    robust.draw(rows, tmp_path / "room.png")
    assert (tmp_path / "room.png").read_bytes() == b"png"
    (figure,) = seen
    (axes,) = figure.axes
    *marks, bound, four = axes.get_lines()
    assert [label.get_text() for label in axes.get_yticklabels()] == [60 * "n", "loss"]
    assert [list(row.get_ydata()) for row in marks] == [[0, 0, 0], [1, 1]]
    np.testing.assert_allclose(marks[0].get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(marks[1].get_xdata(), np.array([8, 6]) / 2**0.5)
    assert list(bound.get_xdata()) == [0, 0] and list(four.get_xdata()) == [4, 4]
    assert "standard deviations inside the bound" in axes.get_xlabel()
    assert figure.get_figheight() == 1 + 0.25 * 2
    robust.draw(rows[:1] * 8, tmp_path / "room.png")
    assert seen[1].get_figheight() == 1 + 0.25 * 8


def test_what_does_not_depend_on_the_seed_is_run_with_1_2_and_4_threads_and_without_onednn():
    threads = {label: set(environ.values()) for label, _, environ in robust.SAME_SEED[:-1]}
    assert threads == {"1-threads": {"1"}, "2-threads": {"2", "1"}, "4-threads": {"4", "1"}}
    assert robust.SAME_SEED[-1] == ("no-onednn", {}, {"TF_ENABLE_ONEDNN_OPTS": "0"})
    for _, _, environ in robust.SAME_SEED[:-1]:
        assert environ["TF_ENABLE_ONEDNN_OPTS"] == "1" and set(the_chapters.THREADS) < set(environ)


def test_a_run_has_measured_the_same_only_to_the_last_bit():
    claims = [{"exactly": "a 1.0"}, {"exactly": "b 2.0"}, {}]
    stored = new_notebook(metadata={"measured": fingerprint({"a 1.0", "b 2.0"})})
    assert robust.same_numbers(stored, claims)
    assert not robust.same_numbers(stored, [{"exactly": "a 1.0"}, {"exactly": "b 2.0000000001"}])
    assert not robust.same_numbers(new_notebook(), claims)


def test_what_grows_by_factors_is_told_by_its_logarithms(reported):
    values = [1.0, 2.0, 4.0]
    _, lines, _ = reported(**{f"seed_{n}": {"values": [x]} for n, x in enumerate(values)})
    assert lines[3].split() == "1 2.333 4 1.528 2.2! log loss; at most 9".split()


@pytest.mark.parametrize(
    ("values", "bounds", "scale"),
    [
        ([1.0, 10.0, 100.0], {"at_least": 0.1}, "log"),
        ([1.0, 10.0, 100.0], {"at_least": 0.1, "at_most": 1000.0}, "log"),
        ([0.8, 0.97, 0.99, 1.0], {"at_least": 0.5}, "plain"),
        ([1.0, 2.0, 3.0], {"at_least": 0.1}, "plain"),
        ([2.0, 2.0, 2.0], {"at_least": 2.0}, "plain"),
        ([0.0, 10.0, 100.0], {"at_most": 1000.0}, "plain"),
        ([1.0, 10.0, 100.0], {"at_least": -0.1}, "plain"),
        ([1.0, 10.0, 100.0], {"equals": 10.0, "within": 100.0}, "plain"),
    ],
)
def test_logarithms_are_taken_where_they_lie_more_evenly(values, bounds, scale):
    found, their_bounds, name = runs.on_even_scale(values, bounds)
    assert name == scale
    turned = np.log if scale == "log" else np.array
    np.testing.assert_allclose(found, turned(values))
    np.testing.assert_allclose(list(their_bounds.values()), turned(list(bounds.values())))
    assert list(their_bounds) == list(bounds)


def test_what_never_varies_or_lies_at_its_ceiling_is_said(reported):
    _, lines, _ = reported(seed_0={"values": [9.0, 2.0]}, seed_1={"values": [9.0, 2.0]})
    assert [line.split()[4] for line in lines[3:]] == ["same", "same"]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"stopped": "ValueError: no"}, "stopped: ValueError: no"),
        ({"holds": False}, "not so: loss: 1.0"),
        ({"texts": ("0\n", "1\n", "3\n")}, "code cell 3: '2\\n' has become '3\\n'"),
    ],
)
def test_a_run_that_stops_or_says_something_else_has_failed(reported, options, fault):
    failed, lines, _ = reported(seed_0={"values": [1.0]}, seed_1={"values": [1.0], **options})
    assert failed is True and f"01_one, seed-1: {fault}" in lines
    assert not [line for line in lines if "seed-0" in line]


# --- defects


def test_who_holds_a_file_is_known_for_each_that_is_planted():
    planted = [ROOT / "conftest.py", ROOT / "run.py"]
    for folder in ("bigmodel_helpers", "tools"):
        planted += [path for path in (ROOT / folder).rglob("*.py") if path.name != "__init__.py"]
    for path in planted:
        held = mutants.holders_of(path.relative_to(ROOT).as_posix())
        assert any(name.startswith("tests/") for name in held), f"who holds {path}?"
    for named in mutants.EXERCISED_BY.values():
        assert all((ROOT / name).exists() for name in named), named
    assert mutants.holders_of("bigmodel_helpers/claims.py") == [
        "bigmodel_helpers/claims.py",
        "tests/test_claims.py",
        "tests/test_exercises.py",
    ]
    assert mutants.path_in_the_book("bigmodel_helpers/../conftest.py") == "conftest.py"
    with pytest.raises(SystemExit, match="there is no file nowhere.py in the book"):
        mutants.path_in_the_book("nowhere.py")
    assert mutants.count_asked_for([]) is None and mutants.count_asked_for(["--count", "7"]) == 7
    assert mutants.count_asked_for(["--count", "1"]) == 1
    for options in (["--count"], ["--count=0"], ["--cuont", "3"]):
        with pytest.raises(SystemExit, match="it takes --count 60"):
            mutants.count_asked_for(options)


def test_the_table_counts_what_was_noticed_and_names_what_was_not():
    first, second = mutants_of("y = a + b")[:2]
    lines = mutants.table([
        ("a.py", 5, {first: "tests/test_a.py::test_b", second: ""})
    ]).splitlines()
    assert lines[-2].split() == ["2", "5", "1", "50.0%", "a.py"]
    assert lines[-1] == f"nobody noticed a.py, {second.kind} at {second.description}"


def test_verdicts_are_kept_until_something_changes_on_which_they_depend(tmp_path, monkeypatch):
    monkeypatch.setattr(verdicts, "KEPT", tmp_path / "runs" / "kept")
    one, two = mutants_of("y = a + b")[:2]
    kept = verdicts.Verdicts("a", [b"1", b"2"])
    kept.note("a.py", one, "")
    assert kept.get("a.py", one) == "" and kept.get("a.py", two) is None is kept.get("b.py", one)
    assert verdicts.Verdicts("a", [b"1", b"2"]).get("a.py", one) == ""
    assert verdicts.Verdicts("b", [b"1", b"2"]).get("a.py", one) is None
    assert verdicts.Verdicts("a", [b"1", b"3"]).get("a.py", one) is None
    assert verdicts.Verdicts("a", [b"1", b"2"]).get("a.py", one) is None, "the old ones are gone"


@pytest.fixture
def one_function(tmp_path, monkeypatch):
    """A book of one function, whose test holds its sum and nothing else; the folder."""
    book = tmp_path / "book"
    for name, text in {
        "bigmodel_helpers/__init__.py": "",
        "a.py": "def add(a, b):\n    return a + b\n",
        "tests/test_a.py": "import a\ndef test_it():\n    assert a.add(2, 2) == 4\n",
    }.items():
        (book / name).parent.mkdir(parents=True, exist_ok=True)
        (book / name).write_text(text)
    monkeypatch.setattr(mutants, "ROOT", book)
    monkeypatch.setattr(mutants, "WARM", ("pytest",))
    monkeypatch.setattr(mutants, "OPTIONS", [*mutants.OPTIONS, "-c", os.devnull])
    monkeypatch.setattr(mutants, "cores_of_this_process", lambda: 1)
    monkeypatch.setattr(verdicts, "KEPT", tmp_path / "kept")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return book


def test_a_defect_that_a_test_sees_is_noticed_one_that_none_sees_is_not_and_the_clock_ends_what_hangs(
    one_function,
):
    before, began = dict(os.environ), time.monotonic()
    with mutants.Copies("a.py", ["tests/test_a.py"]) as copies:
        took = time.monotonic() - began
        assert 60 + 4 * took < copies.timeout <= 60 + 8 * took, "most of it was the test's own time"
        assert (
            copies.who_notices("def add(a, b):\n    return a - b\n") == "tests/test_a.py::test_it"
        )
        assert copies.who_notices("def add(a, b):\n    return a * b\n") == ""
        copies.timeout = 2
        assert copies.who_notices("import time\ntime.sleep(60)\n") == "the clock"
    assert not copies.folder.exists() and dict(os.environ) == before
    assert (one_function / "a.py").read_text() == "def add(a, b):\n    return a + b\n"


def test_defects_are_planted_once_and_all_verdicts_are_told_again(
    one_function, monkeypatch, capsys
):
    mutants.main(["a.py", "--count", "2"])
    first, *planted, _, head, row = capsys.readouterr().out.splitlines()
    found = len(mutants_of((one_function / "a.py").read_text()))
    assert first == f"a.py: 2 of {found} defects, held by tests/test_a.py"
    assert len(planted) == 2 and all(
        line.endswith(": tests/test_a.py::test_it") for line in planted
    )
    assert row.split() == ["2", str(found), "2", "100.0%", "a.py"]

    def planted_again(self, source):
        raise AssertionError("a verdict was kept")

    monkeypatch.setattr(mutants.Copies, "who_notices", planted_again)
    mutants.main(["a.py", "--count", "2"])
    assert capsys.readouterr().out.splitlines() == [first, "", head, row]


def test_a_file_whose_tests_fail_without_a_defect_is_not_judged(one_function):
    (one_function / "tests" / "test_a.py").write_text("def test_it():\n    assert False\n")
    reason = "the tests of a.py fail without any defect: tests/test_a.py::test_it"
    with pytest.raises(SystemExit, match=reason):
        mutants.main(["a.py"])


def test_chapters_get_their_own_defects(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        "tools.chapter_mutants.plant", lambda names, count: asked.append((names, count))
    )
    mutants.main(["01", "02", "--count=3"])
    mutants.main([])
    assert asked == [(["01", "02"], 3), ([], None)]
    assert capsys.readouterr().out == ""
