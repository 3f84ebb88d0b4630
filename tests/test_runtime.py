"""The set-up of a notebook: silence, seeds, devices. Each piece runs in a fresh interpreter where it must be the first."""

import json
import logging
import os
import random
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import bigmodel_helpers as bh
from bigmodel_helpers import runtime


def fresh(code, **environ):
    """Run code in a new interpreter; return what it wrote to descriptors 1 and 2."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environ,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_importing_the_package_loads_no_tensorflow_and_draws_nothing():
    out, err = fresh(
        "import sys, bigmodel_helpers; print('tensorflow' in sys.modules, 'matplotlib' in sys.modules)"
    )
    assert (out, err) == ("False False\n", "")


def test_setup_is_silent_but_for_one_line_even_at_descriptor_level():
    code = "import bigmodel_helpers as bh; bh.setup(seed=3); import tensorflow as tf; tf.ones((9, 9)) @ tf.ones((9, 9))"
    out, err = fresh(code)
    assert err == ""
    assert out.startswith("here: ") and out.count("\n") == 1


def test_tensorflow_does_write_to_the_descriptor_without_quietly():
    _, err = fresh("import tensorflow as tf; tf.zeros(1)")
    assert err != "", "if this fails, quietly() has become needless"


def test_same_seed_same_bits_other_seed_other_bits():
    code = """
import sys, bigmodel_helpers as bh
bh.setup(seed=int(sys.argv[1]) if len(sys.argv) > 1 else {seed})
import random, numpy, keras, tensorflow as tf
network = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])
network.compile("sgd", "mse")
network.fit(numpy.random.normal(size=(64, 3)), numpy.random.normal(size=(64, 1)), verbose=0)
print([w.tobytes().hex() for w in network.get_weights()], random.random(), float(tf.random.normal([])))
"""
    first, again, other = (fresh(code.format(seed=seed))[0] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_determinism_and_float32_precision_are_asked_for():
    out, _ = fresh("""
import bigmodel_helpers as bh
bh.setup()
import tensorflow as tf
from tensorflow.python.framework import config
print(config.is_op_determinism_enabled(), tf.config.experimental.tensor_float_32_execution_enabled())
""")
    assert out.splitlines()[1] == "True False"


def test_mixed_precision_and_memory_growth_are_safe_without_a_gpu():
    out, err = fresh(
        "import bigmodel_helpers as bh; bh.setup(mixed_precision=True)", CUDA_VISIBLE_DEVICES="-1"
    )
    assert "CPU" in out and "float32" in out and err == ""


def test_setup_may_be_called_twice():
    out, err = fresh("import bigmodel_helpers as bh; bh.setup(seed=1); bh.setup(seed=2)")
    assert out.count("here: ") == 2 and err == ""


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int16])
def test_a_whole_number_of_numpy_is_a_seed(kind):
    bh.setup(seed=kind(3))
    found = random.random()
    bh.setup(seed=3)
    assert found == random.random()


@pytest.mark.parametrize(
    "seed", [-1, 2**32, 1.5, "0", True, None, np.bool_(True), np.float64(3), np.int64(-1)]
)
def test_a_seed_that_is_none_is_refused_with_a_sentence(seed):
    with pytest.raises(ValueError, match="must be a whole number"):
        bh.setup(seed=seed)


def fake_tensorflow(growing=False, started=False):
    """A stand-in with one GPU, that notes what is asked of it."""
    asked = []

    def set_memory_growth(gpu, value):
        if started:
            raise RuntimeError("Physical devices cannot be modified after being initialized")
        asked.append((gpu, value))

    experimental = SimpleNamespace(
        get_memory_growth=lambda gpu: growing,
        set_memory_growth=set_memory_growth,
        get_device_details=lambda gpu: {"device_name": "Example 9000"},
    )
    return SimpleNamespace(config=SimpleNamespace(experimental=experimental)), asked


def test_memory_growth_is_set_for_each_gpu_once():
    tf, asked = fake_tensorflow()
    runtime._grow_memory(tf, ["gpu 0", "gpu 1"])
    assert asked == [("gpu 0", True), ("gpu 1", True)]
    tf, asked = fake_tensorflow(growing=True)
    runtime._grow_memory(tf, ["gpu 0"])
    assert asked == []


def test_a_gpu_that_has_started_already_is_explained():
    tf, _ = fake_tensorflow(started=True)
    with pytest.raises(RuntimeError, match="Restart the kernel"):
        runtime._grow_memory(tf, ["gpu 0"])


def test_a_gpu_is_named_and_gets_mixed_precision_only_when_asked():
    code = """
import bigmodel_helpers as bh
with bh.quietly():
    import tensorflow as tf
