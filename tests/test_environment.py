"""pyproject.toml, both locks, environment.yml, run.py and the workflow say the same."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = [Requirement(text) for text in PROJECT["dependencies"]]
PIN = re.compile(
    r"^(?P<requirement>[^\s#][^\\\n]*?)\s*\\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.MULTILINE,
)
# The machines of the book: every system and Python that run.py accepts.
MACHINES = [
    {
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": python + ".9",
        "platform_system": {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system],
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "nt" if system == "win32" else "posix",
    }
    for system, machine in [
        ("linux", "x86_64"),
        ("linux", "aarch64"),
        ("darwin", "arm64"),
        ("win32", "AMD64"),
    ]
    for python in ("3.11", "3.12", "3.13")
]


def pins(name):
    """The requirements of a lock."""
    return [
        Requirement(found["requirement"])
        for found in PIN.finditer((ROOT / name).read_text(encoding="utf-8"))
    ]


def versions(name, machine):
    """What a lock installs on a machine: version by package."""
    chosen = [pin for pin in pins(name) if pin.marker is None or pin.marker.evaluate(machine)]
    assert len({canonicalize_name(pin.name) for pin in chosen}) == len(chosen), (
        "a package is pinned twice"
    )
    return {
        canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("=="))
        for pin in chosen
    }


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-gpu.lock"])
def test_every_line_of_a_lock_is_an_exact_pin_with_hashes(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    left = PIN.sub("", text)
    assert [
        line for line in left.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ] == []
    assert all(str(pin.specifier).startswith("==") for pin in pins(lock)) and len(pins(lock)) > 100


@pytest.mark.parametrize(
    "machine",
    MACHINES,
    ids=lambda m: f"{m['sys_platform']}-{m['platform_machine']}-{m['python_version']}",
)
def test_the_lock_satisfies_pyproject_on_every_machine(machine):
    locked = versions("requirements.lock", machine)
    wanted = DIRECT + [Requirement(text) for text in PROJECT["optional-dependencies"]["cpu"]]
    for requirement in wanted:
        if requirement.marker is None or requirement.marker.evaluate(machine):
            assert locked[canonicalize_name(requirement.name)] in requirement.specifier


@pytest.mark.parametrize(
    "machine",
    MACHINES,
    ids=lambda m: f"{m['sys_platform']}-{m['platform_machine']}-{m['python_version']}",
)
def test_the_small_build_is_taken_where_there_is_one_and_never_cuda(machine):
    locked = versions("requirements.lock", machine)
    small = (machine["sys_platform"], machine["platform_machine"]) in [
        ("linux", "x86_64"),
        ("win32", "AMD64"),
    ]
    assert ("tensorflow-cpu" in locked, "tensorflow" in locked) == (small, not small)
    assert not [name for name in locked if name.startswith("nvidia")]


@pytest.mark.parametrize(
    "machine",
    [machine for machine in MACHINES if machine["platform_machine"] == "x86_64"],
    ids=lambda m: m["python_version"],
)
def test_the_gpu_lock_differs_in_tensorflow_and_cuda_alone(machine):
    cpu, gpu = versions("requirements.lock", machine), versions("requirements-gpu.lock", machine)
    assert gpu["tensorflow"] == cpu.pop("tensorflow-cpu")
    assert {
        name: version
        for name, version in gpu.items()
        if not name.startswith(("nvidia", "tensorflow"))
    } == {name: version for name, version in cpu.items() if not name.startswith("tensorflow")}
    assert len([name for name in gpu if name.startswith("nvidia")]) >= 10


def test_every_direct_dependency_says_why_it_is_there():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)[1]
    for line in block.splitlines():
        assert line.strip().startswith("#") or re.search(r'^    "[^"]+", +# \S', line), line


def test_conda_installs_the_same_lock_and_the_package_after_it():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (python,) = [part for part in environment["dependencies"] if str(part).startswith("python=")]
    assert Version(python.removeprefix("python=") + ".1") in SpecifierSet(
        PROJECT["requires-python"]
    )
    assert {"pip": ["-r requirements.lock"]} in environment["dependencies"]
    assert "pip" in environment["dependencies"] and "conda-forge" in environment["channels"]
    assert "--no-deps --no-build-isolation --no-index -e ." in (ROOT / "postBuild").read_text(
        encoding="utf-8"
    )


def test_run_py_accepts_the_pythons_of_pyproject_and_the_workflow_tries_them_all():
    spec = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    accepted = SpecifierSet(PROJECT["requires-python"])
    pythons = [f"3.{minor}" for minor in range(7, 20) if Version(f"3.{minor}.1") in accepted]
    assert pythons == [f"3.{minor}" for minor in range(run.OLDEST[1], run.NEWEST[1] + 1)]
    workflow = yaml.safe_load(
        (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    )
    job = workflow["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == pythons
    assert {name.split("-")[0] for name in job["strategy"]["matrix"]["os"]} == {
        "ubuntu",
        "macos",
        "windows",
    }
    assert "python run.py --cpu test" in [step.get("run") for step in job["steps"]]
    assert (
        "python3 run.py --cpu test"
        in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    )


def project_files():
    """What the book consists of: neither what git or readers keep beside it, nor what Python leaves."""
    beside = {
        ".git",
        ".venv",
        ".setup-lock",
        "work",
        "downloads",
        "__pycache__",
        ".pytest_cache",
        ".ruff_cache",
        ".ipynb_checkpoints",
        "bigmodel_helpers.egg-info",
        ".venv.old",
        ".venv.trash",
    }
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not beside & set(path.relative_to(ROOT).parts)
    ]


def test_no_file_names_a_package_index_or_somebodys_home():
    forbidden = re.compile(
        "|".join([
            "pypi" + r"\.org",
            "python" + "hosted",
            "registry" + r"\.npmjs",
            "--" + "index-url",
            "deb" + r"\.debian",
            "/" + "root/",
            "/" + r"home/\w",
            "/" + r"Users/\w",
        ])
    )
    for path in project_files():
        if path.suffix not in (".npz", ".png"):
            found = forbidden.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{path} holds {found[0]!r}"
    for lock in ("requirements.lock", "requirements-gpu.lock"):
        assert "://" not in (ROOT / lock).read_text(encoding="utf-8")
