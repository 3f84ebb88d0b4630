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
from tools.programs import become
from tools.surroundings import own_variables, without_python_settings

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
MARK = (
    VENV / "bigmodel-made-this.txt"
)  # written first: a folder without it is not ours, and never touched
STAMP = (
    VENV / "bigmodel.json"
)  # what the environment was made from; written last, so its absence means "unfinished"
LOG = ROOT / ".setup.log"
CACHE = (
    ROOT / ".setup-cache"
)  # uv's, where its own cannot be used; gone when the set-up has succeeded
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
                if reason != CHANGED or not has_authors_packages(stamp) and authors:
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
    """What the environment was made from; nothing if it is unfinished."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        return {name: stamp[name] for name in ("folder", "python", "build", "locks")}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def misfit(stamp, build, authors):
    """Why the environment is not the one that is needed; None if it is."""
    if not stamp:
        return "it is unfinished"
    if stamp["folder"] != str(VENV):
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
    if not sys.stdin.isatty():
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
            print(f"The environment has to be set up again: {reason}.", flush=True)
        if reason not in (CHANGED, MORE):
            check_machine(build, ROOT)
            print(f"Setting up the book in {VENV}: {DOWNLOAD[build]} to download.", flush=True)
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
        become([base, str(ROOT / "run.py"), *sys.argv[1:]], without_python_settings(os.environ))


def empty_the_environment():
    """Delete all in it but our mark, and first of all the stamp."""
    VENV.mkdir(exist_ok=True)
    MARK.write_text(
        "run.py makes this folder, and empties it when it has to be made again.\n", encoding="utf-8"
    )
    for path in sorted(VENV.iterdir(), key=lambda path: path != STAMP):
        try:
            if path.is_dir() and not path.is_symlink():
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
    environ.update(
        dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    )  # not on a small disk of its own
    if not python().exists():
        print("1/4  an empty environment", flush=True)
        steps.run([sys.executable, "-m", "venv", str(VENV)], environ)
    listed = dict(environ, **index_settings.LISTED_WHOLE)
    listing = steps.run([str(python()), "-m", "pip", "config", "list"], listed, secret=True)
    settings = index_settings.read(listing)
    for_pip = index_settings.for_pip(environ, settings)
    for_uv = dict(index_settings.for_uv(environ, settings), UV_CACHE_DIR=str(cache_for_uv()))
    pip = [str(python()), "-m", "pip", "install"]
    uv = [str(python().with_name("uv")), "pip", "install", "--python", str(python())]
    uv += index_settings.uv_options(settings)
    locks = digests(build, authors)
    checked = ["--require-hashes", "--only-binary", ":all:"]
    files = [part for name in locks for part in ("-r", str(ROOT / name))]
    own = ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]

    print("2/4  uv, which installs the rest", flush=True)
    only_uv = temporary / "uv.lock"
    only_uv.write_text(pin_of_uv(build), encoding="utf-8")
    steps.run([*pip, *checked, "-r", str(only_uv)], for_pip)
    print(f"3/4  the packages of {' and '.join(locks)}", flush=True)
    try:
        steps.run([*uv, *checked, *files], for_uv, show=True)
        installer, own, variables = uv, ["--offline", *own], for_uv
    except SetupError as problem:
        if "is not the one that the lock names" in str(problem):
            raise
        print(f"     uv cannot: {problem}\n     pip takes over, which takes longer", flush=True)
        steps.run([*pip, *checked, *files], for_pip, show=True)
        installer, own, variables = pip, ["--no-index", *own], for_pip
    if (
        replace_tensorflow
    ):  # both builds have the same files: take both away, and put the right one back
        steps.run([*pip[:-1], "uninstall", "--yes", "tensorflow", "tensorflow-cpu"], for_pip)
        steps.run([*installer, *checked, *files], variables)
    steps.run([*installer, *own], variables)
    print("4/4  a first start", flush=True)
    steps.run([str(python()), "-c", FIRST_START], own_variables(environ, VENV), show=False)
    shutil.rmtree(str(temporary), ignore_errors=True)
    shutil.rmtree(str(CACHE), ignore_errors=True)
    stamp = {"folder": str(VENV), "python": python_that_starts(), "build": build, "locks": locks}
    part = STAMP.with_suffix(".part")
    part.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    os.replace(str(part), str(STAMP))
    print("Set-up finished.", flush=True)


def pin_of_uv(build):
    """The lines of the lock that pin uv, with its hashes."""
    lock = (ROOT / LOCKS[build]).read_text(encoding="utf-8")
    return re.search(r"^uv==.*\n(?:    --hash=.*\n)*", lock, re.MULTILINE).group()


def cache_for_uv():
    """Where uv keeps what it fetches: its own cache, if files can be linked from there into the environment."""
    asked = os.environ.get("UV_CACHE_DIR")
    home = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
    folder = Path(
        asked or Path(home or Path.home() / ".cache", "uv", "cache" if os.name == "nt" else "")
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
    """Runs the steps of a set-up; all that they print is kept in the log."""

    def __init__(self, log, lock):
        self.log, self.lock = log, lock

    def run(self, command, environ, show=False, secret=False):
        """Run one step to its end and return what it printed; its progress is seen if that is asked for.

        What a secret step prints may hold passwords, and is kept nowhere.

        The step holds the lock as long as it lives, even if we are killed: the next call then waits for it.

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
        try:
            for line in process.stdout:
                printed += line
                if not secret:
                    self.log.write(line)
                    self.log.flush()
                if show and not line.startswith(" + "):
                    print("     " + line.rstrip(), flush=True)
        except BaseException:
            process.terminate()
            raise
        finally:
            code = process.wait()
        if code != 0:
            sentence, complaint = explain(printed, code)
            raise SetupError(
                f"{sentence}\n  the last complaint: {complaint}\n  the whole log: {LOG}"
            )
        return printed
