"""The book's environment: whether it fits, and how it is made. Standard library only: this runs before there is one."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import index_settings
from tools.complaints import SetupError, check_machine, explain
from tools.locking import EnvironmentLock
from tools.programs import hand_over_to, say
from tools.surroundings import home, own_variables, without_python_settings

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
# Written first: a folder without it is not ours, and never touched.
MARK = VENV / "bigmodel-made-this.txt"
# What the environment was made from; written last, so its absence means "unfinished".
STAMP = VENV / "bigmodel.json"
# Which packages stood in it when a change began; gone at its end.
CHANGING = VENV / "bigmodel-changing.json"
# uv's, where its own cannot be used; gone when the set-up has succeeded.
CACHE = VENV / "cache"
# Where it is, packages come from it, and from no index: for machines without a network.
WHEELS = ROOT / "wheels"
LOG = ROOT / ".setup.log"
LOCKS = {"cpu": "requirements.lock", "gpu": "requirements-gpu.lock"}
AUTHORS_LOCK = "requirements-authors.lock"
DOWNLOAD = {"cpu": "0.5 GB", "gpu": "3.7 GB"}  # what a first set-up for readers fetches

# Why an environment does not fit, where it can be mended in its place; for all other reasons it is made anew.
CHANGED = "the locks have changed"
OTHER_BUILD = "another build of TensorFlow was asked for"
MORE = "this command needs the authors' packages too"

FIRST_START = """
import bigmodel_helpers, ipywidgets, jupyterlab, keras, matplotlib.pyplot, sklearn, tensorflow
print("TensorFlow", tensorflow.__version__, "starts")
"""
AUTHORS_START = """
import nbval, playwright, pytest
"""


def ready(asked, authors):
    """The interpreter of an environment that fits, made first where there is none.

    The environment is held as it is for as long as this process, or the program that it becomes, lives.

    Args:
        asked: "cpu", "gpu", or None for what is there.
        authors: whether the authors' packages are needed too.

    Raises:
        SetupError: with a sentence, if there is no such environment and none can be made.
    """
    lock = EnvironmentLock(ROOT / ".setup-lock")
    lock.hold_with_others()
    stamp = read_stamp()
    build = asked or stamp.get("build") or choose_build()
    if misfit(stamp, build, authors) is not None:
        lock.hold_alone()
        stamp = read_stamp()
        reason = misfit(stamp, build, authors)
        if reason is not None:  # the set-up that we may have waited for was not the one we need
            try:
                set_up(reason, stamp, build, authors, lock)
            except SetupError as problem:
                whole = read_stamp() and (has_authors_packages(stamp) or not authors)
                if reason != CHANGED or not whole:
                    raise
                print(f"run.py: {problem}\nrun.py: going on with what was there.", file=sys.stderr)
        lock.hold_with_others()
    elif stamp["python"] != this_python():
        print(
            f"run.py: this is Python {this_python()}; the environment was made with Python {stamp['python']} and is "
            "used as it is. Delete .venv to have it made anew.",
            file=sys.stderr,
        )
    return python()


def python():
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def this_python():
    return "{}.{}".format(*sys.version_info)


def python_that_starts():
    """The version of the environment's Python, such as "3.12"; None if it does not start."""
    command = [
        str(python()),
        "-I",
        "-S",
        "-c",
        "import sys; print('{}.{}'.format(*sys.version_info))",
    ]
    try:
        return (
            subprocess.check_output(command, stderr=subprocess.DEVNULL, timeout=60).decode().strip()
        )
    except (OSError, subprocess.SubprocessError):
        return None


