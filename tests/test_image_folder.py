"""A reader's own pictures: folders made here, with good, odd and broken files in them; and the memory that reading takes."""

import errno
import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bigmodel_helpers as bh
from bigmodel_helpers import pictures as module

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


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_scaling_down_averages_instead_of_picking(tmp_path, mode):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    save(tmp_path / "stripes.png", stripes, mode)
    (picture,) = bh.image_folder(tmp_path, 8)
    np.testing.assert_allclose(picture[2:-2, 2:-2], 127, atol=10)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK"])
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


@pytest.mark.parametrize("size", [0, -3, 2.5, "64", None, True, np.True_, 4097])
def test_a_size_that_is_no_side_of_a_picture_is_refused(folder, size):
    with pytest.raises(ValueError, match="size is .*, expected the side of a picture in pixels"):
        bh.image_folder(folder, size)


@pytest.mark.parametrize("size", [8, np.int64(8), np.uint8(8)])
def test_a_whole_number_of_numpy_is_a_size(folder, size):
    assert bh.image_folder(folder, size).element_spec.shape == (8, 8, 3)


def test_one_pixel_is_a_size(folder):
    assert bh.image_folder(folder, 1).element_spec.shape == (1, 1, 3)


@pytest.mark.parametrize("path", [None, 3, "", "a\0b", b"nowhere\xff"])
def test_a_path_that_is_none_is_one_sentence(path):
    with pytest.raises(ValueError, match="path of a folder") as refused:
        bh.image_folder(path, 8)
    assert str(refused.value).isprintable()


# --- which files are read ---------------------------------------------------------------------------------------------


def plain(grey=77):
    return np.full((30, 30, 3), grey, np.uint8)


@pytest.mark.parametrize("ending", ["jpg", "JPEG", "jfif", "jpe", "png", "webp", "gif", "bmp"])
def test_formats_that_are_read(tmp_path, ending, capfd):
    kind = "jpeg" if ending in ("jfif", "jpe") else None
    Image.fromarray(plain()).save(tmp_path / f"a.{ending}", format=kind)
    (picture,) = bh.image_folder(tmp_path, 8)
    np.testing.assert_allclose(picture, 77, atol=1)
    assert capfd.readouterr() == ("", "")


def test_a_telephones_two_pictures_in_one_jpeg_are_one(tmp_path):
    first, second = Image.fromarray(plain(77)), Image.fromarray(plain(99))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    (picture,) = bh.image_folder(tmp_path, 8)
    np.testing.assert_allclose(picture, 77, atol=1)


def test_files_of_other_formats_are_counted_by_format(folder, capfd):
    for name in ("a.heic", "b.HEIC", "c.tiff", "d.avif", "e.HEIF"):
        (folder / "inside" / name).write_bytes(b"something")
    assert len(bh.image_folder(folder, 8)) == 3
    assert capfd.readouterr() == (
        "5 files of other picture formats are passed over: 1 AVIF, 2 HEIC, 1 HEIF, 1 TIFF. "
        "Save them as JPEG or PNG to use them.\n",
        "",
    )


def test_a_folder_of_another_format_alone_is_refused_with_the_count(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"something")
    words = (
        "there is no picture in .* 1 file of another picture format is passed over: 1 HEIC. Save it"
    )
    with pytest.raises(ValueError, match=words):
        bh.image_folder(tmp_path, 8)


