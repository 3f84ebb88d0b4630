"""Larger data: a file that somebody brought, and Keras' loaders against a server on this machine that misbehaves."""

import errno
import functools
import gzip
import hashlib
import http.server
import io
import os
import pickle
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import filelock
import keras
import numpy as np
import pytest

import bigmodel_helpers as bh
from bigmodel_helpers import data

SHAPES = {"mnist": ((28, 28), ()), "fashion_mnist": ((28, 28), ()), "cifar10": ((32, 32, 3), (1,))}


def made(name, n_train=20, n_test=10, seed=0):
    """Arrays of the right form, by Keras' names."""
    rng, (picture, label) = np.random.default_rng(seed), SHAPES[name]
    arrays = {}
    for part, n in (("train", n_train), ("test", n_test)):
        arrays[f"x_{part}"] = rng.integers(0, 256, (n, *picture), dtype=np.uint8)
        arrays[f"y_{part}"] = rng.integers(0, 10, (n, *label), dtype=np.uint8)
    return arrays


# --- a file that somebody brought -------------------------------------------------------------------------------------


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    monkeypatch.setattr(
        data, "_download", lambda name: pytest.fail("a file is there, nothing may be downloaded")
    )
    (tmp_path / "downloads").mkdir()
    return tmp_path / "downloads"


@pytest.mark.parametrize("name", SHAPES)
def test_a_file_that_was_brought_is_used_whatever_its_size(downloads, name):
    arrays = made(name)
    np.savez(downloads / f"{name}.npz", **arrays)
    (x_train, y_train), (x_test, y_test) = bh.load_data(name)
    for found, kept in (
        (x_train, "x_train"),
        (y_train, "y_train"),
        (x_test, "x_test"),
        (y_test, "y_test"),
    ):
        assert np.array_equal(found, arrays[kept]) and found.dtype == np.uint8


def changed(**changes):
    return lambda arrays: arrays | {key: change(arrays[key]) for key, change in changes.items()}


