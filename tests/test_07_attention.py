"""Chapter 07: what it builds, taken from the notebook and held against other references."""

import re
from collections import Counter

import chapters
import numpy as np
import pytest
import scipy.special
import scipy.stats
from matplotlib.figure import Figure

import bigmodel_helpers as bh

with bh.quietly():
    import keras
    import tensorflow as tf

BY_HAND = (
    "softmax",
    "attention",
    "split",
    "multi_head",
    "layer_norm",
    "gelu",
    "block",
    "next_position",
)


def functions(*names, **known):
    base = {
        "np": np,
        "tf": tf,
        "keras": keras,
        "layers": keras.layers,
        "bh": bh,
        "re": re,
        "Counter": Counter,
    }
    return chapters.functions("07_attention", names, base | {"erf": scipy.special.erf} | known)


@pytest.fixture
def weights():
    """Random weights of a block with 8 numbers for each position."""
    rng = np.random.default_rng(1)
    shapes = {"W1": (8, 32), "b1": 32, "W2": (32, 8), "b2": 8}
    shapes |= {f"W{name}": (8, 8) for name in "QKVO"} | {f"b{name}": 8 for name in "QKVO"}
    norms = {f"LN{i}": (1 + 0.1 * rng.normal(size=8), 0.1 * rng.normal(size=8)) for i in (1, 2)}
    return norms | {name: 0.4 * rng.normal(size=shape) for name, shape in shapes.items()}


def word_by_word(X, w, heads, mask, memory):
    """Attention with loops, as one would reckon it on paper, and SciPy's softmax."""
    width = X.shape[1] // heads
    weights, out = np.zeros((heads, len(X), len(memory))), np.zeros(X.shape)
    for i, x in enumerate(X):
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            query = (x @ w["WQ"] + w["bQ"])[part]
            scores = np.array([query @ (m @ w["WK"] + w["bK"])[part] for m in memory]) / width**0.5
            weights[head, i] = scipy.special.softmax(np.where(mask[i], scores, -np.inf))
            out[i, part] = sum(
                a * (m @ w["WV"] + w["bV"])[part] for a, m in zip(weights[head, i], memory)
            )
    return weights, out @ w["WO"] + w["bO"]


@pytest.mark.parametrize("heads", [1, 2, 8])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_many_heads_are_what_loops_say(weights, heads, elsewhere):
    _, _, _, multi_head = functions(*BY_HAND[:4])
    rng = np.random.default_rng(2)
    X, memory = rng.normal(size=(5, 8)), rng.normal(size=(7, 8)) if elsewhere else None
    seen = X if memory is None else memory
    mask = rng.random((5, len(seen))) < 0.6
    mask[:, 0] = True
    expected = word_by_word(X, weights, heads, mask, seen)
    for found, reference in zip(multi_head(X, weights, heads, mask, memory), expected):
        np.testing.assert_allclose(found, reference, atol=1e-12)


def test_norm_and_gelu_agree_with_scipy():
    layer_norm, gelu = functions("layer_norm", "gelu")
    x = np.random.default_rng(3).normal(3, 5, size=(4, 9))
    np.testing.assert_allclose(
        layer_norm(x, 1, 0, epsilon=0), scipy.stats.zscore(x, axis=1), atol=1e-12
    )
    np.testing.assert_allclose(gelu(x), x * scipy.stats.norm.cdf(x), atol=1e-12)


def test_a_block_does_not_look_ahead_and_a_cache_changes_nothing(weights):
    *_, block, next_position = functions(*BY_HAND)
    X = np.random.default_rng(4).normal(size=(6, 8))
    causal = np.tril(np.ones((6, 6), bool))
    whole, cache = block(X, weights, 2, causal), {}
    for t in range(6):
        np.testing.assert_allclose(
            next_position(X[t : t + 1], weights, 2, cache)[0], whole[t], atol=1e-12
        )
        changed = X + (np.arange(6) > t)[:, None]
        assert np.array_equal(block(changed, weights, 2, causal)[: t + 1], whole[: t + 1])
        assert len(cache["K"]) == len(cache["V"]) == t + 1


def test_the_keras_block_looks_elsewhere_as_loops_say(weights):
    (Block,) = functions("Block")
    *_, layer_norm, gelu = functions("layer_norm", "gelu")
    twin, rng = Block(8, 2, looks_elsewhere=True, dtype="float64"), np.random.default_rng(5)
    X, memory = rng.normal(size=(4, 8)), rng.normal(size=(3, 8))
    own, there = np.tril(np.ones((4, 4), bool)), np.array([[True, True, False]] * 4)
    twin(X[None], own[None], memory[None], there[None])
    for layer in twin.attentions:
        layer.set_weights([
            weights[name].reshape(np.shape(v))
            for name, v in zip(
                ("WQ", "bQ", "WK", "bK", "WV", "bV", "WO", "bO"), layer.get_weights()
            )
        ])
    twin.inner.set_weights([weights["W1"], weights["b1"]])
    twin.outer.set_weights([weights["W2"], weights["b2"]])
    found, A = twin(X[None], own[None], memory[None], there[None])
    y = layer_norm(X, 1, 0)
    x = X + word_by_word(y, weights, 2, own, y)[1]
    expected_A, mixed = word_by_word(layer_norm(x, 1, 0), weights, 2, there, memory)
    x = x + mixed
    expected = (
        x
        + gelu(layer_norm(x, 1, 0) @ weights["W1"] + weights["b1"]) @ weights["W2"]
        + weights["b2"]
    )
    np.testing.assert_allclose(A[0], expected_A, atol=1e-7)
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    assert twin.count_params() == 12 * 64 + 13 * 8 + (4 * 64 + 4 * 8) + 2 * 8


