"""The packages for machines without a network: which of the lock each needs, and that they are fetched whole."""

import os
import re
import sys
from types import SimpleNamespace

import pytest
from packaging.markers import Marker, default_environment
from packaging.tags import cpython_tags, sys_tags
from tiny_book import make_wheel

from tools.chapters import ROOT
from tools.teachers import wheels

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
MACHINES = [(system, version) for system in wheels.SYSTEMS for version in wheels.PYTHONS]


def names(found):
    return [pin.split()[0] for pin in found]


def test_all_of_the_lock_is_read():
    everything = [name for name, _, _ in wheels.PIN.findall(LOCK)]
    assert everything == re.findall(r"^[^\s#]+", LOCK, re.MULTILINE)
    hashes = [hashes.count("--hash=") for _, _, hashes in wheels.PIN.findall(LOCK)]
    assert sum(hashes) == LOCK.count("--hash=") and min(hashes) >= 1


def test_this_machine_needs_what_its_own_packaging_says():
    there = default_environment()
    wanted = {
        name
        for name, condition, _ in wheels.PIN.findall(LOCK)
        if not condition or Marker(condition).evaluate(there)
    }
    found = names(wheels.pins(LOCK, wheels.this_system(), wheels.this_python()))
    assert wanted <= set(found)
    # besides, what another release of this Python would need
    named = [{name.partition("==")[0] for name in which} for which in (wanted, found)]
    assert named[0] == named[1]


@pytest.mark.parametrize(("system", "version"), MACHINES)
def test_each_machine_gets_one_tensorflow_and_what_belongs_to_its_system(system, version):
    found = names(wheels.pins(LOCK, system, version))
    builds = [name for name in found if name.startswith(("tensorflow==", "tensorflow-cpu=="))]
    full = system in ("macos", "linux-arm")
    assert len(builds) == 1 and builds[0].startswith("tensorflow==") == full
    assert any(name.startswith("pywinpty==") for name in found) == (system == "windows")
    assert any(name.startswith("appnope==") for name in found) == (system == "macos")
    turns = wheels.in_turns(found)
    assert sorted(sum(turns, [])) == sorted(found) and len(turns) <= 2
    for turn in turns:
        assert len({name.partition("==")[0] for name in turn}) == len(turn)


def test_the_names_of_this_system_are_among_those_that_its_wheels_bear():
    """pip is asked for wheels by names of platforms, which this Python must know as its own."""
    if not sys.platform.startswith("linux"):
        pytest.skip("names of Linux are compared")
    own = {tag.platform for tag in sys_tags()}
    assert set(wheels.SYSTEMS[wheels.this_system()][1]) & own
    tags = {tag.platform for tag in cpython_tags((3, 12), platforms=wheels.SYSTEMS["linux"][1])}
    assert {"manylinux_2_28_x86_64", "manylinux2014_x86_64"} <= tags


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A lock of two pure packages, of which one is for Windows, and a folder that serves as index; the lock's folder."""
    index = tmp_path / "an index"
    index.mkdir()
    pin = make_wheel(index, "other", "1", other="").replace(" \\\n", " ; os_name == 'nt' \\\n", 1)
    (tmp_path / "requirements.lock").write_text(make_wheel(index, "late", "1", late="") + pin)
    monkeypatch.setattr(wheels, "WHEELS", tmp_path / "wheels")
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": index.as_uri(),
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def there(folder):
    return sorted(path.name for path in (folder / "wheels").glob("*"))


def test_what_a_machine_needs_is_fetched(tiny, capsys):
    wheels.main(["macos:3.12", "linux-arm"])
    assert there(tiny) == ["late-1-py3-none-any.whl"]
    wheels.main(["windows:3.13"])
    assert there(tiny) == ["late-1-py3-none-any.whl", "other-1-py3-none-any.whl"]
    said = capsys.readouterr().out
    assert "macos, Python 3.12\n" in said and f"linux-arm, Python {wheels.this_python()}\n" in said
    assert said.endswith(
        "wheels holds 0.0 GB. Put this folder beside run.py on machines without a network.\n"
    )


def test_without_a_word_it_is_this_machine(tiny, monkeypatch):
    monkeypatch.setattr(wheels, "fetch", lambda pip, environ, *machine: seen.append(machine))
    seen = []
    wheels.main([])
    assert seen == [(wheels.this_system(), wheels.this_python())]


def test_what_the_lock_does_not_name_is_refused(tiny):
    make_wheel(tiny / "an index", "late", "1", late="VERSION = 'of somebody else'")
    with pytest.raises(SystemExit, match="is not the one that the lock names"):
        wheels.main(["macos"])
    assert there(tiny) == []


def test_a_version_that_nobody_offers_is_said_in_a_sentence(tiny):
    lock = tiny / "requirements.lock"
    lock.write_text(lock.read_text().replace("late==1", "late==2"))
    with pytest.raises(SystemExit, match="does not offer a wheel of the lock"):
        wheels.main(["macos"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("beos", "wheels knows windows, macos, linux, linux-arm, not 'beos'"),
        ("linux:3.9", "runs with Python 3.11, 3.12, 3.13, not '3.9'"),
        ("linux:312", "not '312'"),
        ("--help-me", "not '--help-me'"),
    ],
)
def test_an_unknown_machine_is_answered_with_those_that_are_known(text, said):
    with pytest.raises(SystemExit, match=re.escape(said)):
        wheels.machine(text)


def test_a_machine_on_which_the_book_does_not_run_must_be_named(monkeypatch):
    monkeypatch.setattr(wheels.sys, "platform", "sunos5")
    with pytest.raises(SystemExit, match="the book does not run on sunos5"):
        wheels.this_system()


def test_pip_is_asked_for_wheels_alone_and_by_their_hashes(tiny, monkeypatch):
    asked = []
    monkeypatch.setattr(
        wheels.subprocess,
        "run",
        lambda command, **_: asked.append(command) or SimpleNamespace(returncode=0),
    )
    wheels.fetch(["pip"], {}, "windows", "3.13")
    (command,) = asked
    for part in ("download", "--no-deps", "--require-hashes", ":all:", "win_amd64", "3.13.30"):
        assert part in command
