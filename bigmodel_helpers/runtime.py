"""Devices, seeds, and a TensorFlow that starts without a word, whatever is in the reader's home."""

import contextlib
import importlib.util
import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np

from .settings import is_whole

# What a reader may have set for other work, and what would change a chapter's numbers or stop its first cell.
_NOT_THE_BOOKS = (
    "KERAS_MAX_EPOCHS",  # ends training early
    "KERAS_MAX_STEPS_PER_EPOCH",
    "KERAS_NNX_ENABLED",  # asks for a package of another backend
    "TF_USE_LEGACY_KERAS",  # asks for Keras 2
    "TF_XLA_FLAGS",  # compiles other arithmetic; an unknown flag ends the process
)
# What a kernel takes where MPLBACKEND is not set.
_INLINE = "module://matplotlib_inline.backend_inline"
_RESTART = (
    "What is left of it cannot be used: restart the kernel (menu Kernel, Restart Kernel) "
    "and run the chapter again from its first cell."
)


@contextlib.contextmanager
def quietly():
    """Load libraries with the book's settings, and hold back what they write to the error stream meanwhile.

    TensorFlow greets with lines that hold times and differ from machine to machine. They are written by compiled code
    to file descriptor 2, past ``sys.stderr``, so the descriptor itself is pointed elsewhere and restored afterwards;
    Matplotlib and others write to ``sys.stderr``, which follows it. If the block raises, everything held back is shown,
    because it may say why.

    Keras and Matplotlib read a reader's own settings only while they are loaded. What is loaded first in here does not
    see them (environment variables such as ``KERAS_BACKEND``, the files ``keras.json`` and ``matplotlibrc``).

    Raises:
        RuntimeError: if an earlier import of TensorFlow or Keras did not come to its end.
        KeyboardInterrupt: if it is interrupted; while TensorFlow or Keras is being loaded, it says what to do next.
        Whatever else the block raises.

    >>> with quietly():
    ...     noise = os.write(2, b"not to be seen")
    """
    if half := _half_loaded():
        raise RuntimeError(f"an earlier import of {half} was interrupted or failed. {_RESTART}")
    with _error_stream_held_back(), _settings_of_the_book():
        try:
            yield
        except KeyboardInterrupt:
            if half := _half_loaded():
                raise KeyboardInterrupt(
                    f"the import of {half} was interrupted. {_RESTART}"
                ) from None
            raise


def _half_loaded():
    """The name of a library of which parts are loaded and the whole is not, or None.

    Python drops a module whose import was interrupted, but keeps those that had been loaded for it. Loaded once more,
    TensorFlow then stops somewhere with "partially initialized module" or "has already been registered", or mixes two
    copies of one class.
    """
    for name in ("tensorflow", "keras"):
        if name not in sys.modules and any(part.startswith(f"{name}.") for part in sys.modules):
            return {"tensorflow": "TensorFlow", "keras": "Keras"}[name]
    return None


@contextlib.contextmanager
def _error_stream_held_back():
    """Point ``sys.stderr`` and file descriptor 2 to a file; show what it holds if the block raises."""
    shown = sys.stderr
    shown.flush()
    kept, stand_in = os.dup(2), _HeldBack(shown)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        sys.stderr = stand_in
        failed = True
        try:
            yield
            failed = False
        finally:
            if sys.stderr is stand_in:
                sys.stderr = shown
            stand_in.holds = False
            shown.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                held_back.seek(0)
                shown.write(held_back.read().decode("utf-8", "replace"))
                shown.flush()


class _HeldBack:
    """An error stream whose text goes to file descriptor 2, and, once nothing is held back, to the stream it stands for.

    Libraries keep the ``sys.stderr`` that they find while they are loaded, so this one must serve afterwards too.

    >>> import io
    >>> stream = _HeldBack(io.StringIO())
    >>> stream.holds = False
    >>> stream.write("seen"), stream.getvalue()
    (4, 'seen')
    """

    def __init__(self, shown):
        self._shown, self.holds = shown, True

    def write(self, text):
        if not self.holds:
            return self._shown.write(text)
        os.write(2, text.encode("utf-8", "replace"))
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._shown, name)


