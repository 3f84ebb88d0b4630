"""Chapter 04: what it builds, taken from the notebook and held against other references; and the chapter on other data."""

from itertools import product

import chapters
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from matplotlib.figure import Figure

import bigmodel_helpers as bh

with bh.quietly():
    import keras
    import tensorflow as tf


def functions(*names):
    photograph = np.random.default_rng(0).random((16, 16))
    known = {"np": np, "bh": bh, "tf": tf, "keras": keras, "scipy": scipy, "product": product}
    known |= {"reach": 1, "side": 8, "channels": 1, "photograph": photograph}
    return chapters.functions("04_convolution", names, known)


@pytest.mark.parametrize(
    "n, k, stride, c_in, c_out",
    [(9, 3, 1, 2, 3), (10, 4, 2, 3, 1), (11, 5, 3, 1, 4), (6, 1, 2, 2, 2)],
)
def test_the_layer_and_its_gradients_agree_with_scipy_and_with_complex_steps(
    n, k, stride, c_in, c_out
):
    _, convolve, gradients_for = functions("patches_of", "convolve", "gradients_for")
    rng = np.random.default_rng(n)
    x, weights, bias = (
        rng.normal(size=(2, n, n, c_in)),
        rng.normal(size=(k, k, c_in, c_out)),
        rng.normal(size=c_out),
    )
    out = convolve(x, weights, bias, stride)
    for picture, channel in product(range(2), range(c_out)):
        whole = scipy.signal.correlate(x[picture], weights[:, :, :, channel], "valid")[:, :, 0]
        np.testing.assert_allclose(
            out[picture, :, :, channel], whole[::stride, ::stride] + bias[channel], atol=1e-12
        )
    G = rng.normal(size=out.shape)
    for part, array in enumerate((weights, bias, x)):
        for _ in range(5):
            place, step = tuple(rng.integers(array.shape)), np.zeros(array.shape, complex)
            step[place] = 1e-20j
            changed = [a + step if a is array else a for a in (x, weights, bias)]
            derivative = np.sum(G * convolve(*changed, stride)).imag / 1e-20
            assert gradients_for(x, weights, G, stride)[part][place] == pytest.approx(
                derivative, abs=1e-10
            )


def test_pooling_keeps_the_largest_and_only_it_gets_a_gradient():
    _, pool, pool_backward = functions("squares_of", "pool", "pool_backward")
    z = np.random.default_rng(1).normal(size=(3, 6, 8, 2))
    largest = scipy.ndimage.maximum_filter(z, size=(1, 2, 2, 1), origin=(0, -1, -1, 0))[:, ::2, ::2]
    np.testing.assert_array_equal(pool(z), largest)
    grad = pool_backward(z, np.ones_like(largest))
    assert grad.sum() == largest.size
    np.testing.assert_array_equal(np.sort(z[grad == 1]), np.sort(largest.ravel()))


def test_of_equal_pixels_the_first_gets_the_gradient_as_in_tensorflow():
    _, _, pool_backward = functions("squares_of", "pool", "pool_backward")
    z = np.maximum(0, np.random.default_rng(3).integers(-2, 3, size=(2, 4, 4, 3)).astype(float))
    G = np.random.default_rng(4).normal(size=(2, 2, 2, 3))
    with tf.GradientTape() as tape:
        variable = tf.Variable(z)
        J = tf.reduce_sum(G * tf.nn.max_pool2d(variable, 2, 2, "VALID"))
    np.testing.assert_allclose(pool_backward(z, G), tape.gradient(J, variable).numpy(), atol=1e-15)


def test_a_moved_picture_is_the_same_picture_elsewhere():
    (moved,) = functions("moved")
    X = np.random.default_rng(2).normal(size=(4, 8, 8, 1))
    for down, right in product((-1, 0, 1), repeat=2):
        expected = scipy.ndimage.shift(X, (0, down, right, 0), order=0, mode="grid-constant")
        np.testing.assert_array_equal(moved(X, down, right), expected)


PLACES = [
    "_".join(place) for place in product(("top", "middle", "bottom"), ("left", "centre", "right"))
]


