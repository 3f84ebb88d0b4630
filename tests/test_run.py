"""run.py: what it says, and what it does to an environment, seen on a tiny book that is broken in every way."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_book import UV, TinyBook, make_wheel

import run
from tools import complaints, environment, index_settings, locking, programs, surroundings
from tools.complaints import SetupError
from tools.locking import USERS, EnvironmentLock
from tools.surroundings import own_variables

ROOT = Path(__file__).resolve().parent.parent
posix = pytest.mark.skipif(
    os.name == "nt", reason="there are no such signals, links or scripts on Windows"
)

# --- what it says --------------------------------------------------------------------------------


def test_without_a_command_it_says_what_it_can_do(capsys):
    run.main([])
    text = capsys.readouterr().out
    for name, path in run.commands().items():
        assert f"\n  {name} " in text
        assert run.docstring(path).splitlines()[0] in text
    assert "usage: python3 run.py" in text and text.index("to read:") < text.index("to write")


def test_help_needs_no_environment_and_no_docstrings(tmp_path):
    """As in a fresh copy, with a Python that was told to drop docstrings and not to look beside its file."""
    shutil.copy(ROOT / "run.py", tmp_path)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    environ = os.environ | {"PYTHONOPTIMIZE": "2", "PYTHONSAFEPATH": "1"}
    for arguments, words in (
        ([], "usage: python3 run.py"),
        (["test", "--help"], "usage: python3 run.py test"),
    ):
        command = [sys.executable, tmp_path / "run.py", *arguments]
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
        assert words in done.stdout and not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("arguments", [["tets"], ["--cpu", "--gpu", "test"], ["--cpux", "lab"]])
def test_a_wrong_call_is_answered_with_the_right_ones(arguments):
    with pytest.raises(
        SystemExit, match="there is no command '.*'; there are: .*lab.*test|exclude each other"
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
        complaints, "sys", SimpleNamespace(version_info=version_info, maxsize=maxsize)
    )
    monkeypatch.setattr(complaints.platform, "system", lambda: system)
    monkeypatch.setattr(complaints.platform, "machine", lambda: machine)
    monkeypatch.setattr(
        complaints.importlib.util, "find_spec", lambda name: None if name == missing else "found"
    )
    monkeypatch.setattr(complaints.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))


@pytest.mark.parametrize(("machine", "build", "words"), MACHINES.values(), ids=MACHINES)
def test_a_machine_on_which_it_cannot_work_is_told_so_in_a_sentence(
    monkeypatch, machine, build, words
):
    pretend(monkeypatch, **machine)
    with pytest.raises(SetupError) as stopped:
        complaints.check_machine(build, ROOT)
    assert words in str(stopped.value) and "\n" not in str(stopped.value)


@pytest.mark.parametrize(
    "machine",
    [
        {},
        {"system": "Darwin", "machine": "arm64"},
        {"system": "Windows", "machine": "AMD64"},
        {"version_info": (3, 11, 0)},
        {"version_info": (3, 13, 9)},
        {"free": 4e9},
    ],
)
def test_other_machines_pass(monkeypatch, machine):
    pretend(monkeypatch, **machine)
    complaints.check_machine("cpu", ROOT)


COMPLAINTS = {  # what pip, uv, venv and the system really print: what it means
    "OSError: [Errno 28] No space left on device": "no room is left on a disk",
    "error: Failed to write to the cache: No space left on device (os error 28)": "no room is left on a disk",
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.": "is not the one that the lock names",
    "error: Failed to download\n  Caused by: Hash mismatch for `six==1.16.0`": "is not the one that the lock names",
    "WARNING: Retrying after connection broken by 'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]"
    " self-signed certificate'))'\nERROR: No matching distribution found for uv": "because of a certificate",
    "error: Request failed\n  Caused by: invalid peer certificate: UnknownIssuer": "because of a certificate",
    "ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407 Proxy'))": "the proxy",
    "ERROR: HTTP error 403 while getting x\nERROR: 403 Client Error: Forbidden for url": "refuses you",
    "NewConnectionError: Failed to establish a new connection: [Errno 111] Connection refused": "no network",
    "Temporary failure in name resolution\nERROR: No matching distribution found for x": "no network",
    "error: Failed to fetch: `x`\n  Caused by: dns error: failed to lookup address": "no network",
    "ERROR: No matching distribution found for x==1": "does not offer a wheel",
    "[Errno 13] Permission denied: '/x'": "may not be written",
    "OSError: [WinError 206] The filename or extension is too long": "allow long paths",
    "ERROR: HTTP error 500 while getting x\nERROR: 500 Server Error: Internal": "is out of order",
    "WARNING: The repository located at x is not a trusted or secure host": "plain http",
    "ERROR: Could not find a suitable TLS CA certificate bundle, invalid path: /x": "is not there",
    "Error: Refusing to create a venv in /a:b because it contains the PATH separator :.": "holds ':'",
    "Collecting uv: 403 things\nERROR: Exception:\nTraceback\nInvalidMarker: x error": "a step of the set-up",
    "Configuration file contains invalid utf-8 characters in pip.conf.": "pip's own settings cannot be read",
    "ImportError: DLL load failed while importing _pywrap": "Visual C++ Redistributable",
    "something else\nat last\n": "a step of the set-up failed",
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_what_a_step_complains_of_becomes_one_sentence_and_its_own_line(complaint):
    sentence, line = complaints.explain(complaint)
    assert COMPLAINTS[complaint] in sentence and "\n" not in sentence
    assert line in [part.strip() for part in complaint.splitlines()]


def test_the_line_that_tells_most_is_never_an_empty_one():
    assert complaints.explain("one\n\n  two  \n   \n")[1] == "two"
    assert complaints.explain("\n")[1] == "(nothing was printed)"


def test_a_step_that_the_system_ended_is_said_so(monkeypatch):
    if hasattr(signal, "SIGKILL"):
        assert "memory runs out" in complaints.explain("", -signal.SIGKILL)[0]
        assert "AVX" in complaints.explain("", -signal.SIGILL)[0]
        for number in (signal.SIGKILL, signal.SIGILL):
            assert complaints.explain("first\nlast\n", -number)[1] == "last"


def test_a_full_disk_is_named_and_no_other(monkeypatch, tmp_path):
    free = {ROOT: 1e6, tmp_path: 2.5e8}
    monkeypatch.setattr(complaints, "home", lambda: tmp_path / "not there")
    monkeypatch.setattr(complaints.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(
        complaints.shutil, "disk_usage", lambda path: SimpleNamespace(free=free[Path(path)])
    )
    assert f"a disk (that of {ROOT});" in complaints.explain("No space left on device")[0]
    free[ROOT] = 1e12
    assert "a disk;" in complaints.explain("No space left on device")[0]


@pytest.mark.parametrize(
    ("answer", "build"),
    [("y", "gpu"), ("Yes", "gpu"), ("", "cpu"), ("n", "cpu"), (EOFError, "cpu")],
)
def test_a_gpu_is_offered_with_its_size_and_taken_only_on_a_yes(monkeypatch, answer, build):
    asked = []

    def answered(question):
        asked.append(question)
        if answer is EOFError:
            raise EOFError
        return answer

    monkeypatch.setattr(environment.sys, "platform", "linux")
    monkeypatch.setattr(environment.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(environment, "nvidia_gpus", lambda: ["Example 9000"])
    monkeypatch.setattr(environment.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", answered)
    assert environment.choose_build() == build
    assert environment.DOWNLOAD["gpu"] in asked[0] and environment.DOWNLOAD["cpu"] in asked[0]


def test_nobody_is_asked_where_nobody_can_answer_or_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr("builtins.input", lambda question: pytest.fail("asked"))
    monkeypatch.setattr(environment.sys, "stdin", SimpleNamespace(isatty=lambda: False))
    monkeypatch.setattr(environment, "nvidia_gpus", lambda: ["Example 9000"])
    assert environment.choose_build() == "cpu"
    monkeypatch.setattr(environment.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(environment, "nvidia_gpus", list)
    assert environment.choose_build() == "cpu"


@posix
def test_gpus_are_read_from_the_driver_and_its_failures_mean_none(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.nvidia_gpus() == []
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho Example 9000\necho Example 9000\n")
    driver.chmod(0o755)
    assert environment.nvidia_gpus() == ["Example 9000", "Example 9000"]
    driver.write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    assert environment.nvidia_gpus() == []


# --- what a reader has told pip ------------------------------------------------------------------

LISTING = """
global.index-url='https://one/simple'
install.index-url='https://two/simple'
global.extra-index-url='https://three/simple\\nhttps://four/simple'
global.target='/somewhere'
install.user='true'
:env:.constraint='/c.txt'
:env:.default-timeout='180'
:env:.proxy='proxy:3128'
:env:.keyring-provider=''
global.cert='/etc/ca.pem'
global.find-links='{there} ~/not-there https://five'
global.trusted-host='two'
"""


def test_the_readers_index_proxy_and_certificates_reach_pip_and_uv_and_nothing_else_does(tmp_path):
    settings = index_settings.read(LISTING.replace("{there}", str(tmp_path)))
    assert settings["index-url"] == "https://two/simple", "what stands for install is stronger"
    environ = {
        "HOME": "/h",
        "PIP_USER": "1",
        "PIP_TARGET": "/t",
        "UV_TARGET": "/t",
        "UV_CONSTRAINT": "/c",
    }
    pip, uv = index_settings.for_pip(environ, settings), index_settings.for_uv(environ, settings)
    assert {name for name in pip if name.startswith("PIP_")} == {
        *(
            "PIP_CONFIG_FILE",
            "PIP_NO_INPUT",
            "PIP_DISABLE_PIP_VERSION_CHECK",
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
        ),
        *("PIP_TIMEOUT", "PIP_PROXY", "PIP_CERT", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST"),
    }
    assert pip["PIP_CONFIG_FILE"] == os.devnull and pip["HOME"] == "/h"
    assert uv["UV_DEFAULT_INDEX"] == "https://two/simple" and uv["UV_HTTP_TIMEOUT"] == "180"
    assert uv["UV_INDEX"].split() == ["https://three/simple", "https://four/simple"]
    assert uv["UV_FIND_LINKS"] == f"{tmp_path},https://five" and uv["UV_INSECURE_HOST"] == "two"
    assert (
        uv["HTTPS_PROXY"] == uv["HTTP_PROXY"] == "http://proxy:3128"
        and uv["SSL_CERT_FILE"] == "/etc/ca.pem"
    )
    assert "UV_TARGET" not in uv and "UV_CONSTRAINT" not in uv and uv["UV_NO_CONFIG"] == "1"


def test_certificates_that_only_pip_heeds_reach_uv_too():
    assert index_settings.for_uv({"REQUESTS_CA_BUNDLE": "/a.pem"}, {})["SSL_CERT_FILE"] == "/a.pem"
    both = {"REQUESTS_CA_BUNDLE": "/a.pem", "SSL_CERT_FILE": "/b.pem"}
    assert index_settings.for_uv(both, {})["SSL_CERT_FILE"] == "/b.pem"


# --- the lock ------------------------------------------------------------------------------------


class FakeMsvcrt:
    """What Windows does: a region of a file is locked by one handle alone."""

    LK_NBLCK, LK_UNLCK = 1, 2

    def __init__(self):
        self.regions = []

    def locking(self, descriptor, mode, length):
        region = (descriptor, os.lseek(descriptor, 0, os.SEEK_CUR), length)
        if mode == self.LK_UNLCK:
            return self.regions.remove(region)
        for _, start, taken in self.regions:
            if start < region[1] + length and region[1] < start + taken:
                raise PermissionError("locked")
        self.regions.append(region)


@pytest.mark.parametrize("windows", [False, True])
def test_many_use_the_environment_at_once_and_a_set_up_waits_for_all_of_them(
    tmp_path, monkeypatch, windows
):
    if windows:
        monkeypatch.setitem(sys.modules, "msvcrt", FakeMsvcrt())
    elif os.name == "nt":
        pytest.skip("the system's own locks on Windows are tried by the tests of set-up")
    name = "_take_on_windows" if windows else "_take"
    users = [EnvironmentLock(tmp_path / "lock") for _ in range(3)]
    setting_up = EnvironmentLock(tmp_path / "lock")
    assert all(getattr(user, name)(shared=True) for user in users)
    assert not getattr(setting_up, name)(shared=False)
    for user in users[1:]:
        os.close(user.descriptor)
        if windows:  # the system does this for a handle that is closed
            sys.modules["msvcrt"].regions = [
                r for r in sys.modules["msvcrt"].regions if r[0] != user.descriptor
            ]
    assert getattr(users[0], name)(shared=False), "who is alone may change from using to setting up"
    assert not getattr(setting_up, name)(shared=True) and not getattr(setting_up, name)(
        shared=False
    )
    assert getattr(users[0], name)(shared=True)
    assert getattr(setting_up, name)(shared=True)


def test_windows_has_room_for_many_users(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "msvcrt", FakeMsvcrt())
    users = [EnvironmentLock(tmp_path / "lock") for _ in range(USERS + 1)]
    assert [user._take_on_windows(shared=True) for user in users] == [True] * USERS + [False]
    for user in users:
        os.close(user.descriptor)


def test_waiting_is_said_once_and_lasts_as_long_as_it_must(tmp_path, monkeypatch, capsys):
    lock = EnvironmentLock(tmp_path / "lock")
    answers = iter([False] * 100 + [True])
    monkeypatch.setattr(
        lock, "_take_on_windows" if os.name == "nt" else "_take", lambda shared: next(answers)
    )
    monkeypatch.setattr("tools.locking.time.sleep", lambda seconds: None)
    lock.hold_alone()
    assert capsys.readouterr().out.count("waiting until that ends") == 1


def test_where_nothing_can_be_written_there_is_nothing_to_lock(tmp_path):
    lock = EnvironmentLock(tmp_path / "no such folder" / "lock")
    lock.hold_with_others()
    lock.hold_alone()
    assert lock.descriptor is None


def test_on_windows_ctrl_c_is_for_the_program_alone(monkeypatch):
    seen = []
    monkeypatch.setattr(programs.os, "name", "nt")
    monkeypatch.setattr(programs.signal, "signal", lambda number, what: seen.append((number, what)))
    process = SimpleNamespace(wait=lambda: seen.append("waited") or 3)
    monkeypatch.setattr(programs.subprocess, "Popen", lambda program, env: process)
    with pytest.raises(SystemExit) as ended:
        programs.hand_over_to(["jupyter-lab"])
    assert seen == [(signal.SIGINT, signal.SIG_IGN), "waited"] and ended.value.code == 3


def test_a_lock_that_may_only_be_read_is_held_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "lock").touch()
    writable = locking.os.O_RDWR

    def open_to_read(path, flags):
        if flags & writable:
            raise PermissionError(13, "Permission denied", path)
        return there(path, flags)

    there = os.open
    monkeypatch.setattr(locking.os, "open", open_to_read)
    lock = EnvironmentLock(tmp_path / "lock")
    assert lock.descriptor is not None
    lock.let_go()


# --- a real set-up -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder with a wheel of the real uv, and the line that pins it."""
    folder = tmp_path_factory.mktemp("wheels")
    return folder, make_wheel(folder, "uv", "99", scripts=[UV])


