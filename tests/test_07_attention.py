"""Chapter 07: what it builds, taken from the notebook and held against other references."""

import itertools
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


def test_the_keras_block_looks_at_a_memory_as_loops_say(weights):
    (Block,) = functions("Block")
    *_, layer_norm, gelu = functions("layer_norm", "gelu")
    twin, rng = Block(8, 2, cross=True, dtype="float64"), np.random.default_rng(5)
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
    weights = np.random.default_rng(8).random((2, 4, 10, 4))
    draw_map, *_ = functions(
        "draw_map",
        "look_at",
        "decode",
        source=np.array([[1, 2, 3, 0], [3, 2, 0, 0]]),
        target=np.ones((2, 10), int),
        alphabet=list("abc"),
        looks={"one": weights},
        writes={"one": ["first", "second"]},
        examples=[0, 1],
    )
    for head in (0, 4):
        for example, (text, written) in enumerate((("abc", "first"), ("cb", "second"))):
            figure = Figure(figsize=(8, 4))
            said = draw_map(figure, which_one="one", head=head, example=example)
            assert ("mean" in said) == (head == 0) and said.endswith(f" {text}.")
            assert figure.axes[0].get_xlabel().endswith(f" {written}")
            shown = weights[example].mean(axis=0) if head == 0 else weights[example, head - 1]
            np.testing.assert_allclose(figure.axes[0].images[0].get_array(), shown[:, : len(text)])


def test_a_stack_adds_positions_and_ends_with_a_norm():
    keras.utils.set_random_seed(2)
    Stack, *_ = functions("Stack", "Block", width=8)
    layer_norm, _ = functions("layer_norm", "gelu")
    ids = np.array([[3, 1, 4, 1]])
    for ordered in (True, False):
        bare = Stack(5, 6, blocks=0, heads=2, ordered=ordered)
        found, A = bare(ids)
        tables = [table.astype(float) for table in bare.get_weights()]
        x = tables[0][ids[0]] + (tables[1][:4] if ordered else 0)
        np.testing.assert_allclose(found[0], layer_norm(x, 1, 0), atol=1e-5)
        assert A is None and bare.count_params() == 8 * (5 + 6 * ordered) + 16
    whole, mask = Stack(5, 6, blocks=2, heads=2), np.tril(np.ones((1, 4, 4), bool))
    found, A = whole(ids, mask)
    x = whole.symbols(ids) + whole.positions(np.arange(4))
    for block in whole.blocks:
        x, expected = block(x, mask)
    np.testing.assert_allclose(found, whole.norm(x), atol=1e-6)
    np.testing.assert_allclose(A, expected, atol=1e-6)


def test_the_translator_looks_neither_at_empty_places_nor_ahead():
    keras.utils.set_random_seed(3)
    allowed = np.tril(np.ones((10, 10), bool))
    Translator, *_ = functions(
        "Translator",
        "Stack",
        "Block",
        width=8,
        alphabet=list("abcde"),
        longest=7,
        not_ahead=allowed,
    )
    model, rng = Translator(encoder_blocks=1), np.random.default_rng(9)
    source = np.array([[5, 2, 3, 1, 0, 0, 0]])
    written = rng.integers(1, 6, size=(1, 10))
    scores, A = model(source, written)
    assert scores.shape == (1, 10, 6) and A.shape == (1, 4, 10, 7)
    np.testing.assert_allclose(A.numpy().sum(axis=3), 1, atol=1e-5)
    assert not A.numpy()[..., 4:].any()
    later = written.copy()
    later[0, 6] = later[0, 6] % 5 + 1
    moved = np.abs(model(source, later)[0] - scores).max(axis=2)[0] > 1e-6
    assert moved.tolist() == [False] * 6 + [True] * 4
    # the empty places hold other numbers, and nothing changes
    table = model.encoder.symbols.get_weights()[0]
    table[0] = rng.normal(size=8)
    model.encoder.symbols.set_weights([table])
    np.testing.assert_allclose(model(source, written)[0], scores, atol=1e-5)
    before, _ = model(source[:, [1, 0, 2, 3, 4, 5, 6]], written)
    assert np.abs(before - scores).max() > 1e-4


