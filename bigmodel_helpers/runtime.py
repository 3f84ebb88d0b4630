"""Devices, seeds, and a TensorFlow that starts without a word."""

import contextlib
import os
import platform
import sys
import tempfile


@contextlib.contextmanager
def quietly():
    """Hold back what libraries write to the error stream while they load.

    TensorFlow greets with lines that hold times and differ from machine to machine. They are written by compiled code
    to file descriptor 2, past ``sys.stderr``, so the descriptor itself is pointed elsewhere and restored afterwards.
    If the block raises, everything held back is shown, because it may say why.

    Raises:
        Whatever the block raises.

    >>> with quietly():
    ...     noise = os.write(2, b"not to be seen")
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            held_back.seek(0)
            os.write(2, held_back.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def setup(*, seed=0, mixed_precision=False):
    """Make this run repeatable, prepare the device, apply the plot style, and say what is here.

    Call it once, after the settings cell. Afterwards the same seed on the same machine gives the same bits.

    Args:
        seed: whole number from 0 to 2**32 - 1; it seeds Python, NumPy and TensorFlow.
        mixed_precision: compute in float16 where a GPU is found (weights stay float32). Without a GPU it changes
            nothing, because on a CPU float16 is slower.

    Raises:
        ValueError: if `seed` is not such a number.
        RuntimeError: if TensorFlow has started its devices already and they can no longer be configured.

    Prints one line that begins with ``here:`` and names device and versions.

    >>> setup(seed=7)  # doctest: +ELLIPSIS
    here: ...
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(
            f"seed is {seed!r}; it must be a whole number from 0 to {2**32 - 1}. Try seed=0."
        )
    with quietly():
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(False)
        gpus = tf.config.list_physical_devices("GPU")
        _grow_memory(tf, gpus)
        policy = "mixed_float16" if mixed_precision and gpus else "float32"
        keras.mixed_precision.set_global_policy(policy)
        tf.zeros(1) + 1  # the first operation starts the devices, with some more lines of greeting
    from . import plotting

    plotting.apply_style()
    print(
        f"here: {_device_name(tf, gpus)}, {policy}, TensorFlow {tf.__version__}, Keras {keras.__version__}, "
        f"Python {platform.python_version()}"
    )


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