DEFECTS = {
    "no labels": (
        lambda arrays: {key: value for key, value in arrays.items() if key != "y_test"},
        "y_test",
    ),
    "floats": (
        changed(x_train=lambda x: x / 255),
        r"x_train is float64 \(20, 28, 28\), expected uint8 \(n, 28, 28\)",
    ),
    "signed labels": (changed(y_train=lambda y: y.astype(int)), "y_train is int64"),
    "flat pictures": (changed(x_test=lambda x: x.reshape(10, 784)), r"x_test is uint8 \(10, 784\)"),
    "column of labels": (changed(y_test=lambda y: y[:, None]), r"y_test is uint8 \(10, 1\)"),
    "other lengths": (changed(y_train=lambda y: y[:-1]), "20 pictures and 19 labels"),
    "nothing": (changed(x_test=lambda x: x[:0], y_test=lambda y: y[:0]), "0 pictures and 0 labels"),
    "label 10": (changed(y_test=lambda y: y + 10), "expected 0 to 9"),
    "another set": (lambda arrays: made("cifar10"), r"\(20, 32, 32, 3\)"),
    "pickled objects": (
        changed(y_test=lambda y: np.array([print] * 10, dtype=object)),
        "y_test in it holds Python objects, which are not opened",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_file_that_is_not_what_its_name_says_is_refused_with_what_was_found(downloads, defect):
    change, words = DEFECTS[defect]
    np.savez(downloads / "mnist.npz", **change(made("mnist")))
    with pytest.raises(
        ValueError, match=f"(?s)mnist.npz cannot be used as mnist: .*{words}.*Replace the file"
    ) as refused:
        bh.load_data("mnist")
    assert "\n" not in str(refused.value) and "pickle" not in str(refused.value)
    assert (downloads / "mnist.npz").exists(), "what a reader brought is never deleted"


class Malicious:
    def __reduce__(self):
        return os.makedirs, ("unpickled",)


def npz(save=np.savez, **arrays):
    """The content of an .npz file."""
    packed = io.BytesIO()
    save(packed, **arrays)
    return packed.getvalue()


def npy(array):
    packed = io.BytesIO()
    np.save(packed, array)
    return packed.getvalue()


def zip_of_texts():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("read me.txt", "hello")
        archive.writestr("x_train.npy", "hello")
    return packed.getvalue()


# What people have given the name mnist.npz, and what the sentence must say about it.
NO_NPZ = {
    "empty": (b"", "it is no .npz file, but empty"),
    "page": (b"\n<!doctype HTML><title>404</title>", "it is no .npz file, but an HTML page"),
    "text": ("5, 0, 4, 1, größer\n".encode() * 999, "it is no .npz file, but text"),
    "text in utf-16": ("5, 0, 4, 1".encode("utf-16"), "it is no .npz file, but text"),
    "matlab": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(500), "but a MATLAB file"),
    "new matlab": (b"MATLAB 7.3 MAT-file" + bytes(500), "but a MATLAB file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(500), "but an HDF5 file"),
    "npy": (npy(np.arange(9)), "but a .npy array"),
    "npy of objects": (npy(np.array([print])), "but a .npy array"),
    "gzip": (gzip.compress(b"x" * 99), "but a gzip file"),
    "idx": (
        bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(784),
        "idx file of pic",
    ),
    "labels": (bytes([0, 0, 8, 1, 0, 0, 0, 1, 5]), "but an idx file of labels"),
    "pickle": (pickle.dumps(Malicious()), "but a pickle of Python, which is not opened"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS"),
    "noise": (b"\x01\x02\x03\x04" * 99, "but something unknown"),
    "cut short": (npz(**made("mnist"))[:9999], "it is cut short or damaged"),
    "the beginning alone": (b"PK\x03\x04", "it is cut short or damaged"),
    "empty archive": (npz(), "it holds no array x_train, but nothing"),
    "no arrays in it": (zip_of_texts(), "x_train in it holds no array"),
    "another archive": (npz(a=np.arange(3)), "it holds no array x_train, but a"),
}


@pytest.mark.parametrize("what", NO_NPZ)
def test_a_file_that_is_no_npz_is_one_sentence_and_never_unpickled(downloads, monkeypatch, what):
    monkeypatch.chdir(downloads)
    content, words = NO_NPZ[what]
    (downloads / "mnist.npz").write_bytes(content)
    with pytest.raises(ValueError, match=f"cannot be used as mnist: .*{words}.*Replace") as refused:
        bh.load_data("mnist")
    assert str(refused.value).isprintable() and "allow_pickle" not in str(refused.value)
    assert not (downloads / "unpickled").exists()
    assert (downloads / "mnist.npz").read_bytes() == content


def test_a_folder_in_place_of_a_file_is_one_sentence(downloads):
    (downloads / "mnist.npz").mkdir()
    with pytest.raises(ValueError, match="cannot be used as mnist: it is a folder"):
        bh.load_data("mnist")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_one_wrong_bit_is_noticed_or_does_not_matter(downloads, save):
    arrays = made("mnist", 4, 2)
    arrays = {
        key: array // 64 for key, array in arrays.items()
    }  # so that there is something to compress
    content, rng, refused = npz(save, **arrays), np.random.default_rng(0), 0
    for bit in rng.choice(8 * len(content), 700, replace=False):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (downloads / "mnist.npz").write_bytes(damaged)
        try:
            parts = bh.load_data("mnist")
        except ValueError as error:
            assert "mnist.npz cannot be used as mnist: " in str(error), bit
            assert str(error).isprintable() and "allow_pickle" not in str(error), bit
            refused += 1
        else:
            found = dict(zip(["x_train", "y_train", "x_test", "y_test"], sum(parts, ())))
            assert all(np.array_equal(found[key], arrays[key]) for key in arrays), bit
    assert refused > 300


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_file_that_cannot_be_opened_is_not_called_damaged(downloads, monkeypatch, number):
    (downloads / "mnist.npz").write_bytes(npz(**made("mnist")))
    failing(monkeypatch, OSError(number, os.strerror(number)))
    with pytest.raises(OSError, match="mnist.npz cannot be read .*Make it readable") as failed:
        bh.load_data("mnist")
    assert failed.value.errno == number


def failing(monkeypatch, error):
    """Let no file be read."""
    monkeypatch.setattr(Path, "read_bytes", lambda _: (_ for _ in ()).throw(error))


# --- idx files, as MNIST's own site has them ----------------------------------------------------------------------------


IDX = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def idx(array):
    """The content of an idx file."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def put_idx(folder, arrays, spelling=lambda name: name, packing=lambda content: content):
    folder.mkdir(exist_ok=True)
    for key, name in IDX.items():
        (folder / spelling(name)).write_bytes(packing(idx(arrays[key])))


SPELLINGS = {
    "as on the site": (lambda name: f"{name}.gz", gzip.compress),
    "unpacked": (lambda name: name, bytes),
    "with dots": (lambda name: name.replace("-idx", ".idx"), bytes),
    "with dots, packed": (lambda name: name.replace("-idx", ".idx") + ".gz", gzip.compress),
    "unpacked by a browser that kept the name": (lambda name: f"{name}.gz", bytes),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    ("name", "place"), [("mnist", "."), ("mnist", "mnist"), ("fashion_mnist", "fashion_mnist")]
)
def test_idx_files_are_read_as_the_site_has_them(downloads, name, place, spelling):
    arrays = made(name)
    put_idx(downloads / place, arrays, *SPELLINGS[spelling])
    parts = bh.load_data(name)
    for found, key in zip(sum(parts, ()), IDX):
        assert np.array_equal(found, arrays[key]) and found.dtype == np.uint8


def test_idx_files_without_a_name_are_not_taken_for_fashion(downloads, monkeypatch):
    put_idx(downloads, made("mnist"))
    monkeypatch.setattr(data, "_download", lambda name: "downloaded")
    assert bh.load_data("fashion_mnist") == bh.load_data("cifar10") == "downloaded"


def test_a_whole_set_of_idx_files_comes_before_a_part_of_one(downloads):
    put_idx(downloads, made("mnist"))
    put_idx(downloads / "mnist", made("mnist"))
    (downloads / "mnist" / IDX["x_test"]).unlink()
    assert len(bh.load_data("mnist")) == 2


@pytest.mark.parametrize("missing", IDX)
@pytest.mark.parametrize("place", [".", "mnist"])
def test_a_missing_idx_file_is_named(downloads, missing, place):
    put_idx(downloads / place, made("mnist"))
    (downloads / place / IDX[missing]).unlink()
    with pytest.raises(ValueError, match=f": {IDX[missing]} is missing .*Put it there"):
        bh.load_data("mnist")


IDX_DEFECTS = {
    "cut short": (lambda content: content[:-1], "it holds 15,695 bytes, expected 15,696"),
    "too long": (lambda content: content + b"x", "it holds 15,697 bytes, expected 15,696"),
    "header alone": (lambda content: content[:9], "it holds 9 bytes"),
    "empty": (lambda content: b"", "no idx file with 3 axes, but empty"),
    "page": (lambda content: b"<html>", "no idx file with 3 axes, but an HTML page"),
    "labels": (lambda content: idx(np.zeros(20, np.uint8)), "but an idx file of labels"),
    "floats": (lambda content: b"\0\0\x0d\3" + content[4:], "something unknown"),
    "other side": (lambda content: idx(np.zeros((20, 14, 56), np.uint8)), r"uint8 \(20, 14, 56\)"),
    "fewer": (lambda content: idx(np.zeros((19, 28, 28), np.uint8)), "19 pictures and 20 labels"),
    "huge": (lambda content: content[:4] + b"\xff" * 12 + content[16:], "it holds 15,696 bytes"),
    "cut gzip": (lambda content: gzip.compress(content)[:-9], "it is cut short or damaged"),
    "damaged gzip": (lambda content: gzip.compress(content)[:-8] + bytes(8), "cut short or dam"),
}


@pytest.mark.parametrize("defect", IDX_DEFECTS)
def test_a_damaged_idx_file_is_one_sentence(downloads, defect):
    put_idx(downloads, made("mnist"))
    change, words = IDX_DEFECTS[defect]
    path = downloads / IDX["x_train"]
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=f"cannot be used as mnist: .*{words}.*Replace") as refused:
        bh.load_data("mnist")
    assert str(refused.value).isprintable() and path.exists()


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="'digits', 'mnist', 'fashion_mnist', 'cifar10'"):
        bh.load_data("imagenet")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("MNIST", "mnist"),
        ("Mnist", "mnist"),
        ("fashion-mnist", "fashion_mnist"),
        ("Fashion MNIST", "fashion_mnist"),
        ("CIFAR10", "cifar10"),
        ("cifar-10", "cifar10"),
        ("digit", "digits"),
    ],
)
def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(name, near):
    with pytest.raises(ValueError, match=f"no data set {name!r}, did you mean {near!r}. There are"):
        bh.load_data(name)


@pytest.mark.parametrize("name", [None, 3, ["mnist"], b"mnist", Path("mnist")])
def test_a_name_that_is_no_text_is_one_sentence(name):
    with pytest.raises(ValueError, match="there is no data set .* are 'digits', 'mnist'"):
        bh.load_data(name)


# --- Keras' loaders, and a server that misbehaves -----------------------------------------------------------------------


@functools.cache
def served_files(name):
    """What the set's server would send, made small: by file name."""
    arrays = made(name)
    if name == "mnist":
        packed = io.BytesIO()
        np.savez(packed, **arrays)
        return {"mnist.npz": packed.getvalue()}
    if name == "fashion_mnist":
        files = {}
        for part, prefix in (("train", "train"), ("test", "t10k")):
            files[f"{prefix}-labels-idx1-ubyte.gz"] = gzip.compress(
                bytes(8) + arrays[f"y_{part}"].tobytes()
            )
            files[f"{prefix}-images-idx3-ubyte.gz"] = gzip.compress(
                bytes(16) + arrays[f"x_{part}"].tobytes()
            )
        return files
    # Keras' loader wants all 60,000 pictures of CIFAR-10: a pattern compresses well
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for batch in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
            content = pickle.dumps({
                b"data": np.resize(np.arange(251, dtype=np.uint8), (10_000, 3072)),
                b"labels": list(range(10)) * 1000,
            })
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{batch}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return {"cifar-10-python.tar.gz": packed.getvalue()}


class Server(http.server.ThreadingHTTPServer):
    """Sends the files; `mood` says how: well, cut short, missing, or something else in their place."""

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.mood, self.requests = files, "well", []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, name = self.server, self.path.rsplit("/", 1)[-1]
        server.requests.append(name)
        if server.mood == "missing":
            return self.send_error(404)
        content = (
            b"<html>please log in</html>" if server.mood == "something else" else server.files[name]
        )
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if server.mood == "cut short" else content)

    def log_message(self, *arguments):
        pass


@pytest.fixture(params=SHAPES)
def remote(request, tmp_path, monkeypatch):
    """A name, its server, and Keras' loaders pointed at it, with a cache of their own."""
    name = request.param
    files = served_files(name)
    server = Server(files)
    hashes = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    get_file = keras.utils.get_file

    def redirected(fname, origin, file_hash=None, cache_subdir="datasets", **options):
        base = origin.rsplit("/", 1)[-1]
        return get_file(
            fname,
            origin=f"http://127.0.0.1:{server.server_port}/{base}",
            cache_dir=tmp_path / "keras",
            cache_subdir=cache_subdir,
            file_hash=file_hash and hashes[base],
            **options,
        )

    module = {
        "mnist": keras.src.datasets.mnist,
        "fashion_mnist": keras.src.datasets.fashion_mnist,
        "cifar10": keras.src.datasets.cifar10,
    }[name]
    monkeypatch.setattr(module, "get_file", redirected)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(data, "FOLDER", tmp_path / "data")
    yield name, server, tmp_path / "keras" / "datasets"
    server.shutdown()
    server.server_close()


def left_in(cache):
    return [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_set_is_downloaded_checked_and_then_taken_from_the_cache(remote, capsys):
    name, server, _ = remote
    first = bh.load_data(name)
    assert "Downloading" in capsys.readouterr().out, "progress is to be seen"
    asked = len(server.requests)
    again = bh.load_data(name)
    assert len(server.requests) == asked, "nothing is downloaded twice"
    assert all(np.array_equal(a, b) for one, two in zip(first, again) for a, b in zip(one, two))


@pytest.mark.parametrize("mood", ["cut short", "missing", "something else"])
def test_what_goes_wrong_is_one_sentence_leaves_nothing_broken_and_the_next_call_succeeds(
    remote, mood
):
    name, server, cache = remote
    server.mood = mood
    with pytest.raises(OSError, match=f"{name} could not be downloaded .*put a file {name}.npz"):
        bh.load_data(name)
    assert left_in(cache) == []
    server.mood = "well"
    assert len(bh.load_data(name)) == 2


def test_no_network_is_one_sentence(remote):
    name, server, cache = remote
    server.shutdown()
    server.server_close()
    with pytest.raises(OSError, match=f"{name} could not be downloaded .*Check the network"):
        bh.load_data(name)
    assert left_in(cache) == []


def test_a_broken_cache_heals(remote):
    name, server, cache = remote
    bh.load_data(name)
    for path in left_in(cache):  # as a killed process or a full disk leaves them
        path.write_bytes(path.read_bytes()[:100])
    assert len(bh.load_data(name)) == 2


@pytest.mark.parametrize("remote", ["fashion_mnist"], indirect=True)
def test_two_at_once_download_once(remote):
    name, server, _ = remote
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(bh.load_data, [name, name]))
    assert len(both) == 2 and len(server.requests) == 4


@pytest.mark.parametrize("remote", ["mnist"], indirect=True)
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
    ],
)
def test_a_full_disk_and_a_read_only_folder_are_one_sentence(remote, monkeypatch, number, words):
    name, _, cache = remote
    monkeypatch.setattr(
        keras.datasets.mnist,
        "load_data",
        lambda: (_ for _ in ()).throw(OSError(number, os.strerror(number))),
    )
    with pytest.raises(OSError, match=words) as failed:
        bh.load_data(name)
    assert failed.value.errno == number and left_in(cache) == []


