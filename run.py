#!/usr/bin/env python3
"""The one command of this book: builds its environment on first use, then does what you ask.

usage: python3 run.py [--cpu | --gpu] COMMAND [ARGUMENTS]

Needs nothing but Python. The environment is the folder .venv beside this file, made from requirements.lock
(every package pinned and checked by hash). It is built again by itself when the lock has changed, when a set-up
was interrupted, when the book was moved, or when you ask for the other build of TensorFlow; delete .venv to start over.

  --cpu   the CPU build of TensorFlow, without a question
  --gpu   the build for an NVIDIA GPU (Linux, x86_64)
"""

import ast
import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = (
    VENV / "bigmodel.json"
)  # says which environment this is; written last, so its absence means "unfinished"
CLAIM = (
    VENV / "bigmodel-made-this.txt"
)  # written first, so that we never delete somebody else's .venv
OLD = ROOT / ".venv.old"  # the environment that stood before, until a new one is finished
OLDEST, NEWEST = (3, 11), (3, 13)  # the Pythons for which TensorFlow publishes wheels
LOCKS = {"cpu": "requirements.lock", "gpu": "requirements-gpu.lock"}
DOWNLOAD = {
    "cpu": "0.5 GB",
    "gpu": "3.7 GB",
}  # what a first set-up fetches, with everything else in it
NEEDED_DISK = {
    "cpu": 4e9,
    "gpu": 14e9,
}  # bytes: the environment, the downloads beside it, and room to unpack


def main(arguments):
    flags = {"--cpu", "--gpu"} & set(arguments)
    arguments = [a for a in arguments if a not in flags]
    commands = {path.stem: path for path in sorted((ROOT / "tools").glob("[!_]*.py"))}
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        return print(help_text(commands))
    if arguments[0] not in commands:
        stop(f"there is no command '{arguments[0]}'; there are: {', '.join(commands)}.")
    if arguments[1:2] in (["-h"], ["--help"]):
        return print(
            ast.get_docstring(ast.parse(commands[arguments[0]].read_text(encoding="utf-8")))
        )
    if len(flags) == 2:
        stop("--cpu and --gpu exclude each other; give one of them.")
    python = environment(flags.pop()[2:] if flags else None)
    sys.stdout.flush()
    command = [str(python), str(commands[arguments[0]])] + arguments[1:]
    if os.name != "nt":
        os.execv(command[0], command)
    try:
        sys.exit(subprocess.call(command))
    except KeyboardInterrupt:  # the command has seen it too, and said what there was to say
        sys.exit(130)


def help_text(commands):
    """The usage above, then a line for each command: the first line of its docstring."""
    lines = [__doc__.strip(), "", "commands:"]
    for name, path in commands.items():
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        lines.append(f"  {name:9} {doc.splitlines()[0]}")
    return "\n".join(lines)


def stop(sentence):
    sys.exit("run.py: " + sentence)


# --- the environment ---------------------------------------------------------------------------------------------


def environment(asked):
    """The interpreter of a finished environment, built first where there is none that fits."""
    stamp = read_stamp()
    build = asked or stamp.get("build") or choose_build()
    if stamp != expected_stamp(build):
        check_machine(build)
        with one_at_a_time() as lock:
            if read_stamp() != expected_stamp(build):  # unless the one before us has just built it
                try:
                    set_up(build, lock)
                except SystemExit as failed:
                    if asked or read_stamp().get("folder") != str(VENV):
                        raise
                    print(
                        f"{failed}\nrun.py: going on with the environment that was there.",
                        file=sys.stderr,
                    )
    return venv_python()


def venv_python():
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def read_stamp():
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = venv_python().exists() and (VENV / "pyvenv.cfg").exists()
    return stamp if isinstance(stamp, dict) and whole else {}


def expected_stamp(build):
    """What a finished environment says of itself. A moved folder, another build or lock: it no longer fits."""
    lock = hashlib.sha256((ROOT / LOCKS[build]).read_bytes()).hexdigest()
    return {"build": build, "lock": lock, "folder": str(VENV)}


