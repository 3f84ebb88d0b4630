"""run.py: what it says where set-up cannot succeed, and a real set-up of a tiny project, broken in every way."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def run():
    spec = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- what it says ------------------------------------------------------------------------------------------------


def test_without_a_command_it_says_what_it_can_do(run, capsys):
    run.main([])
    text = capsys.readouterr().out
    for tool in (ROOT / "tools").glob("[!_]*.py"):
        assert f"\n  {tool.stem} " in text
    assert "usage: python3 run.py" in text


@pytest.mark.parametrize("arguments", [["tets"], ["--cpu", "--gpu", "test"]])
def test_a_wrong_call_is_answered_with_the_right_ones(run, arguments):
    with pytest.raises(
        SystemExit, match="there is no command 'tets'; there are: .*lab.*test|exclude each other"
    ):
        run.main(arguments)


MACHINES = {
    "too old": ({"version_info": (3, 10, 4)}, "cpu", "Python 3.11 to 3.13 only"),
    "too new": ({"version_info": (3, 14, 0)}, "cpu", "Python 3.11 to 3.13 only"),
    "32 bits": ({"maxsize": 2**31 - 1}, "cpu", "64-bit"),
    "Intel Mac": ({"system": "Darwin", "machine": "x86_64"}, "cpu", "Intel Macs"),
    "Windows on Arm": ({"system": "Windows", "machine": "ARM64"}, "cpu", "Windows on Arm"),
    "GPU build on a Mac": ({"system": "Darwin", "machine": "arm64"}, "gpu", "leave out --gpu"),
    "GPU build on Windows": ({"system": "Windows", "machine": "AMD64"}, "gpu", "leave out --gpu"),
    "no venv": ({"missing": "ensurepip"}, "cpu", "sudo apt install python3.12-venv"),
    "little room": ({"free": 1e9}, "cpu", "1.0 GB free, 4 GB needed"),
    "little room for a GPU": ({"free": 5e9}, "gpu", "5.0 GB free, 14 GB needed"),
}


def pretend(
    run,
    monkeypatch,
    *,
    version_info=(3, 12, 1),
    maxsize=2**63 - 1,
    system="Linux",
    machine="x86_64",
    missing=None,
    free=1e12,
):
    monkeypatch.setattr(
        run, "sys", SimpleNamespace(version_info=version_info, maxsize=maxsize, exit=sys.exit)
    )
    monkeypatch.setattr(run.platform, "system", lambda: system)
    monkeypatch.setattr(run.platform, "machine", lambda: machine)
    monkeypatch.setattr(
        run.importlib.util, "find_spec", lambda name: None if name == missing else "found"
    )
    monkeypatch.setattr(run.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))


@pytest.mark.parametrize(("machine", "build", "words"), MACHINES.values(), ids=MACHINES)
def test_a_machine_on_which_it_cannot_work_is_told_so_in_a_sentence(
    run, monkeypatch, machine, build, words
):
    pretend(run, monkeypatch, **machine)
    with pytest.raises(SystemExit) as stopped:
        run.check_machine(build)
    assert words in stopped.value.code and "\n" not in stopped.value.code


@pytest.mark.parametrize(
    "machine",
    [
        {},
        {"system": "Darwin", "machine": "arm64"},
        {"system": "Windows", "machine": "AMD64"},
        {"version_info": (3, 11, 0)},
        {"version_info": (3, 13, 9)},
    ],
)
def test_other_machines_pass(run, monkeypatch, machine):
    pretend(run, monkeypatch, **machine)
    run.check_machine("cpu")


COMPLAINTS = {
    "OSError: [Errno 28] No space left on device": "the disk is full",
    "THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE": "is not the one that the lock names",
    "NewConnectionError: Failed to establish a new connection": "no network",
    "Temporary failure in name resolution\nERROR: No matching distribution found for x": "no network",
    "ERROR: No matching distribution found for x==1": "does not offer a wheel",
    "[Errno 13] Permission denied: '/x'": "may not be written",
    "OSError: [WinError 206] The filename or extension is too long": "allow long paths",
    "something else\nat last\n": "the last complaint was: at last",
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_what_pip_complains_of_becomes_one_sentence(run, complaint):
    sentence = run.explain(complaint)
    assert COMPLAINTS[complaint] in sentence and "\n" not in sentence


@pytest.mark.parametrize(
    ("answer", "build"), [("y", "gpu"), ("Yes", "gpu"), ("", "cpu"), ("n", "cpu"), ("x", "cpu")]
)
def test_a_gpu_is_offered_with_its_size_and_taken_only_on_a_yes(run, monkeypatch, answer, build):
    asked = []
    monkeypatch.setattr(run.sys, "platform", "linux")
    monkeypatch.setattr(run.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(run, "nvidia_gpus", lambda: ["Example 9000"])
    monkeypatch.setattr(run.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)
    assert run.choose_build() == build
    assert "3.7 GB" in asked[0] and "0.5 GB" in asked[0]


def test_nobody_is_asked_where_nobody_can_answer_or_there_is_no_gpu(run, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda question: pytest.fail("asked"))
    monkeypatch.setattr(run.sys, "stdin", SimpleNamespace(isatty=lambda: False))
    monkeypatch.setattr(run, "nvidia_gpus", lambda: ["Example 9000"])
    assert run.choose_build() == "cpu"
    monkeypatch.setattr(run.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(run, "nvidia_gpus", list)
    assert run.choose_build() == "cpu"


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for nvidia-smi is a shell script")
def test_gpus_are_read_from_the_driver_and_its_failures_mean_none(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run.nvidia_gpus() == []
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho Example 9000\necho Example 9000\n")
    driver.chmod(0o755)
    assert run.nvidia_gpus() == ["Example 9000", "Example 9000"]
    driver.write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    assert run.nvidia_gpus() == []


# --- a real set-up, of a project with no packages --------------------------------------------------------------------

BACKEND = """
import zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.writestr("tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
        wheel.writestr("tiny-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("tiny-1.dist-info/RECORD", "")
    return name
"""
PROJECT = """[project]
name = "tiny"
version = "1"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
NOWHERE = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_RETRIES": "1",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_FIND_LINKS": "",
    "PIP_EXTRA_INDEX_URL": "",
}


def make_project(folder):
    """A project with run.py, one command that prints its arguments, and empty locks."""
    shutil.copy(ROOT / "run.py", folder)
    (folder / "tools").mkdir()
    (folder / "tools" / "echo.py").write_text(
        '"""print the arguments"""\nimport sys\nprint(sys.prefix, sys.argv[1:])\n'
    )
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "requirements.lock").write_text("# nothing\n")
    (folder / "requirements-gpu.lock").write_text("# nothing for a GPU\n")
    return folder