def test_the_reverser_says_a_digit_for_each_place_from_where_it_may_look():
    keras.utils.set_random_seed(4)
    Reverser, *_ = functions("Reverser", "Stack", "Block", width=8, length=6)
    digits = np.random.default_rng(10).integers(10, size=(2, 6))
    band = np.abs(np.subtract.outer(np.arange(6), np.arange(6))) <= 1
    for allowed in (None, band):
        scores, A = Reverser(allowed)(digits)
        assert scores.shape == (2, 6, 10) and A.shape == (2, 1, 6, 6)
        seen = np.ones((6, 6), bool) if allowed is None else band
        assert np.array_equal(A.numpy()[0, 0] > 0, seen)


@chapters.eagerly()
def test_training_warms_up_and_falls_on_a_cosine_and_averages_over_all_places():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.table = keras.layers.Embedding(4, 3)

        def call(self, ids):
            return self.table(ids), None

    taught = []

    class Noted(keras.optimizers.Adam):
        def __init__(self, schedule):
            super().__init__(schedule)
            taught.append(schedule)

    class Keras:
        losses, optimizers = keras.losses, type("Optimizers", (), {"Adam": Noted})

    Keras.optimizers.schedules = keras.optimizers.schedules
    (train,) = functions("train", keras=Keras)
    ids = np.array([[0, 1], [2, 3], [1, 3]])
    keras.utils.set_random_seed(5)
    model = Model()
    model(ids)
    table = model.get_weights()[0].astype(float)
    keras.utils.set_random_seed(5)
    drawn = tf.random.uniform((40, 48), 0, 3, tf.int32).numpy()
    keras.utils.set_random_seed(5)
    answers = np.array([[0, 2], [1, 1], [2, 1]])
    losses = train(model, (ids,), answers, 40, 0.5)
    rates = np.array([float(taught[0](step)) for step in range(41)])
    np.testing.assert_allclose(rates[:5], [0, 0.125, 0.25, 0.375, 0.5], atol=1e-6)
    falling = 0.25 * (1 + np.cos(np.pi * np.arange(37) / 36))
    np.testing.assert_allclose(rates[4:], falling, atol=1e-6)
    # the first step has the rate 0, so two losses are those of the table as it was, and the first mean is theirs
    p = scipy.special.softmax(table, axis=1)
    expected = [-np.log(p[ids[rows], answers[rows]]).mean() for rows in drawn[:2]]
    assert len(losses) == 20
    np.testing.assert_allclose(losses[0], np.mean(expected), atol=1e-5)
    assert model.get_weights()[0].argmax(axis=1).tolist() == [0, 2, 1, 1]


def test_writing_alone_feeds_back_what_was_written():
    source, target = np.arange(2500)[:, None], np.tile(np.arange(1, 11), (2500, 1))
    with_teacher, alone, exactly_right, *_ = functions(
        "with_teacher",
        "alone",
        "exactly_right",
        "in_parts",
        "shifted",
        source=source,
        target=target,
    )

    def counts_on(x, written):
        """After each symbol, the next larger one; rows divisible by seven begin with 2."""
        wrong = (np.asarray(x) % 7 == 0) & (np.arange(10) == 0)
        return tf.one_hot(np.asarray(written) + 1 + wrong, 13), tf.zeros((len(x), 1))

    rows = np.arange(2500)[::-1]
    written = alone(counts_on, rows)
    begins = 1 + (rows % 7 == 0)
    assert np.array_equal(written, begins[:, None] + np.arange(10))
    forced = with_teacher(counts_on, rows)
    assert np.array_equal(forced[:, 1:], target[rows][:, 1:])
    assert np.array_equal(forced[:, 0], begins)
    assert np.array_equal(exactly_right(written, rows), rows % 7 != 0)


def test_the_table_of_parts_is_a_mean_of_weights():
    at = np.array([[0, 0, 1, 2, 3], [2, 1, 0, 3, 3]])
    rng = np.random.default_rng(11)
    A = scipy.special.softmax(rng.normal(size=(2, 4, 10, 5)), axis=3)
    part_table, *_ = functions(
        "part_table",
        "in_parts",
        "shifted",
        "PARTS",
        source=np.array([[0], [1]]),
        target=np.zeros((2, 10), int),
    )
    table = part_table(lambda x, written: (np.zeros((len(x), 1)), A[x[:, 0]]), [1, 0], at[::-1])
    for row, columns in enumerate(([0, 1, 2, 3], [5, 6], [8, 9])):
        for part in range(4):
            expected = [
                A[i, head, column, at[i] == part].sum()
                for i in (0, 1)
                for head in range(4)
                for column in columns
            ]
            assert table[row, part] == pytest.approx(np.mean(expected))