def choose_build():
    """CPU, unless there is an NVIDIA GPU and the reader says yes."""
    if not (sys.platform == "linux" and platform.machine() == "x86_64" and nvidia_gpus()):
        return "cpu"
    gpu, cpu = DOWNLOAD["gpu"], DOWNLOAD["cpu"]
    print(f"Found: {'; '.join(nvidia_gpus())}.")
    if not sys.stdin.isatty():
        print(
            f"Setting up for the CPU; 'python3 run.py --gpu COMMAND' sets up for the GPU (download {gpu})."
        )
        return "cpu"
    question = f"Set up for the GPU (download {gpu}) instead of the CPU ({cpu})? All chapters run on the CPU. [y/N] "
    return "gpu" if input(question).strip().lower() in ("y", "yes") else "cpu"


def nvidia_gpus():
    """Names of the NVIDIA GPUs that the driver shows, or none."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    names = listed.stdout.decode("utf-8", "replace").split("\n") if listed.returncode == 0 else []
    return [name.strip() for name in names if name.strip()]


def check_machine(build):
    """Stop with a sentence where set-up cannot succeed."""
    system, machine, version = platform.system(), platform.machine().lower(), sys.version_info[:2]
    this, wanted = "{}.{}".format(*version), "Python {}.{} to {}.{}".format(*OLDEST, *NEWEST)
    if not OLDEST <= version <= NEWEST:
        stop(
            f"this is Python {this}, and TensorFlow has wheels for {wanted} only; install one of these and run this "
            "file with it (for example 'python3.13 run.py', on Windows 'py -3.13 run.py')."
        )
    if sys.maxsize < 2**32:
        stop(
            f"this is a 32-bit Python, for which TensorFlow has no wheel; install a 64-bit {wanted}."
        )
    if system == "Darwin" and machine == "x86_64":
        stop(
            "TensorFlow has had no wheel for Intel Macs since version 2.16 (if this Mac has Apple silicon, its Python "
            "is an Intel build: use an arm64 one); use another machine, or Binder."
        )
    if system == "Windows" and machine in ("arm64", "aarch64"):
        stop(
            "TensorFlow has no wheel for Windows on Arm; use Linux inside WSL, another machine, or Binder."
        )
    if build == "gpu" and not (system == "Linux" and machine == "x86_64"):
        stop(
            "TensorFlow's GPU build exists for Linux on x86_64 only (on Windows: inside WSL); leave out --gpu."
        )
    if any(importlib.util.find_spec(name) is None for name in ("venv", "ensurepip")):
        stop(
            "this Python lacks the module that makes environments; on Debian and Ubuntu: "
            f"sudo apt install python{this}-venv"
        )
    free = shutil.disk_usage(str(ROOT)).free
    if free < NEEDED_DISK[build]:
        stop(
            f"too little room on the disk of {ROOT}: {free / 1e9:.1f} GB free, {NEEDED_DISK[build] / 1e9:.0f} GB "
            "needed; make room and run this again."
        )


@contextlib.contextmanager
def one_at_a_time():
    """Hold the set-up for this process; a second one waits. The system lets go by itself if we are killed."""
    try:
        file = open(str(ROOT / ".setup-lock"), "w")
    except OSError as error:
        stop(
            f"cannot write into {ROOT} ({error.strerror}); put the book where you may write, and run this again."
        )
    with file:
        if os.name == "nt":
            import msvcrt

            with contextlib.suppress(OSError):
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # waits ten seconds
        else:
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                print("Another set-up is at work here; waiting for it ...", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def set_up(build, lock):
    """Build the environment from nothing, and put back what stood before if that fails."""
    if VENV.is_symlink():
        stop(
            f"{VENV} is a link; remove it, so that the environment can be built here, and run this again."
        )
    if VENV.exists() and any(VENV.iterdir()) and not CLAIM.exists():
        stop(
            f"the folder {VENV} is there, but this book did not make it; move it away and run this again."
        )
    finished = False
    try:
        if OLD.exists() and not read_stamp():  # a set-up was killed before it could put this back
            discard(VENV)
            OLD.rename(VENV)
        if read_stamp():
            print(
                "What is there does not fit: the book has changed or moved, or another build was asked for."
            )
            discard(OLD)
            VENV.rename(OLD)
        print(
            f"Setting up the book in {VENV}: about {DOWNLOAD[build]} to download, some minutes.",
            flush=True,
        )
        discard(VENV)
        install(build, lock)
        finished = True
    except OSError as error:
        stop(explain(str(error)))
    finally:
        if finished:
            discard(OLD)
        elif OLD.exists():
            discard(VENV)
            OLD.rename(VENV)


def discard(folder):
    """Delete a folder of ours; out of the way at once, however long the deletion takes or wherever it is cut off."""
    trash = ROOT / ".venv.trash"
    shutil.rmtree(str(trash), ignore_errors=True)
    if folder.exists():
        folder.rename(trash)
        shutil.rmtree(str(trash), ignore_errors=True)


def install(build, lock):
    """Make the environment, install the locked packages and the book's own, and stamp it."""
    VENV.mkdir()
    CLAIM.write_text("run.py makes this folder, and deletes it when it has to be built again.\n")
    print("1/3  an empty environment", flush=True)
    run([sys.executable, "-m", "venv", str(VENV)], lock)
    print(
        f"2/3  the packages of {LOCKS[build]} (after the downloads a minute passes in silence)",
        flush=True,
    )
    pip = [str(venv_python()), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    run(pip + ["--require-hashes", "--only-binary", ":all:", "-r", str(ROOT / LOCKS[build])], lock)
    print("3/3  the book's own helpers", flush=True)
    run(pip + ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-e", str(ROOT)], lock)
    part = STAMP.with_suffix(".part")
    part.write_text(json.dumps(expected_stamp(build)), encoding="utf-8")
    os.replace(str(part), str(STAMP))
    print("Set-up finished.", flush=True)


def run(command, lock):
    """Run one step of the set-up; its progress is seen, its complaints become one sentence.

    The step holds the lock as long as it lives, even if we are killed: the next call then waits for it.
    """
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONHOME")
    }
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environ,
        universal_newlines=True,
        errors="replace",
        pass_fds=() if os.name == "nt" else (lock.fileno(),),
    )
    complaints = process.stderr.read()
    if process.wait() != 0:
        stop(explain(complaints))