config, experimental = tf.config, tf.config.experimental
config.list_physical_devices = lambda kind=None: ["gpu 0"]  # the list is substituted: there is no GPU here
experimental.get_memory_growth = lambda gpu: True
experimental.get_device_details = lambda gpu: {"device_name": "Example 9000"}
bh.setup(mixed_precision=MIXED)
import keras
print(keras.mixed_precision.global_policy().name, keras.layers.Dense(1).compute_dtype)
"""
    for mixed, policy in (("True", "mixed_float16 float16"), ("False", "float32 float32")):
        out, _ = fresh(code.replace("MIXED", mixed), CUDA_VISIBLE_DEVICES="-1")
        here, policies = out.splitlines()
        assert "Example 9000" in here and policies == policy


def test_quietly_shows_what_it_held_back_when_the_block_raises(capfd):
    with pytest.raises(ImportError), bh.quietly():
        os.write(2, b"the reason\n")
        raise ImportError
    assert capfd.readouterr().err == "the reason\n"


def speak():
    """Write to the error stream in every way that libraries use."""
    print("printed", file=sys.stderr)
    logging.getLogger("nobody.listens").warning("logged")
    thread = threading.Thread(target=lambda: sys.stderr.write("from a thread\n"))
    thread.start()
    thread.join()
    os.write(2, b"compiled\n")


def without_pytests_handlers(monkeypatch):
    """As in a notebook, where logging finds no handler and takes its last resort."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])


def test_quietly_holds_back_what_python_writes_too(capfd, monkeypatch):
    without_pytests_handlers(monkeypatch)
    speak()
    spoken = capfd.readouterr().err
    assert all(word in spoken for word in ("printed", "logged", "thread", "compiled"))
    with bh.quietly():
        speak()
    assert capfd.readouterr().err == ""
    speak()
    assert capfd.readouterr().err == spoken, "afterwards everything is seen again"


def test_quietly_shows_all_of_it_in_its_order_when_the_block_raises(capfd, monkeypatch):
    without_pytests_handlers(monkeypatch)
    speak()
    spoken = capfd.readouterr().err
    with pytest.raises(ImportError), bh.quietly():
        speak()
        raise ImportError
    assert capfd.readouterr().err == spoken


def test_a_stream_that_was_kept_while_all_was_quiet_serves_afterwards(capfd):
    with bh.quietly():
        with bh.quietly():
            kept = sys.stderr
            handler = logging.StreamHandler()
        kept.write("held back\n")
    kept.writelines(["seen\n", "and this\n"])
    handler.handle(logging.makeLogRecord({"msg": "logged"}))
    assert capfd.readouterr().err == "seen\nand this\nlogged\n"
    assert sys.stderr is not kept and kept.isatty() == sys.stderr.isatty()


CHAPTER = """
import bigmodel_helpers as bh
with bh.quietly():
    import keras
    import tensorflow as tf
bh.setup(seed=3)
import hashlib, numpy as np
from bigmodel_helpers.plotting import png_bytes
figure, (left, right) = bh.new_figure(1, 2)
left.plot([1, 2e5], [3, 4], label="$x^2$")
left.legend()
right.imshow(np.arange(4).reshape(2, 2))
network = keras.Sequential([keras.layers.Conv2D(2, 3), keras.layers.LayerNormalization()])
network.compile("sgd", "mse")
pictures = np.random.normal(size=(64, 8, 8, 1))
loss = network.fit(pictures, np.ones((64, 6, 6, 2)), epochs=2, verbose=0).history["loss"]
print(hashlib.sha256(png_bytes(figure)).hexdigest(), loss, keras.config.backend(), keras.config.floatx())
print(keras.config.epsilon(), keras.config.image_data_format())
"""
LOUD = r"""
image.origin: lower
text.usetex: True
savefig.bbox: tight
figure.dpi: 30
axes.facecolor: black
lines.marker: o
font.family: serif
axes.formatter.limits: 0, 1
path.sketch: 1, 100, 2
"""
HOMES = {  # each with keras.json, matplotlibrc and variables as readers may have them
    "other": (
        '{"floatx": "float16", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"}',
        LOUD,
        {"MPLBACKEND": "TkAgg"},
    ),
    "wrong": (
        '{"floatx": "float128", "nnx_enabled": true}',
        "nonsense: 1\nimage.origin: sideways\nbackend: nonsense\n",
        {"MPLBACKEND": "nonsense", "KERAS_BACKEND": "torch", "TF_XLA_FLAGS": "--nonsense"},
    ),
    "unreadable": (
        "[1",
        "image.origin: lower  # caf\xe9",
        {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "x", "KERAS_NNX_ENABLED": "1"},
    ),
    "closed": (None, None, {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "0"}),
}


@pytest.fixture(scope="module")
def in_an_empty_home(tmp_path_factory):
    home = str(tmp_path_factory.mktemp("empty"))
    return fresh(CHAPTER, HOME=home, USERPROFILE=home, MPLCONFIGDIR=home)