@pytest.mark.parametrize("weights", [[0] * 9, [2] * 9, [-2] * 9, [-1, 0, 1] * 3, [0.05] * 9])
def test_the_kernel_explorer_draws_whatever_the_sliders_say(weights):
    _, draw_kernel = functions("show_grey", "draw_kernel")
    figure = Figure(figsize=(8, 4))
    alt = draw_kernel(figure, **dict(zip(PLACES, weights)))
    assert f"rows {weights[0]:.2f} {weights[1]:.2f}" in alt
    original, result = (axes.images[0].get_array() for axes in figure.axes[1:])
    expected = scipy.signal.correlate2d(original, np.reshape(weights, (3, 3)), "valid")
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_the_chapter_runs_on_other_data_without_bounds_for_a_part_of_a_set(tmp_path):
    """Made files in copies of the book, as a lecturer hands them out; every cell must run, and no bound is applied."""
    mnist = chapters.made_data((28, 28), (), train=256, test=40)
    cifar10 = chapters.made_data((32, 32, 3), (1,), train=256, test=40)
    both = chapters.run_side_by_side(
        tmp_path,
        ("04_convolution", {"dataset": "mnist", "epochs": 2}, {"mnist": mnist}),
        ("04_convolution", {"dataset": "cifar10", "epochs": 2}, {"cifar10": cifar10}),
    )
    for ran, parameters in zip(both, ("34186", "122570"), strict=True):
        said = "".join(
            output.get("text", "")
            for cell in ran.cells
            if cell.cell_type == "code"
            for output in cell.outputs
        )
        assert f"network of patches: {parameters}, as it must be" in said
        trained = [
            line
            for line in said.splitlines()
            if line.startswith(("patches", "trained moving", "occlusion", "gradient", "Grad-CAM: "))
        ]
        assert len(trained) > 12 and not any(
            "at least" in line or "at most" in line for line in trained
        )


def test_an_epoch_shows_every_picture_once_in_an_order_of_its_own():
    (batches,) = chapters.functions("04_convolution", ["batches"], {"np": np, "batch": 4})
    chosen = batches(np.random.default_rng(0), 20, 30)
    assert chosen.shape == (30, 4)
    epochs = chosen.reshape(6, 20)
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6
    assert batches(np.random.default_rng(0), 5, 30).shape == (
        30,
        4,
    )  # fewer pictures, as many steps


def test_agreement_of_maps_is_pearsons_correlation_without_constant_maps():
    correlations, likeness = functions("correlations", "likeness")
    a, b = np.random.default_rng(0).normal(size=(2, 5, 3, 3))
    a[2] = 0.7
    expected = [np.corrcoef(a[i].ravel(), b[i].ravel())[0, 1] for i in (0, 1, 3, 4)]
    np.testing.assert_allclose(correlations(a, b), expected, atol=1e-12)
    assert likeness(a, [b, -b]) == pytest.approx(np.mean(np.abs(expected)), abs=1e-12)


def test_the_most_important_eighth_is_erased_and_nothing_else():
    (erased,) = functions("erased")
    importance = np.random.default_rng(0).permutation(2 * 64).reshape(2, 8, 8) - 64.0
    kept = erased(np.ones((2, 8, 8, 1), "float32"), importance)[..., 0]
    for picture, values in zip(kept, importance):
        np.testing.assert_array_equal(picture == 0, values >= np.sort(values.ravel())[-8])


def test_of_twenty_changes_the_largest_is_shown():
    (most_changed,) = functions("most_changed")
    added = iter([*range(-9, 10), -12])
    view = most_changed(lambda x: tf.constant(x + next(added)), np.zeros((2, 2, 1)))
    assert (view == -12).all()


def test_three_neighbours_vote_and_of_equally_near_ones_the_first_counts():
    (three_nearest,) = functions("three_nearest")
    rng = np.random.default_rng(0)
    known, labels = rng.integers(0, 3, (60, 3)) / 16, rng.integers(0, 3, 60)
    X = rng.integers(0, 3, (40, 3)) / 16  # coarse, so that many distances are equal
    for x, found in zip(X, three_nearest(X, known, labels)):
        order = sorted(range(60), key=lambda i: (round(256 * np.sum((x - known[i]) ** 2)), i))
        votes = [labels[i] for i in order[:3]]
        assert found == max(range(3), key=lambda digit: (votes.count(digit), -digit))