# --- Keras' cache -----------------------------------------------------------------------------------------------------


def content_of(cache):
    return {path: path.read_bytes() for path in left_in(cache)}


PASSING = [MemoryError(), *(OSError(n, os.strerror(n)) for n in (errno.EIO, errno.EMFILE))]


class ResourceExhaustedError(Exception):
    """As TensorFlow calls it."""


@pytest.mark.parametrize(
    "error", [*PASSING, ResourceExhaustedError(), KeyboardInterrupt(), PermissionError(13, "no")]
)
@pytest.mark.parametrize("remote", ["mnist", "fashion_mnist"], indirect=True)
def test_an_error_that_passes_leaves_the_cache_as_it_is(remote, monkeypatch, error):
    name, _, cache = remote
    bh.load_data(name)
    before = content_of(cache)
    loader = getattr(keras.datasets, name)
    monkeypatch.setattr(loader, "load_data", lambda: (_ for _ in ()).throw(error))
    monkeypatch.setattr(data, "_look_into", lambda *_: (None, None))  # so that Keras is asked
    out_of_memory = isinstance(error, (MemoryError, ResourceExhaustedError))
    with pytest.raises(MemoryError if out_of_memory else type(error)) as failed:
        bh.load_data(name)
    assert not out_of_memory or "does not fit into memory" in str(failed.value)
    assert content_of(cache) == before


