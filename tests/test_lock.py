"""The locks: what uv is asked, which versions stay, and that all three are renewed or none."""

import os
import sys
from pathlib import Path

import pytest

from tools.authors import lock

PIN = "{}=={} ; os == 'a' \\\n    --hash=sha256:1\n    --hash=sha256:2\n".format


def test_a_lock_leaves_out_what_another_one_holds_for_the_same_machines(tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    other.write_text(PIN("a", "1") + PIN("b", "1"))
    own.write_text(PIN("a", "1") + PIN("b", "2") + PIN("c", "1"))
    lock.leave_out(own, other)
    assert own.read_text() == PIN("b", "2") + PIN("c", "1")


@pytest.fixture
def uv(tmp_path, monkeypatch):
    """A uv that keeps each version that it finds and adds what is asked for; the calls, each with what it found."""
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    asked, found = [], []

    def call(command, cwd, env):
        path = Path(cwd) / command[command.index("--output-file") + 1]
        found.append(path.read_text() if path.exists() else "")
        asked.append((command, cwd, env["UV_PYTHON_DOWNLOADS"]))
        extras = [extra for option, extra in zip(command, command[1:]) if option == "--extra"]
        path.write_text("".join(PIN(name, 2) for name in ["numpy", *extras]))
        return call.code if len(asked) == 3 else 0

    call.asked, call.found, call.code = asked, found, 0
    monkeypatch.setattr(lock.subprocess, "call", call)
    return call


def everything_in(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_three_locks_are_made_from_what_is_locked_already(uv, tmp_path, capsys):
    before = {lock.READERS: "readers\n", lock.GPU: "gpu\n", lock.AUTHORS: "authors\n"}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    lock.main([])
    assert uv.found == ["readers\n", "gpu\n", "readers\nauthors\n"]
    assert everything_in(tmp_path) == {
        lock.READERS: PIN("numpy", 2) + PIN("cpu", 2),
        lock.GPU: PIN("numpy", 2) + PIN("gpu", 2),
        lock.AUTHORS: PIN("authors", 2),
    }
    assert capsys.readouterr().out.count(" is up to date with pyproject.toml.\n") == 3
    for command, cwd, downloads in uv.asked:
        assert command[:4] == [
            os.path.join(os.path.dirname(sys.executable), "uv"),
            "pip",
            "compile",
            "pyproject.toml",
        ]
        assert {"--universal", "--generate-hashes", "--no-header", "--no-annotate"} < set(command)
        assert "--no-emit-index-url" in command, "no file names a package index"
        assert command[command.index("--python-version") + 1] == "3.11"
        assert (cwd, downloads) == (tmp_path, "never")
    same = ["--constraints", f".{lock.READERS}.part"]
    assert same[0] not in uv.asked[0][0], "nothing holds the readers' own"
    for command, *_ in uv.asked[1:]:
        assert command[command.index("--constraints") :][:2] == same


def test_newer_versions_are_taken_if_asked_and_locks_that_are_not_there_are_no_hindrance(
    uv, tmp_path
):
    lock.main([])
    assert uv.found == ["", "", ""] and len(everything_in(tmp_path)) == 3
    uv.found.clear()
    uv.asked.clear()
    lock.main(["--upgrade"])
    assert uv.found == ["", "", ""]


def test_if_one_cannot_be_made_all_of_them_stay_as_they_were(uv, tmp_path):
    (tmp_path / lock.READERS).write_text("readers\n")
    uv.code = 1
    with pytest.raises(SystemExit, match="could not be made; all of them are as they were"):
        lock.main([])
    assert len(uv.asked) == 3 and everything_in(tmp_path) == {lock.READERS: "readers\n"}


def test_what_lock_does_not_know_is_answered_with_its_usage(uv):
    with pytest.raises(SystemExit, match="usage: python3 run.py lock"):
        lock.main(["--upgrde"])
    assert uv.asked == []
