"""A book with no packages but uv: what run.py does to an environment can be seen on it in seconds, without a network."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")
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
ECHO = '"""print the arguments: echo"""\nimport sys\ndef main(arguments):\n    print(sys.prefix, arguments)\n'
# As `python -m venv` makes it, but for pip: that is copied from where it stands. Unpacking it anew takes four seconds.
QUICK = """
import shutil, sys, sysconfig, venv
folder, pip = sys.argv[1:]
venv.main([folder, "--without-pip"])
packages = sysconfig.get_path("purelib", "venv", {"base": folder})
shutil.copytree(pip, packages, dirs_exist_ok=True)
"""
VENV_STEP = '[sys.executable, "-m", "venv", str(VENV)]'
HOLD = '"""stay until a file is there: hold"""\nimport os, time\ndef main(arguments):\n    print("holding", flush=True)\n    while not os.path.exists(arguments[0]):\n        time.sleep(0.05)\n    import late\n'


def make_wheel(folder, name, version="1", scripts=(), **modules):
    """Write a wheel of these modules and scripts; return the line of a lock that pins it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    files = {f"{module}.py": text.encode() for module, text in modules.items()}
    files |= {
        f"{name}-{version}.data/scripts/{script.name}": script.read_bytes() for script in scripts
    }
    information = f"{name}-{version}.dist-info"
    files[f"{information}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    )
    files[f"{information}/WHEEL"] = (
        b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{information}/RECORD"] = "".join(
        f"{file},,\n" for file in [*files, f"{information}/RECORD"]
    ).encode()
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in files.items():
            entry = zipfile.ZipInfo(file)
            entry.external_attr = (0o100755 if "/scripts/" in file else 0o100644) << 16
            wheel.writestr(entry, content)
    return (
        f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
    )


class TinyBook:
    """A folder with run.py, commands that echo and hold, and locks that name wheels of its own."""

    def __init__(self, folder, uv_pin, wheels):
        self.folder, self.venv, self.wheels, self.uv_pin = folder, folder / ".venv", wheels, uv_pin
        shutil.copy(ROOT / "run.py", folder)
        shutil.copytree(
            ROOT / "tools",
            folder / "tools",
            ignore=shutil.ignore_patterns("__pycache__", "readers", "teachers", "authors"),
        )
        for group, name, text in (
            ("readers", "echo", ECHO),
            ("readers", "hold", HOLD),
            ("authors", "write", ECHO),
        ):
            (folder / "tools" / group).mkdir(exist_ok=True)
            (folder / "tools" / group / f"{name}.py").write_text(text)
        environment = (folder / "tools" / "environment.py").read_text(encoding="utf-8")
        for name, imported in (("FIRST_START", "late"), ("AUTHORS_START", "writers")):
            before, start, rest = environment.partition(f'\n{name} = """')
            environment = f"{before}{start}\nimport {imported}\n{rest[rest.index(chr(34) * 3) :]}"
        (folder / "tools" / "environment.py").write_text(environment, encoding="utf-8")
        (folder / "pyproject.toml").write_text(PROJECT)
        (folder / "backend.py").write_text(BACKEND)
        self.write_locks("1")

    def copy_pip(self, pip):
        """From its next set-up on, take pip from this folder instead of unpacking it."""
        (self.folder / "quick.py").write_text(QUICK)
        path = self.folder / "tools" / "environment.py"
        before, step, after = path.read_text(encoding="utf-8").partition(VENV_STEP)
        assert step and VENV_STEP not in after
        quick = f'[sys.executable, str(ROOT / "quick.py"), str(VENV), {str(pip)!r}]'
        path.write_text(before + quick + after, encoding="utf-8")

    def write_locks(self, version, text=""):
        """Locks that name this version of the package `late`, which holds this text too."""
        late = make_wheel(self.wheels, "late", version, late=f"VERSION = {version!r}\n{text}")
        (self.folder / "requirements.lock").write_text(self.uv_pin + late)
        (self.folder / "requirements-gpu.lock").write_text(self.uv_pin + late + "# for a GPU\n")
        pin = make_wheel(self.wheels, "writers", version, writers="")
        (self.folder / "requirements-authors.lock").write_text(pin)

    def start(self, *arguments, python=sys.executable, script=None, environ=(), **options):
        reader = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PIP_", "UV_", "PYTHON"))
        }
        reader.pop("BIGMODEL_PREFIX", None)
        reader |= {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
        }
        reader |= {"UV_CACHE_DIR": str(self.wheels / "cache")}
        return subprocess.Popen(
            [str(python), str(script or self.folder / "run.py"), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=reader | dict(environ),
            **options,
        )

    def call(self, *arguments, **options):
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    @property
    def python(self):
        return self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