def test_masks_and_softmax_at_their_edges():
    softmax, causal_mask = functions("softmax", "causal_mask")
    scores = np.array([[1000.0, 1001.0, -np.inf], [-5.0, 0.0, 5.0]])
    np.testing.assert_allclose(softmax(scores), scipy.special.softmax(scores, axis=1), atol=1e-15)
    for ahead in (-1, 0, 2):
        expected = [[j <= i + ahead for j in range(4)] for i in range(4)]
        assert causal_mask(4, ahead).tolist() == expected


def mended(
    root=lambda Q, K, V: np.sqrt(Q.shape[1]),
    mask=lambda scores, allowed: np.where(allowed, scores, -np.inf),
    share=lambda powers: powers / powers.sum(axis=1, keepdims=True),
    last=lambda A, allowed: A,
):
    """Exercise 2 solved, but for what is given."""

    def attention(Q, K, V, allowed):
        powers = np.exp(mask(Q @ K.T / root(Q, K, V), allowed))
        return last(share(powers), allowed) @ V

    return attention


def query_by_query(Q, K, V, mask):
    rows = []
    for q, allowed in zip(Q, mask):
        powers = [np.exp(q @ k / len(q) ** 0.5) if may else 0 for k, may in zip(K, allowed)]
        rows.append(sum(power * v for power, v in zip(powers, V)) / sum(powers))
    return rows


def by_einsum(Q, K, V, mask):
    scores = np.einsum("id,jd->ij", Q, K) / np.sqrt(K.shape[-1])
    return np.einsum("ij,je->ie", scipy.special.softmax(scores - 1e30 * ~mask, axis=1), V)


def in_single_precision(Q, K, V, mask):
    Q, K, V = (tf.cast(array, tf.float32) for array in (Q, K, V))
    scores = tf.matmul(Q, K, transpose_b=True) / Q.shape[1] ** 0.5
    return tf.nn.softmax(tf.where(mask, scores, -1e9)) @ V


def in_place(Q, K, V, mask):
    Q /= np.sqrt(Q.shape[1])
    scores = Q @ K.T
    scores[~mask] = -np.inf
    return scipy.special.softmax(scores, axis=1) @ V


def cache(blocks, heads, numbers, positions, bytes_each):
    return 2 * blocks * heads * numbers * positions * bytes_each


def made_and_weighed(blocks, heads, numbers, positions, bytes_each):
    place = np.dtype([("bytes", "u1", bytes_each)])
    return sum(np.zeros((heads, 2, positions, numbers), place).nbytes for _ in range(blocks))


def encodings(places, d):
    hands = np.exp(1j * np.outer(places, 10000.0 ** (-np.arange(0, d, 2) / d)))
    return np.stack([hands.imag, hands.real], axis=2).reshape(-1, d)


def moved(PE, k=-1, factor=60):
    """Each clock's hand, as a complex number, is turned to where it is k places on, and made longer."""
    d = PE.shape[1]
    turned = (PE[:, 1::2] + 1j * PE[:, ::2]) * np.exp(1j * k * 10000.0 ** (-np.arange(0, d, 2) / d))
    return factor * np.stack([turned.imag, turned.real], axis=2).reshape(PE.shape)


def clock_by_clock(PE):
    """One after the other, each hand is turned back by its own angle."""
    queries = np.zeros(PE.shape)
    for i in range(0, PE.shape[1], 2):
        angle = 10000 ** (-i / PE.shape[1])
        sine, cosine = PE[:, i], PE[:, i + 1]
        queries[:, i] = sine * np.cos(angle) - cosine * np.sin(angle)
        queries[:, i + 1] = cosine * np.cos(angle) + sine * np.sin(angle)
    return 50 * queries, PE


def by_least_squares(PE, known=None):
    """The matrix is found from the encodings of 110 places, or from these."""
    known = encodings(range(110), PE.shape[1]) if known is None else known
    return 60 * PE @ np.linalg.lstsq(known[1:], known[:-1], rcond=None)[0], PE


def changes_what_it_is_given(PE):
    keys = PE.copy()
    PE *= 40
    return moved(PE, factor=1), keys