@pytest.fixture
def whole(tmp_path, wheels):
    """A book without an environment, of which nothing is made quicker."""
    (tmp_path / "a book").mkdir()  # paths with a space are usual
    return TinyBook(tmp_path / "a book", wheels[1], wheels[0])


@pytest.fixture
def tiny(whole, pip):
    """A book without an environment, which takes pip from another one."""
    whole.copy_pip(pip)
    return whole


@pytest.fixture(scope="module")
def built(tmp_path_factory, wheels):
    """A book whose environment stands, made as readers' are, with what its first call said."""
    book = TinyBook(tmp_path_factory.mktemp("built"), wheels[1], wheels[0])
    said = book.call("echo", "--cpu", "a", "b c")
    for part in book.venv.glob("**/site-packages/pip*"):
        shutil.copytree(part, wheels[0] / "pip" / part.name)
    book.copy_pip(wheels[0] / "pip")
    return book, said


@pytest.fixture(scope="module")
def pip(built, wheels):
    """A folder with the pip of an environment that stands."""
    return wheels[0] / "pip"


def version_of_late(book):
    command = [book.python, "-I", "-c", "import late; print(late.VERSION)"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def test_the_first_call_builds_and_passes_the_arguments_on(built):
    book, (code, out, err) = built
    assert code == 0, err
    assert "1/4" in out and "4/4" in out and out.endswith(f"{book.venv} ['--cpu', 'a', 'b c']\n")
    assert "uv cannot" not in out and version_of_late(book) == "1"
    assert not (book.venv / "cache").exists() and not (book.venv / "tmp").exists()


def test_the_second_start_says_nothing_and_adds_less_than_two_seconds(built):
    book, _ = built
    took = []
    for _ in range(3):  # the shortest of three: the machine may have other things to do
        began = time.monotonic()
        assert book.call("echo") == (0, f"{book.venv} []\n", "")
        took.append(time.monotonic() - began)
    assert min(took) < 2


HARMS = {
    "no stamp": "it is unfinished",
    "half a stamp": "it is unfinished",
    "no interpreter": "does not start any more",
    "another Python": "its Python 3.10 is now 3.",
    "moved": "the book was moved",
}


@pytest.mark.parametrize("harm", HARMS)
def test_an_environment_that_cannot_work_is_made_anew_and_the_reason_said(built, harm):
    book, _ = built
    stamp = book.venv / "bigmodel.json"
    if harm == "no stamp":
        stamp.unlink()
    elif harm == "half a stamp":
        stamp.write_text(stamp.read_text()[:20])
    elif harm == "no interpreter":
        book.python.unlink()
    else:
        name, value = ("python", "3.10") if harm == "another Python" else ("folder", "/elsewhere")
        stamp.write_text(json.dumps(json.loads(stamp.read_text()) | {name: value}))
    (book.venv / "left over").write_text("by a set-up that was killed")
    code, out, err = book.call("echo")
    assert code == 0 and HARMS[harm] in out and "1/4" in out and out.endswith("[]\n"), err
    assert not (book.venv / "left over").exists()
    assert "Set-up" not in book.call("echo")[1]


def test_changed_locks_are_followed_in_place_and_a_readers_own_packages_stay(built):
    book, _ = built
    make_wheel(book.wheels, "mine", "1", mine="")
    pip = [
        book.python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--find-links",
        book.wheels,
        "mine",
    ]
    subprocess.run(pip, check=True, capture_output=True)
    book.write_locks("2")
    code, out, err = book.call("echo")
    assert code == 0 and "the locks have changed" in out and "1/4" not in out, err
    assert version_of_late(book) == "2"
    assert subprocess.run([book.python, "-c", "import mine"]).returncode == 0


def test_a_change_that_cannot_be_fetched_goes_on_with_what_was_there(built):
    book, _ = built
    good, there = (book.folder / "requirements.lock").read_text(), version_of_late(book)
    (book.folder / "requirements.lock").write_text(good.replace("late==", "late==9"))
    code, out, err = book.call("echo", "a")
    assert code == 0 and out.endswith("['a']\n") and version_of_late(book) == there
    assert (
        "going on with what was there" in err
        and "the last complaint: " in err
        and ".setup.log" in err
    )
    assert (book.folder / ".setup.log").read_text()
    (book.folder / "requirements.lock").write_text(good)
    assert "/4" not in book.call("echo")[1], "nothing has to be set up again"


NOWHERE = {"PIP_NO_INDEX": "", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}


def test_a_folder_of_wheels_serves_in_place_of_the_index_and_is_checked(tiny):
    """The reader's index is not asked: it does not answer."""
    folder = tiny.folder / "wheels"
    folder.mkdir()
    code, out, err = tiny.call("echo", environ=NOWHERE)
    assert code == 1 and "made for this system and this Python" in err and not out.endswith("[]\n")
    for wheel in tiny.wheels.glob("*.whl"):
        shutil.copy(wheel, folder)
    good = (folder / "late-1-py3-none-any.whl").read_bytes()
    make_wheel(folder, "late", "1", late="VERSION = 'of somebody else'")
    cache = {
        "UV_CACHE_DIR": str(tiny.folder / "cache")
    }  # what was fetched by other tests is unknown
    code, out, err = tiny.call("echo", environ=NOWHERE | cache)
    assert code == 1 and "is not the one that the lock names" in err and not out.endswith("[]\n")
    (folder / "late-1-py3-none-any.whl").write_bytes(good)
    code, out, err = tiny.call("echo", environ=NOWHERE | cache)
    assert code == 0 and out.endswith("[]\n") and version_of_late(tiny) == "1", err


def test_authors_commands_add_their_packages_once_and_without_touching_the_others(built):
    book, _ = built
    code, out, err = book.call("write", "x")
    assert code == 0 and "needs the authors' packages too" in out and "1/4" not in out, err
    assert book.call("write", "x") == (0, f"{book.venv} ['x']\n", "")
    assert book.call("echo") == (0, f"{book.venv} []\n", "")
    assert subprocess.run([book.python, "-c", "import writers"]).returncode == 0


@posix
@pytest.mark.parametrize("harm", ["changed lock", "no stamp"])
def test_it_works_inside_its_own_activated_environment(built, harm):
    book, _ = built
    if harm == "no stamp":
        (book.venv / "bigmodel.json").unlink()
    else:
        book.write_locks("3")
    code, out, err = book.call(
        "echo", "a", python=book.python, environ={"VIRTUAL_ENV": str(book.venv)}
    )
    assert code == 0 and out.endswith("['a']\n") and "Set-up finished." in out, err


def test_a_running_command_keeps_its_environment_until_it_ends(built, tmp_path):
    book, _ = built
    release = tmp_path / "release"
    with book.start("hold", str(release)) as running:
        try:
            assert running.stdout.readline() == "holding\n"
            book.write_locks("4")
            with book.start("echo") as changing:
                assert "another command of the book" in changing.stdout.readline()
                time.sleep(1)
                assert version_of_late(book) != "4", "nothing changes while the command runs"
                assert changing.poll() is None
                release.write_text("")
                assert running.wait(30) == 0, running.stderr.read()
                out, err = changing.communicate(timeout=120)
                assert changing.returncode == 0 and "Set-up finished." in out, err
        finally:
            release.write_text("")
    assert version_of_late(book) == "4"


@pytest.mark.skipif(sys.platform != "linux", reason="the GPU build exists for Linux only")
def test_the_other_build_is_another_environment_and_is_kept(built, monkeypatch):
    book, _ = built
    code, out, err = book.call("--gpu", "echo")
    assert code == 0 and "requirements-gpu.lock" in out and "another build" in out, err
    assert "/4" not in book.call("echo")[1]
    assert json.loads((book.venv / "bigmodel.json").read_text())["build"] == "gpu"
    assert "requirements.lock" in book.call("--cpu", "echo")[1]


OBSTINATE = {
    "TARGET": "there/target",
    "PREFIX": "there/prefix",
    "ROOT": "there/root",
    "DRY_RUN": "1",
    "USER": "1",
    "CONSTRAINT": "constraints.txt",
    "REQUIRE_VIRTUALENV": "1",
    "NO_BINARY": ":all:",
    "QUIET": "3",
    "ISOLATED": "0",
}


@pytest.mark.parametrize("where", ["variables", "pip.conf"])
def test_pips_other_settings_do_not_mislead_it(whole, tmp_path, where):
    (tmp_path / "constraints.txt").write_text("late==77\n")
    settings = {
        name: str(tmp_path / value) if value[0] in "tc" else value
        for name, value in OBSTINATE.items()
    }
    if where == "variables":
        environ = {f"PIP_{name}": value for name, value in settings.items()}
        environ |= {"UV_TARGET": str(tmp_path / "there"), "UV_CONSTRAINT": settings["CONSTRAINT"]}
    else:
        lines = [f"{name.lower().replace('_', '-')} = {value}" for name, value in settings.items()]
        lines += ["no-index = true", f"find-links = {whole.wheels}"]
        (tmp_path / "pip.conf").write_text("\n".join(["[global]", *lines]))
        environ = {
            "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
            "PIP_NO_INDEX": "",
            "PIP_FIND_LINKS": "",
        }
    code, out, err = whole.call("echo", environ=environ)
    assert code == 0 and version_of_late(whole) == "1", out + err
    assert not (tmp_path / "there").exists()


def test_variables_of_other_pythons_do_not_mislead_it(whole, tmp_path):
    (tmp_path / "late.py").write_text("raise ImportError('a foreign package')")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "raise SystemExit('a foreign start-up file')"
    )
    environ = {
        "PYTHONPATH": str(tmp_path),
        "PYTHONSAFEPATH": "1",
        "PYTHONOPTIMIZE": "2",
        "PYTHONHOME": sys.base_prefix,
    }
    environ |= {
        "VIRTUAL_ENV": str(tmp_path),
        "CONDA_PREFIX": str(tmp_path),
        "TMPDIR": str(tmp_path / "full"),
    }
    environ |= {"UV_CACHE_DIR": str(tmp_path / "late.py"), "UV_SYSTEM_PYTHON": "1"}
    code, out, err = whole.call("echo", environ=environ)
    assert code == 0 and "uv cannot" not in out and version_of_late(whole) == "1", out + err
    assert not (whole.venv / "cache").exists()