def explain(complaints):
    """One sentence for what went wrong, from what pip, venv or the system said."""
    again = "then run the same command again"
    known = [
        (
            ("no space left", "errno 28", "not enough space", "winerror 112", "disk quota"),
            "the disk is full (4 GB are needed, for a GPU 14 GB); make room, " + again + ".",
        ),
        (
            ("do not match the hashes", "hash mismatch"),
            "a downloaded file is not the one that the lock names, so nothing of it was used; if a proxy or mirror stands "
            "between you and the package index, ask its owner, " + again + ".",
        ),
        (
            (
                "newconnectionerror",
                "name resolution",
                "getaddrinfo",
                "network is unreachable",
                "connection refused",
                "connecttimeout",
                "readtimeout",
                "max retries exceeded",
                "connection broken",
                "proxyerror",
                "timed out",
                "connection reset",
                "incompleteread",
            ),
            "no network, or the package index cannot be reached; connect (or set pip's proxy), "
            + again
            + " (what was downloaded is kept).",
        ),
        (
            ("winerror 206", "long path", "filename or extension is too long"),
            "Windows' limit on the length of paths stands in the way; allow long paths (LongPathsEnabled), or put the "
            "book into a short folder such as C:\\book, " + again + ".",
        ),
        (
            ("permission denied", "access is denied", "errno 13", "read-only file system"),
            f"a file or folder of {ROOT} may not be written; put the book where you may write, {again}.",
        ),
        (
            ("no matching distribution",),
            "the package index does not offer a wheel of the lock for this machine; the last complaint was: "
            + last_line(complaints),
        ),
    ]
    for signs, sentence in known:
        if any(sign in complaints.lower() for sign in signs):
            return sentence
    return f"set-up failed; the last complaint was: {last_line(complaints)}"


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "(none)"


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        stop("interrupted; what was not finished is done again by the next call.")
    except OSError as problem:
        stop(explain(str(problem)))
