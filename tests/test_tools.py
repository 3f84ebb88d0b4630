"""What the commands share: choosing chapters, and the readers' copies, which are never overwritten."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def chapters(tmp_path, monkeypatch):
    """The module behind the commands, on a book of two chapters in a folder of its own."""
    spec = importlib.util.spec_from_file_location("chapters", ROOT / "tools" / "_chapters.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(module, "WORK", tmp_path / "work")
    monkeypatch.setattr(module, "ORIGINS", tmp_path / "work" / ".origins.json")
    module.NOTEBOOKS.mkdir()
    for name in ("01_one", "02_two"):
        (module.NOTEBOOKS / f"{name}.ipynb").write_text(name)
    return module


def test_chapters_are_chosen_by_how_their_names_begin(chapters):
    assert [path.stem for path in chapters.chosen([])] == ["01_one", "02_two"]
    assert [path.stem for path in chapters.chosen(["02"])] == ["02_two"]
    assert [path.stem for path in chapters.chosen(["02_tw", "01"])] == ["01_one", "02_two"]
    with pytest.raises(SystemExit, match="there is no chapter 03, x; there are: 01_one, 02_two"):
        chapters.chosen(["01", "03", "x"])


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
    assert chapters.split(arguments) == (names, options)


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


def test_ctrl_c_ends_a_command_with_a_word(chapters):
    def interrupted(arguments):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="interrupted"):
        chapters.command(interrupted)


def test_all_files_are_tested_side_by_side_with_one_thread_each_and_a_chapter_alone(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    spec = importlib.util.spec_from_file_location("the_test_command", ROOT / "tools" / "test.py")
    module, calls = importlib.util.module_from_spec(spec), []
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "become", calls.append)
    monkeypatch.setattr(
        module.os, "sched_getaffinity", lambda process: set(range(12)), raising=False
    )
    monkeypatch.chdir(ROOT)
    for name in module.THREADS:
        monkeypatch.setenv(name, "3")
    module.main(["00"])
    assert calls[-1][2:] == ["pytest", str(ROOT / "notebooks" / "00_start_here.ipynb")]
    assert {module.os.environ[name] for name in module.THREADS} == {"3"}
    module.main(["-x"])
    assert calls[-1][2:] == ["pytest", "-x", "-n", "8", "--dist", "loadfile"]
    assert {module.os.environ[name] for name in module.THREADS} == {"1"}