def leaks(before, after, tolerance=1e-9):
    return np.abs(np.asarray(after) - before).max(initial=0) > tolerance


def by_shorter_inputs(function, X):
    """What the first rows alone give must be what they give before the others."""
    whole = function(X)
    return any(leaks(whole[:n], function(X[:n])) for n in range(1, len(X)))


def by_all_later_rows(function, X):
    whole, rng = function(X), np.random.default_rng(8)
    changed = [np.vstack([X[:j], rng.normal(size=X[j:].shape)]) for j in range(1, len(X))]
    return np.any([leaks(whole[:j], function(c)[:j]) for j, c in enumerate(changed, 1)])


def backward_in_place(function, X):
    """From the last row to the second, each is overwritten, and stays so."""
    whole = function(X)
    for j in reversed(range(1, len(X))):
        X[j] = np.cos(X[j])
        if leaks(whole[:j], function(X)[:j]):
            return True
    return False


def by_rows(change, rows=lambda n: range(1, n), seen=lambda whole, j: whole[:j], tolerance=1e-9):
    """Exercise 5 solved by changing single rows, but for what is given."""

    def looks_ahead(function, X):
        whole = function(X)
        for j in rows(len(X)):
            changed = X.copy()
            changed[j] = change(changed[j])
            if leaks(seen(whole, j), seen(function(changed), j), tolerance):
                return True
        return False

    return looks_ahead