@pytest.fixture
def tiny(tmp_path):
    return make_project(tmp_path)


def start(folder, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, str(folder / "run.py"), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=os.environ | NOWHERE,
        **options,
    )


def call(folder, *arguments):
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project whose environment stands, with what its first call said."""
    folder = make_project(tmp_path_factory.mktemp("built"))
    return folder, call(folder, "echo", "--cpu", "a", "b c")


def test_the_first_call_builds_and_passes_the_arguments_on(built):
    folder, (code, out, err) = built
    assert code == 0, err
    assert "1/3" in out and "3/3" in out and out.endswith(f"{folder / '.venv'} ['a', 'b c']\n")


def test_the_second_start_adds_less_than_two_seconds(built):
    folder, _ = built
    began = time.monotonic()
    code, out, err = call(folder, "echo")
    assert (code, out, err) == (0, f"{folder / '.venv'} []\n", "")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "harm", ["no stamp", "no interpreter", "half an environment", "another lock"]
)
def test_an_interrupted_or_outdated_set_up_is_built_again(built, harm):
    folder, _ = built
    stamp = folder / ".venv" / "bigmodel.json"
    if harm == "no stamp":
        stamp.unlink()
    elif harm == "half an environment":
        stamp.write_text(stamp.read_text()[:20])
        (folder / ".venv" / "pyvenv.cfg").unlink()
    elif harm == "no interpreter":
        (folder / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")).unlink()
    else:
        (folder / "requirements.lock").write_text("# another\n")
    code, out, _ = call(folder, "echo")
    assert code == 0 and "Set-up finished." in out
    assert json.loads(stamp.read_text())["build"] == "cpu"


@pytest.mark.skipif(sys.platform != "linux", reason="the GPU build exists for Linux only")
def test_the_other_build_is_another_environment_and_is_kept(built):
    folder, _ = built
    code, out, _ = call(folder, "--gpu", "echo")
    assert code == 0 and "requirements-gpu.lock" in out
    assert "1/3" not in call(folder, "echo")[1]


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_ends_with_a_sentence_and_the_next_call_heals(tiny):
    process = start(tiny, "echo", start_new_session=True)
    while not (tiny / ".venv" / "bin").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0 and err.startswith("run.py: ") and err.count("\n") == 1, err
    assert call(tiny, "echo")[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="there, children are not asked to hold the lock")
def test_after_a_kill_the_next_call_waits_for_what_lives_on_and_heals(tiny):
    process = start(tiny, "echo")
    while not (tiny / ".venv" / "bin").exists():
        time.sleep(0.05)
    process.kill()
    process.communicate()
    code, out, err = call(tiny, "echo")
    assert code == 0 and "Set-up finished." in out, err


def test_a_rebuild_that_fails_goes_on_with_what_was_there(built, run):
    folder, _ = built
    build = json.loads((folder / ".venv" / "bigmodel.json").read_text())["build"]
    lock = folder / run.LOCKS[build]
    good = lock.read_text()
    lock.write_text(f"six==1.16.0 --hash=sha256:{'0' * 64}\n")
    code, out, err = call(folder, "echo", "a")
    assert code == 0 and out.endswith("['a']\n")
    assert (
        err.startswith("run.py: no network")
        and "going on with the environment that was there" in err
    )
    lock.write_text(good)
    assert "1/3" not in call(folder, "echo")[1], "nothing has to be built again"


def test_a_link_in_place_of_the_environment_is_one_sentence(tiny, tmp_path_factory):
    try:
        (tiny / ".venv").symlink_to(tmp_path_factory.mktemp("elsewhere"), target_is_directory=True)
    except OSError:
        pytest.skip("this system does not let us make links")
    code, _, err = call(tiny, "echo")
    assert code == 1 and "is a link" in err and err.count("\n") == 1


def test_two_at_once_build_one_environment(tiny):
    both = [start(tiny, "echo", str(number)) for number in range(2)]
    outs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("Set-up finished." in out for out in outs) == 1


def test_an_environment_that_is_not_ours_is_left_alone(tiny):
    (tiny / ".venv").mkdir()
    (tiny / ".venv" / "precious").write_text("mine")
    code, _, err = call(tiny, "echo")
    assert code == 1 and "did not make it" in err and err.count("\n") == 1
    assert (tiny / ".venv" / "precious").read_text() == "mine"


def test_no_network_is_one_sentence(tiny):
    (tiny / "requirements.lock").write_text(f"six==1.16.0 --hash=sha256:{'0' * 64}\n")
    code, _, err = call(tiny, "echo")
    assert code == 1 and err.startswith("run.py: no network") and err.count("\n") == 1, err


def test_a_wrong_hash_is_refused_and_nothing_is_stamped(tiny):
    backend = {}
    exec(BACKEND, backend)
    backend["build_editable"](str(tiny))
    (tiny / "requirements.lock").write_text(
        f"--find-links {tiny.as_uri()}\ntiny==1 --hash=sha256:{'0' * 64}\n"
    )
    code, _, err = call(tiny, "echo")
    assert code == 1 and "is not the one that the lock names" in err and err.count("\n") == 1, err
    assert not (tiny / ".venv" / "bigmodel.json").exists()


def test_a_folder_that_may_not_be_written_is_one_sentence(run, monkeypatch):
    monkeypatch.setattr(run, "ROOT", ROOT / "LICENSE")  # no file can be made in a file
    with (
        pytest.raises(SystemExit, match="cannot write into .* put the book where you may write"),
        run.one_at_a_time(),
    ):
        pass
