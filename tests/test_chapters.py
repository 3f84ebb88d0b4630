"""The chapters and the readers' copies of them: chosen, copied and never overwritten, renewed, opened in JupyterLab."""

import json
import sys
from pathlib import Path

import jupyterlab.labapp
import pytest
from jupyter_core import paths

from tools import chapters as the_chapters
from tools.readers import fresh, lab


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


def test_a_fresh_copy_is_asked_for_by_its_chapter_and_told(chapters, capsys):
    fresh.main(["01", "02"])
    assert capsys.readouterr().out == "work/01_one.ipynb is new.\nwork/02_two.ipynb is new.\n"
    (chapters.WORK / "02_two.ipynb").write_text("my notes")
    fresh.main(["02"])
    said = "work/02_two.ipynb is new; yours is kept as work/02_two.mine-1.ipynb.\n"
    assert capsys.readouterr().out == said
    with pytest.raises(SystemExit, match="usage: python3 run.py fresh CHAPTER, for example"):
        fresh.main([])
    assert len(list(chapters.WORK.glob("*.ipynb"))) == 3


# --- in JupyterLab


@pytest.fixture
def opened(chapters, tmp_path, monkeypatch):
    """What `run.py lab` makes JupyterLab open; `(its arguments, the machine's configuration, its settings)`."""
    monkeypatch.setattr(lab, "NOTEBOOKS", chapters.NOTEBOOKS)
    monkeypatch.setattr(lab, "WORK", chapters.WORK)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setattr(sys, "argv", ["run.py"])
    monkeypatch.setattr(paths, "SYSTEM_CONFIG_PATH", ["/etc/jupyter"])
    settings = tmp_path / "environment" / "share/jupyter/lab/settings/overrides.json"
    seen = []

    def start():
        text = settings.read_text() if settings.exists() else None
        seen.append((sys.argv, list(paths.SYSTEM_CONFIG_PATH), text))
        return 7

    monkeypatch.setattr(jupyterlab.labapp, "main", start)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            lab.main(list(arguments))
        assert end.value.code == 7, "JupyterLab's own word"
        return seen[-1]

    call.settings = settings
    return call


QUIET = {"fetchNews": "false", "checkForUpdates": False}


def test_the_readers_copies_are_opened_with_nothing_of_the_machines(chapters, opened, capfd):
    argv, configuration, settings = opened("02", "--no-browser")
    root = f"--ServerApp.root_dir={chapters.WORK}"
    assert argv == [
        "jupyter-lab",
        root,
        "--LabApp.default_url=/lab/tree/02_two.ipynb",
        "--no-browser",
    ]
    assert configuration == []
    assert json.loads(settings) == {"@jupyterlab/apputils-extension:notification": QUIET}
    assert sorted(path.name for path in chapters.WORK.glob("*.ipynb")) == [
        "01_one.ipynb",
        "02_two.ipynb",
    ]
    assert capfd.readouterr().out == ""
    (chapters.NOTEBOOKS / "02_two.ipynb").write_text("a new edition")
    argv, _, again = opened()
    assert argv[1:] == [root, "--LabApp.default_url=/lab/tree/01_one.ipynb"] and again == settings
    assert capfd.readouterr().out == (
        "02_two.ipynb is newer in the book than your copy of it; "
        "'python3 run.py fresh 02' brings the new one and keeps yours.\n"
    )


def test_authors_open_the_chapters_themselves_and_get_no_copies(chapters, opened):
    argv, _, _ = opened("--source", "--port", "9")
    assert argv[1] == f"--ServerApp.root_dir={chapters.NOTEBOOKS}" and argv[3:] == ["--port", "9"]
    assert not chapters.WORK.exists()


def test_settings_that_are_there_stay_and_an_environment_that_cannot_be_written_opens_too(
    chapters, opened
):
    opened.settings.parent.mkdir(parents=True)
    assert json.loads(opened()[2]), "a folder that is there is no hindrance"
    opened.settings.write_text("{}")
    assert opened()[2] == "{}"
    opened.settings.unlink()
    opened.settings.parent.rmdir()
    opened.settings.parent.write_text("a file where a folder should be")
    assert opened()[2] is None
