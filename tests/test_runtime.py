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

# What `quietly` sets in this process: a reader does not have it, and it would hide the reader's own.
SET_BY_QUIETLY = {"TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND", "MATPLOTLIBRC"}


def fresh(code, **environ):
    """Run code in a new interpreter; return what it wrote to descriptors 1 and 2."""
    inherited = {name: text for name, text in os.environ.items() if name not in SET_BY_QUIETLY}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=inherited | environ,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def fresh_parts(code, **environ):
    """As `fresh`, for code that says `part(name)` now and then: what each part wrote, by its name."""
    out, err = (text.split("=== ") for text in fresh(f"{PART}\n{code}", **environ))
    assert out.pop(0) == err.pop(0) == ""
    written = zip((text.partition("\n") for text in out), (text.partition("\n") for text in err))
    return {name: (said, complained) for (name, _, said), (_, _, complained) in written}


PART = """
import sys
def part(name):
    for stream in (sys.stdout, sys.stderr):
        print("===", name, file=stream, flush=True)
"""
NUMBERS = """
part("figure and training")
import hashlib, random, numpy as np
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
print(tf.keras.__version__)  # which TensorFlow would take from Keras 2
print([w.tobytes().hex() for w in network.get_weights()], random.random(), float(tf.random.normal([])))
part("home")
import os
home = keras.src.backend.config.keras_home()
print(home, os.path.isdir(home), os.environ.get("KERAS_HOME"))
"""
CHAPTER = f"""
part("first")
import bigmodel_helpers as bh
with bh.quietly():
    import keras
    import tensorflow as tf
bh.setup(seed=3)
{NUMBERS}
"""
# All that can be seen in one start: loading TensorFlow takes most of the time of a start.
ONE_START = f"""
part("first")
import bigmodel_helpers as bh
bh.setup(seed=3)
import keras
import tensorflow as tf
tf.ones((9, 9)) @ tf.ones((9, 9))
{NUMBERS}
part("precision")
from tensorflow.python.framework import config
print(config.is_op_determinism_enabled(), tf.config.experimental.tensor_float_32_execution_enabled())
for name, seed in (("seed 1", 1), ("seed 1 again", 1), ("seed 2", 2)):
    part(name)
    bh.setup(seed=seed)
    layer = keras.layers.Dense(4)
    layer.build((None, 3))
    print(random.random(), np.random.normal(), float(tf.random.normal([])), layer.get_weights()[0].sum(), sep="\\n")
part("mixed precision without a GPU")
bh.setup(mixed_precision=True)
# the list is substituted: there is no GPU here
tf.config.list_physical_devices = lambda kind=None: ["gpu 0"]
tf.config.experimental.get_memory_growth = lambda gpu: True
tf.config.experimental.get_device_details = lambda gpu: {{"device_name": "Example 9000"}}
for mixed in (True, False):
    part(f"a GPU, {{mixed}}")
    bh.setup(mixed_precision=mixed)
    print(keras.mixed_precision.global_policy().name, keras.layers.Dense(1).compute_dtype)
part("another backend")
keras.config.backend = lambda: "jax"  # substituted: there is no other backend here
try:
    bh.setup()
except RuntimeError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def one_start(tmp_path_factory):
    """What each part of a start in an empty home wrote, and that home."""
    home = str(tmp_path_factory.mktemp("empty"))
    homes = {"HOME": home, "USERPROFILE": home, "MPLCONFIGDIR": home}
    return fresh_parts(ONE_START, **homes, CUDA_VISIBLE_DEVICES="-1"), home


def test_importing_the_package_loads_no_tensorflow_and_draws_nothing():
    out, err = fresh(
        "import sys, bigmodel_helpers; print('tensorflow' in sys.modules, 'matplotlib' in sys.modules)"
    )
    assert (out, err) == ("False False\n", "")


def test_setup_is_silent_but_for_one_line_even_at_descriptor_level(one_start):
    out, err = one_start[0]["first"]
    assert err == ""
    assert out.startswith("here: ") and out.count("\n") == 1


@pytest.fixture(scope="module")
def loaded_before(tmp_path_factory):
    """What each part wrote where TensorFlow and Keras were loaded without the book, with other settings."""
    home = tmp_path_factory.mktemp("other")
    (home / "keras.json").write_text(
        json.dumps({"floatx": "float64", "epsilon": 0.1, "image_data_format": "channels_first"})
    )
    code = """
