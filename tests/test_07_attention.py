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


def test_a_head_that_looks_back_needs_more_than_a_factor_of_twenty():
    def refused(factor, moved=-1):
        back_weight, linear, sinusoids, turn, *_ = functions(
            "back_weight", "linear", "sinusoids", "turn", "softmax", "attention"
        )

        def looks_back(PE):
            return factor * PE @ turn(moved, PE.shape[1]).T, PE

        assert linear(looks_back) < 1e-9
        return not (back_weight(5)(looks_back) and back_weight(100)(looks_back))

    assert refused(20) and refused(40, moved=1) and not refused(40)
    (linear, *_) = functions("linear", "sinusoids")
    assert linear(lambda PE: (PE**2, PE)) > 0.01


@pytest.fixture
def mask_cases():
    """The cases of the exercise that tests any mask, as its cell makes them."""
    rng = np.random.default_rng(5)
    shapes = {"W1": (16, 64), "b1": 64, "W2": (64, 16), "b2": 16}
    shapes |= {f"W{name}": (16, 16) for name in "QKVO"} | {f"b{name}": 16 for name in "QKVO"}
    w = {name: rng.normal(size=shape) / 4 for name, shape in shapes.items()}
    w |= {f"LN{i}": (1 + rng.normal(size=16) / 4, rng.normal(size=16) / 4) for i in (1, 2)}
    names = (*BY_HAND, "causal_mask")
    known = dict(zip(names, functions(*names))) | {"np": np, "w": w}
    known |= {"causal": known["causal_mask"](6), "itertools": itertools}
    return chapters.cases("07_attention", "ahead_cases", known)


def moves(before, after, tolerance=1e-9):
    return np.abs(after - before).max(initial=0) > tolerance


def by_shorter_inputs(function, X):
    """What the first rows alone give must be what they give before the others."""
    whole = function(X)
    return any(moves(whole[:n], function(X[:n])) for n in range(1, len(X)))


def by_one_row_at_a_time(function, X):
    whole, rng = function(X), np.random.default_rng(7)
    for j in range(1, len(X)):
        changed = X.copy()
        changed[j] = rng.normal(size=X.shape[1])
        if moves(whole[:j], function(changed)[:j]):
            return True
    return False


def by_a_row_of_zeros(function, X):
    whole = function(X)
    return any(
        moves(whole[:j], function(X * (np.arange(6) != j)[:, None])[:j]) for j in range(1, 6)
    )


def by_all_later_rows(function, X):
    whole, rng = function(X), np.random.default_rng(8)
    changed = [np.vstack([X[:j], rng.normal(size=X[j:].shape)]) for j in range(1, len(X))]
    return bool(np.any([moves(whole[:j], function(c)[:j]) for j, c in enumerate(changed, 1)]))


@pytest.mark.parametrize(
    "test", [by_shorter_inputs, by_one_row_at_a_time, by_all_later_rows, by_a_row_of_zeros]
)
def test_right_tests_of_a_mask_are_accepted(test, mask_cases, capsys):
    bh.check(test, mask_cases)
    assert capsys.readouterr().out == "correct: 11 of 11 cases hold\n"


def wrong_test(change, rows=range(1, 6), seen=lambda whole, j: whole[:j]):
    def looks_ahead(function, X):
        whole = function(X)
        for j in rows:
            changed = X.copy()
            changed[j] = change(changed[j])
            if moves(seen(whole, j), seen(function(changed), j)):
                return True
        return False

    return looks_ahead


@pytest.mark.parametrize(
    "test",
    [
        wrong_test(lambda row: 2 * row),
        wrong_test(lambda row: row + 1),
        wrong_test(lambda row: -row),
        *(
            wrong_test(np.cos, rows=rows)
            for rows in ([5], [3], [1, 3, 5], [2, 3, 4, 5], [1, 2, 3, 4])
        ),
        wrong_test(lambda row: row + np.eye(16)[0]),
        wrong_test(np.cos, seen=lambda whole, j: whole[1:j] if j > 1 else whole[:0]),
        wrong_test(np.cos, seen=lambda whole, j: whole),
        lambda function, X: True,
        lambda function, X: False,
    ],
)
def test_wrong_tests_of_a_mask_are_refused(test, mask_cases, capsys):
    bh.check(test, mask_cases)
    assert capsys.readouterr().out.startswith("not yet")