def read_stamp():
    """What the environment was made from; nothing if it is unfinished, or half changed."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        stamp = {name: stamp[name] for name in ("folder", "python", "build", "locks")}
        if stamp["build"] not in LOCKS or not isinstance(stamp["locks"], dict):
            return {}
        if CHANGING.exists():  # a change was cut off: is all that was there still there?
            return stamp if is_untouched() else {}
        return stamp
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def is_untouched():
    """Whether the packages that stood here when a change began all stand here still."""
    return set(json.loads(CHANGING.read_text(encoding="utf-8"))) <= set(packages())


def packages():
    """The packages in the environment but uv, with versions: the names of the folders of their descriptions."""
    found = [
        *VENV.glob("lib/python*/site-packages/*.dist-info"),
        *VENV.glob("Lib/site-packages/*.dist-info"),
    ]
    return sorted(path.name for path in found if not path.name.startswith("uv-"))


def misfit(stamp, build, authors):
    """Why the environment is not the one that is needed; None if it is."""
    if not stamp:
        return "it is unfinished"
    if not is_this_folder(stamp["folder"]):
        return "the book was moved"
    version = python_that_starts()
    if version != stamp["python"]:
        return f"its Python {stamp['python']} " + (
            f"is now {version}" if version else "does not start any more"
        )
    if stamp["build"] != build:
        return OTHER_BUILD
    wanted = digests(build, authors)
    if any(stamp["locks"].get(name, digest) != digest for name, digest in wanted.items()):
        return CHANGED
    return None if has_authors_packages(stamp) or not authors else MORE


def is_this_folder(path):
    """Whether the environment goes by this name too: a folder may have two."""
    try:
        return path == str(VENV) or os.path.samefile(str(path), str(VENV))
    except OSError:
        return False


def has_authors_packages(stamp):
    return AUTHORS_LOCK in stamp.get("locks", {})


def digests(build, authors):
    """The sha256 of each lock that is needed, by its name."""
    names = [LOCKS[build]] + [AUTHORS_LOCK] * authors
    return {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in names}


def choose_build():
    """CPU, unless there is an NVIDIA GPU and the reader says yes."""
    if not (sys.platform == "linux" and platform.machine() == "x86_64" and nvidia_gpus()):
        return "cpu"
    print(f"Found: {'; '.join(nvidia_gpus())}.")
    if not (sys.stdin and sys.stdin.isatty()):
        print(
            f"Setting up for the CPU; 'python3 run.py --gpu COMMAND' takes the GPU ({DOWNLOAD['gpu']} to download)."
        )
        return "cpu"
    question = (
        f"Set up for the GPU ({DOWNLOAD['gpu']} to download) instead of the CPU ({DOWNLOAD['cpu']})? "
        "All chapters run on the CPU. [y/N] "
    )
    try:
        return "gpu" if input(question).strip().lower() in ("y", "yes") else "cpu"
    except EOFError:
        return "cpu"


def nvidia_gpus():
    """Names of the NVIDIA GPUs that the driver shows, or none."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        listed = subprocess.check_output(command, stderr=subprocess.DEVNULL, timeout=20).decode(
            "utf-8", "replace"
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [name.strip() for name in listed.splitlines() if name.strip()]


# --- set-up --------------------------------------------------------------------------------------


def set_up(reason, stamp, build, authors, lock):
    """Mend the environment in its place, or make it anew.

    In its place, nothing is lost if it fails: packages are fetched before any is replaced, and what a reader has
    installed besides stays.
    """
    try:
        if VENV.is_symlink():
            raise SetupError(
                f"{VENV} is a link; remove it, so that the environment can be made here."
            )
        if VENV.is_dir() and any(VENV.iterdir()) and not MARK.exists() or VENV.is_file():
            raise SetupError(
                f"{VENV} is there, but this book did not make it; move it away and run this again."
            )
        if VENV.exists() and any(VENV.iterdir()):
            say(f"The environment has to be set up again: {reason}.")
        if reason not in (CHANGED, MORE):
            check_machine(build, ROOT)
            say(f"Setting up the book in {VENV}: {DOWNLOAD[build]} to download.")
        if reason not in (CHANGED, MORE, OTHER_BUILD):
            leave_the_environment(lock)
            empty_the_environment()
        with open(str(LOG), "w", encoding="utf-8") as log:
            install(
                build,
                authors or has_authors_packages(stamp),
                reason == OTHER_BUILD,
                Steps(log, lock),
            )
    except OSError as problem:
        raise SetupError(f"{explain(str(problem))[0]}\n  the complaint: {problem}") from problem


def leave_the_environment(lock):
    """Go on with the Python that the environment was made from, if this process runs on the environment's own."""
    base = getattr(sys, "_base_executable", "")
    if (
        Path(sys.prefix).resolve() == VENV
        and base not in ("", sys.executable)
        and Path(base).exists()
    ):
        lock.let_go()  # the process that this one becomes takes it anew
        hand_over_to(
            [base, str(ROOT / "run.py"), *sys.argv[1:]], without_python_settings(os.environ)
        )


def empty_the_environment():
    """Delete all in it but our mark and what uv has fetched, and first of all the stamp."""
    VENV.mkdir(exist_ok=True)
    MARK.write_text(
        "run.py makes this folder, and empties it when it has to be made again.\n", encoding="utf-8"
    )
    for path in sorted(VENV.iterdir(), key=lambda path: path not in (STAMP, CHANGING)):
        try:
            if path.is_dir() and not path.is_symlink():
                if path != CACHE:
                    shutil.rmtree(str(path))
            elif path != MARK:
                path.unlink()
        except OSError as problem:
            raise SetupError(
                f"{VENV} cannot be emptied ({problem}); if a program in it is running, close it (JupyterLab, editors, "
                "terminals in which it is active: 'deactivate'), and run this again."
            ) from problem


