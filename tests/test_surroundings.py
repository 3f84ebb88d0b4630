"""What of a reader's machine reaches the programs of the book."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from misleading_home import a_home_that_misleads

from tools.surroundings import own_variables, without_python_settings, writable

ROOT = Path(__file__).resolve().parent.parent

ASK_A_KERNEL = """
import json, sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3", extra_arguments=["--log-level=ERROR"])
said = []
code = "import sys, numpy, json; print(json.dumps([sys.executable, __debug__, str(numpy.array([0.123456789])), numpy.__file__]))"
client.execute_interactive(code, output_hook=lambda m: said.append(m["content"].get("text", m["content"].get("evalue", ""))))
client.stop_channels(); manager.shutdown_kernel()
print("".join(said))
"""


def test_python_is_not_misled_about_its_modules():
    environ = {
        "PYTHONPATH": "/x",
        "PYTHONHOME": "/x",
        "PYTHONOPTIMIZE": "2",
        "PYTHONSAFEPATH": "1",
        "PYTHONSTARTUP": "/x",
    }
    environ |= {"__PYVENV_LAUNCHER__": "/x", "PYTHONWARNINGS": "error", "PYTHONINSPECT": "1"}
    kept = {"PYTHONUNBUFFERED": "1", "HTTPS_PROXY": "p", "HOME": "/h", "LANG": "C"}
    assert without_python_settings(environ | kept) == kept


def test_a_kernel_is_the_books_own_whatever_is_in_the_home(tmp_path):
    environ = os.environ | a_home_that_misleads(tmp_path)
    for name in ("BIGMODEL_PREFIX", "JUPYTER_DATA_DIR", "PYTEST_CURRENT_TEST"):
        environ.pop(name, None)
    own = own_variables(environ, sys.prefix)
    done = subprocess.run(
        [sys.executable, "-c", ASK_A_KERNEL], env=own, capture_output=True, text=True, timeout=120
    )
    executable, debug, printed, numpy = json.loads(done.stdout)
    assert Path(executable) == Path(sys.executable) and debug is True, done.stderr
    assert printed == "[0.12345679]" and Path(numpy).is_relative_to(sys.prefix)


def test_a_program_of_the_environment_comes_first_and_another_one_is_not_active(tmp_path):
    own = own_variables({"PATH": "/elsewhere", "VIRTUAL_ENV": "/elsewhere"}, tmp_path)
    assert Path(own["PATH"].split(os.pathsep)[0]).parent == tmp_path and "VIRTUAL_ENV" not in own
    (tmp_path / "pyvenv.cfg").write_text("")
    assert own_variables({}, tmp_path)["VIRTUAL_ENV"] == str(tmp_path)


def test_a_second_time_changes_nothing(tmp_path):
    once = own_variables({"PATH": "/elsewhere"}, tmp_path)
    assert own_variables(once, tmp_path) == once


def test_the_theme_that_a_reader_chose_stays(tmp_path):
    own = own_variables({"JUPYTER_CONFIG_DIR": str(tmp_path / "mine")}, tmp_path / "prefix")
    assert Path(own["JUPYTERLAB_SETTINGS_DIR"]) == tmp_path / "mine" / "lab" / "user-settings"
    chosen = own_variables({"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "x")}, tmp_path / "prefix")
    assert chosen["JUPYTERLAB_SETTINGS_DIR"] == str(tmp_path / "x")


def test_where_the_home_or_the_environment_cannot_be_written_a_temporary_folder_serves(tmp_path):
    (tmp_path / "file").write_text("no folder can be made in a file")
    found = writable(tmp_path / "file" / "kept")
    assert found.is_dir() and not found.is_relative_to(tmp_path / "file")
    own = own_variables({"JUPYTER_CONFIG_DIR": str(tmp_path / "file")}, tmp_path / "file")
    for name in ("IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR"):
        assert not Path(own[name]).is_relative_to(tmp_path / "file"), name


@pytest.mark.parametrize(
    "name", ["MATPLOTLIBRC", "MPLBACKEND", "JUPYTER_NO_CONFIG", "JUPYTER_CONFIG_PATH"]
)
def test_foreign_settings_end_here(tmp_path, name):
    assert name not in own_variables({name: "x"}, tmp_path)
