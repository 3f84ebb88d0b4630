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

from .runtime import progress, quietly

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
    "cifar10": (
        (32, 32, 3),
        (1,),
        ("cifar-10-batches-py-target", "cifar-10-batches-py-target_archive"),
    ),
}
_CLASSES = 10
_PICTURE_FILES = {".jpg", ".jpeg", ".png"}


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
        return (images[:DIGITS_SPLIT], labels[:DIGITS_SPLIT]), (
            images[DIGITS_SPLIT:],
            labels[DIGITS_SPLIT:],
        )
    if name not in _LARGER:
        raise ValueError(
            f"there is no data set {name!r}; there are 'digits', {', '.join(map(repr, _LARGER))}."
        )
    brought = FOLDER / "downloads" / f"{name}.npz"
    return _read_brought(brought, name) if brought.exists() else _download(name)


def image_folder(path, size):
    """Read the pictures of a folder, one by one as they are asked for, as squares of one size.

    Use it to train on pictures of your own. Every JPEG and PNG file in the folder and in the folders inside it counts,
    whatever its size: the largest square in its middle is taken and scaled. A picture is read when its turn comes, and
    only then, so that memory does not grow with their number; what comes first is one pass over all files that names
    those which cannot be read, and leaves them out. The order is shuffled, always in the same way, so that `take` and
    `skip` split the pictures fairly.

    Args:
        path: the folder.
        size: side of the squares, in pixels.

    Returns:
        A `tf.data.Dataset` of known length: pictures (size, size, 3) as uint8; grey ones have three equal channels, and
        what a PNG says of transparency is dropped.

    Raises:
        ValueError: if the path is no folder, no picture in it can be read, or the size is no whole number from 1 on.

    >>> import keras, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     keras.utils.save_img(f"{folder}/wide.png", np.zeros((30, 40, 3)))
    ...     batch = next(iter(image_folder(folder, 16).batch(10)))
    >>> batch.shape, batch.dtype
    (TensorShape([1, 16, 16, 3]), tf.uint8)
    """
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"size is {size!r}, expected the side of a picture in pixels, such as 64.")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "is no folder"
        mend = f"Give the path of a folder of JPEG or PNG pictures; a relative one starts at {Path.cwd()}."
        raise ValueError(f"{folder} {what}. {mend}")
    files = sorted(
        str(file)
        for file in folder.rglob("*")
        if file.suffix.lower() in _PICTURE_FILES and file.is_file()
    )
    if not files:
        raise ValueError(
            f"there is no picture in {folder}: expected files that end with {', '.join(sorted(_PICTURE_FILES))}."
        )
    return _readable(files, folder, size)


def _readable(files, folder, size):
    """The data set of those of these files that can be read; the others are counted and named."""
    with quietly():
        import keras
        import tensorflow as tf

    def picture(file):
        pixels = tf.io.decode_image(tf.io.read_file(file), channels=3, expand_animations=False)
        pixels = tf.cast(tf.ensure_shape(pixels, (None, None, 3)), "float32")
        pixels = keras.ops.image.resize(
            pixels, (size, size), antialias=True, crop_to_aspect_ratio=True
        )
        return tf.saturate_cast(tf.round(pixels), "uint8")

    def data_set(of):
        return tf.data.Dataset.from_tensor_slices(of).map(
            lambda file: (file, picture(file)), num_parallel_calls=tf.data.AUTOTUNE
        )

    found = []
    with quietly():  # the decoder writes a line of its own for every broken file
        for start in progress(
            range(0, len(files), 1000), "looking at a thousand pictures at a time"
        ):
            good = data_set(files[start : start + 1000]).ignore_errors()
            found += [file.numpy().decode() for file, _ in good]
    broken = [str(Path(file).relative_to(folder)) for file in sorted(set(files) - set(found))]
    if not found:
        raise ValueError(f"none of the {len(files)} files in {folder} can be read as a picture.")
    if broken:
        named = ", ".join(broken[:5]) + (", ..." if len(broken) > 5 else "")
        print(
            f"{len(broken)} of {len(files)} files cannot be read as pictures and are left out: {named}"
        )
    found = np.random.default_rng(0).permutation(sorted(found)).tolist()
    return data_set(found).map(lambda _, pixels: pixels)


def _read_shipped(path, sha256):
    """Images and labels of a file that ships with the book, after its checksum was found right."""
    mend = f"Restore it: 'git checkout -- data/{path.name}', or take the file from a fresh copy of the book."
    if not path.is_file():
        raise FileNotFoundError(f"the data file {path} is missing. {mend}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise OSError(
            f"the data file {path} is damaged: its sha256 is {found}, expected {sha256}. {mend}"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]


def _read_brought(path, name):
    """The parts of a file that somebody has put into data/downloads, checked; nothing in it is ever unpickled."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            parts = tuple((arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test"))
        _check(parts, name)
    except (
        OSError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        why = (
            "it is cut short, or no .npz file"
            if isinstance(error, (EOFError, zipfile.BadZipFile))
            else error
        )
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
                raise ValueError(
                    f"{kind}_{part} is {array.dtype} {array.shape}, expected uint8 ({expected})"
                )
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
    offline = (
        f"Without a network, put a file {name}.npz with Keras' arrays into {FOLDER / 'downloads'}."
    )
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (
            FileLock(cache / f".{name}.lock"),
            _patience(60),
        ):  # a second process waits, and finds the cache filled
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
            full = (
                f"the disk is full; {name} needs up to 0.5 GB in {cache}. Make room and try again."
            )
            raise OSError(errno.ENOSPC, full) from error
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise OSError(
                error.errno,
                f"the folder {cache}, in which Keras keeps {name}, cannot be written. Set KERAS_HOME to "
                f"a folder that can. {offline}",
            ) from error
        raise OSError(f"{name} could not be downloaded ({error}). Try again. {offline}") from error
    except (
        Exception
    ) as error:  # Keras raises plain exceptions for the network, and many kinds for broken files
        raise OSError(
            f"{name} could not be downloaded ({error}). Check the network and try again. {offline}"
        ) from error


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