@contextlib.contextmanager
def _settings_of_the_book():
    """Let Keras, TensorFlow and Matplotlib, while they are loaded, see the book's settings instead of the reader's."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    for name in _NOT_THE_BOOKS:
        os.environ.pop(name, None)
    if "matplotlib" not in sys.modules:
        _hide_matplotlibs_settings()
    if "keras" in sys.modules:
        yield
        return
    try:
        with tempfile.TemporaryDirectory() as empty, _variable("KERAS_HOME", empty):
            yield  # Keras finds no keras.json there
    finally:
        _return_keras_cache()


def _return_keras_cache():
    """Let Keras keep its downloads where the reader has them."""
    config = sys.modules.get("keras.src.backend.config")
    if config:
        with contextlib.suppress(OSError):  # then Keras takes another folder, as it does by itself
            keras_home().mkdir(parents=True, exist_ok=True)
        config._KERAS_DIR = str(keras_home())


def keras_home():
    """The folder that Keras keeps its data sets in: KERAS_HOME, or `.keras` in the home, or in /tmp where there is none.

    Returns:
        A path; the folder need not be there yet. A home that cannot be written counts if Keras has been there before.
    """
    if os.environ.get("KERAS_HOME"):
        return Path(os.environ["KERAS_HOME"]).expanduser()
    home = Path(os.path.expanduser("~"))  # "~" itself for a user who has none
    if home.is_absolute() and (os.access(home, os.W_OK) or (home / ".keras" / "datasets").is_dir()):
        return home / ".keras"
    return Path("/tmp") / ".keras"


def _hide_matplotlibs_settings():
    """Let Matplotlib read the settings it comes with, and show figures of a notebook in the notebook."""
    found = importlib.util.find_spec("matplotlib")
    own = Path(found.origin).with_name("mpl-data") / "matplotlibrc"
    if own.exists():
        os.environ["MATPLOTLIBRC"] = str(own)
    if os.environ.get("MPLBACKEND"):
        os.environ["MPLBACKEND"] = _INLINE if "ipykernel" in sys.modules else "agg"


@contextlib.contextmanager
def _variable(name, value):
    """Set an environment variable for a while.

    >>> with _variable("AN_EXAMPLE", "1"):
    ...     print(os.environ["AN_EXAMPLE"])
    1
    >>> "AN_EXAMPLE" in os.environ
    False
    """
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


def setup(*, seed=0, mixed_precision=False):
    """Make this run repeatable, prepare the device, apply the plot style, and say what is here.

    Call it once, after the settings cell. Afterwards the same seed on the same machine gives the same bits.

    Args:
        seed: whole number from 0 to 2**32 - 1, NumPy's too; it seeds Python, NumPy and TensorFlow.
        mixed_precision: compute in float16 where a GPU is found (weights stay float32). Without a GPU it changes
            nothing, because on a CPU float16 is slower.

    Raises:
        ValueError: if `seed` is not such a number.
        RuntimeError: if TensorFlow has started its devices already and they can no longer be configured, or Keras was
            loaded before the chapter's first cell, with another backend.

    Prints one line that begins with ``here:`` and names device and versions.

    >>> setup(seed=7)  # doctest: +ELLIPSIS
    here: ...
    """
    if not (is_whole(seed) and 0 <= seed < 2**32):
        raise ValueError(
            f"seed is {seed!r}; it must be a whole number from 0 to {2**32 - 1}. Try seed=0."
        )
    with quietly():
        import keras
        import tensorflow as tf

        from . import plotting
    _require_tensorflow(keras.config.backend())
    _settings_of_keras(keras)
    with quietly():
        keras.utils.set_random_seed(int(seed))
        tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        gpus = tf.config.list_physical_devices("GPU")
        _grow_memory(tf, gpus)
        policy = "mixed_float16" if mixed_precision and gpus else "float32"
        keras.mixed_precision.set_global_policy(policy)
        tf.zeros(1) + 1  # the first operation starts the devices, with some more lines of greeting
    plotting.apply_style()
    _settings_of_numpy()
    print(
        f"here: {_device_name(tf, gpus)}, {policy}, TensorFlow {tf.__version__}, Keras {keras.__version__}, "
        f"Python {platform.python_version()}"
    )


def _settings_of_numpy():
    """Print numbers, and meet impossible ones, as NumPy does by itself, whatever a start-up file has chosen."""
    np.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
    np.set_printoptions(
        edgeitems=3,
        infstr="inf",
        linewidth=75,
        nanstr="nan",
        precision=8,
        suppress=False,
        threshold=1000,
        formatter=None,
        sign="-",
        floatmode="maxprec",
        legacy=False,
    )


def _require_tensorflow(backend):
    """Refuse a Keras that computes with something else.

    >>> _require_tensorflow("jax")
    Traceback (most recent call last):
    RuntimeError: Keras was loaded with the backend 'jax', and the book computes with TensorFlow. Restart the kernel ...
    """
    if backend != "tensorflow":
        raise RuntimeError(
            f"Keras was loaded with the backend {backend!r}, and the book computes with TensorFlow. Restart the kernel "
            "and run the chapter's first cell before anything else."
        )


def _settings_of_keras(keras):
    """Give a Keras that was loaded outside `quietly`, with a reader's own settings, those of the book."""
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)


def _grow_memory(tf, gpus):
    """Let TensorFlow take GPU memory as it needs it, instead of all of it at once."""
    for gpu in gpus:
        if tf.config.experimental.get_memory_growth(gpu) is True:
            continue
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError as error:
            raise RuntimeError(
                "TensorFlow has started the GPU already, so its memory can no longer be configured. "
                "Restart the kernel and run the set-up cell before anything else."
            ) from error


def _device_name(tf, gpus):
    """The name of the device that will do the work, and how many there are of it.

    >>> from types import SimpleNamespace
    >>> details = lambda gpu: {"device_name": "Example 9000"}
    >>> example = SimpleNamespace(config=SimpleNamespace(experimental=SimpleNamespace(get_device_details=details)))
    >>> _device_name(example, ["gpu 0", "gpu 1"])
    '2 x Example 9000'
    """
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
        return name if len(gpus) == 1 else f"{len(gpus)} x {name}"
    return f"CPU with {os.cpu_count()} cores"


def progress(items, label):
    """Go through `items`, and show a reader in JupyterLab how far it is.

    Use it around any loop of more than a few seconds. The bar is removed at the end, and where nobody watches (tests,
    papermill) there is none, so that the stored output of a cell never holds one.

    Args:
        items: something with a length.
        label: what is being done.

    Yields:
        The items.

    >>> [2 * item for item in progress([1, 2, 3], "doubling")]
    [2, 4, 6]
    """
    if (
        "JPY_SESSION_NAME" not in os.environ
    ):  # set by JupyterLab's server for a notebook that somebody has opened
        yield from items
        return
    from IPython.display import HTML, display

    bar = display(HTML(""), display_id=True)
    try:
        for number, item in enumerate(items):
            text = f'{label} <progress value="{number}" max="{len(items)}"></progress> {number} of {len(items)}'
            bar.update(HTML(text))
            yield item
    finally:
        bar.update(HTML(""))
