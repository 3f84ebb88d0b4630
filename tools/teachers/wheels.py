"""fetch all packages for machines without a network: wheels [SYSTEM[:PYTHON] ...]

usage: python3 run.py wheels [SYSTEM[:PYTHON] ...]      this machine unless told

SYSTEM is windows, macos, linux or linux-arm, PYTHON 3.11, 3.12 or 3.13 (this one unless told): `wheels windows:3.12 macos`.
The folder `wheels` beside run.py then holds what the lock names for these machines, some 0.5 GB for each. Put it beside
run.py on the others, with the book or the students' book: where it is, run.py takes packages from it alone, checks each
by its hash, and needs no network.
"""

import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import index_settings
from tools.complaints import NEWEST, OLDEST, explain
from tools.environment import LOCKS, WHEELS, this_python
from tools.surroundings import without_python_settings

PYTHONS = [f"{OLDEST[0]}.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
LAST_RELEASE = 30  # such as 3.11.30: no Python has had more
# A pin of the lock: what and which version, for which machines, and the hashes.
PIN = re.compile(r"^(\S+==\S+)(?: ; (.*?))?( \\\n(?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE)
# The names that wheels give the C libraries which these systems have at least: Debian 10, Ubuntu 20.04, macOS 12.
OLD_NAMES = ("manylinux1", "manylinux2010", "manylinux2014")
MACOS = [(10, minor) for minor in range(6, 16)] + [(11, 0), (12, 0)]
SYSTEMS = {
    "windows": (("win32", "Windows", "nt", "AMD64"), ["win_amd64"]),
    "macos": (
        ("darwin", "Darwin", "posix", "arm64"),
        [f"macosx_{a}_{b}_{cpu}" for a, b in MACOS for cpu in ("arm64", "universal2")],
    ),
    **{
        name: (
            ("linux", "Linux", "posix", cpu),
            [f"{old}_{cpu}" for old in OLD_NAMES]
            + [f"manylinux_2_{n}_{cpu}" for n in range(5, 29)],
        )
        for name, cpu in (("linux", "x86_64"), ("linux-arm", "aarch64"))
    },
}
EXAMPLE = """\
a==1 ; sys_platform == 'win32' \\
    --hash=sha256:0
b==2 ; python_full_version >= '3.11.5' \\
    --hash=sha256:1
"""


def main(arguments):
    machines = [machine(text) for text in arguments or [this_system()]]
    environ = without_python_settings(os.environ)
    pip = [sys.executable, "-m", "pip"]
    listed = dict(environ, **index_settings.LISTED_WHOLE)
    listing = subprocess.check_output([*pip, "config", "list"], env=listed, encoding="utf-8")
    environ = index_settings.for_pip(environ, index_settings.read(listing))
    for system, version in machines:
        print(f"wheels: {system}, Python {version}", flush=True)
        fetch(pip, environ, system, version)
    size = sum(path.stat().st_size for path in WHEELS.glob("*.whl")) / 1e9
    print(
        f"{WHEELS} holds {size:.1f} GB. Put this folder beside run.py on machines without a network."
    )


def machine(text):
    """A system and a Python, as told on the command line.

    >>> machine("windows:3.12")
    ('windows', '3.12')
    """
    system, _, version = text.partition(":")
    if system not in SYSTEMS:
        sys.exit(f"wheels knows {', '.join(SYSTEMS)}, not {system!r}.")
    if (version := version or this_python()) not in PYTHONS:
        sys.exit(f"the book runs with Python {', '.join(PYTHONS)}, not {version!r}.")
    return system, version


def this_system():
    """What SYSTEM this machine is."""
    for system, ((name, _, _, cpu), _) in SYSTEMS.items():
        if sys.platform == name and platform.machine().lower() == cpu.lower():
            return system
    sys.exit(f"the book does not run on {sys.platform} {platform.machine()}.")


def pins(lock, system, version):
    """What of a lock such a machine needs: each pin without its condition, with its hashes.

    >>> for pin in pins(EXAMPLE, "macos", "3.11"):
    ...     print(pin, end="")
    b==2 \\
        --hash=sha256:1
    """
    from packaging.markers import Marker

    (sys_platform, platform_system, os_name, cpu), _ = SYSTEMS[system]
    there = {
        "sys_platform": sys_platform,
        "platform_system": platform_system,
        "os_name": os_name,
        "platform_machine": cpu,
        "python_version": version,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    # a lock may tell the first releases of a Python from the later ones; such a machine may have any
    releases = [
        there | {"python_full_version": f"{version}.{number}"} for number in range(LAST_RELEASE + 1)
    ]
    return [
        what + hashes
        for what, condition, hashes in PIN.findall(lock)
        if not condition or any(map(Marker(condition).evaluate, releases))
    ]


def in_turns(found):
    """The pins in lists that hold each package once, as pip wants them.

    >>> in_turns(["a==1 ", "b==1 ", "a==2 "])
    [['a==1 ', 'b==1 '], ['a==2 ']]
    """
    turns = []
    for pin in found:
        name = pin.partition("==")[0]
        for turn in turns:
            if not any(other.startswith(f"{name}==") for other in turn):
                turn.append(pin)
                break
        else:
            turns.append([pin])
    return turns


def fetch(pip, environ, system, version):
    """Put the wheels of the lock for such a machine into the folder."""
    lock = (WHEELS.parent / LOCKS["cpu"]).read_text(encoding="utf-8")
    command = [*pip, "download", "--dest", str(WHEELS), "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--implementation", "cp"]
    command += ["--python-version", f"{version}.{LAST_RELEASE}"]
    command += [part for name in SYSTEMS[system][1] for part in ("--platform", name)]
    for turn in in_turns(pins(lock, system, version)):
        with tempfile.TemporaryDirectory() as folder:
            wanted = Path(folder) / "wanted.txt"
            wanted.write_text("".join(turn), encoding="utf-8")
            done = subprocess.run(
                [*command, "-r", str(wanted)],
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
            )
        if done.returncode:
            sentence, complaint = explain(done.stdout, done.returncode)
            sys.exit(f"{sentence}\n  the last complaint: {complaint}")