WEIGHTS = np.array([0.7870, 0.1065, 0.1065])
RIGHT = {
    "hand_cases": [
        (tuple(WEIGHTS), 19.59),
        (WEIGHTS[:, None].tolist(), [19.59]),
        (tf.constant(WEIGHTS[None], tf.float32), np.array([[19.586]])),
        (scipy.special.softmax([2, 0, 0]), np.float32(19.58)),
    ],
    "attention_cases": [
        mended(),
        mended(
            mask=lambda scores, allowed: scores,
            last=lambda A, allowed: A * allowed / (A * allowed).sum(axis=1)[:, None],
        ),
        query_by_query,
        by_einsum,
        in_single_precision,
        in_place,
    ],
    "cache_cases": [
        (cache, 15_258, 122_070),
        (made_and_weighed, np.float32(15_258), [122_070.0]),
        (lambda *sizes: tf.reduce_prod([2, *sizes]), tf.constant([[15_258]]), np.array([122_070])),
    ],
    "back_cases": [
        lambda PE: (moved(PE), PE),
        lambda PE: [PE, moved(PE, k=1, factor=1000)],  # the keys look forward
        lambda PE: np.stack([moved(PE, factor=-10), -10 * PE]),
        lambda PE: (tf.constant(moved(PE), tf.float32), tf.constant(PE, tf.float32)),
        clock_by_clock,
        by_least_squares,
        changes_what_it_is_given,
    ],
    "ahead_cases": [
        by_shorter_inputs,
        by_all_later_rows,
        backward_in_place,
        by_rows(lambda row: np.random.default_rng(7).normal(size=row.shape)),
        by_rows(np.zeros_like),
        by_rows(lambda row: row + 1e-4 * np.cos(np.arange(len(row)) ** 2), tolerance=1e-11),
        lambda function, X: tf.reduce_any([by_rows(np.cos)(function, X)]),
    ],
}
WRONG = {
    "hand_cases": [
        ((0.9647, 0.0177, 0.0177), 11.59),  # no root
        ((0.5761, 0.2119, 0.2119), 29.07),  # divided by 4
        ((0.8808, 0.1192, 0), 13.58),  # a key of zeros left out
        (tuple(WEIGHTS), 40),  # a plain mean
        ((7.389, 1, 1), 183.89),  # not brought to sum one
        ((2, 0, 0), 20),
        ((0.79, 0.11, 0.11), 19.59),
    ],
    "attention_cases": [
        mended(root=lambda Q, K, V: np.sqrt(len(Q))),
        mended(root=lambda Q, K, V: np.sqrt(3)),
        mended(root=lambda Q, K, V: np.sqrt(V.shape[1] + 1)),
        mended(root=lambda Q, K, V: Q.shape[1]),
        mended(share=lambda powers: powers / powers.sum(axis=0)),
        mended(share=lambda powers: powers / powers.sum()),
        mended(mask=lambda s, allowed: s, last=lambda A, allowed: np.where(allowed, A, 0)),
        mended(mask=lambda s, allowed: s * allowed),
        mended(mask=lambda s, allowed: np.where(allowed, s, -20)),
        mended(mask=lambda s, allowed: np.where(np.tri(*s.shape) + allowed.all(), s, -np.inf)),
        lambda Q, K, V, mask: (mended()(Q, K, V, mask), V),
    ],
    "cache_cases": [
        (lambda *sizes: cache(*sizes) // 2, 15_258, 122_070),
        (lambda *sizes: 8 * cache(*sizes), 15_258, 122_070),
        (lambda b, h, n, p, size: 2 * b * h * h * p * size, 15_258, 122_070),
        (lambda b, h, n, p, size: 2 * h * n * p * size, 15_258, 122_070),
        (cache, 15_258.79, 122_070.3),
        (cache, 15_259, 122_070),
        (cache, 15_258, 8 * 15_258),
        (cache, 30_517, 244_140),
    ],
    "back_cases": [
        lambda PE: (moved(PE, factor=20), PE),
        lambda PE: (moved(PE, k=1), PE),
        lambda PE: (PE, moved(PE)),
        lambda PE: (60 * np.roll(PE, 1, axis=0), PE),
        lambda PE: (100 * np.eye(*PE.shape, -1), np.eye(*PE.shape)),
        lambda PE: (60 * encodings(np.arange(len(PE)) - 1, PE.shape[1]), PE),
        lambda PE: (moved(PE, factor=300) / np.linalg.norm(PE, axis=1, keepdims=True), PE),
        lambda PE: (moved(PE) + 1, PE),
        lambda PE: (PE @ moved(np.eye(64)), PE),  # right for 64 only
        lambda PE: tuple(np.hstack([part, part]) for part in (moved(PE), PE)),
        lambda PE: by_least_squares(PE, known=PE),
    ],
    "ahead_cases": [
        *map(by_rows, (np.negative, np.abs, np.sort, np.flip, lambda row: 2 * row)),
        by_rows(lambda row: row + 1),
        by_rows(lambda row: np.roll(row, 1)),
        by_rows(lambda row: row + np.eye(16)[0]),
        *(
            by_rows(np.cos, rows=lambda n, rows=rows: rows)
            for rows in ([5], [3], [1, 3, 5], [2, 3, 4, 5], [1, 2, 3, 4], range(1, 6))
        ),
        by_rows(np.cos, seen=lambda whole, j: whole[1:j] if j > 1 else whole[:0]),
        by_rows(np.cos, seen=lambda whole, j: whole[j - 1]),
        by_rows(np.cos, seen=lambda whole, j: whole[: j + 1]),
        by_rows(np.cos, seen=lambda whole, j: whole[:j].sum(axis=1)),
        by_rows(np.cos, seen=lambda whole, j: whole),
        by_rows(np.cos, tolerance=0.1),
        lambda function, X: not by_shorter_inputs(function, X),
        lambda function, X: True,
        lambda function, X: False,
    ],
}


@pytest.fixture
def ask(capsys):
    """What the check of an exercise, named by its cases, says to an answer."""
    rng = np.random.default_rng(5)
    shapes = {"W1": (16, 64), "b1": 64, "W2": (64, 16), "b2": 16}
    shapes |= {f"W{name}": (16, 16) for name in "QKVO"} | {f"b{name}": 16 for name in "QKVO"}
    w = {name: rng.normal(size=shape) / 4 for name, shape in shapes.items()}
    w |= {f"LN{i}": (1 + rng.normal(size=16) / 4, rng.normal(size=16) / 4) for i in (1, 2)}
    names = (*BY_HAND, "causal_mask", "sinusoids", "turn")
    known = dict(zip(names, functions(*names))) | {"np": np, "keras": keras, "w": w}
    known |= {"itertools": itertools, "caches": 3 * [{name: np.ones((12, 16)) for name in "KV"}]}
    within = {"hand_cases": 2e-4, "attention_cases": 1e-5}
    return chapters.asked_of("07_attention", known, capsys, within, invalid="ignore")


(
    test_right_answers_of_any_form_are_accepted,
    test_wrong_answers_are_refused,
    test_a_wrong_number_is_not_told_the_right_one,
) = chapters.tests_of_answers(RIGHT, WRONG, numbers=["hand_cases", "cache_cases"])