def test_where_uv_cannot_pip_takes_over_and_says_so(tiny, tmp_path, wheels):
    (tmp_path / UV.name).write_text("#!/bin/sh\necho error: no such thing here\nexit 2\n")
    broken = make_wheel(wheels[0], "uv", "98", scripts=[tmp_path / UV.name])
    for name in ("requirements.lock", "requirements-gpu.lock"):
        lock = tiny.folder / name
        lock.write_text(lock.read_text().replace(tiny.uv_pin, broken))
    code, out, err = tiny.call("echo")
    assert (
        code == 0
        and "uv cannot" in out
        and "pip takes over" in out
        and version_of_late(tiny) == "1"
    ), err


def test_what_the_book_did_not_make_is_never_touched(tiny):
    others = [".venv", ".venv.old", ".venv.trash", ".venv.new"]
    for name in others:
        (tiny.folder / name).mkdir()
        (tiny.folder / name / "precious").write_text("mine")
    code, out, err = tiny.call("echo")
    assert code == 1 and "did not make it" in err and err.count("\n") == 1
    (tiny.folder / ".venv").rename(tiny.folder / "mine")
    assert tiny.call("echo")[0] == 0
    for name in ["mine", *others[1:]]:
        assert (tiny.folder / name / "precious").read_text() == "mine"
    (tiny.folder / "requirements.lock").write_text(
        f"{tiny.uv_pin}late==5 \\\n    --hash=sha256:{'0' * 64}\n"
    )
    tiny.call("echo")
    for name in ["mine", *others[1:]]:
        assert (tiny.folder / name / "precious").read_text() == "mine"


