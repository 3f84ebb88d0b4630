"""Larger data: a file that somebody brought, and Keras' loaders against a server on this machine that misbehaves."""

import errno
import gzip
import hashlib
import http.server
import io
import os
import pickle
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor

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
        "allow_pickle=False",
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
    assert "\n" not in str(refused.value)
    assert (downloads / "mnist.npz").exists(), "what a reader brought is never deleted"


class Malicious:
    def __reduce__(self):
        return os.makedirs, ("unpickled",)


NO_ARRAYS = [
    b"",
    b"<html>not found</html>",
    b"\x93NUMPY",
    b"PK\x03\x04",
    pickle.dumps(Malicious()),
    "half",
]


@pytest.mark.parametrize("content", NO_ARRAYS)
def test_a_file_that_is_no_npz_is_one_sentence_and_never_unpickled(downloads, monkeypatch, content):
    monkeypatch.chdir(downloads)
    if content == "half":
        whole = io.BytesIO()
        np.savez(whole, **made("mnist"))
        content = whole.getvalue()[: len(whole.getvalue()) // 2]
    (downloads / "mnist.npz").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be used as mnist") as refused:
        bh.load_data("mnist")
    assert "\n" not in str(refused.value) and not (downloads / "unpickled").exists()


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="'digits', 'mnist', 'fashion_mnist', 'cifar10'"):
        bh.load_data("imagenet")


# --- Keras' loaders, and a server that misbehaves -----------------------------------------------------------------------


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
    packed = (
        io.BytesIO()
    )  # Keras' loader wants all 60,000 pictures of CIFAR-10: zeros compress well
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for batch in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
            content = pickle.dumps({
                b"data": np.zeros((10_000, 3072), np.uint8),
                b"labels": [3] * 10_000,
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
        threading.Thread(target=self.serve_forever, daemon=True).start()


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