def test_positions_are_complex_numbers_that_turn():
    sinusoids, turn = functions("sinusoids", "turn")
    frequencies = 10000.0 ** (-np.arange(8) / 8)
    hands = np.exp(1j * np.outer(np.arange(30), frequencies))  # cos + i sin
    PE = sinusoids(range(30), 16)
    np.testing.assert_allclose(
        PE[:, 0::2] + 1j * PE[:, 1::2], hands.imag + 1j * hands.real, atol=1e-12
    )
    for k in (-3, 0, 11):
        np.testing.assert_allclose(turn(k, 16) @ turn(k, 16).T, np.eye(16), atol=1e-12)
        moved = hands * np.exp(1j * k * frequencies)
        np.testing.assert_allclose((PE @ turn(k, 16).T)[:, 0::2], moved.imag, atol=1e-11)


@pytest.mark.parametrize("w", [0, 1, 3, 9])
def test_a_window_is_a_band(w):
    _, attention, local_attention = functions("softmax", "attention", "local_attention")
    Q, K, V = np.random.default_rng(6).normal(size=(3, 7, 4))
    band = np.abs(np.subtract.outer(np.arange(7), np.arange(7))) <= w
    np.testing.assert_allclose(local_attention(Q, K, V, w), attention(Q, K, V, band)[1], atol=1e-12)


def test_multiply_adds_are_counted():
    Counted, spend = functions("Counted", "spend")
    a, b, c = np.ones((3, 4)), np.ones((4, 5)), np.ones((2, 4, 6))
    assert spend(lambda x: x @ b, a)[1] == {"projections": 3 * 4 * 5}
    assert spend(lambda x: np.stack([x, x]) @ c, a)[1] in ({}, {"attention": 2 * 3 * 4 * 6})
    assert spend(lambda x: x[None] @ c[:1], a)[1] == {"attention": 3 * 4 * 6}


def test_known_models_are_counted_from_their_parts():
    """GPT-2 medium and large, whose published sizes the chapter does not use: 355 and 774 million."""
    (language_model,) = functions("language_model")
    assert round(language_model(24, 1024, 50_257, 1024) / 1e6) == 355
    assert round(language_model(36, 1280, 50_257, 1024) / 1e6) == 774


@pytest.mark.parametrize(
    "text, expected",
    [
        ("3 May 2024", [2, 3, 1, 1, 1, 3, 0, 0, 0, 0, 3, 3]),
        ("May 13, 2024", [1, 1, 1, 3, 2, 2, 3, 3, 0, 0, 0, 0]),
        ("1.12.1950", [2, 3, 1, 1, 3, 0, 0, 0, 0, 3, 3, 3]),
    ],
)
def test_the_parts_of_a_date_are_found(text, expected):
    (parts_of_source,) = functions("parts_of_source", longest=12)
    assert parts_of_source(text).tolist() == expected


def test_writing_is_shifted_by_one():
    shifted, encode, decode = functions(
        "shifted", "encode", "decode", alphabet=list("abc"), number_of={"a": 1, "b": 2, "c": 3}
    )
    numbers = encode(["abc", "c"], 4)
    assert numbers.tolist() == [[1, 2, 3, 0], [3, 0, 0, 0]] and decode(numbers[0]) == "abc"
    assert shifted(numbers).tolist() == [[0, 1, 2, 3], [0, 3, 0, 0]]


def test_no_reader_of_bags_is_right_more_often_than_the_chapter_says():
    """The ceiling again, with the calendar of NumPy and the parts of each date as a bag, counted otherwise."""
    days = np.arange("1950-01-01", "2050-01-01", dtype="datetime64[D]").astype(str)
    names = dict(enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1))
    answers = {}
    for day in days:
        y, m, d = (int(part) for part in day.split("-"))
        for text in (f"{d} {names[m]} {y}", f"{names[m]} {d}, {y}", f"{d}.{m}.{y}"):
            answers.setdefault("".join(sorted(text)), []).append(day)
    right = sum(Counter(of_bag).most_common(1)[0][1] for of_bag in answers.values())
    assert right == len(answers) == 29_321 and 3 * len(days) == 109_575


def test_the_explorers_draw_at_the_ends_of_their_sliders():
    draws = np.random.default_rng(7).normal(size=(17, 512))
    draw_softmax, _ = functions("draw_softmax", "softmax", draws=draws)
    for numbers in (1, 512):
        for temperature in (0.1, 10.0):
            for root in (True, False):
                said = draw_softmax(
                    Figure(figsize=(8, 4)),
                    numbers=numbers,
                    temperature=temperature,
                    divide_by_root=root,
                )
                assert re.search(r"largest is (0\.\d\d|1\.00)", said) and "nan" not in said
    source = np.array([[1, 2, 3, 0], [3, 2, 0, 0]])

    def model(x, written):
        return tf.one_hot([[1] * 10] * len(x), 4), tf.fill((len(x), 4, 10, 4), 0.25)

    draw_map, *_ = functions(
        "draw_map",
        "look_at",
        "alone",
        "in_parts",
        "shifted",
        "decode",
        source=source,
        target=np.ones((2, 10), int),
        alphabet=list("abc"),
        translators={"one": model},
        examples=[0, 1],
    )
    for head in (0, 4):
        for example in (0, 1):
            figure = Figure(figsize=(8, 4))
            said = draw_map(figure, which_one="one", head=head, example=example)
            assert ("mean" in said) == (head == 0) and said.endswith(("abc.", "cb."))
            assert figure.axes[0].get_xlabel().endswith("aaaaaaaaaa")