part("tensorflow")
import tensorflow as tf
tf.zeros(1)
part("keras")
import keras, bigmodel_helpers as bh
bh.setup()
config = keras.config
print(config.floatx(), config.epsilon(), config.image_data_format(), config.max_epochs())
print(keras.layers.Dense(1).compute_dtype)
"""
    return fresh_parts(code, KERAS_HOME=str(home), KERAS_MAX_EPOCHS="1", TF_CPP_MIN_LOG_LEVEL="0")


def test_tensorflow_does_write_to_the_descriptor_without_quietly(loaded_before):
    _, err = loaded_before["tensorflow"]
    assert err != "", "if this fails, quietly() has become needless"


def test_a_keras_loaded_before_with_other_settings_gets_those_of_the_book(loaded_before):
    out, _ = loaded_before["keras"]
    assert out.splitlines()[1:] == ["float32 1e-07 channels_last None", "float32"]


def test_same_seed_same_bits_other_seed_other_bits(one_start):
    """In one interpreter; in others, `test_figures_and_numbers_are_the_same_in_every_home` compares."""
    first, again, other = (
        one_start[0][name][0].splitlines()[1:] for name in ("seed 1", "seed 1 again", "seed 2")
    )
    assert first == again and len(first) == 4
    assert not set(first) & set(other)


def test_determinism_and_float32_precision_are_asked_for(one_start):
    assert one_start[0]["precision"][0] == "True False\n"


def test_mixed_precision_and_memory_growth_are_safe_without_a_gpu(one_start):
    out, err = one_start[0]["mixed precision without a GPU"]
    assert "CPU" in out and "float32" in out and err == ""


def test_setup_may_be_called_twice(one_start):
    out, err = one_start[0]["seed 1 again"]
    assert out.count("here: ") == 1 and err == ""


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


def test_a_gpu_is_named_and_gets_mixed_precision_only_when_asked(one_start):
    for mixed, policy in (("True", "mixed_float16 float16"), ("False", "float32 float32")):
        out, _ = one_start[0][f"a GPU, {mixed}"]
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
        {"MPLBACKEND": "TkAgg", "KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "x"},
    ),
    "wrong": (
        '{"floatx": "float128", "nnx_enabled": true}',
        "nonsense: 1\nimage.origin: sideways\nbackend: nonsense\n",
        {"MPLBACKEND": "nonsense", "KERAS_BACKEND": "torch", "TF_XLA_FLAGS": "--nonsense"},
    ),
    "unreadable": (
        "[1",
        "image.origin: lower  # caf\xe9",
        {"KERAS_HOME": "elsewhere", "KERAS_NNX_ENABLED": "1"},
    ),
    "closed": (None, None, {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "0"}),
}


def test_in_an_empty_home_a_chapter_starts_in_silence_and_keras_keeps_downloads_there(one_start):
    parts, home = one_start
    out, err = parts["figure and training"]
    assert err == "" and out.splitlines()[0].endswith("tensorflow float32")
    assert out.splitlines()[1] == "1e-07 channels_last"
    assert parts["home"] == (f"{os.path.join(home, '.keras')} True None\n", "")


@pytest.mark.parametrize("name", HOMES)
def test_figures_and_numbers_are_the_same_in_every_home(name, tmp_path, one_start):
    keras_json, matplotlibrc, variables = HOMES[name]
    home, asked = tmp_path, variables.get("KERAS_HOME")
    keras_home = home / (asked or ".keras")
    if keras_json is None:
        home = tmp_path / "a file" / "in which nothing can be written"
        home.parent.touch()
    else:
        keras_home.mkdir()
        (keras_home / "keras.json").write_text(keras_json)
        (home / "matplotlibrc").write_text(matplotlibrc, encoding="latin-1")
    variables = variables | {"HOME": str(home), "USERPROFILE": str(home), "MPLCONFIGDIR": str(home)}
    if asked:
        variables["KERAS_HOME"] = str(keras_home)
    parts = fresh_parts(CHAPTER, **variables, CUDA_VISIBLE_DEVICES="-1")
    for part in ("first", "figure and training"):
        assert parts[part] == one_start[0][part]
    if keras_json is not None:
        said = f"{keras_home} True {variables.get('KERAS_HOME')}\n"
        assert parts["home"] == (said, ""), "Keras keeps downloads where the reader has them"


def test_a_keras_loaded_before_with_another_backend_is_explained(one_start):
    out, _ = one_start[0]["another backend"]
    assert "'jax'" in out and "Restart the kernel" in out and out.count("\n") == 1


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