def install(build, authors, replace_tensorflow, steps):
    """An interpreter, uv by its hash, with it the locked packages and the book's own, a first start, and the stamp."""
    temporary = VENV / "tmp"
    temporary.mkdir(exist_ok=True)
    environ = without_python_settings(os.environ)
    environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)))  # not on a small disk
    if not python().exists():
        say("1/4  an empty environment")
        steps.run([sys.executable, "-m", "venv", str(VENV)], environ)
    listed = dict(environ, **index_settings.LISTED_WHOLE)
    listing = steps.run([str(python()), "-m", "pip", "config", "list"], listed, secret=True)
    settings = index_settings.read(listing)
    if WHEELS.is_dir():
        settings = {"no-index": "1", "find-links": WHEELS.as_uri()}
    steps.hidden = index_settings.passwords(environ, settings)
    for_pip = index_settings.for_pip(environ, settings)
    for_uv = dict(index_settings.for_uv(environ, settings), UV_CACHE_DIR=str(cache_for_uv()))
    pip = [str(python()), "-m", "pip", "install"]
    uv = [str(python().with_name("uv")), "pip", "install", "--python", str(python())]
    uv += index_settings.uv_options(settings)
    anew = CHANGING.exists()  # what an earlier change left may look whole and not be so
    locks = digests(build, authors)
    checked = ["--require-hashes", "--only-binary", ":all:"]
    files = [part for name in locks for part in ("-r", str(ROOT / name))]
    own = ["--no-deps", "--no-build-isolation", "-e", ROOT.as_uri()]

    say("2/4  uv, which installs the rest")
    only_uv = temporary / "uv.lock"
    only_uv.write_text(pin_of_uv(build), encoding="utf-8")
    write_whole(CHANGING, packages())
    steps.run([*pip, "-vv", *checked, "-r", str(only_uv)], for_pip)
    say(f"3/4  the packages of {' and '.join(locks)}")
    try:
        steps.run([*uv, *["--reinstall"] * anew, *checked, *files], for_uv, show=True)
        installer, offline, variables = uv, "--offline", for_uv
    except SetupError as problem:
        if "is not the one that the lock names" in str(problem):
            raise
        say(f"     uv cannot: {problem}\n     pip takes over, which takes longer")
        again = ["--force-reinstall"] * (anew or not is_untouched())
        steps.run([*pip, *again, *checked, *files], for_pip, show=True)
        installer, offline, variables = pip, "--no-index", for_pip
    # both builds have the same files: take both away, and put the right one back
    if replace_tensorflow:
        steps.run([*pip[:-1], "uninstall", "--yes", "tensorflow", "tensorflow-cpu"], for_pip)
        steps.run([*installer, *checked, *files], variables)
    steps.run([*installer, offline, *own], variables)
    say("4/4  a first start")
    start = FIRST_START + AUTHORS_START * authors
    steps.run([str(python()), "-c", start], own_variables(environ, VENV))
    for folder in (temporary, CACHE):
        shutil.rmtree(str(folder), ignore_errors=True)
    stamp = {"folder": str(VENV), "python": python_that_starts(), "build": build, "locks": locks}
    write_whole(STAMP, stamp)
    CHANGING.unlink()
    say("Set-up finished.")


def write_whole(path, content):
    """Write a file of JSON whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(str(part), str(path))


def pin_of_uv(build):
    """The lines of the lock that pin uv, with its hashes."""
    lock = (ROOT / LOCKS[build]).read_text(encoding="utf-8")
    return re.search(r"^uv==.*\n(?:    --hash=.*\n)*", lock, re.MULTILINE).group()


def cache_for_uv():
    """Where uv keeps what it fetches: its own cache, if files can be linked from there into the environment."""
    asked = os.environ.get("UV_CACHE_DIR")
    caches = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
    folder = Path(
        asked or Path(caches or home() / ".cache", "uv", "cache" if os.name == "nt" else "")
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=str(folder)):
            if asked or os.stat(str(folder)).st_dev == os.stat(str(VENV)).st_dev:
                return folder
    except OSError:
        pass
    return CACHE


class Steps:
    """Runs the steps of a set-up; what they print is kept in the log, without the passwords in `hidden`."""

    def __init__(self, log, lock):
        self.log, self.lock, self.hidden = log, lock, ()

    def run(self, command, environ, show=False, secret=False):
        """Run one step to its end and return what it printed; its progress is seen if that is asked for.

        What a secret step prints may hold passwords, and is kept nowhere. Each step holds the lock as long as it
        lives, even if we are killed: the next call then waits for it.

        Raises:
            SetupError: if it fails: what that means, the line of its output that says most, and where the log is.
        """
        held = () if os.name == "nt" or self.lock.descriptor is None else (self.lock.descriptor,)
        try:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environ,
                encoding="utf-8",
                errors="replace",
                pass_fds=held,
            )
        except OSError as problem:
            raise SetupError(f"{command[0]} cannot be started ({problem}).") from problem
        printed = ""
        with process:
            try:
                for line in process.stdout:
                    for password in self.hidden:
                        line = line.replace(password, "****")
                    printed += line
                    if not secret:
                        self.log.write(line)
                        self.log.flush()
                    if show and not line.startswith(" + "):
                        say("     " + line.rstrip())
            except BaseException:
                process.terminate()
                raise
        if process.returncode != 0:
            sentence, complaint = explain(printed, process.returncode)
            place = "" if secret else f"\n  the whole log: {LOG}"
            raise SetupError(f"{sentence}\n  the last complaint: {complaint}{place}")
        return printed
