"""The data sets of the book: what ships, and what a reader brings or downloads."""

import contextlib
import difflib
import errno
import gzip
import hashlib
import io
import math
import pickle
import shutil
import socket
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import numpy as np

from .runtime import keras_home, quietly

FOLDER = Path(__file__).resolve().parent.parent / "data"
DIGITS_SHA256 = "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e"

# Pictures before this one are for training. The digits were written on forms of about 130 each, one after the other;
# nine whole forms come before it and five after it, so that no form stands on both sides. Pictures of one form look
# alike: shuffled first, a model is tested on forms that it has seen, and looks better than it is.
DIGITS_SPLIT = 1157

# The sets that do not ship: the shape of a picture and of a label.
_LARGER = {"mnist": ((28, 28), ()), "fashion_mnist": ((28, 28), ()), "cifar10": ((32, 32, 3), (1,))}
_CLASSES = 10

# The four files that MNIST's own site has, and Fashion-MNIST's: how their names begin, and how many axes they hold.
_IDX = {
    "x_train": ("train-images", 3),
    "y_train": ("train-labels", 1),
    "x_test": ("t10k-images", 3),
    "y_test": ("t10k-labels", 1),
}
_WITH_IDX = ("mnist", "fashion_mnist")

# The checksums with which Keras downloads two of the sets; for the third it has none.
_SHA256 = {
    "mnist": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    "cifar10": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
}

# How files begin that are given a wrong name, and what they are.
_BEGINNINGS = {
    b"PK": "a zip archive",
    b"\x93NUMPY": "a .npy array: np.savez makes an .npz file of such arrays",
    b"MATLAB": "a MATLAB file",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip file: unpack it first",
    b"BZh": "a bzip2 file: unpack it first",
    b"\xfd7zXZ": "an xz file: unpack it first",
    b"7z\xbc\xaf": "a 7z archive: unpack it first",
    b"Rar!": "a rar archive: unpack it first",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"%PDF": "a PDF document",
    b"\x00\x00\x08\x03": "an idx file of pictures: give it back its name, such as train-images-idx3-ubyte",
    b"\x00\x00\x08\x01": "an idx file of labels: give it back its name, such as train-labels-idx1-ubyte",
    b"\x00\x00\x08": "an idx file",
    b"\xff\xfe": "text",  # in UTF-16
    b"version https://git-lfs": "a pointer of Git LFS: 'git lfs pull' fetches the file itself",
}


class _Wrong(ValueError):
    """The content of a file is proved to be wrong; the text says what was found."""


def load_data(name):
    """Load a data set, split into a part to train on and a part to test on, as Keras' own loaders do.

    ``"digits"`` ships with the book: 1,797 handwritten digits, each 8 x 8 counts from 0 to 16 (how many of the 16
    dots of a small square were inked). The first 1,157 are for training; the other 640 come from forms that the
    training part has not seen. Origin and licence: ``data/digits.md``.

    ``"mnist"``, ``"fashion_mnist"`` and ``"cifar10"`` do not ship. If there is a file ``data/downloads/NAME.npz`` with
    Keras' array names (``x_train``, ``y_train``, ``x_test``, ``y_test``), it is used, however many pictures it holds.
    So are the four idx files of the two MNISTs (``train-images-idx3-ubyte`` and so on, as they are or as ``.gz``) in the
    folder ``data/downloads/NAME``, for MNIST also in ``data/downloads`` itself. Otherwise the set is read from Keras'
    cache, which may be read-only; and if it is not there, Keras downloads it, shows its progress, checks it and keeps it.

    Args:
        name: one of these four.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: pictures and labels as uint8. Pictures have the shape (n, 8, 8) for the
        digits, (n, 28, 28) for the two MNISTs and (n, 32, 32, 3) for CIFAR-10; labels (n,), for CIFAR-10 (n, 1).

    Raises:
        ValueError: if there is no data set of this name, or a file in ``data/downloads`` is damaged, holds something
            else than its name says, or is one of four of which another is missing.
        OSError: if the file that ships is missing or damaged, a file cannot be opened, there is no network, or a folder
            is full or cannot be written.
        MemoryError: if the set does not fit into memory.

    >>> (x_train, y_train), (x_test, y_test) = load_data("digits")
    >>> x_train.shape, y_test.shape, int(x_train.max())
    ((1157, 8, 8), (640,), 16)
    """
    if not isinstance(name, str) or name not in ("digits", *_LARGER):
        raise ValueError(_unknown(name))
    if name == "digits":
        images, labels = _read_shipped(FOLDER / "digits.npz", DIGITS_SHA256)
        return (images[:DIGITS_SPLIT], labels[:DIGITS_SPLIT]), (
            images[DIGITS_SPLIT:],
            labels[DIGITS_SPLIT:],
        )
    try:
        return _load_larger(name)
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        raise MemoryError(
            f"{name} does not fit into memory: shut down other notebooks and programs, and try again. Its files were "
            "left as they are."
        ) from error


