"""What of a reader's machine reaches the programs of the book."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from misleading_home import a_home_that_misleads

from bigmodel_helpers import progress, quietly, runtime
from tools import index_settings
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


def test_what_programs_keep_for_themselves_stays_in_the_environment(tmp_path):
    environ = {"JUPYTER_CONFIG_DIR": str(tmp_path / "mine"), "PATH": "/elsewhere"}
    own = own_variables(environ, tmp_path / "prefix")
    kept = {"JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR"}
    folders = {name: Path(own[name]) for name in kept}
    assert {folder.parent for folder in folders.values()} == {tmp_path / "prefix" / "kept"}
    assert len(set(folders.values())) == len(kept), "each in a folder of its own"
    assert Path(own["JUPYTER_CONFIG_DIR"]) == tmp_path / "prefix" / "etc" / "jupyter"
    lab = tmp_path / "mine" / "lab"
    assert Path(own["JUPYTERLAB_WORKSPACES_DIR"]) == lab / "workspaces"
    assert Path(own["JUPYTERLAB_SETTINGS_DIR"]) == lab / "user-settings"
    assert own["JUPYTER_PREFER_ENV_PATH"] == "1" and own["BIGMODEL_PREFIX"] == str(
        tmp_path / "prefix"
    )
    assert own["PATH"].split(os.pathsep)[1:] == ["/elsewhere"]
    assert set(environ) == {"JUPYTER_CONFIG_DIR", "PATH"}, (
        "the variables given are left as they are"
    )
    again = own_variables(own, tmp_path / "prefix")
    assert again == own and again is not own


def test_a_folder_that_is_there_is_used_unless_it_cannot_be_written(tmp_path, monkeypatch):
    assert writable(tmp_path) == tmp_path
    assert writable(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list((tmp_path / "a" / "b").iterdir()) == [], "nothing is left of the attempt to write"
    write = tempfile.TemporaryFile

    def read_only(dir=None):
        if dir == str(tmp_path):
            raise PermissionError
        return write(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    found = writable(tmp_path)
    assert found != tmp_path and found.is_dir() and found.name.startswith("bigmodel-")
    found.rmdir()


# --- what libraries see while they are loaded


@pytest.fixture
def no_libraries(monkeypatch):
    """As before the first cell: neither Keras, TensorFlow nor Matplotlib is loaded."""
    for name in list(sys.modules):
        if name.partition(".")[0] in ("keras", "tensorflow", "matplotlib"):
            monkeypatch.delitem(sys.modules, name)
    return monkeypatch


def test_libraries_see_the_books_settings_while_they_are_loaded(no_libraries, tmp_path):
    for name in runtime._NOT_THE_BOOKS:
        no_libraries.setenv(name, "1")
    no_libraries.setenv("KERAS_BACKEND", "jax")
    no_libraries.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    no_libraries.setenv("KERAS_HOME", str(tmp_path / "mine"))
    no_libraries.setenv("MATPLOTLIBRC", str(tmp_path / "matplotlibrc"))
    no_libraries.setenv("MPLBACKEND", "a backend that is not there")
    no_libraries.setitem(sys.modules, "ipykernel", sys)
    with quietly():
        assert not set(runtime._NOT_THE_BOOKS) & set(os.environ)
        assert os.environ["KERAS_BACKEND"] == "tensorflow"
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "2"
        empty = Path(os.environ["KERAS_HOME"])
        assert empty != tmp_path / "mine" and empty.is_dir() and not list(empty.iterdir())
        own = Path(os.environ["MATPLOTLIBRC"])
        assert own.name == "matplotlibrc" and own.is_file() and own.parent.name == "mpl-data"
        assert os.environ["MPLBACKEND"] == "module://matplotlib_inline.backend_inline"
    assert os.environ["KERAS_HOME"] == str(tmp_path / "mine") and not empty.exists()
    no_libraries.setenv("MPLBACKEND", "another")
    no_libraries.delitem(sys.modules, "ipykernel")
    with quietly():
        assert os.environ["MPLBACKEND"] == "agg"
    no_libraries.setenv("MPLBACKEND", "")
    with quietly():
        assert os.environ["MPLBACKEND"] == ""


def test_what_is_loaded_already_keeps_its_settings(no_libraries, tmp_path):
    no_libraries.setitem(sys.modules, "matplotlib", sys)
    no_libraries.setitem(sys.modules, "keras", sys)
    no_libraries.setenv("MATPLOTLIBRC", "mine")
    no_libraries.setenv("KERAS_HOME", str(tmp_path))
    with quietly():
        assert (os.environ["MATPLOTLIBRC"], os.environ["KERAS_HOME"]) == ("mine", str(tmp_path))


def test_keras_keeps_its_downloads_where_the_reader_has_them(no_libraries, tmp_path):
    no_libraries.setenv("KERAS_HOME", str(tmp_path / "a" / "b"))
    config = SimpleNamespace(_KERAS_DIR="empty")
    with quietly():
        no_libraries.setitem(sys.modules, "keras.src.backend.config", config)
        no_libraries.setitem(sys.modules, "keras", sys)
    assert config._KERAS_DIR == str(tmp_path / "a" / "b") and (tmp_path / "a" / "b").is_dir()


def test_the_folder_of_keras_is_found_in_every_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", "~/mine")
    assert runtime.keras_home() == tmp_path / "mine"
    monkeypatch.setenv("KERAS_HOME", "")
    assert runtime.keras_home() == tmp_path / ".keras"
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode == os.W_OK))
    assert runtime.keras_home() == Path("/tmp/.keras"), "this home cannot be written"
    (tmp_path / ".keras" / "datasets").mkdir(parents=True)
    assert runtime.keras_home() == tmp_path / ".keras", "but Keras has been there before"
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert runtime.keras_home() == Path("/tmp/.keras"), "a user without a home"


@pytest.mark.parametrize(
    ("loaded", "half"),
    [
        ([], None),
        (["tensorflow.python"], "TensorFlow"),
        (["keras.src"], "Keras"),
        (["keras", "keras.src"], None),
        (["tensorflow", "tensorflow.python", "keras.src"], "Keras"),
        (["tensorflow_datasets.core", "kerastuner"], None),
    ],
)
def test_a_library_of_which_only_parts_are_loaded_is_told(no_libraries, loaded, half):
    for name in loaded:
        no_libraries.setitem(sys.modules, name, sys)
    assert runtime._half_loaded() == half
    if half:
        with pytest.raises(RuntimeError, match=f"an earlier import of {half} was interrupted"):
            with quietly():
                pass


def test_an_interruption_says_what_to_do_only_where_something_is_half_loaded(no_libraries):
    with pytest.raises(KeyboardInterrupt, match="^$"), quietly():
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt, match="the import of Keras was interrupted"), quietly():
        no_libraries.setitem(sys.modules, "keras.src", sys)
        raise KeyboardInterrupt


def test_a_variable_is_set_for_a_while_and_then_as_it_was(monkeypatch):
    monkeypatch.setenv("AN_EXAMPLE", "mine")
    with runtime._variable("AN_EXAMPLE", "1"):
        assert os.environ["AN_EXAMPLE"] == "1"
    assert os.environ["AN_EXAMPLE"] == "mine"


def test_numpy_prints_as_it_does_by_itself_whatever_was_chosen():
    with (
        np.printoptions(precision=2, suppress=True, threshold=5, sign="+"),
        np.errstate(all="raise"),
    ):
        runtime._settings_of_numpy()
        assert np.geterr() == {
            "divide": "warn",
            "over": "warn",
            "under": "ignore",
            "invalid": "warn",
        }
        options = np.get_printoptions()
    wanted = {"edgeitems": 3, "infstr": "inf", "linewidth": 75, "nanstr": "nan", "precision": 8}
    wanted |= {"suppress": False, "threshold": 1000, "formatter": None, "sign": "-"}
    wanted |= {"floatmode": "maxprec", "legacy": False}
    assert {name: options[name] for name in wanted} == wanted


def test_a_keras_with_a_readers_settings_gets_those_of_the_book():
    said = {}

    class Config:
        def __getattr__(self, name):
            return lambda value: said.update({name: value})

    runtime._settings_of_keras(SimpleNamespace(config=Config()))
    assert said == {
        "set_floatx": "float32",
        "set_epsilon": 1e-7,
        "set_image_data_format": "channels_last",
        "set_max_epochs": None,
        "set_max_steps_per_epoch": None,
    }


def test_the_device_is_named(monkeypatch):
    def tensorflow(details):
        experimental = SimpleNamespace(get_device_details=lambda gpu: details[gpu])
        return SimpleNamespace(config=SimpleNamespace(experimental=experimental))

    names = tensorflow([{"device_name": "First"}, {"device_name": "Second"}, {}])
    assert runtime._device_name(names, [0]) == "First"
    assert runtime._device_name(names, [0, 1, 2]) == "3 x First"
    assert runtime._device_name(names, [2]) == "GPU"
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert runtime._device_name(names, []) == "CPU with 7 cores"


def test_memory_of_a_gpu_grows_and_what_grows_already_is_left_alone():
    asked = []
    experimental = SimpleNamespace(
        get_memory_growth=lambda gpu: gpu == "grows",
        set_memory_growth=lambda gpu, value: asked.append((gpu, value)),
    )
    tf = SimpleNamespace(config=SimpleNamespace(experimental=experimental))
    runtime._grow_memory(tf, ["grows", "a", "b"])
    assert asked == [("a", True), ("b", True)]


def test_a_bar_tells_how_far_it_is_and_is_removed_however_it_ends(monkeypatch):
    import IPython.display

    shown, made = [], []
    handle = SimpleNamespace(update=lambda content: shown.append(content.data))
    monkeypatch.setattr(
        IPython.display, "display", lambda *a, **k: made.append((a[0].data, k)) or handle
    )
    monkeypatch.setenv("JPY_SESSION_NAME", "a.ipynb")
    assert list(progress(["a", "b"], "work")) == ["a", "b"]
    assert made == [("", {"display_id": True})]
    assert shown == [
        'work <progress value="0" max="2"></progress> 0 of 2',
        'work <progress value="1" max="2"></progress> 1 of 2',
        "",
    ]
    shown.clear()
    for _ in progress(range(5), "work"):
        break
    assert shown[-1] == "" and len(shown) == 2


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, "0", None, True])
def test_a_seed_out_of_range_is_refused_before_anything_is_loaded(no_libraries, seed):
    with pytest.raises(ValueError, match="it must be a whole number from 0 to 4294967295"):
        runtime.setup(seed=seed)
    assert "keras" not in sys.modules


def test_the_stand_in_for_the_error_stream_says_how_much_it_wrote(capfd):
    stream = runtime._HeldBack(sys.stderr)
    assert stream.write("four") == 4
    stream.writelines(["a", "b"])
    assert capfd.readouterr().err == "fourab" and stream.encoding == sys.stderr.encoding


# --- pip's settings, for pip and for uv


def test_of_pips_settings_those_of_the_index_are_read_the_stronger_ones_last():
    listing = """:env:.proxy='p:3'
