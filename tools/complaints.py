"""What stands in the way of a set-up, said in a sentence. Standard library only."""

import importlib.util
import platform
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tools.surroundings import home

OLDEST, NEWEST = (3, 11), (3, 13)  # the Pythons for which TensorFlow publishes wheels
NEEDED_DISK = {"cpu": 4e9, "gpu": 14e9}  # bytes: the environment, and room to unpack it
AGAIN = "then run the same command again"

# What pip, uv, venv and the system say, in small letters, and what it means. The first that fits is taken.
MEANINGS = [
    (
        ("do not match the hashes", "hash mismatch", "these packages do not match"),
        "a downloaded file is not the one that the lock names, so nothing of it was used; if a proxy or mirror stands "
        f"between you and the package index, ask its owner, {AGAIN}.",
    ),
    (
        ("invalid path", "could not find a suitable tls ca certificate bundle"),
        f"a file of certificates that pip is given is not there; correct its setting 'cert', {AGAIN}.",
    ),
    (
        ("not a trusted or secure host",),
        "the package index is plain http, which pip does not trust; name its host in pip's "
        f"'trusted-host', {AGAIN}.",
    ),
    (
        (
            "no space left",
            "errno 28",
            "os error 28",
            "not enough space",
            "winerror 112",
            "os error 112",
            "quota exceeded",
        ),
        f"no room is left on a disk{{full}}; the environment needs 4 GB, for a GPU 14 GB; make room, {AGAIN}.",
    ),
    (
        ("certificate", "unknownissuer", "sslerror", "tls handshake", "wrong_version_number"),
        "the connection to the package index was not trusted, because of a certificate; where an organisation signs "
        f"its own, give pip its certificates ('pip config set global.cert FILE'), {AGAIN}.",
    ),
    (
        ("407 ", "proxyerror", "proxy connect", "tunnel"),
        f"the proxy between you and the package index refuses; check pip's setting 'proxy' or HTTPS_PROXY, {AGAIN}.",
    ),
    (
        ("401 ", "403 ", "unauthorized", "forbidden"),
        f"the package index refuses you; check the address and password that pip is given, {AGAIN}.",
    ),
    (
        ("500 ", "502 ", "503 ", "504 ", "server error"),
        f"the package index is out of order; wait a little, or give pip another one, {AGAIN}.",
    ),
    (
        ("path separator",),
        "the name of a folder holds ':' (on Windows ';'), with which Python makes no environment; "
        f"rename it, {AGAIN}.",
    ),
    (
        ("winerror 206", "long path", "filename or extension is too long", "file name too long"),
        "a path is too long; on Windows allow long paths (LongPathsEnabled), or put the book into a short folder such "
        f"as C:\\book, {AGAIN}.",
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
            "timed out",
            "dns error",
            "connection reset",
            "incompleteread",
            "error sending request",
            "failed to fetch",
            "connection aborted",
        ),
        f"no network, or the package index cannot be reached; connect, or give pip a proxy or mirror, {AGAIN}.",
    ),
    (
        (
            "permission denied",
            "access is denied",
            "errno 13",
            "os error 13",
            "read-only file system",
        ),
        f"a file or folder may not be written (see below which); make it writable, {AGAIN}.",
    ),
    (
        ("no matching distribution", "no solution found", "has no wheels"),
        "the package index does not offer a wheel of the lock for this machine, or something else than an index "
        "answered (the sign-on page of a network?). Where a folder 'wheels' is beside run.py, packages come from it "
        "alone: it must have been made for this system and this Python.",
    ),
    (
        ("configuration file", "error parsing"),
        f"pip's own settings cannot be read; mend them ('pip config debug' lists the files), {AGAIN}.",
    ),
    (
        ("dll load failed",),
        "TensorFlow is installed, but Windows lacks what it needs; install Microsoft's Visual C++ Redistributable "
        f"(x64), {AGAIN}.",
    ),
]


# What a line holds that complains; pip, asked for all it knows, prints much else.
LOUD = (
    "error",
    "warning",
    "caused by",
    "cause:",
    "could not fetch",
    "failed",
    "refused",
    "denied",
    "errno",
    "name resolution",
    "timed out",
    "read-only",
    "no space left",
    "configuration file",
    "certificate",
    "file name too long",
    "winerror",
)