def test_a_file_or_a_link_in_place_of_the_environment_is_one_sentence(tiny, tmp_path):
    (tiny.folder / ".venv").write_text("a file")
    code, _, err = tiny.call("echo")
    assert code == 1 and "did not make it" in err and err.count("\n") == 1
    (tiny.folder / ".venv").unlink()
    try:
        (tiny.folder / ".venv").symlink_to(tmp_path, target_is_directory=True)
    except OSError:
        pytest.skip("this system does not let us make links")
    code, _, err = tiny.call("echo")
    assert code == 1 and "is a link" in err and err.count("\n") == 1


@posix
def test_ctrl_c_ends_with_a_sentence_and_the_next_call_heals(whole, pip, interruptible):
    process = whole.start("echo", start_new_session=True)
    while not (whole.venv / "bin").exists():
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (
        process.returncode != 0 and err.startswith("run.py: interrupted") and err.count("\n") == 1
    ), err
    whole.copy_pip(pip)
    assert whole.call("echo")[0] == 0


@posix
def test_after_a_kill_the_next_call_waits_for_what_lives_on_and_heals(whole, pip):
    with whole.start("echo") as process:
        while not (whole.venv / "bin").exists():
            time.sleep(0.05)
        process.kill()
    whole.copy_pip(pip)
    code, out, err = whole.call("echo")
    assert code == 0 and "Set-up finished." in out, err


