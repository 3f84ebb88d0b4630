"""renew the locks from pyproject.toml (needs the network): lock [--upgrade]

usage: python3 run.py lock [--upgrade]      --upgrade also takes newer versions of what is locked already

Writes requirements.lock (what readers need, for Linux, macOS and Windows, with hashes), requirements-gpu.lock (the
same versions, with TensorFlow's build for NVIDIA GPUs) and requirements-authors.lock (what authors need besides). No
file names a package index.
"""

import os
import re
import subprocess
import sys

from tools.chapters import ROOT

PIN = re.compile(r"^[A-Za-z0-9._-]+==.*\n(?:    --hash=.*\n)+", re.MULTILINE)
READERS, GPU, AUTHORS = "requirements.lock", "requirements-gpu.lock", "requirements-authors.lock"


def main(arguments):
    if set(arguments) - {"--upgrade"}:
        sys.exit("usage: python3 run.py lock [--upgrade]")
    parts = {name: ROOT / f".{name}.part" for name in (READERS, GPU, AUTHORS)}
    keep = "--upgrade" not in arguments
    try:
        compile_lock(parts[READERS], ["--extra", "cpu"], keep=[ROOT / READERS] * keep)
        same = ["--constraints", parts[READERS].name]
        compile_lock(parts[GPU], ["--extra", "gpu", *same], keep=[ROOT / GPU] * keep)
        kept = [ROOT / READERS, ROOT / AUTHORS] * keep
        compile_lock(parts[AUTHORS], ["--extra", "cpu", "--extra", "authors", *same], keep=kept)
        leave_out(parts[AUTHORS], parts[READERS])
        for name, part in parts.items():
            part.replace(ROOT / name)
            print(f"{name} is up to date with pyproject.toml.")
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def compile_lock(path, options, keep):
    """Let uv write a lock; versions in the locks of `keep` stay as far as they fit."""
    if keep:
        path.write_bytes(b"".join(lock.read_bytes() for lock in keep if lock.exists()))
    uv = os.path.join(os.path.dirname(sys.executable), "uv")
    command = [uv, "pip", "compile", "pyproject.toml", *options, "--output-file", path.name]
    command += ["--universal", "--python-version", "3.11", "--generate-hashes", "--quiet"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url"]
    environ = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    if subprocess.call(command, cwd=ROOT, env=environ) != 0:
        sys.exit("the locks could not be made; all of them are as they were.")


def leave_out(path, other):
    """Drop from a lock each package that another lock has, for the same machines."""
    there, own = (
        PIN.findall(other.read_text(encoding="utf-8")),
        PIN.findall(path.read_text(encoding="utf-8")),
    )
    text = "".join(pin for pin in own if pin not in there)
    path.write_text(text, encoding="utf-8", newline="\n")