def _load_larger(name):
    """The parts of a set that does not ship: from a file that was brought, or else from Keras."""
    brought = FOLDER / "downloads" / f"{name}.npz"
    if brought.exists():
        return _read_brought(brought, name)
    folder, files = _find_idx(name)
    return _read_brought_idx(folder, files, name) if files else _download(name)


def _unknown(name):
    """What to say to a name that no data set has.

    >>> print(_unknown("MNIST"))
    there is no data set 'MNIST', did you mean 'mnist'? There are 'digits', 'mnist', 'fashion_mnist', 'cifar10'.
    """
    names = ["digits", *_LARGER]
    spelt = str(name).lower().replace("-", "_").replace(" ", "_")
    near = difflib.get_close_matches(spelt, names, n=1)
    guess = f", did you mean {near[0]!r}? There" if near else "; there"
    return f"there is no data set {name!r}{guess} are {', '.join(map(repr, names))}."


def _is_out_of_memory(error):
    """Whether an error says that memory ran out, in Python's words or in TensorFlow's."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


# --- the set that ships -----------------------------------------------------------------------------------------------


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


# --- what a file holds ------------------------------------------------------------------------------------------------
# These functions get bytes, so that whatever they raise, except for memory, is the fault of the content.


@contextlib.contextmanager
def _damage_is_wrong():
    """Turn the many errors that a damaged content leads to into `_Wrong`."""
    try:
        yield
    except Exception as error:
        if isinstance(error, _Wrong) or _is_out_of_memory(error):
            raise
        raise _Wrong("it is cut short or damaged") from None


def _npz_parts(content, name):
    """The checked parts in an .npz file's content; nothing in it is ever unpickled."""
    if not content.startswith(b"PK"):
        raise _Wrong(f"it is no .npz file, but {_looks_like(content)}")
    with _damage_is_wrong(), zipfile.ZipFile(io.BytesIO(content)) as archive:
        if archive.testzip():
            raise _Wrong("it is cut short or damaged: a checksum in it does not fit")
        parts = tuple(
            tuple(_array(archive, f"{kind}_{part}") for kind in "xy") for part in ("train", "test")
        )
    _check(parts, name)
    return parts


def _array(archive, key):
    """One array of an .npz file."""
    held = [entry.removesuffix(".npy") for entry in archive.namelist()]
    if f"{key}.npy" not in archive.namelist():
        raise _Wrong(f"it holds no array {key}, but {_shortly(held)}")
    with archive.open(f"{key}.npy") as member:
        try:
            return np.lib.format.read_array(member, allow_pickle=False)
        except ValueError as error:
            what = "Python objects, which are not opened" if "pickle" in str(error) else "no array"
            raise _Wrong(f"{key} in it holds {what}") from None


def _shortly(names):
    """The first few of these names, as one line.

    >>> _shortly([]), _shortly("abcdefgh")
    ('nothing', 'a, b, c, d, e, f, ...')
    """
    names = [repr(name)[1:-1] for name in names]
    return ", ".join(names[:6] + ["..."] * (len(names) > 6)) or "nothing"