def test_two_at_once_build_one_environment(tiny):
    both = [tiny.start("echo", str(number)) for number in range(2)]
    outs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("Set-up finished." in out for out in outs) == 1
    assert sum("waiting" in out for out in outs) == 1


def test_no_network_is_one_sentence_with_the_complaint_and_the_log(tiny):
    nowhere = {
        "PIP_NO_INDEX": "",
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "1",
    }
    code, _, err = tiny.call("echo", environ=nowhere)
    assert code == 1 and err.startswith("run.py: no network"), err
    assert (
        "the last complaint: " in err
        and str(tiny.folder / ".setup.log") in err
        and "Traceback" not in err
    )
    assert "127.0.0.1" in (tiny.folder / ".setup.log").read_text()


def test_a_wrong_hash_is_refused_and_nothing_is_stamped(tiny):
    lock = tiny.folder / "requirements.lock"
    lock.write_text(f"{tiny.uv_pin}late==1 \\\n    --hash=sha256:{'0' * 64}\n")
    code, out, err = tiny.call("echo")
    assert code == 1 and "is not the one that the lock names" in err, err
    assert "pip takes over" not in out and not (tiny.venv / "bigmodel.json").exists()


def test_what_does_not_start_is_not_called_finished_nor_gone_on_with(built):
    """The packages have been replaced by then: what was there is there no more, whatever the lock says next."""
    book, _ = built
    there = version_of_late(book)
    book.write_locks("6", "raise ImportError('broken')\n")
    code, out, err = book.call("echo")
    assert code == 1 and "4/4" in out and "ImportError: broken" in err and "going on" not in err
    book.write_locks(there)
    code, out, err = book.call("echo")
    assert code == 0 and "it is unfinished" in out and version_of_late(book) == there, err