@pytest.mark.parametrize("error", PASSING)
@pytest.mark.parametrize("remote", ["mnist", "fashion_mnist"], indirect=True)
def test_a_cache_that_cannot_be_read_now_is_kept(remote, monkeypatch, error):
    name, server, cache = remote
    first = bh.load_data(name)
    before, asked = content_of(cache), len(server.requests)
    with monkeypatch.context() as patch:
        failing(patch, error)
        with pytest.raises(type(error), match="memory|cannot be read .*Make it readable"):
            bh.load_data(name)
    assert content_of(cache) == before
    assert np.array_equal(bh.load_data(name)[0][0], first[0][0]) and len(server.requests) == asked


@pytest.fixture
def read_only(monkeypatch):
    """Call it, and nothing can be written any more, not even a lock."""

    def refused(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    def begin():
        monkeypatch.setattr(filelock, "FileLock", refused)
        for function in ("mkdir", "unlink", "write_bytes"):
            monkeypatch.setattr(Path, function, refused)

    return begin


@pytest.mark.parametrize("known", [True, False])
def test_a_read_only_cache_is_read(remote, read_only, monkeypatch, capsys, known):
    """With the checksum that Keras expects, without a word; with another one, that is said."""
    name, server, cache = remote
    first = bh.load_data(name)
    before, asked = content_of(cache), len(server.requests)
    if known:
        (content,) = server.files.values() if name != "fashion_mnist" else [b""]
        monkeypatch.setitem(data._SHA256, name, hashlib.sha256(content).hexdigest())
    capsys.readouterr()
    read_only()
    again = bh.load_data(name)
    assert all(np.array_equal(a, b) for a, b in zip(sum(first, ()), sum(again, ())))
    said = capsys.readouterr().out
    if known or name == "fashion_mnist":  # for which Keras has no checksum
        assert said == ""
    else:
        assert f"{name} is taken from" in said and "its checksum is not the one" in said
    assert content_of(cache) == before and len(server.requests) == asked


@pytest.mark.parametrize("remote", ["mnist"], indirect=True)
def test_a_read_only_cache_without_the_set_is_one_sentence(remote, read_only):
    name, _, cache = remote
    read_only()
    with pytest.raises(OSError, match="cannot be written. Set KERAS_HOME"):
        bh.load_data(name)


@pytest.mark.parametrize("remote", ["mnist"], indirect=True)
@pytest.mark.parametrize("mood", ["cut short", "missing", "something else"])
def test_another_file_of_the_name_in_the_cache_is_not_lost_without_a_network(remote, mood, capsys):
    """Keras removes a file with another checksum before it has a better one."""
    name, server, cache = remote
    server.mood = mood
    cache.mkdir(parents=True)
    arrays = made(name, seed=1)
    np.savez(cache / "mnist.npz", **arrays)
    before = content_of(cache)
    assert np.array_equal(bh.load_data(name)[0][0], arrays["x_train"])
    assert "mnist is taken from" in capsys.readouterr().out and content_of(cache) == before
    server.mood = "well"
    assert not np.array_equal(bh.load_data(name)[0][0], arrays["x_train"]), "now it is replaced"


@pytest.mark.parametrize("remote", ["fashion_mnist"], indirect=True)
def test_of_a_broken_cache_what_is_whole_is_not_downloaded_again(remote):
    name, server, cache = remote
    bh.load_data(name)
    broken = cache / "fashion-mnist" / "t10k-images-idx3-ubyte.gz"
    broken.write_bytes(broken.read_bytes()[:-20])
    bh.load_data(name)
    assert server.requests[4:] == [broken.name]


@pytest.mark.parametrize("remote", ["cifar10"], indirect=True)
def test_nothing_in_an_archive_can_run_a_program(remote, monkeypatch, tmp_path):
    name, server, cache = remote
    monkeypatch.chdir(tmp_path)
    cache.mkdir(parents=True)
    content = pickle.dumps({b"data": Malicious(), b"labels": []})
    with tarfile.open(cache / "cifar-10-batches-py-target_archive", "w:gz") as archive:
        entry = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    assert len(bh.load_data(name)) == 2 and not (tmp_path / "unpickled").exists()


def test_a_tilde_in_the_name_of_the_cache_is_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", "~/x")
    monkeypatch.setattr(data, "FOLDER", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "x" / "datasets"
    cache.mkdir(parents=True)
    arrays = made("mnist")
    content = npz(**arrays)
    (cache / "mnist.npz").write_bytes(content)
    monkeypatch.setitem(data._SHA256, "mnist", hashlib.sha256(content).hexdigest())
    assert np.array_equal(bh.load_data("mnist")[0][0], arrays["x_train"])
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("remote", ["mnist"], indirect=True)
def test_a_download_with_another_checksum_is_not_kept(remote):
    name, server, cache = remote
    server.files = {"mnist.npz": npz(**made(name, seed=1))}
    with pytest.raises(OSError, match="could not be downloaded .*corrupted file"):
        bh.load_data(name)
    assert left_in(cache) == []