def _looks_like(content):
    r"""What a file seems to be, to judge by how it begins.

    >>> _looks_like(b""), _looks_like(b"<!DOCTYPE html>"), _looks_like(b"5, 0, 4"), _looks_like(bytes(4))
    ('empty', 'an HTML page', 'text', "something unknown (it begins with b'\\x00\\x00\\x00\\x00')")
    """
    if not content:
        return "empty"
    for beginning, kind in _BEGINNINGS.items():
        if content.startswith(beginning):
            return kind
    if content[:1] == b"\x80" and content[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a pickle of Python, which is not opened"
    if content[257:262] == b"ustar":
        return "a tar archive: unpack it first"
    start = content[:1000]
    if any(byte < 9 or 13 < byte < 32 for byte in start):  # letters of no text
        return f"something unknown (it begins with {content[:4]!r})"
    html = start.lstrip().lower().startswith((b"<!doctype html", b"<html"))
    return "an HTML page" if html else "text"


def _idx_array(content, axes):
    """The array in the content of an idx file, packed by gzip or not; its header is checked."""
    content = _unpacked(content)
    if content[:4] != bytes([0, 0, 8, axes]):
        raise _Wrong(f"it is no idx file with {axes} axes, but {_looks_like(content)}")
    start = 4 + 4 * axes
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    if len(content) != start + math.prod(shape):
        raise _Wrong(
            f"it holds {len(content):,} bytes, expected {start + math.prod(shape):,} for an array {tuple(shape)}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _unpacked(content):
    """The content of a file that may be packed by gzip; a browser may have unpacked it and kept the name."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    with _damage_is_wrong():
        return gzip.decompress(content)


def _check(parts, name):
    """Raise `_Wrong` unless the arrays are what the name promises: dtypes, shapes, equal lengths, labels in range."""
    picture, label = _LARGER[name]
    for part, (x, y) in zip(("train", "test"), parts):
        for array, kind, shape in ((x, "x", picture), (y, "y", label)):
            if array.dtype != np.uint8 or array.ndim != 1 + len(shape) or array.shape[1:] != shape:
                expected = str(("n", *shape)).replace("'", "")
                raise _Wrong(
                    f"{kind}_{part} is {array.dtype} {array.shape}, expected uint8 {expected}"
                )
        if len(x) != len(y) or not len(x):
            raise _Wrong(f"there are {len(x)} pictures and {len(y)} labels in the {part} part")
        if y.max() >= _CLASSES:
            raise _Wrong(f"y_{part} holds the label {y.max()}, expected 0 to {_CLASSES - 1}")


# --- files that somebody brought ----------------------------------------------------------------------------------


def _read_brought(path, name):
    """The parts of an .npz file that somebody has put into data/downloads."""
    with _one_sentence(
        path, name, "uint8 arrays x_train, y_train, x_test and y_test as Keras has them"
    ):
        return _npz_parts(_content(path), name)


def _find_idx(name):
    """The folder in data/downloads that holds idx files of a set, and which it holds, by Keras' array names.

    If several folders do, one that holds all four comes first.
    """
    if name not in _WITH_IDX:
        return None, {}
    downloads = FOLDER / "downloads"
    folders = [downloads / name] + [downloads] * (name == "mnist")
    found = [(folder, _idx_files(folder)) for folder in folders]
    return max(found, key=lambda pair: len(pair[1]))


def _idx_files(folder):
    """The idx files in a folder by Keras' array names: with a hyphen or a dot in the name, packed or not."""
    files = {}
    for key, (beginning, axes) in _IDX.items():
        for spelling in ("-idx{}-ubyte", ".idx{}-ubyte", "-idx{}-ubyte.gz", ".idx{}-ubyte.gz"):
            path = folder / (beginning + spelling.format(axes))
            if path.is_file():
                files.setdefault(key, path)
    return files


def _read_brought_idx(folder, files, name):
    """The parts of a set in four idx files."""
    missing = [f"{_IDX[key][0]}-idx{_IDX[key][1]}-ubyte" for key in _IDX if key not in files]
    if missing:
        raise ValueError(
            f"{name} cannot be read from the idx files in {folder}: {', '.join(missing)} is missing (plain or .gz). Put "
            f"it there, or move the others away, so that {name} is downloaded."
        )
    arrays = {}
    for key, path in files.items():
        with _one_sentence(path, name, "an idx file as MNIST's own site has it"):
            arrays[key] = _idx_array(_content(path), _IDX[key][1])
    parts = tuple((arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test"))
    with _one_sentence(folder, name, "four idx files as MNIST's own site has them"):
        _check(parts, name)
    return parts


def _content(path):
    """The bytes of a file."""
    if path.is_dir():
        raise _Wrong("it is a folder")
    return path.read_bytes()


@contextlib.contextmanager
def _one_sentence(path, name, expected):
    """Say in one sentence what is wrong with a file or folder that was brought, or why it cannot be opened."""
    kind = "folder" if path.is_dir() else "file"
    try:
        yield
    except _Wrong as error:
        raise ValueError(
            f"the {kind} {path} cannot be used as {name}: {error}. Expected {expected}. Replace the {kind}, or move it "
            f"away, so that {name} is downloaded."
        ) from None
    except OSError as error:
        raise OSError(
            error.errno,
            f"the file {path} cannot be read ({error.strerror}). Make it readable, or move it away, so that {name} is "
            "downloaded.",
        ) from error


# --- Keras' cache and Keras' loaders --------------------------------------------------------------------------------


def _keras_cache():
    """The folder in which Keras keeps data sets."""
    return keras_home() / "datasets"


def _cached_files(name):
    """What Keras keeps of a set, relative to its cache, and the function that reads each content.

    The functions are as forgiving as Keras: it does not look at the headers of idx files.
    """
    if name == "mnist":
        return {"mnist.npz": partial(_npz_parts, name=name)}
    if name == "cifar10":
        return {"cifar-10-batches-py-target_archive": _cifar_parts}
    return {
        f"fashion-mnist/{beginning}-idx{axes}-ubyte.gz": partial(_idx_values, axes=axes)
        for beginning, axes in _IDX.values()
    }


def _idx_values(content, axes):
    """The numbers in the content of a packed idx file, one after the other."""
    with _damage_is_wrong():
        return np.frombuffer(gzip.decompress(content), np.uint8)[4 + 4 * axes :]


def _read_cached(cache, name):
    """A set from Keras' cache, without writing anything there.

    Returns:
        The checked parts; and the path and content of the file if its checksum is not the one that Keras expects.

    Raises:
        _Wrong: if the content is proved to be wrong.
        OSError: if a file is missing or cannot be read.
    """
    contents = {cache / file: (cache / file).read_bytes() for file in _cached_files(name)}
    found = [
        read(content) for read, content in zip(_cached_files(name).values(), contents.values())
    ]
    if name == "fashion_mnist":
        x_train, y_train, x_test, y_test = found
        with _damage_is_wrong():
            parts = ((x_train.reshape(-1, 28, 28), y_train), (x_test.reshape(-1, 28, 28), y_test))
        _check(parts, name)
        return parts, None
    ((path, content),) = contents.items()
    vouched_for = hashlib.sha256(content).hexdigest() == _SHA256[name]
    return found[0], None if vouched_for else (path, content)


def _cifar_parts(content):
    """The checked parts in the archive of CIFAR-10."""
    pictures, labels = {}, {}
    with _damage_is_wrong(), tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for entry in archive:
            batch = entry.name.rsplit("/", 1)[-1]
            if batch.startswith("data_batch_") or batch == "test_batch":
                held = _OnlyArrays(archive.extractfile(entry), encoding="bytes").load()
                planes = held[b"data"].reshape(-1, 3, 32, 32)
                pictures[batch] = planes.transpose(0, 2, 3, 1)
                labels[batch] = np.array(held[b"labels"], np.uint8)[:, None]
        train = [f"data_batch_{number}" for number in range(1, 6)]
        parts = tuple(
            tuple(np.concatenate([kind[batch] for batch in part]) for kind in (pictures, labels))
            for part in (train, ["test_batch"])
        )
    _check(parts, "cifar10")
    return parts


class _OnlyArrays(pickle.Unpickler):
    """Opens pickles of arrays, and refuses all that could run a program."""

    _ALLOWED = {"_reconstruct", "_frombuffer", "ndarray", "dtype"}

    def find_class(self, module, name):
        if module.split(".")[0] == "numpy" and name in self._ALLOWED:
            return super().find_class(module, name)
        raise _Wrong(f"it holds {module}.{name}, which is not opened")


def _download(name):
    """The set from Keras' cache if it is whole there; else let Keras fetch it. Reading comes before locking."""
    cache = _keras_cache()
    parts, stranger = _look_into(cache, name)
    if parts and not stranger:
        return parts
    try:
        with _put_back(stranger):
            return _ask_keras(cache, name)
    except OSError:
        if not parts:
            raise
        print(
            f"{name} is taken from {stranger[0]} as it is: its checksum is not the one of the set that Keras downloads, "
            "and that one cannot be had."
        )
        return parts


def _look_into(cache, name):
    """What `_read_cached` finds, or (None, None) if the set is not there or is not whole."""
    try:
        return _read_cached(cache, name)
    except (_Wrong, FileNotFoundError, NotADirectoryError):
        return None, None
    except OSError as error:
        raise OSError(
            error.errno,
            f"what Keras keeps of {name} in {cache} cannot be read ({error.strerror}). Make it readable, or set "
            "KERAS_HOME to another folder.",
        ) from error


@contextlib.contextmanager
def _put_back(stranger):
    """Put a file back if the block fails and it is gone: Keras deletes what it cannot replace.

    Args:
        stranger: path and content of the file, or None.
    """
    try:
        yield
    except BaseException:
        if stranger and not stranger[0].exists():
            stranger[0].write_bytes(stranger[1])
        raise


def _ask_keras(cache, name):
    """Let Keras' loader fetch the set; a second process waits meanwhile, and finds the cache filled."""
    with quietly():
        import keras
    from filelock import FileLock

    loader = getattr(keras.datasets, name).load_data
    offline = (
        f"Without a network, put a file {name}.npz with Keras' arrays into {FOLDER / 'downloads'}."
    )
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{name}.lock"), _patience(60):
            return _load_twice(loader, cache, name)
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
    except Exception as error:
        # Keras raises plain exceptions for the network, and many kinds for broken files
        if _is_out_of_memory(error):
            raise
        raise OSError(
            f"{name} could not be downloaded ({error}). Check the network and try again. {offline}"
        ) from error


def _load_twice(loader, cache, name):
    """Call Keras' loader; if what it has in its cache is proved to be wrong, forget that and call it once more."""
    for attempt in (1, 2):
        try:
            parts = loader()
            _check(parts, name)
            return parts
        except Exception as error:
            forgotten = _forget_what_is_wrong(cache, name, error)
            if attempt == 2 or not forgotten:
                raise


@contextlib.contextmanager
def _patience(seconds):
    """Let no connection stall for longer than this; Keras' loaders set no limit of their own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _forget_what_is_wrong(cache, name, error):
    """After an error of Keras' loader, remove from its cache what is proved to be wrong; say whether there was any.

    Other errors (memory, rights, too many open files, the network) say nothing about the content, which then stays.
    """
    files = _cached_files(name)
    try:
        wrong = [
            file
            for file, read in files.items()
            if _is_wrong(lambda file=file, read=read: read((cache / file).read_bytes()))
        ]
        if not wrong and _is_wrong(lambda: _read_cached(cache, name)):
            wrong = list(files)  # each is whole, but they do not belong together
    except Exception:
        return False
    # Keras' words for what it has just fetched and held against its checksum
    if "corrupted file" in str(error):
        wrong = list(files)
    for file in wrong:
        (cache / file).unlink(missing_ok=True)
    if wrong and name == "cifar10":
        shutil.rmtree(cache / "cifar-10-batches-py-target", ignore_errors=True)  # unpacked from it
    return bool(wrong)


def _is_wrong(read):
    """Whether reading a content proves that it is wrong; a file that is not there is not."""
    try:
        read()
    except _Wrong:
        return True
    except (FileNotFoundError, NotADirectoryError):
        pass
    return False