@posix
@pytest.mark.parametrize("replaced", [False, True])
def test_a_change_that_was_cut_off_counts_for_nothing_or_is_made_anew(built, replaced):
    """As a kill or a full disk leaves it: the stamp of before, and the note that a change had begun."""
    book, _ = built
    found = book.venv.glob("lib/python*/site-packages/*.dist-info")
    packages = [path.name for path in found if not path.name.startswith("uv-")]
    note = book.venv / "bigmodel-changing.json"
    note.write_text(json.dumps(packages))
    if replaced:
        (information,) = book.venv.glob("lib/python*/site-packages/late-*.dist-info")
        information.rename(information.with_name("late-99.dist-info"))
    code, out, err = book.call("echo")
    assert code == 0 and ("it is unfinished" in out) == replaced, err
    assert version_of_late(book) and book.call("echo")[1] == f"{book.venv} []\n"
    note.unlink(missing_ok=True)


@posix
def test_a_kill_while_packages_are_replaced_heals(tiny):
    assert tiny.call("echo")[0] == 0
    tiny.write_locks("2")
    (package,) = tiny.venv.glob("lib/python*/site-packages/late-1.dist-info")
    with tiny.start("echo", start_new_session=True) as process:
        while package.exists() and process.poll() is None:
            pass
        os.killpg(process.pid, signal.SIGKILL)
    assert tiny.call("echo")[0] == 0 and version_of_late(tiny) == "2"


