"""The data sets of the book."""

import hashlib
import io
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "data"
DIGITS_SHA256 = "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e"

# Pictures before this one are for training. The digits were written on forms of about 130 each, one after the other;
# nine whole forms come before it and five after it, so that no form stands on both sides. Pictures of one form look
# alike: shuffled first, a model is tested on hands that it has seen, and looks better than it is.
DIGITS_SPLIT = 1157


def load_data(name):
    """Load a data set, split into a part to train on and a part to test on, as Keras' own loaders do.

    ``"digits"`` ships with the book: 1,797 handwritten digits, each 8 x 8 counts from 0 to 16 (how many of the 16
    dots of a small square were inked). The first 1,157 are for training; the other 640 come from forms that the
    training part has not seen. Origin and licence: ``data/digits.md``.

    Args:
        name: ``"digits"``.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: pictures as uint8 of shape (n, 8, 8), labels as uint8 of shape (n,).

    Raises:
        ValueError: if there is no data set of this name.
        OSError: if the file is missing or damaged.

    >>> (x_train, y_train), (x_test, y_test) = load_data("digits")
    >>> x_train.shape, y_test.shape, int(x_train.max())
    ((1157, 8, 8), (640,), 16)
    """
    if name != "digits":
        raise ValueError(f"there is no data set {name!r}; there is 'digits'.")
    arrays = _read_npz(FOLDER / "digits.npz", DIGITS_SHA256)
    images, labels, split = arrays["images"], arrays["labels"], DIGITS_SPLIT
    return (images[:split], labels[:split]), (images[split:], labels[split:])


def _read_npz(path, sha256):
    """The arrays of a file that ships with the book, after its checksum was found right."""
    mend = f"Restore it: 'git checkout -- data/{path.name}', or take the file from a fresh copy of the book."
    if not path.is_file():
        raise FileNotFoundError(f"the data file {path} is missing. {mend}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise OSError(f"the data file {path} is damaged: its sha256 is {found}, expected {sha256}. {mend}")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)
