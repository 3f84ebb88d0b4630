"""renew the locks from pyproject.toml (needs the network): lock [--upgrade]

usage: python3 run.py lock [--upgrade]      --upgrade also takes newer versions of what is locked already

Writes requirements.lock (every package for Linux, macOS and Windows, with hashes) and requirements-gpu.lock (the same
versions, with TensorFlow's build for NVIDIA GPUs). No file names a package index.
"""

import os
import shutil
import subprocess
import sys

from _chapters import ROOT, command


def main(arguments):
    if set(arguments) - {"--upgrade"}:
        sys.exit("usage: python3 run.py lock [--upgrade]")
    uv = os.path.join(os.path.dirname(sys.executable), "uv")
    environ, made = dict(os.environ, UV_PYTHON_DOWNLOADS="never"), {}
    for extra, name, more in (
        ("cpu", "requirements.lock", []),
        ("gpu", "requirements-gpu.lock", ["--constraints", ".requirements.lock.part"]),
    ):
        made[name] = ROOT / f".{name}.part"
        if "--upgrade" not in arguments and (ROOT / name).exists():
            shutil.copyfile(ROOT / name, made[name])  # what is locked stays, as far as it fits
        done = subprocess.call(
            [
                uv,
                "pip",
                "compile",
                "pyproject.toml",
                "--extra",
                extra,
                "--universal",
                "--quiet",
                "--python-version",
                "3.11",
                "--generate-hashes",
                "--no-header",
                "--no-annotate",
                "--no-emit-index-url",
                *more,
                "--output-file",
                made[name].name,
            ],
            cwd=ROOT,
            env=environ,
        )
        if done != 0:
            for part in made.values():
                part.unlink(missing_ok=True)
            sys.exit(f"{name} could not be made; both locks are as they were.")
    for name, part in made.items():
        part.replace(ROOT / name)
        print(f"{name} is up to date with pyproject.toml.")


if __name__ == "__main__":
    command(main)
