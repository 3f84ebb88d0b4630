"""The set-up of a notebook: silence, seeds, devices. Each piece runs in a fresh interpreter where it must be the first."""

import os
import subprocess
import sys
from types import SimpleNamespace

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


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", True, None])
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