def test_a_locally_connected_layer_is_a_convolution_that_changes_its_kernel_from_place_to_place():
    _, LocallyConnected = functions("output_size", "LocallyConnected")
    x = np.random.default_rng(0).normal(size=(3, 6, 5 + 1, 2)).astype("float32")
    layer = LocallyConnected(4, 3, activation="relu")
    out = layer(x).numpy()
    assert out.shape == (3, 4, 4, 4) and layer.weight.shape == (4, 4, 18, 4)
    layer.bias.assign(np.random.default_rng(1).normal(size=layer.bias.shape))
    for i, j in product(range(4), repeat=2):
        patch = x[:, i : i + 3, j : j + 3].reshape(3, -1)
        expected = np.maximum(0, patch @ layer.weight[i, j].numpy() + layer.bias[i, j].numpy())
        np.testing.assert_allclose(layer(x)[:, i, j], expected, atol=1e-5)


def test_squares_hold_the_sums_of_their_pixels():
    (in_squares,) = functions("in_squares")
    x = np.random.default_rng(0).random((2, 8, 8))
    np.testing.assert_array_equal(in_squares(x), x)
    in_squares.__globals__["reach"] = 3
    found = in_squares(x)
    assert found.shape == (2, 3, 3)
    assert found[1, 0, 2] == pytest.approx(x[1, :3, 6:].sum())


def test_attention_costs_more_than_a_convolution_only_on_many_places_for_its_width():
    _, ratio = functions("multiplications", "attention_over_convolution")
    for width, n in product((16, 64, 768), (5, 14, 40, 90)):
        assert ratio(n, width) == pytest.approx((2 * n**2 / width + 4) / 9)
        assert (ratio(n, width) > 1) == (n**2 > 2.5 * width)
        assert (ratio(n, width, 1, 0) > 1) == (n**2 > 9 * width)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_network_is_drawn_with_its_shapes_parameters_and_fields(padding):
    *_, draw_network = functions("receptive_field", "STEPS", "draw_square", "draw_network")
    network = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(5, 3, padding=padding),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ])
    draw_network(axes := Figure().subplots(), network)
    text = " | ".join(part.get_text() for part in axes.texts)
    n = 8 if padding == "same" else 6
    for part in (f"{n} x {n} x 5\nsees 3", f"{n // 2} x {n // 2} x 5\nsees 4", "50 parameters"):
        assert part in text
    assert f"dense\n{5 * (n // 2) ** 2 * 10 + 10:,} parameters" in text and "10\nscores" in text


# --- the exercises: answers that are right in another form, and answers that learners give ---------------------------

VIEWS = [np.random.default_rng(view).random((200, 8, 8, 1)).astype("float32") for view in range(5)]
MOVING = "patches, trained moving"


def noisy(number):
    """A network that reads the brightest of the first ten pixels of a picture, with errors of its own."""
    network = keras.Sequential([
        keras.Input((8, 8, 1)),
        keras.layers.Flatten(),
        keras.layers.Dense(10),
    ])
    W = np.random.default_rng(number).normal(size=(64, 10)) * 0.1
    W[:10] += np.eye(10)
    network.layers[-1].set_weights([W, np.zeros(10)])
    return network


