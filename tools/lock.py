"""renew the locks from pyproject.toml (needs the network): lock [--upgrade]

usage: python3 run.py lock [--upgrade]      --upgrade also takes newer versions of what is locked already

Writes requirements.lock (every package for Linux, macOS and Windows, with hashes) and requirements-gpu.lock (the same
versions, with TensorFlow's build for NVIDIA GPUs). No file names a package index.
"""
import os
import subprocess
import sys

from _chapters import ROOT


def main(arguments):
    if set(arguments) - {"--upgrade"}:
        sys.exit("usage: python3 run.py lock [--upgrade]")
    for extra, name, more in (("cpu", "requirements.lock", arguments),
                              ("gpu", "requirements-gpu.lock", [*arguments, "--constraints", "requirements.lock"])):
        uv = os.path.join(os.path.dirname(sys.executable), "uv")
        command = [uv, "pip", "compile", "pyproject.toml", "--extra", extra, "--universal", "--python-version", "3.11",
                   "--generate-hashes", "--no-header", "--no-emit-index-url", "--quiet", "--output-file", name]
        environ = dict(os.environ, UV_PYTHON_DOWNLOADS="never")
        if subprocess.call([*command, *more], cwd=ROOT, env=environ):
            sys.exit(f"{name} could not be made; nothing was changed in it.")
        print(f"{name} is up to date with pyproject.toml.")


if __name__ == "__main__":
    main(sys.argv[1:])
