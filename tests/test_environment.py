"""pyproject.toml, both locks, environment.yml, run.py and the workflow say the same."""

import functools
import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.complaints import NEWEST, OLDEST

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


@functools.cache
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


@pytest.mark.parametrize(
    ("lock", "many"),
    [("requirements.lock", 100), ("requirements-gpu.lock", 100), ("requirements-authors.lock", 10)],
)
def test_every_line_of_a_lock_is_an_exact_pin_with_hashes(lock, many):
    text = (ROOT / lock).read_text(encoding="utf-8")
    left = PIN.sub("", text)
    assert [
        line for line in left.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ] == []
    assert all(str(pin.specifier).startswith("==") for pin in pins(lock)) and len(pins(lock)) > many


@pytest.mark.parametrize(
    "machine",
    MACHINES,
    ids=lambda m: f"{m['sys_platform']}-{m['platform_machine']}-{m['python_version']}",
)
def test_the_lock_satisfies_pyproject_on_every_machine(machine):
    readers = versions("requirements.lock", machine)
    authors = versions("requirements-authors.lock", machine)
    assert not set(readers) & set(authors), "what readers have is not pinned a second time"
    satisfied(DIRECT + group("cpu"), readers, machine)
    satisfied(group("authors"), readers | authors, machine)


def group(name):
    return [Requirement(text) for text in PROJECT["optional-dependencies"][name]]


def satisfied(wanted, locked, machine):
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
    for name in ("dependencies", "authors"):
        block = re.search(rf"^{name} = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)[1]
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
    accepted = SpecifierSet(PROJECT["requires-python"])
    pythons = [f"3.{minor}" for minor in range(7, 20) if Version(f"3.{minor}.1") in accepted]
    assert pythons == [f"3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == pythons
    systems = {name.split("-")[0] for name in job["strategy"]["matrix"]["os"]}
    assert systems == {"ubuntu", "macos", "windows"}
    assert "python run.py --cpu test" in [step.get("run") for step in job["steps"]]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert "python3 run.py --cpu test" in ci


def test_the_workflow_may_only_read_and_runs_once_for_a_push():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    triggers = workflow[True]  # YAML takes the word "on" for a truth
    assert triggers == {"push": {"branches": ["main"]}, "pull_request": None}
    uses = [step.get("uses", "").split("@")[0] for step in workflow["jobs"]["test"]["steps"]]
    assert "actions/cache" in uses


def test_the_version_is_said_once_and_has_its_entry_in_the_changelog():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == PROJECT["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]


TEXTS = {".py", ".md", ".ipynb", ".toml", ".yml", ".yaml", ".lock", ".cfg", ".cff", ""}
CACHES = {"__pycache__", "bigmodel_helpers.egg-info", "downloads", "work"}


def project_files():
    """The book's texts; not what git, editors, Python or readers keep beside them."""
    for folder, below, names in os.walk(ROOT):
        shown = [name for name in below if not name.startswith(".") or name in (".ci", ".github")]
        below[:] = set(shown) - CACHES  # an environment holds tens of thousands of files
        for path in (Path(folder, name) for name in names if not name.startswith(".")):
            if path.suffix in TEXTS:
                yield path


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
        found = forbidden.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path} holds {found[0]!r}"
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text(encoding="utf-8")