def softmax(z):
    powers = np.exp(np.asarray(z) - np.max(z, axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def ring(x, kernel):
    return scipy.ndimage.convolve(x, kernel, mode="wrap")


def twice(x, rows, columns):
    return np.array([
        [rows @ x[i : i + 5, j : j + 5] @ columns for j in range(3)] for i in range(5)
    ])


def back(x, kernel, G, stride, add=True, turn=False, jump=True):
    """The way back, with the three mistakes of the exercise to be chosen."""
    k, s = len(kernel), stride if jump else 1
    grad_kernel, grad_x = np.zeros_like(kernel), np.zeros_like(x)
    for i, j in np.ndindex(G.shape):
        rows, columns = slice(i * s, i * s + k), slice(j * s, j * s + k)
        grad_kernel += G[i, j] * x[rows, columns]
        part = G[i, j] * (kernel[::-1, ::-1] if turn else kernel)
        grad_x[rows, columns] = grad_x[rows, columns] + part if add else part
    return grad_kernel, grad_x


def back_by_tape(x, kernel, G, stride):
    x, kernel = tf.Variable(x[None, :, :, None]), tf.Variable(kernel[:, :, None, None])
    with tf.GradientTape() as tape:
        J = tf.reduce_sum(G * tf.nn.conv2d(x, kernel, stride, "VALID")[0, :, :, 0])
    of_x, of_kernel = tape.gradient(J, [x, kernel])
    return of_kernel[:, :, 0, 0], of_x[0, :, :, 0]


def back_by_convolutions(x, kernel, G, stride):
    spread = np.zeros([stride * (n - 1) + 1 for n in G.shape])
    spread[::stride, ::stride] = G
    grad_x = np.zeros_like(x)
    whole = scipy.signal.convolve2d(spread, kernel)
    grad_x[: len(whole), : len(whole[0])] = whole
    k = len(kernel)
    used = x[: len(spread) + k - 1, : len(spread[0]) + k - 1]
    return scipy.signal.correlate2d(used, spread, "valid"), grad_x


def right_rows(W, order):
    return W[order]


def feature(x, kernel):
    return np.maximum(0, ring(x, kernel)).mean()


def labels_of(network, X):
    return np.argmax(network(X), axis=1)


def best_on_the_test(networks, X):
    """A leaderboard: the network that does best on the test pictures answers alone."""
    return labels_of(max(networks, key=lambda n: np.mean(labels_of(n, VIEWS[0]) == TRUTH)), X)


TRUTH = VIEWS[0].reshape(200, 64)[:, :10].argmax(axis=1)
VIEWS[1:] = [VIEWS[0] + 0.05 * (view - 0.5) for view in VIEWS[1:]]
RIGHT = {
    "on_paper": [
        ([[0, 0], [1, -1]], [[2, 3], [2, 2]], 25),
        (np.array([[0.0, 0], [1, -1]]), np.array([[2, 3], [2, 2]]), np.int64(25)),
        [[(0, 0), (1, -1)], tf.constant([[2, 3], [2, 2]]), 25.0],
    ],
    "lenet": [
        ([28, 14, 10, 5], 61_706, 16),
        (np.array([28, 14, 10, 5]), 61_706.0, [16]),
        ((28, 14, 10, 5), tf.constant(61_706), np.array(16)),
    ],
    "slid_twice": [
        lambda x, u, v: scipy.signal.correlate2d(
            scipy.signal.correlate2d(x, v[None], "valid"), u[:, None], "valid"
        ),
        lambda x, u, v: twice(x, u, v),
        lambda x, u, v: scipy.ndimage.correlate1d(
            scipy.ndimage.correlate1d(x, u, axis=0), v, axis=1
        )[2:-2, 2:-2],
        lambda x, u, v: tf.constant(twice(x, u, v)),
    ],
    "repaired": [back, back_by_tape, back_by_convolutions],
    "invariance": [
        (feature, right_rows),
        (lambda x, k: np.maximum(0, ring(x, k)).max(), lambda W, order: np.take(W, order, axis=0)),
        (
            lambda x, k: tf.reduce_sum(tf.nn.relu(tf.constant(ring(x, k), tf.float32))),
            lambda W, order: np.eye(len(W))[order] @ W,
        ),
        (
            lambda x, k: np.array([[feature(x, k)]]),
            lambda W, order: np.array([W[i] for i in order], "float32"),
        ),
    ],
    "reading": [
        lambda networks, X: sum(softmax(n(X)) for n in networks).argmax(axis=1),
        lambda networks, X: np.argmax(np.mean([n.predict(X, verbose=0) for n in networks], 0), 1),
        lambda networks, X: np.max([softmax(n(X)) for n in networks], axis=0).argmax(axis=1),
        lambda networks, X: np.median([softmax(n(X)) for n in networks], axis=0).argmax(axis=1),
        lambda networks, X: tf.argmax(
            tf.add_n([tf.nn.log_softmax(n(X)) for n in networks]), axis=1
        ),
        lambda networks, X: [
            np.bincount(votes, minlength=10).argmax()
            for votes in np.stack([labels_of(n, X) for n in networks], axis=1)
        ],
    ],
}
WRONG = {
    "on_paper": [
        ([[0, 0], [-1, 1]], [[2, 3], [2, 2]], 25),  # turned by 180 degrees
        ([[0, -1], [0, 0]], [[2, 3], [2, 2]], 25),
        ([[0, 0], [1, -1]], [[1, 1.5], [1, 1]], 25),  # average pooling
        ([[0, 0], [1, -1]], [[2, 3], [2, 2]], 5),  # one side alone
        ([[0, 0], [1, -1]], [[2, 3], [2, 2]], 16),
        ([0, 0, 1, -1], [[2, 3], [2, 2]], 25),
    ],
    "lenet": [
        ([28, 14, 14, 7], 61_706, 16),  # padding in both
        ([24, 12, 8, 4], 44_426, 16),  # padding in none
        ([28, 14, 10, 5], 61_470, 16),  # without biases
        ([28, 14, 10, 5], 61_706, 14),  # without the last pooling
        ([28, 14, 10, 5], 61_706, 20),
    ],
    "slid_twice": [
        lambda x, u, v: twice(x, v, u),
        lambda x, u, v: twice(x, u[::-1], v[::-1]),  # in the mathematician's sense
        lambda x, u, v: scipy.signal.correlate2d(x, v[None], "valid"),
        lambda x, u, v: scipy.signal.correlate2d(x, np.outer(u, v), "same"),
        lambda x, u, v: twice(x, u, np.ones(5)) + twice(x, np.ones(5), v),
    ],
    "repaired": [
        lambda *given: back(*given, add=False),
        lambda *given: back(*given, turn=True),
        lambda *given: back(*given, jump=False),
        lambda *given: back(*given)[::-1],
        lambda *given: back(*given, add=False, turn=True, jump=False),
    ],
    "invariance": [
        (lambda x, k: ring(x, k).mean(), right_rows),  # without relu it sees the mean alone
        (lambda x, k: np.maximum(0, scipy.signal.convolve2d(x, k, "valid")).mean(), right_rows),
        (lambda x, k: np.maximum(0, ring(x, k))[0, 0], right_rows),
        (lambda x, k: np.maximum(0, ring(x, k)).argmax(), right_rows),
        (lambda x, k: 0.0, right_rows),
        (lambda x, k: np.maximum(0, x).mean(), right_rows),  # another kernel, the same number
        (feature, lambda W, order: W),
        (feature, lambda W, order: W[np.argsort(order)]),  # the other way round
        (feature, lambda W, order: W.T),
    ],
    "reading": [
        best_on_the_test,
        lambda networks, X: labels_of(networks[0], X),
        lambda networks, X: np.rint(np.mean([labels_of(n, X) for n in networks], axis=0)),
        lambda networks, X: sum(softmax(n(X)) for n in networks),  # no label yet
        lambda networks, X: sum(softmax(n(X)) for n in networks).argmin(axis=1),
        lambda networks, X: np.prod([np.asarray(n(X)) for n in networks], axis=0).argmax(axis=1),
        lambda networks, X: TRUTH[: len(X)],
    ],
}


@pytest.fixture(scope="module")
def known_to_exercises():
    names = ("slide", "shift", "output_size", "conv_parameters", "dense_parameters", "softmax_of")
    known = {"np": np, "tf": tf, "keras": keras, "side": 8, "channels": 1, "y_test": TRUTH}
    known |= dict(zip(names, functions(*names)))
    several = [noisy(number) for number in range(3)]
    shares = [[np.mean(labels_of(n, view) == TRUTH) for view in VIEWS] for n in several]
    known |= {"networks": {MOVING: several}, "by_view": {MOVING: np.array(shares)}, "VIEWS": VIEWS}
    return known | {"dense_network": lambda: keras.Sequential([keras.layers.Flatten()])}


@pytest.fixture
def ask(capsys, known_to_exercises):
    """What the check of an exercise, named by its cases, says to an answer."""
    within = {"invariance": 1e-4}
    return chapters.asked_of("04_convolution", known_to_exercises, capsys, within)


(
    test_right_answers_of_any_form_are_accepted,
    test_wrong_answers_are_refused,
    test_a_wrong_number_is_not_told_the_right_one,
) = chapters.tests_of_answers(RIGHT, WRONG, numbers=["on_paper", "lenet"])


def test_half_an_answer_is_told_from_none(ask):
    assert "1 of 9 parts is missing" in ask("on_paper", ([[0, 0], [1, -1]], [[2, 3], [2, 2]], ...))
    assert ask("reading", lambda networks, X: None).startswith("not done yet (")
    for parts in ((feature, lambda W, order: ...), (lambda x, kernel: ..., right_rows)):
        assert ask("invariance", parts).startswith("not done yet")
