"""The data that ships, held against where it came from."""

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
