"""A reader's own pictures: a folder of files of any kind and size, made into squares of one size."""

import contextlib
import errno
import math
import os
import shutil
import stat
import tempfile
import threading
import unicodedata
import warnings
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .runtime import progress, quietly
from .settings import is_whole

# What is read, by the ending of the name; a file may hold any of these formats, whatever its ending.
_READ = (".jpeg", ".jpg", ".png", ".jfif", ".jpe", ".webp", ".gif", ".bmp")
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")

# What is passed over, and said to be.
_PASSED_OVER = {
    ".heic": "HEIC",
    ".heif": "HEIF",
    ".hif": "HEIF",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".jp2": "JPEG 2000",
    ".j2k": "JPEG 2000",
    ".jpx": "JPEG 2000",
    ".jxl": "JPEG XL",
    ".svg": "SVG",
    ".ico": "ICO",
    ".psd": "PSD",
    ".xcf": "XCF",
    ".tga": "TGA",
    ".pcx": "PCX",
    ".eps": "EPS",
    ".exr": "EXR",
    ".pbm": "PBM",
    ".pgm": "PGM",
    ".ppm": "PPM",
    ".dng": "DNG",
    ".cr2": "CR2",
    ".cr3": "CR3",
    ".nef": "NEF",
    ".arw": "ARW",
    ".orf": "ORF",
    ".raf": "RAF",
    ".rw2": "RW2",
}
# Folders in which macOS and network drives keep small copies; names that begin with a dot are left alone, too.
_NOT_ENTERED = {"__MACOSX", "@eaDir"}

_LARGEST_SIZE = 4096
_AT_A_TIME = 32
_IN_MEMORY = 32_000_000  # bytes of small pictures; more than that lie on disk
# pixels: larger pictures are decoded one after the other, to be gentle to memory
_LARGE = 25_000_000

_one_large_picture = threading.Lock()


def image_folder(path, size):
    """Read the pictures of a folder as squares of one size.

    Use it to train on pictures of your own. Every JPEG, PNG, WebP, GIF and BMP file in the folder and in the folders
    inside it counts, whatever its size: it is turned as its camera says (EXIF), the largest square in its middle is
    taken and scaled. A transparent picture lies on white, a grey one gets three equal channels, and of a moving one
    the first picture counts. Files and folders whose names begin with a dot are left alone.

    Each file is decoded once, now. The small squares are kept: in memory up to 32 MB, beyond that in a temporary file,
    which is removed with the data set. So memory does not grow with their number. Files that cannot be read are named
    and left out; files of other picture formats (HEIC, TIFF and more) are counted. The order is shuffled, always in the
    same way, so that `take` and `skip` split the pictures fairly.

    Args:
        path: the folder.
        size: side of the squares, in pixels, from 1 to 4096.

    Returns:
        A `tf.data.Dataset` of known length: pictures (size, size, 3) as uint8.

    Raises:
        ValueError: if the path is no folder, no picture in it can be read, or the size is no such whole number.
        OSError: if there is no room for the small pictures in the folder for temporary files.

    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (40, 30), "red").save(f"{folder}/wide.png")
    ...     batch = next(iter(image_folder(folder, 16).batch(10)))
    >>> batch.shape, batch.dtype, batch[0, 0, 0].numpy().tolist()
    (TensorShape([1, 16, 16, 3]), tf.uint8, [255, 0, 0])
    """
    size = _checked_size(size)
    folder = _checked_folder(path)
    files, passed_over, closed = _find(folder)
    if closed:
        print(f"folders that cannot be opened are left out: {_named(closed)}")
    if not files:
        raise ValueError(
            f"there is no picture in {_shown(folder)}: expected files that end with {', '.join(_READ)}."
            + (f" {_said(passed_over)}" if passed_over else "")
        )
    if passed_over:
        print(_said(passed_over))
    room = _Memory() if len(files) * size * size * 3 <= _IN_MEMORY else _Disk(size)
    try:
        broken = _read_all(files, folder, size, room)
        if broken and len(broken) == len(files):
            raise ValueError(
                f"none of the {len(files)} files in {_shown(folder)} can be read as a picture: {_named(broken)}"
            )
        if broken:
            print(
                f"{len(broken)} of {len(files)} files cannot be read as pictures and are left out: {_named(broken)}"
            )
        return room.data_set(size, np.random.default_rng(0).permutation(len(files) - len(broken)))
    except BaseException:
        room.clear()
        raise


