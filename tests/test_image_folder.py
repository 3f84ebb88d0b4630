"""A reader's own pictures: folders made here, with good, odd and broken files in them; and the memory that reading takes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bigmodel_helpers as bh

ROOT = Path(__file__).resolve().parent.parent


def save(path, pixels, mode=None):
    Image.fromarray(pixels).convert(mode).save(path)  # no mode: as it is


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Three bands, red, green and blue, wide and high; a grey one in a folder inside."""
    bands = np.zeros((20, 60, 3), np.uint8)
    for place in range(3):
        bands[:, 20 * place : 20 * (place + 1), place] = 200
    save(tmp_path / "wide.png", bands)
    save(tmp_path / "high.PNG", bands.transpose(1, 0, 2).copy())
    (tmp_path / "inside").mkdir()
    save(tmp_path / "inside" / "grey.jpeg", np.full((50, 40), 77, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture, and not counted")
    return tmp_path


def test_pictures_are_the_middle_square_scaled(folder, capfd):
    pictures = bh.image_folder(folder, 16)
    arrays = np.stack(list(pictures))
    assert len(pictures) == 3 and arrays.shape == (3, 16, 16, 3) and arrays.dtype == np.uint8
    colours = sorted(tuple(int(v) for v in picture.mean(axis=(0, 1)).round()) for picture in arrays)
    assert colours == [(0, 200, 0), (0, 200, 0), (77, 77, 77)]
    assert capfd.readouterr() == ("", "")


def test_scaling_down_averages_instead_of_picking(tmp_path):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    save(tmp_path / "stripes.png", stripes)
    (picture,) = bh.image_folder(tmp_path, 8)
    np.testing.assert_allclose(picture[2:-2, 2:-2], 100, atol=8)


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "1", "CMYK"])
def test_every_usual_kind_of_file_has_three_channels(tmp_path, mode):
    save(tmp_path / ("a.jpg" if mode == "CMYK" else "a.png"), noise(30, 20, 3), mode)
    (picture,) = bh.image_folder(str(tmp_path), 8)
    assert picture.shape == (8, 8, 3)


def test_the_order_is_shuffled_and_always_the_same(tmp_path):
    for number in range(30):
        save(tmp_path / f"{number:02}.png", np.full((4, 4), number, np.uint8))
    first, second = (
        [int(picture[0, 0, 0]) for picture in bh.image_folder(tmp_path, 4)] for _ in range(2)
    )
    assert first == second != sorted(first) and sorted(first) == list(range(30))
    parts = bh.image_folder(tmp_path, 4)
    assert [
        int(picture[0, 0, 0]) for part in (parts.take(10), parts.skip(10)) for picture in part
    ] == first


def test_broken_files_are_named_counted_and_left_out(folder, capfd):
    save(folder / "whole.jpg", noise(40, 40, 3))
    content = (folder / "whole.jpg").read_bytes()
    (folder / "inside" / "cut.jpg").write_bytes(content[: len(content) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "words.jpg").write_text("hello")
    pictures = bh.image_folder(folder, 8)
    assert len(list(pictures)) == len(pictures) == 4
    out, err = capfd.readouterr()
    cut = os.path.join("inside", "cut.jpg")
    assert (
        out
        == f"3 of 7 files cannot be read as pictures and are left out: empty.png, {cut}, words.jpg\n"
    )
    assert err == ""


def test_many_broken_files_are_not_all_named(folder, capfd):
    for number in range(8):
        (folder / f"broken_{number}.png").write_bytes(b"x")
    bh.image_folder(folder, 8)
    assert (
        "8 of 11 files" in (out := capfd.readouterr().out)
        and out.count("broken_") == 5
        and out.endswith(", ...\n")
    )


def test_wrong_paths_and_sizes_are_said(tmp_path, folder):
    for path, message in (
        (tmp_path / "nowhere", "is no folder. Give the path of a folder"),
        (folder / "wide.png", "is a file, not a folder"),
    ):
        with pytest.raises(ValueError, match=message):
            bh.image_folder(path, 8)
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        ValueError, match="there is no picture in .*expected files that end with .jpeg, .jpg, .png"
    ):
        bh.image_folder(tmp_path / "empty", 8)
    (tmp_path / "empty" / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="none of the 1 files in .* can be read"):
        bh.image_folder(tmp_path / "empty", 8)
    for size in (0, -3, 2.5, "64"):
        with pytest.raises(
            ValueError, match="size is .*, expected the side of a picture in pixels"
        ):
            bh.image_folder(folder, size)


PEAK = """
import resource, sys
import bigmodel_helpers as bh
pictures = bh.image_folder(sys.argv[1], 256)
seen = sum(len(batch) for batch in pictures.shuffle(20).batch(10))
print(seen, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(
    sys.platform == "win32", reason="the standard library measures no peak memory there"
)
def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
    """Ten files under many names: 1,400 more pictures of 256 x 256 would be 275 MB if they were kept."""
    peaks = {}
    for count in (100, 1500):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            if number < 10:
                save(folder / f"{number}.jpg", noise(300, 280, 3, seed=number))
            else:
                os.link(folder / f"{number % 10}.jpg", folder / f"{number}.jpg")
        done = subprocess.run(
            [sys.executable, "-c", PEAK, folder], cwd=ROOT, capture_output=True, text=True
        )
        seen, peak = map(int, done.stdout.split())
        assert seen == count
        peaks[count] = peak / (
            1e6 if sys.platform == "darwin" else 1e3
        )  # bytes there, kB elsewhere
    assert peaks[1500] - peaks[100] < 60, peaks