@pytest.mark.parametrize(
    "hidden",
    [
        ".thumbnails/a.png",
        ".ipynb_checkpoints/a.png",
        "inside/__MACOSX/a.png",
        "@eaDir/a.png",
        ".hidden.png",
        "inside/._grey.jpeg",
        ".b.heic",
    ],
)
def test_hidden_files_and_folders_are_left_alone(folder, hidden, capfd):
    (folder / hidden).parent.mkdir(exist_ok=True)
    save(folder / "whole.png", plain())
    (folder / hidden).write_bytes((folder / "whole.png").read_bytes())
    assert len(bh.image_folder(folder, 8)) == 4
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_that_are_not_utf_8_are_read_and_printed(tmp_path, capfd):
    save(tmp_path / "a.png", plain())
    good, bad = (os.fsencode(tmp_path) + b"/" + name for name in (b"caf\xe9.png", b"b\xe9\n.png"))
    os.rename(tmp_path / "a.png", good)
    with open(bad, "wb") as file:
        file.write(b"no picture")
    assert len(list(bh.image_folder(tmp_path, 8))) == 1
    out, err = capfd.readouterr()
    assert out.endswith("left out: b\\udce9\\n.png\n") and err == ""
    os.remove(good)
    with pytest.raises(ValueError, match="none of the 1 files") as refused:
        bh.image_folder(tmp_path, 8)
    assert str(refused.value).isprintable()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_followed_once_and_never_round_in_circles(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save(elsewhere / "a.png", plain())
    for name, target in (
        ("loop", "."),
        ("inside/up", ".."),
        ("all", "/"),
        ("again", "inside"),
        ("out", elsewhere),
    ):
        os.symlink(target, folder / name)
    os.symlink(folder, elsewhere / "back")
    assert len(bh.image_folder(folder, 8)) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such files there")
def test_what_cannot_be_opened_is_named_with_the_reason(folder, capfd):
    os.symlink("nowhere", folder / "broken.png")
    os.symlink("round.png", folder / "round.png")
    os.mkfifo(folder / "pipe.png")
    assert len(bh.image_folder(folder, 8)) == 3
    out, err = capfd.readouterr()
    for said in ("broken.png (No such file", "round.png (Too many levels", "pipe.png (no file)"):
        assert said in out
    assert err == ""


def denied(*names):
    """`os.scandir` or `os.stat`, but for these names, whose reading is not allowed."""

    def wrapped(function):
        def call(path, *arguments, **options):
            if not isinstance(path, int) and Path(os.fsdecode(path)).name in names:
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return function(path, *arguments, **options)

        return call

    return wrapped


def test_folders_and_files_without_permission_are_named(folder, monkeypatch, capfd):
    (folder / "private").mkdir()
    (folder / "read after it").mkdir()
    save(folder / "read after it" / "a.png", plain())
    monkeypatch.setattr(os, "scandir", denied("private")(os.scandir))
    monkeypatch.setattr(module.os, "stat", denied("wide.png")(os.stat))
    assert len(bh.image_folder(folder, 8)) == 3
    assert capfd.readouterr() == (
        "folders that cannot be opened are left out: private (Permission denied)\n"
        "1 of 4 files cannot be read as pictures and are left out: wide.png (Permission denied)\n",
        "",
    )


def test_a_folder_without_permission_is_refused(folder, monkeypatch):
    monkeypatch.setattr(os, "scandir", denied(folder.name)(os.scandir))
    with pytest.raises(ValueError, match=r"cannot be opened \(Permission denied\)"):
        bh.image_folder(folder, 8)


# --- how they look ----------------------------------------------------------------------------------------------------


def corners(upright=True):
    """Red, green, blue and white quarters."""
    colours = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
    return colours.repeat(32, axis=0).repeat(32, axis=1)


# How a picture must have been stored for each note of a camera that asks to turn it upright.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
@pytest.mark.parametrize("note", STORED)
def test_pictures_stand_upright_as_their_camera_noted(tmp_path, note, ending):
    exif = Image.Exif()
    exif[0x0112] = note
    wide = np.pad(corners(), ((0, 0), (5, 6), (0, 0)))  # black on the sides: of the middle, nothing
    stored = np.ascontiguousarray(STORED[note](wide))
    options = {"webp": {"lossless": True}, "jpg": {"quality": 95}}.get(ending, {})
    Image.fromarray(stored).save(tmp_path / f"a.{ending}", exif=exif, **options)
    (picture,) = bh.image_folder(tmp_path, 16)
    np.testing.assert_allclose(picture[3:13:9, 3:13:9], corners()[::63, ::63], atol=40)


@pytest.mark.parametrize("note", [0, 9])
def test_a_senseless_note_turns_nothing(tmp_path, note, capfd):
    exif = Image.Exif()
    exif[0x0112] = note
    Image.fromarray(corners()).save(tmp_path / "a.jpg", exif=exif)
    (picture,) = bh.image_folder(tmp_path, 16)
    np.testing.assert_allclose(picture[3:13:9, 3:13:9], corners()[::63, ::63], atol=40)
    assert capfd.readouterr() == ("", "")


def test_a_broken_note_turns_nothing(tmp_path, capfd):
    Image.fromarray(corners()).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fjunk")
    (picture,) = bh.image_folder(tmp_path, 16)
    assert picture.shape == (16, 16, 3) and capfd.readouterr() == ("", "")


def one(folder, image, name="a.png", **options):
    """The colour in the middle of a picture once it is stored and read."""
    image.save(folder / name, **options)
    (picture,) = bh.image_folder(folder, 8)
    return picture[4, 4].numpy().tolist()


@pytest.mark.parametrize(
    ("mode", "colour", "seen"),
    [
        ("RGBA", (200, 0, 0, 0), [255, 255, 255]),
        ("RGBA", (0, 0, 0, 128), [127, 127, 127]),
        ("RGBA", (200, 10, 20, 255), [200, 10, 20]),
        ("LA", (0, 0), [255, 255, 255]),
        ("LA", (90, 255), [90, 90, 90]),
    ],
)
def test_what_is_transparent_lies_on_white(tmp_path, mode, colour, seen):
    assert one(tmp_path, Image.new(mode, (20, 20), colour)) == seen


@pytest.mark.parametrize(
    ("mode", "colour", "transparent"), [("P", 3, 3), ("L", 7, 7), ("RGB", (1, 2, 3), (1, 2, 3))]
)
def test_a_colour_that_is_called_transparent_is_white(tmp_path, mode, colour, transparent):
    image = Image.new(mode, (20, 20), colour)
    if mode == "P":
        image.putpalette(list(range(30)))
    assert one(tmp_path, image, transparency=transparent) == [255, 255, 255]


def test_an_invisible_colour_does_not_bleed_into_its_neighbours(tmp_path):
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 33, 64))
    image.save(tmp_path / "a.png")
    (picture,) = bh.image_folder(tmp_path, 8)
    assert np.ptp(picture.numpy().astype(int), axis=-1).max() == 0, "greys only: there is no red"


