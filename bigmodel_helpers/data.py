"""The data sets of the book: what ships, and what a reader brings or downloads."""

import contextlib
import errno
import hashlib
import io
import os
import shutil
import socket
import zipfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "data"
DIGITS_SHA256 = "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e"

# Pictures before this one are for training. The digits were written on forms of about 130 each, one after the other;
# nine whole forms come before it and five after it, so that no form stands on both sides. Pictures of one form look
# alike: shuffled first, a model is tested on forms that it has seen, and looks better than it is.
DIGITS_SPLIT = 1157

# The sets that do not ship: the shape of a picture and of a label, and what Keras keeps of each in its cache.
_LARGER = {
    "mnist": ((28, 28), (), ("mnist.npz",)),
    "fashion_mnist": ((28, 28), (), ("fashion-mnist",)),
    "cifar10": ((32, 32, 3), (1,), ("cifar-10-batches-py-target", "cifar-10-batches-py-target_archive")),
}
_CLASSES = 10


def load_data(name):
    """Load a data set, split into a part to train on and a part to test on, as Keras' own loaders do.

    ``"digits"`` ships with the book: 1,797 handwritten digits, each 8 x 8 counts from 0 to 16 (how many of the 16
    dots of a small square were inked). The first 1,157 are for training; the other 640 come from forms that the
    training part has not seen. Origin and licence: ``data/digits.md``.

    ``"mnist"``, ``"fashion_mnist"`` and ``"cifar10"`` do not ship. If there is a file ``data/downloads/NAME.npz`` with
    Keras' array names (``x_train``, ``y_train``, ``x_test``, ``y_test``), it is used, however many pictures it holds.
    Otherwise Keras downloads the whole set, shows its progress, checks it and keeps it in its own cache.

    Args:
        name: one of these four.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: pictures and labels as uint8. Pictures have the shape (n, 8, 8) for the
        digits, (n, 28, 28) for the two MNISTs and (n, 32, 32, 3) for CIFAR-10; labels (n,), for CIFAR-10 (n, 1).

    Raises:
        ValueError: if there is no data set of this name, or a file holds something else than its name says.
        OSError: if a file is missing or damaged, there is no network, or a folder is full or cannot be written.

    >>> (x_train, y_train), (x_test, y_test) = load_data("digits")
    >>> x_train.shape, y_test.shape, int(x_train.max())
    ((1157, 8, 8), (640,), 16)
    """
    if name == "digits":
        images, labels = _read_shipped(FOLDER / "digits.npz", DIGITS_SHA256)
        return (images[:DIGITS_SPLIT], labels[:DIGITS_SPLIT]), (images[DIGITS_SPLIT:], labels[DIGITS_SPLIT:])
    if name not in _LARGER:
        raise ValueError(f"there is no data set {name!r}; there are 'digits', {', '.join(map(repr, _LARGER))}.")
    brought = FOLDER / "downloads" / f"{name}.npz"
    return _read_brought(brought, name) if brought.exists() else _download(name)


def _read_shipped(path, sha256):
    """Images and labels of a file that ships with the book, after its checksum was found right."""
    mend = f"Restore it: 'git checkout -- data/{path.name}', or take the file from a fresh copy of the book."
    if not path.is_file():
        raise FileNotFoundError(f"the data file {path} is missing. {mend}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise OSError(f"the data file {path} is damaged: its sha256 is {found}, expected {sha256}. {mend}")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]


def _read_brought(path, name):
    """The parts of a file that somebody has put into data/downloads, checked; nothing in it is ever unpickled."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            parts = tuple((arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test"))
        _check(parts, name)
    except (OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        why = "it is cut short, or no .npz file" if isinstance(error, (EOFError, zipfile.BadZipFile)) else error
        raise ValueError(
            f"the file {path} cannot be used as {name}: {why}. Expected uint8 arrays x_train, y_train, x_test and y_test as "
            f"Keras has them. Replace the file, or move it away, so that {name} is downloaded."
        ) from error
    return parts


def _check(parts, name):
    """Whether the arrays are what the name promises: dtypes, shapes, equal lengths, labels in range."""
    picture, label, _ = _LARGER[name]
    for part, (x, y) in zip(("train", "test"), parts):
        for array, kind, shape in ((x, "x", picture), (y, "y", label)):
            if array.dtype != np.uint8 or array.ndim != 1 + len(shape) or array.shape[1:] != shape:
                expected = ", ".join(["n", *map(str, shape)])
                raise ValueError(f"{kind}_{part} is {array.dtype} {array.shape}, expected uint8 ({expected})")
        if len(x) != len(y) or not len(x):
            raise ValueError(f"there are {len(x)} pictures and {len(y)} labels in the {part} part")
        if y.max() >= _CLASSES:
            raise ValueError(f"y_{part} holds the label {y.max()}, expected 0 to {_CLASSES - 1}")


def _download(name):
    """Let Keras' loader fetch the set or take it from its cache; mend the cache once if it is broken."""
    import keras
    from filelock import FileLock

    loader = getattr(keras.datasets, name).load_data
    cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets"
    offline = f"Without a network, put a file {name}.npz with Keras' arrays into {FOLDER / 'downloads'}."
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{name}.lock"), _patience(60):  # a second process waits, and finds the cache filled
            for attempt in (1, 2):
                try:
                    parts = loader()
                    _check(parts, name)
                    return parts
                except Exception as error:
                    number = getattr(error, "errno", None)
                    broken = number is None and "URL fetch failure" not in str(error)
                    if broken or number == errno.ENOSPC:
                        _forget(cache, name)
                    if attempt == 2 or not broken:
                        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            full = f"the disk is full; {name} needs up to 0.5 GB in {cache}. Make room and try again."
            raise OSError(errno.ENOSPC, full) from error
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise OSError(error.errno, f"the folder {cache}, in which Keras keeps {name}, cannot be written. Set KERAS_HOME to "
                          f"a folder that can. {offline}") from error
        raise OSError(f"{name} could not be downloaded ({error}). Try again. {offline}") from error
    except Exception as error:  # Keras raises plain exceptions for the network, and many kinds for broken files
        raise OSError(f"{name} could not be downloaded ({error}). Check the network and try again. {offline}") from error


@contextlib.contextmanager
def _patience(seconds):
    """Let no connection stall for longer than this; Keras' loaders set no limit of their own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _forget(cache, name):
    """Remove what Keras keeps of a data set."""
    for left in _LARGER[name][2]:
        path = cache / left
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