def _checked_size(size):
    """The size as a whole number of Python, if it is one that makes sense."""
    if not (is_whole(size) and 1 <= size <= _LARGEST_SIZE):
        raise ValueError(
            f"size is {size!r}, expected the side of a picture in pixels, a whole number from 1 to {_LARGEST_SIZE}, "
            "such as 64."
        )
    return int(size)


def _checked_folder(path):
    """The path of the folder as text, if it is one."""
    try:
        folder = os.path.expanduser(os.fsdecode(path))
    except TypeError:
        raise ValueError(f"path is {path!r}, expected the path of a folder of pictures.") from None
    if os.path.isdir(folder):
        return folder
    what = "is a file, not a folder" if os.path.exists(folder) else "is no folder"
    mend = (
        f"Give the path of a folder of JPEG or PNG pictures; a relative one starts at {Path.cwd()}."
    )
    raise ValueError(f"{_shown(folder) or repr(folder)} {what}. {mend}")


# --- which files there are ----------------------------------------------------------------------------------------


def _find(folder):
    """The picture files in a folder and the folders inside it, in an order that no machine changes.

    Args:
        folder: where to look.

    Returns:
        Paths of the files to read; how many files of other formats there are, by format; names of the folders that
        cannot be opened, with the reason.
    """
    files, passed_over, closed = [], Counter(), []
    start = os.path.realpath(folder)
    seen, folders, links = set(), [folder], []
    while folders or links:
        here = (folders or links).pop(0)  # links last, so that a folder goes by its own name
        true_path = os.path.realpath(here)
        if true_path in seen or (here != folder and _lies_in(start, true_path)):
            continue  # a link that leads back to where we were, or to a folder around the one we read
        seen.add(true_path)
        try:
            with os.scandir(here) as entries:
                entries = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if here == folder:
                raise ValueError(
                    f"{_shown(folder)} cannot be opened ({error.strerror}). Make it readable, or give another folder."
                ) from None
            closed.append(f"{_shown(os.path.relpath(here, folder))} ({error.strerror})")
            continue
        for entry in entries:
            ending = os.path.splitext(entry.name)[1].lower()
            if entry.name.startswith(".") or entry.name in _NOT_ENTERED:
                continue
            if os.path.isdir(entry.path):
                (links if entry.is_symlink() else folders).append(entry.path)
            elif ending in _READ:
                files.append(entry.path)
            elif ending in _PASSED_OVER:
                passed_over[_PASSED_OVER[ending]] += 1
    return sorted(files, key=lambda file: _same_everywhere(file, folder)), passed_over, closed


def _lies_in(path, folder):
    """Whether a path is a folder or lies inside it; both without links.

    >>> _lies_in("/a/b", "/a"), _lies_in("/ab", "/a"), _lies_in("/a", "/")
    (True, False, True)
    """
    return path == folder or path.startswith(os.path.join(folder, ""))


def _same_everywhere(file, folder):
    """A name to sort by: macOS may store a letter and its accent as two characters, Windows separates by backslashes."""
    name = os.path.relpath(file, folder).replace(os.sep, "/")
    return unicodedata.normalize("NFC", name), name


def _said(passed_over):
    """One sentence about files of other picture formats.

    >>> _said(Counter({"HEIC": 2, "TIFF": 1}))
    '3 files of other picture formats are passed over: 2 HEIC, 1 TIFF. Save them as JPEG or PNG to use them.'
    """
    total = passed_over.total()
    of_others = (
        "1 file of another picture format is"
        if total == 1
        else f"{total} files of other picture formats are"
    )
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(passed_over.items()))
    return f"{of_others} passed over: {kinds}. Save {'it' if total == 1 else 'them'} as JPEG or PNG to use {'it' if total == 1 else 'them'}."


def _named(names):
    """The first five of these names, and whether there are more."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _shown(name):
    r"""A file's name as it can be printed on one line, whatever bytes it is made of.

    >>> print(_shown("Stra\u00dfe"), _shown("caf\udce9\n"))
    Straße caf\udce9\n
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in name
    )


# --- one picture ----------------------------------------------------------------------------------------------------