@pytest.mark.parametrize("value", [0, 1000, 30_000, 65_535])
def test_sixteen_bits_keep_their_brightness(tmp_path, value):
    seen = one(tmp_path, Image.fromarray(np.full((20, 20), value, np.uint16)))
    np.testing.assert_allclose(seen, [value / 257] * 3, atol=1)


def test_a_jpeg_for_the_printer_has_the_right_colours(tmp_path):
    seen = one(tmp_path, Image.new("RGB", (20, 20), (200, 30, 60)).convert("CMYK"), "a.jpg")
    np.testing.assert_allclose(seen, (200, 30, 60), atol=3)


def test_of_a_moving_picture_the_first_counts(tmp_path):
    frames = [Image.fromarray(plain(grey)) for grey in (50, 100, 150)]
    seen = one(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert seen == [50, 50, 50]


# --- large ones and many of them --------------------------------------------------------------------------------------


def test_pictures_too_large_to_open_are_named_and_large_ones_read(folder, monkeypatch, capfd):
    monkeypatch.setattr(
        Image, "MAX_IMAGE_PIXELS", 5000
    )  # from here on a warning, from twice as many an error
    save(folder / "large.png", noise(80, 80, 3))
    save(folder / "larger.png", noise(101, 100, 3))
    assert len(bh.image_folder(folder, 8)) == 4
    assert capfd.readouterr() == (
        "1 of 5 files cannot be read as pictures and are left out: larger.png (too large)\n",
        "",
    )


def test_large_jpegs_are_decoded_at_a_smaller_scale(tmp_path, monkeypatch):
    save(tmp_path / "a.jpg", np.full((800, 800, 3), 77, np.uint8))
    seen, square = [], module._square
    monkeypatch.setattr(
        module, "_square", lambda image, size: (seen.append(image.size), square(image, size))[1]
    )
    bh.image_folder(tmp_path, 50)
    assert seen == [(100, 100)]


@pytest.fixture(params=["in memory", "on disk"])
def kept(request, monkeypatch, tmp_path_factory):
    """Both places for small pictures; the folder for temporary files, which must be empty in the end."""
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    if request.param == "on disk":
        monkeypatch.setattr(module, "_IN_MEMORY", 0)
    return temporary, request.param


def test_each_file_is_decoded_once_and_no_longer_needed(tmp_path, kept, monkeypatch):
    for number in range(40):
        save(tmp_path / f"{number:02}.png", np.full((4, 4), number, np.uint8))
    temporary, where = kept
    pictures = bh.image_folder(tmp_path, 4)
    for file in tmp_path.glob("*.png"):
        file.unlink()
    first, second = ([int(picture[0, 0, 0]) for picture in pictures] for _ in range(2))
    rest = pictures.skip(10).map(lambda picture: picture + 1)
    expected = np.random.default_rng(0).permutation(40).tolist()
    assert first == second == expected and len(pictures) == 40 and len(rest) == 30
    del pictures
    gc.collect()
    assert (where == "on disk") == bool(list(temporary.glob("pictures_*"))), (
        "a part of it is still in use"
    )
    assert [int(picture[0, 0, 0]) - 1 for picture in rest] == expected[10:]
    del rest
    gc.collect()
    assert list(temporary.glob("pictures_*")) == []


def test_shuffled_and_batched_they_are_all_there(tmp_path, kept):
    for number in range(40):
        save(tmp_path / f"{number:02}.png", np.full((4, 4), number, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"")
    chunks = bh.image_folder(tmp_path, 4).shuffle(20, seed=0).batch(8, drop_remainder=True).batch(2)
    assert sorted(
        np.concatenate([chunk.numpy().ravel() for chunk in chunks])[::48].tolist()
    ) == list(range(40))


def test_nothing_is_left_behind_if_reading_fails(folder, kept, monkeypatch):
    temporary, _ = kept
    monkeypatch.setattr(module, "_read_all", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        bh.image_folder(folder, 8)
    assert list(temporary.glob("pictures_*")) == []


def test_a_full_disk_is_one_sentence(folder, tmp_path_factory, monkeypatch):
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(module, "_IN_MEMORY", 0)

    class Full:
        name = "full"

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    made = module._Disk.__init__

    def on_a_full_disk(self, size):
        made(self, size)
        self.file.close()
        self.file = Full()

    monkeypatch.setattr(module._Disk, "__init__", on_a_full_disk)
    with pytest.raises(OSError, match="no room for the small pictures in .*Make room") as failed:
        bh.image_folder(folder, 8)
    assert failed.value.errno == errno.ENOSPC and list(temporary.iterdir()) == []


PEAK = """
import resource, sys
import bigmodel_helpers as bh
for folder in sys.argv[1:]:
    pictures = bh.image_folder(folder, 256)
    seen = sum(len(batch) for batch in pictures.shuffle(20).batch(10))
    print(seen, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(
    sys.platform == "win32", reason="the standard library measures no peak memory there"
)
def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path):
    """Ten files under many names: 700 more pictures of 256 x 256 would be 138 MB if they were kept in memory."""
    counts = (100, 800)
    for count in counts:
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            if number < 10:
                save(folder / f"{number}.jpg", noise(300, 280, 3, seed=number))
            else:
                os.link(folder / f"{number % 10}.jpg", folder / f"{number}.jpg")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *(tmp_path / str(count) for count in counts)],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    seen, peaks = zip(*(map(int, line.split()) for line in done.stdout.splitlines()))
    assert seen == counts
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kB elsewhere
    assert (peaks[1] - peaks[0]) / unit < 60, peaks
    assert list(temporary.glob("pictures_*")) == [], "at the end of the program nothing is left"


def test_of_many_names_five_are_shown():
    assert module._named(list("abcde")) == "a, b, c, d, e"
    assert module._named(list("abcdef")) == "a, b, c, d, e, ..."
    assert module._named(["a"]) == "a" and module._named([]) == ""