def test_a_folder_that_goes_by_two_names_has_not_moved(built, tmp_path):
    book, _ = built
    stamp = book.venv / "bigmodel.json"
    (tmp_path / "other").symlink_to(book.folder, target_is_directory=True)
    other = json.loads(stamp.read_text()) | {"folder": str(tmp_path / "other" / ".venv")}
    stamp.write_text(json.dumps(other))
    assert book.call("echo") == (0, f"{book.venv} []\n", "")


def test_passwords_reach_neither_the_screen_nor_the_log(tiny):
    secret = {
        "PIP_EXTRA_INDEX_URL": "me:s3cret@127.0.0.1:9/simple http://me:0ther@127.0.0.1:9/simple"
    }
    code, out, err = tiny.call("echo", environ=secret | {"PIP_NO_INDEX": "", "PIP_RETRIES": "0"})
    log = (tiny.folder / ".setup.log").read_text()
    for word in ("s3cret", "0ther"):
        assert word not in out + err + log


def test_nobody_need_listen(tiny):
    """A closed screen, a reader that goes away, letters that the screen does not know, a user without a home."""
    assert tiny.call("echo", environ={"PYTHONIOENCODING": "ascii"})[0] == 0
    tiny.write_locks("2")
    command = f'"{sys.executable}" "{tiny.folder / "run.py"}" echo'
    environ = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tiny.wheels)}
    environ.pop("BIGMODEL_PREFIX", None)
    if os.name != "nt":
        subprocess.run(f"{command} | head -1", shell=True, env=environ, capture_output=True)
        done = subprocess.run(
            f"{command} >&- <&-", shell=True, env=environ, capture_output=True, text=True
        )
        assert done.returncode == 0 and "Traceback" not in done.stderr
    assert version_of_late(tiny) == "2"


