"""The data that ships, held against where it came from."""

import gzip
import hashlib

import numpy as np
import pytest
from sklearn.datasets import load_digits

import bigmodel_helpers as bh
from bigmodel_helpers import data


def whole():
    (x_train, y_train), (x_test, y_test) = bh.load_data("digits")
    return np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])


def test_digits_are_the_published_ones_in_the_published_order():
    images, labels = whole()
    published = load_digits()
    assert images.dtype == labels.dtype == np.uint8
    assert np.array_equal(images, published.images) and np.array_equal(labels, published.target)


def test_the_split_falls_between_two_forms():
    """The labels of one form repeat in the next: shifted by a form's length, labels at the cut agree."""
    _, labels = whole()
    form = labels[data.DIGITS_SPLIT : data.DIGITS_SPLIT + 128]
    matches = [
        start
        for start in range(len(labels) - 128)
        if np.mean(labels[start : start + 128] == form) > 0.95
    ]
    assert data.DIGITS_SPLIT in matches and len(matches) >= 8, (
        "the form that begins at the cut comes again and again"
    )
    assert 0 in matches, "and the first form of all begins in the same way"


def test_a_damaged_file_is_named_and_a_way_to_mend_it_given(tmp_path, monkeypatch):
    damaged = bytearray((data.FOLDER / "digits.npz").read_bytes())
    damaged[1000] ^= 1
    (tmp_path / "digits.npz").write_bytes(damaged)
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    with pytest.raises(OSError, match="is damaged: its sha256 is .* Restore it: .git checkout"):
        bh.load_data("digits")


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="digits.npz is missing"):
        bh.load_data("digits")


def test_the_data_card_tells_checksum_size_licence_and_origin():
    card = (data.FOLDER / "digits.md").read_text(encoding="utf-8")
    content = (data.FOLDER / "digits.npz").read_bytes()
    for fact in (
        hashlib.sha256(content).hexdigest(),
        f"{len(content):,} bytes",
        "CC BY 4.0",
        "10.24432/C50P49",
    ):
        assert fact in card


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "nothing"), (1, "a"), (6, "a, b, c, d, e, f"), (7, "a, b, c, d, e, f, ...")],
)
def test_of_many_names_six_are_shown(count, shown):
    assert data._shortly("abcdefgh"[:count]) == shown


def test_names_with_quotes_and_line_breaks_stay_on_their_line():
    assert data._shortly(["a\nb", "it's"]) == "a\\nb, it's"


def test_what_is_learnt_on_and_what_is_tested_on_is_the_whole_set_once():
    (x_train, y_train), (x_test, y_test) = bh.load_data("digits")
    assert (len(x_train), len(y_train), len(x_test), len(y_test)) == (1157, 1157, 640, 640)
    assert x_train.shape[1:] == x_test.shape[1:] == (8, 8)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"5\t0\r\n4 \x7f", "text"),
        (b"\n <HTML>", "an HTML page"),
        (b"a\x08", "something unknown (it begins with b'a\\x08')"),
        (b"abcde\x0e", "something unknown (it begins with b'abcd')"),
        (b"\x1f", "something unknown (it begins with b'\\x1f')"),
        (b"a" * 1000 + b"\0", "text"),
        (b"a" * 999 + b"\0", "something unknown (it begins with b'aaaa')"),
        (bytes(257) + b"ustar", "a tar archive: unpack it first"),
        (b"\x80\x04x", "a pickle of Python, which is not opened"),
        (b"\x80\x06x", "something unknown (it begins with b'\\x80\\x06x')"),
        (b"x\x80\x04", "something unknown (it begins with b'x\\x80\\x04')"),
        (b"\x00\x00\x08\x02", "an idx file"),
    ],
)
def test_a_file_under_a_wrong_name_is_told_by_how_it_begins(content, kind):
    assert data._looks_like(content) == kind


def made(count=3, highest=9):
    """Pictures and labels of both parts, in the form of MNIST."""
    labels = np.arange(count, dtype=np.uint8) % 10
    labels[-1] = highest
    return 2 * ((np.arange(count * 784, dtype=np.uint8).reshape(count, 28, 28), labels),)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (made(highest=10), "y_train holds the label 10, expected 0 to 9"),
        ((made()[0], made(highest=255)[0]), "y_test holds the label 255"),
        (
            ((made()[0][0][:2], made()[0][1]), made()[1]),
            "2 pictures and 3 labels in the train part",
        ),
        ((made()[0], (made()[0][0][:0], made()[0][1][:0])), "0 pictures and 0 labels in the test"),
        (((made()[0][0] * 1.0, made()[0][1]), made()[1]), r"x_train is float64 \(3, 28, 28\)"),
        (((made()[0][0][:, 1:], made()[0][1]), made()[1]), r"expected uint8 \(n, 28, 28\)"),
        ((made()[0], (made()[0][0], made()[0][1][:, None])), r"y_test is uint8 \(3, 1\)"),
    ],
)
def test_arrays_that_are_not_what_the_name_promises_are_refused(parts, words):
    data._check(made(), "mnist")
    with pytest.raises(ValueError, match=words):
        data._check(parts, "mnist")


def test_a_cached_set_of_four_files_is_read_and_checked(tmp_path):
    for highest in (9, 10):
        parts = made(highest=highest)
        for (x, y), prefix in zip(parts, ("train", "t10k")):
            folder = tmp_path / "fashion-mnist"
            folder.mkdir(exist_ok=True)
            images = gzip.compress(bytes(16) + x.tobytes())
            (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(images)
            labels = gzip.compress(bytes(8) + y.tobytes())
            (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(labels)
        if highest == 9:
            found, doubtful = data._read_cached(tmp_path, "fashion_mnist")
            for expected, part in zip(parts, found):
                assert all(np.array_equal(a, b) for a, b in zip(expected, part))
            assert doubtful is None
        else:
            with pytest.raises(ValueError, match="holds the label 10"):
                data._read_cached(tmp_path, "fashion_mnist")