def test_in_an_empty_home_a_chapter_starts_in_silence(in_an_empty_home):
    out, err = in_an_empty_home
    assert err == "" and out.splitlines()[1].endswith("tensorflow float32")
    assert out.splitlines()[2] == "1e-07 channels_last"


@pytest.mark.parametrize("name", HOMES)
def test_figures_and_numbers_are_the_same_in_every_home(name, tmp_path, in_an_empty_home):
    keras_json, matplotlibrc, variables = HOMES[name]
    home = tmp_path
    if keras_json is None:
        home = tmp_path / "a file" / "in which nothing can be written"
        home.parent.touch()
    else:
        (home / ".keras").mkdir()
        (home / ".keras" / "keras.json").write_text(keras_json)
        (home / "matplotlibrc").write_text(matplotlibrc, encoding="latin-1")
    variables = variables | {"HOME": str(home), "USERPROFILE": str(home), "MPLCONFIGDIR": str(home)}
    assert fresh(CHAPTER, **variables) == in_an_empty_home


def test_a_keras_loaded_before_with_other_settings_gets_those_of_the_book(tmp_path):
    (tmp_path / "keras.json").write_text(
        json.dumps({"floatx": "float64", "epsilon": 0.1, "image_data_format": "channels_first"})
    )
    out, _ = fresh(
        "import keras, bigmodel_helpers as bh; bh.setup(); config = keras.config\n"
        "print(config.floatx(), config.epsilon(), config.image_data_format(), config.max_epochs())\n"
        "print(keras.layers.Dense(1).compute_dtype)",
        KERAS_HOME=str(tmp_path),
        KERAS_MAX_EPOCHS="1",
    )
    assert out.splitlines()[1:] == ["float32 1e-07 channels_last None", "float32"]


def test_a_keras_loaded_before_with_another_backend_is_explained():
    out, _ = fresh("""
import bigmodel_helpers as bh
with bh.quietly():
    import keras
keras.config.backend = lambda: "jax"  # substituted: there is no other backend here
try:
    bh.setup()
except RuntimeError as error:
    print(error)
""")
    assert "'jax'" in out and "Restart the kernel" in out and out.count("\n") == 1


@pytest.mark.parametrize("variables", [{}, {"KERAS_HOME": "elsewhere"}])
def test_keras_keeps_downloads_where_the_reader_has_them(variables, tmp_path):
    variables = {name: str(tmp_path / value) for name, value in variables.items()}
    expected = variables.get("KERAS_HOME", str(tmp_path / ".keras"))
    out, _ = fresh(
        "import bigmodel_helpers as bh, os\nwith bh.quietly():\n    import keras\n"
        "home = keras.src.backend.config.keras_home()\nprint(home, os.path.isdir(home))\n"
        "print(os.environ.get('KERAS_HOME'))",
        **{"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)} | variables,
    )
    assert out.splitlines() == [f"{expected} True", str(variables.get("KERAS_HOME"))]


@pytest.mark.parametrize(
    ("module", "library"),
    [
        ("tensorflow.python.data.ops.dataset_ops", "TensorFlow"),
        ("tensorflow.python.saved_model", "TensorFlow"),
        ("keras.src.models", "Keras"),
    ],
)
def test_an_import_that_was_interrupted_is_explained_at_once_and_when_tried_again(module, library):
    out, _ = fresh(f"""
import sys, bigmodel_helpers as bh
class Interrupt:
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt)
for attempt in range(3):
    try:
        with bh.quietly():
            import keras
            import tensorflow as tf
    except (KeyboardInterrupt, RuntimeError) as error:
        print(type(error).__name__, error)
    sys.meta_path = [finder for finder in sys.meta_path if finder is not Interrupt]
""")
    first, second, third = out.splitlines()
    assert first.startswith(f"KeyboardInterrupt the import of {library} was interrupted.")
    assert second.startswith(f"RuntimeError an earlier import of {library} was interrupted")
    assert all("restart the kernel" in line for line in (first, second)) and third == second


def test_quietly_restores_the_descriptor(capfd):
    with bh.quietly():
        os.write(2, b"hidden\n")
    os.write(2, b"seen\n")
    assert capfd.readouterr().err == "seen\n"


def test_progress_shows_a_bar_only_to_a_reader_in_jupyterlab_and_removes_it(monkeypatch):
    import IPython.display

    shown = []
    handle = SimpleNamespace(update=lambda content: shown.append(content.data))
    monkeypatch.setattr(IPython.display, "display", lambda *a, **k: handle)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert list(bh.progress([1, 2], "work")) == [1, 2] and shown == []
    monkeypatch.setenv("JPY_SESSION_NAME", "a.ipynb")
    assert list(bh.progress([1, 2], "work")) == [1, 2]
    assert "1 of 2" in shown[1] and shown[-1] == ""