install.proxy='p:2'
global.proxy='p:1'
install.default-timeout='7'
global.index-url=''
global.target='/x'
download.cert='/y'
global.retries='3'"""
    assert index_settings.read(listing) == {"proxy": "p:3", "timeout": "7", "retries": "3"}
    assert index_settings.read(":env:.index-url='a'\nglobal.index-url='b'") == {"index-url": "a"}
    assert index_settings.read("") == {}


def test_pip_gets_these_settings_and_no_others():
    found = index_settings.for_pip({"PIP_TARGET": "/x", "HOME": "/h"}, {"trusted-host": "a b"})
    assert found == {
        "HOME": "/h",
        "PIP_TRUSTED_HOST": "a b",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


ALWAYS = {
    "UV_NO_CONFIG": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    "UV_INDEX_STRATEGY": "unsafe-best-match",
    "UV_SYSTEM_CERTS": "true",
}


@pytest.mark.parametrize(
    ("environ", "settings", "more"),
    [
        ({"UV_INDEX": "x", "HOME": "/h"}, {}, {"HOME": "/h"}),
        ({}, {"extra-index-url": "a\n  b"}, {"UV_INDEX": "a b"}),
        ({}, {"index-url": "a", "retries": "2"}, {"UV_DEFAULT_INDEX": "a", "UV_HTTP_RETRIES": "2"}),
        (
            {},
            {"proxy": "p:1"},
            dict.fromkeys(("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"), "http://p:1"),
        ),
        (
            {},
            {"proxy": "socks5://p"},
            dict.fromkeys(("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"), "socks5://p"),
        ),
        ({}, {"timeout": "2.5"}, {"UV_HTTP_TIMEOUT": "3"}),
        ({}, {"find-links": "/nowhere-at-all\nhttps://a/b /"}, {"UV_FIND_LINKS": "https://a/b,/"}),
        ({}, {"keyring-provider": "disabled"}, {}),
        ({}, {"keyring-provider": "import"}, {"UV_KEYRING_PROVIDER": "subprocess"}),
        ({}, {"no-index": "1", "cache-dir": "/x", "no-cache-dir": "1"}, {}),
        ({"REQUESTS_CA_BUNDLE": "/c"}, {}, {"REQUESTS_CA_BUNDLE": "/c", "SSL_CERT_FILE": "/c"}),
        ({"CURL_CA_BUNDLE": ""}, {}, {"CURL_CA_BUNDLE": ""}),
        (
            {"REQUESTS_CA_BUNDLE": "/c", "SSL_CERT_FILE": "/d"},
            {},
            {"REQUESTS_CA_BUNDLE": "/c", "SSL_CERT_FILE": "/d"},
        ),
        ({"CURL_CA_BUNDLE": "/c"}, {"cert": "/e"}, {"CURL_CA_BUNDLE": "/c", "SSL_CERT_FILE": "/e"}),
    ],
)
def test_uv_gets_the_same_settings_by_its_own_names(environ, settings, more):
    assert index_settings.for_uv(environ, settings) == ALWAYS | more


def test_a_tilde_in_the_name_of_a_certificate_is_the_home(monkeypatch):
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.setenv("USERPROFILE", "/h")
    found = index_settings.for_uv({}, {"cert": "~/c.pem"})
    assert Path(found["SSL_CERT_FILE"]) == Path("/h/c.pem")


@pytest.mark.parametrize("said", ["1", "true", "YES", "on"])
def test_no_index_is_an_option_of_uv(said):
    assert index_settings.uv_options({"no-index": said}) == ["--no-index"]
    assert index_settings.uv_options({"no-index": "0"}) == index_settings.uv_options({}) == []


def test_passwords_are_found_in_settings_and_proxies_and_nothing_else():
    environ = {"https_proxy": "http://a:one@p", "NO_PROXY": "x", "TOKEN": "http://a:no@p"}
    settings = {
        "index-url": "https://b:two@host/simple https://host:80/x",
        "proxy": "c:three@p:3128",
    }
    assert index_settings.passwords(environ, settings) == {"one", "two", "three"}