def test_who_has_no_home_uses_the_folder_for_temporary_files(monkeypatch):
    def none():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(surroundings.Path, "home", none)
    assert surroundings.home() == Path(tempfile.gettempdir())
    assert own_variables({}, Path(tempfile.gettempdir()) / "no such prefix")["IPYTHONDIR"]


# --- decisions -----------------------------------------------------------------------------------


@pytest.fixture
def standing(tmp_path, monkeypatch):
    """An environment that stands, by substitution: its stamp, and a set-up that fails."""
    stamp = {
        "folder": str(environment.VENV),
        "python": environment.this_python(),
        "build": "cpu",
        "locks": {},
    }
    number = itertools.count()  # one process takes the lock once; here it does so for each call
    monkeypatch.setattr(
        environment,
        "EnvironmentLock",
        lambda path: EnvironmentLock(tmp_path / f"lock {next(number)}"),
    )
    monkeypatch.setattr(environment, "read_stamp", lambda: stamp)
    monkeypatch.setattr(environment, "python_that_starts", lambda: stamp["python"])
    monkeypatch.setattr(environment, "digests", lambda build, authors: {"requirements.lock": "new"})
    return stamp


def test_a_working_environment_keeps_working_where_a_change_cannot_be_made(
    standing, monkeypatch, capsys
):
    def fail(*arguments):
        raise SetupError("no room")

    monkeypatch.setattr(environment, "install", fail)
    monkeypatch.setattr(
        environment,
        "check_machine",
        lambda *a: pytest.fail("the disk and this Python do not matter"),
    )
    standing["locks"] = {"requirements.lock": "old"}
    monkeypatch.setattr(environment, "LOG", Path(os.devnull))
    monkeypatch.setattr(environment, "MARK", ROOT / "README.md")
    standing["locks"] = {"requirements.lock": "old"}
    assert environment.ready(None, authors=False) == environment.python()
    assert "no room" in capsys.readouterr().err
    with pytest.raises(SetupError, match="no room"):
        environment.ready(None, authors=True)


def test_another_python_is_noticed_and_the_environment_used_as_it_is(standing, capsys):
    standing["locks"] = {"requirements.lock": "new"}
    assert environment.ready(None, authors=False) == environment.python()
    assert capsys.readouterr().err == ""
    standing["python"] = "3.99"
    environment.ready(None, authors=False)
    assert "made with Python 3.99 and is used as it is" in capsys.readouterr().err.replace(
        "\n", " "
    )


def test_a_folder_that_may_not_be_written_is_one_sentence(monkeypatch):
    def fail(*arguments):
        raise PermissionError(30, "Read-only file system", str(ROOT))

    monkeypatch.setattr(environment, "check_machine", lambda *arguments: None)
    monkeypatch.setattr(environment, "empty_the_environment", fail)
    monkeypatch.setattr(environment, "VENV", ROOT / "no such environment")
    with pytest.raises(SetupError, match="may not be written .see below which.; make it writable"):
        environment.set_up("it is unfinished", {}, "cpu", False, None)