class SetupError(Exception):
    """A set-up cannot go on; the text says why, in a sentence first."""


def explain(output, code=1):
    """The sentence for what a step printed before it failed, and the line of it that says most.

    Args:
        output: all that it printed.
        code: how it ended; minus the number of the signal that ended it.

    >>> explain("Collecting uv\\nERROR: 404 Client Error\\nERROR: No space left on device")[1]
    'ERROR: No space left on device'
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    lines = lines or ["(nothing was printed)"]
    loud = [line for line in lines if any(sign in line.lower() for sign in LOUD)]
    for signs, sentence in MEANINGS:
        telling = [line for line in loud if any(sign in line.lower() for sign in signs)]
        if telling:
            if "{full}" in sentence:
                sentence = sentence.replace("{full}", full_disks())
            return sentence, telling[-1]
    if -code == getattr(signal, "SIGILL", None):
        return (
            "this processor lacks instructions (AVX) that TensorFlow's wheels need; use another machine.",
            lines[-1],
        )
    if -code == getattr(signal, "SIGKILL", None):
        return (
            f"the system ended a step of the set-up, as it does when memory runs out; close programs, {AGAIN}.",
            lines[-1],
        )
    errors = [line for line in loud if line != "ERROR: Exception:"]  # what follows it tells more
    return "a step of the set-up failed.", (errors or lines)[-1]


def full_disks():
    """Which of the places that a set-up writes to are on a disk with no room: ' (that of /x)', or nothing."""
    places = [Path(__file__).resolve().parent.parent, home(), Path(tempfile.gettempdir())]
    full = [
        str(place)
        for place in places
        if place.exists() and shutil.disk_usage(str(place)).free < 2e8
    ]
    return f" (that of {', '.join(dict.fromkeys(full))})" if full else ""


def check_machine(build, folder):
    """Stop with a sentence where a set-up cannot succeed.

    Args:
        build: "cpu" or "gpu".
        folder: where the environment is to stand.

    Raises:
        SetupError: if this Python, system or disk will not do.
    """
    system, machine, version = platform.system(), platform.machine().lower(), sys.version_info[:2]
    this, wanted = "{}.{}".format(*version), "Python {}.{} to {}.{}".format(*OLDEST, *NEWEST)
    if not OLDEST <= version <= NEWEST:
        raise SetupError(
            f"this is Python {this}, and TensorFlow has wheels for {wanted} only; install one of these and run this "
            "file with it (for example 'python3.13 run.py', on Windows 'py -3.13 run.py')."
        )
    if sys.maxsize < 2**32:
        raise SetupError(
            f"this is a 32-bit Python, for which TensorFlow has no wheel; install a 64-bit {wanted}."
        )
    if system == "Darwin" and machine == "x86_64":
        raise SetupError(
            "TensorFlow has had no wheel for Intel Macs since version 2.16 (if this Mac has Apple silicon, its Python "
            "is an Intel build: use an arm64 one); use another machine, or Binder."
        )
    if system == "Windows" and machine in ("arm64", "aarch64"):
        raise SetupError(
            "TensorFlow has no wheel for Windows on Arm; use Linux inside WSL, another machine, or Binder."
        )
    if build == "gpu" and not (system == "Linux" and machine == "x86_64"):
        raise SetupError(
            "TensorFlow's GPU build exists for Linux on x86_64 only (on Windows: inside WSL); leave out --gpu."
        )
    if any(importlib.util.find_spec(name) is None for name in ("venv", "ensurepip")):
        raise SetupError(
            "this Python lacks the module that makes environments; on Debian and Ubuntu: "
            f"sudo apt install python{this}-venv"
        )
    free = shutil.disk_usage(str(folder)).free
    if free < NEEDED_DISK[build]:
        raise SetupError(
            f"too little room on the disk of {folder}: {free / 1e9:.1f} GB free, {NEEDED_DISK[build] / 1e9:.0f} GB "
            "needed; make room and run this again."
        )