def _read_all(files, folder, size, room):
    """Read these files, put the small pictures into the room, and return the names of those that cannot be read."""
    from PIL import Image

    Image.init()  # before several threads would do it at once
    broken = []
    starts = range(0, len(files), _AT_A_TIME)
    with (
        quietly(),
        warnings.catch_warnings(),  # a decoder's remarks about a file that it reads all the same
        ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool,
    ):
        warnings.simplefilter("ignore")
        for start in progress(starts, f"reading {_AT_A_TIME} pictures at a time"):
            some = files[start : start + _AT_A_TIME]
            for file, found in zip(some, pool.map(lambda file: _read(file, size), some)):
                if isinstance(found, str):
                    broken.append(f"{_shown(os.path.relpath(file, folder))}{found}")
                else:
                    room.add(found)
    return broken


def _read(file, size):
    """The small square of one file; or, if it cannot be read, why: nothing or words in brackets."""
    from PIL import Image

    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            return " (no file)"  # a pipe, for example: reading it would never end
        with Image.open(file, formats=_FORMATS) as image:
            image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a smaller scale
            if image.width * image.height > _LARGE:
                with _one_large_picture:
                    return _square(image, size)
            return _square(image, size)
    except (Image.DecompressionBombError, MemoryError):
        return " (too large)"
    except Exception as error:  # every decoder has its own for a broken file
        number = getattr(error, "errno", None)
        return f" ({error.strerror})" if number else ""


def _square(image, size):
    """The middle of an opened picture: upright, scaled, on white, as an array (size, size, 3) of uint8."""
    from PIL import Image

    image.load()
    turn = _turn(image)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2  # may lie within a pixel
    inner = (left % 1, top % 1, left % 1 + side, top % 1 + side)
    outer = (int(left), int(top), math.ceil(left + side), math.ceil(top + side))
    image = _in_plain_colours(image.crop(outer))
    image = image.resize(
        (size, size), Image.Resampling.BILINEAR, box=inner
    )  # averages over all pixels of the square, however large it is
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    image = image.convert("RGB")
    return np.asarray(image if turn is None else image.transpose(turn))


def _in_plain_colours(image):
    """The picture with colours that can be averaged: grey, RGB, or RGBA if any of it is transparent."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits a pixel: keep the upper eight
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _turn(image):
    """How to turn a picture so that it stands upright, as its camera noted in it; None if it does already."""
    from PIL import ExifTags, Image

    try:
        noted = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # a broken note about a picture that can be read
        return None
    turns = Image.Transpose
    return {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }.get(noted)


# --- where the small pictures are kept ------------------------------------------------------------------------------


class _Memory:
    """Keeps few small pictures."""

    def __init__(self):
        self.pictures = []

    def add(self, picture):
        self.pictures.append(picture)

    def data_set(self, size, order):
        """The pictures in this order as a `tf.data.Dataset`."""
        with quietly():
            import tensorflow as tf

            return tf.data.Dataset.from_tensor_slices(
                np.stack([self.pictures[place] for place in order])
            )

    def clear(self):
        self.pictures.clear()


class _Disk:
    """Keeps many small pictures one after the other in a temporary file, which no pass reads into memory as a whole."""

    def __init__(self, size):
        self.bytes_each = size * size * 3
        self.folder = tempfile.mkdtemp(prefix="pictures_")
        self.file = open(os.path.join(self.folder, "as_found"), "w+b")

    def add(self, picture):
        with self._room_said():
            self.file.write(picture.tobytes())

    def data_set(self, size, order):
        """The pictures in this order as a `tf.data.Dataset`; with its last user the file goes, too."""
        shuffled = os.path.join(self.folder, "shuffled")
        with self._room_said(), open(shuffled, "wb") as file:
            for place in order:
                self.file.seek(place * self.bytes_each)
                file.write(self.file.read(self.bytes_each))
        self.file.close()
        os.remove(self.file.name)
        with quietly():
            import tensorflow as tf

            def picture(record):
                return tf.reshape(tf.io.decode_raw(record, "uint8"), (size, size, 3))

            records = tf.data.FixedLengthRecordDataset(shuffled, self.bytes_each)
            records = records.apply(tf.data.experimental.assert_cardinality(len(order)))
            pictures = records.map(picture)
        weakref.finalize(records, self.clear)  # every data set made from it keeps `records` alive
        return pictures

    def clear(self):
        with contextlib.suppress(OSError):  # a full disk, once more
            self.file.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def _room_said(self):
        """Say in one sentence that the disk is full."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            where = tempfile.gettempdir()
            raise OSError(
                error.errno,
                f"there is no room for the small pictures in {where}. Make room there, set TMPDIR to a folder on a larger "
                "disk before Python starts, or ask for a smaller size.",
            ) from None
