"""What the commands share: choosing chapters, and the readers' copies, which are never overwritten."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import run
import tools.__main__
from tools import chapters as the_chapters
from tools.authors import test as test_command
from tools.readers import fresh, lab

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def chapters(tmp_path, monkeypatch):
    """The module behind the commands, on a book of two chapters in a folder of its own."""
    module = the_chapters
    monkeypatch.setattr(module, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(module, "WORK", tmp_path / "work")
    monkeypatch.setattr(module, "ORIGINS", tmp_path / "work" / ".origins.json")
    module.NOTEBOOKS.mkdir()
    for name in ("01_one", "02_two"):
        (module.NOTEBOOKS / f"{name}.ipynb").write_text(name)
    return module


def test_chapters_are_chosen_by_how_their_names_begin(chapters):
    assert [path.stem for path in chapters.chapters_named([])] == ["01_one", "02_two"]
    assert [path.stem for path in chapters.chapters_named(["02"])] == ["02_two"]
    assert [path.stem for path in chapters.chapters_named(["02_tw", "01"])] == ["01_one", "02_two"]
    with pytest.raises(SystemExit, match="there is no chapter 03, x; there are: 01_one, 02_two"):
        chapters.chapters_named(["01", "03", "x"])


@pytest.mark.parametrize(
    ("arguments", "names", "options"),
    [
        (["01", "-n", "2"], ["01"], ["-n", "2"]),
        (["--port", "9124"], [], ["--port", "9124"]),
        (["01", "02"], ["01", "02"], []),
        ([], [], []),
        (["01", "-k", "01"], ["01"], ["-k", "01"]),
    ],
)
def test_what_follows_an_option_is_not_a_chapter(chapters, arguments, names, options):
    assert chapters.names_and_options(arguments) == (names, options)


def test_copies_are_made_once_and_never_overwritten(chapters):
    assert chapters.copy_missing() == []
    mine = chapters.WORK / "01_one.ipynb"
    mine.write_text("my notes")
    assert chapters.copy_missing() == [] and mine.read_text() == "my notes"


def test_a_chapter_that_has_changed_is_named_and_the_copy_left_alone(chapters):
    chapters.copy_missing()
    (chapters.NOTEBOOKS / "01_one.ipynb").write_text("a new edition")
    mine = chapters.WORK / "01_one.ipynb"
    assert chapters.copy_missing() == [mine] and mine.read_text() == "01_one"


def test_a_fresh_copy_keeps_what_the_reader_wrote_and_only_that(chapters):
    chapters.copy_missing()
    chapter, mine = chapters.NOTEBOOKS / "01_one.ipynb", chapters.WORK / "01_one.ipynb"
    assert chapters.renew(chapter) is None, "an untouched copy is not worth keeping"
    for number in (1, 2):
        mine.write_text(f"notes {number}")
        kept = chapters.renew(chapter)
        assert (
            kept == f"01_one.mine-{number}.ipynb"
            and (chapters.WORK / kept).read_text() == f"notes {number}"
        )
        assert mine.read_text() == "01_one"


def test_a_lost_or_broken_note_of_origins_loses_no_copy(chapters):
    chapters.copy_missing()
    mine = chapters.WORK / "01_one.ipynb"
    mine.write_text("my notes")
    chapters.ORIGINS.write_text("{broken")
    assert chapters.copy_missing() == [mine, chapters.WORK / "02_two.ipynb"]
    assert chapters.renew(chapters.NOTEBOOKS / "01_one.ipynb") == "01_one.mine-1.ipynb"


def test_a_book_that_cannot_be_written_says_so_in_a_sentence(chapters, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(
        SystemExit, match="with your copies cannot be written .Read-only file system.; put a copy"
    ):
        lab.main(["01"])
    with pytest.raises(SystemExit, match="cannot be written"):
        fresh.main(["01"])


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
    assert pytest_called() == (["-n", "8", "--dist", "loadfile"], {"1"})
    assert pytest_called("-x", "-k", "data") == (
        ["-x", "-k", "data", "-n", "8", "--dist", "loadfile"],
        {"1"},
    )


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
        options = ["-q", option, file, "-x", "-n", "8", "--dist", "loadfile"]
        assert pytest_called("-q", option, "tests/test_tools.py", "-x") == (options, {"1"})
    options = ["-k", "test_tools.py", "-n", "8", "--dist", "loadfile"]
    assert pytest_called("-k", "test_tools.py") == (options, {"1"})
    with pytest.raises(SystemExit, match="there is no chapter 77"):
        pytest_called("77")


def test_who_reads_needs_no_authors_packages():
    """A reader's command, and what it imports, is there without the authors' group."""
    groups = {path.parent.name for path in run.commands().values()}
    assert groups == {"readers", "authors"}
    assert {name for name, path in run.commands().items() if path.parent.name == "readers"} >= {
        "lab",
        "fresh",
    }
    code = "import sys; import tools.readers.lab, tools.readers.fresh, tools.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and not {"nbformat", "pytest", "nbclient", "yaml"} & set(
        done.stdout.split()
    )
