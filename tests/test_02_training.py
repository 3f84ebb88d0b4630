"""Chapter 02: what it builds, taken from the notebook and held against other references."""

import re

import chapters
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.optimize
import scipy.special
import scipy.stats
from matplotlib.figure import Figure
from sklearn.metrics import log_loss

import bigmodel_helpers as bh

with bh.quietly():
    import keras
    import tensorflow as tf

RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")


def functions(*names, **known):
    base = {
        "np": np,
        "tf": tf,
        "keras": keras,
        "layers": keras.layers,
        "bh": bh,
        "rng": np.random.default_rng(0),
    }
    return chapters.functions("02_training", names, base | known)


def test_the_heavy_ball_is_a_power_of_its_matrix():
    descend_heavy, momentum_matrix = functions("descend_heavy", "momentum_matrix")
    for curvature, rate, beta in ((0.3, 0.5, 0.9), (2.0, 0.1, 0.5), (5.0, 0.3, 0.8)):
        path = descend_heavy(
            lambda w, curvature=curvature: curvature * w, np.array([1.5]), rate, beta, 12
        )
        power = np.linalg.matrix_power(momentum_matrix(rate, beta, curvature), 12)
        np.testing.assert_allclose(path[-1], (power @ [1.5, 0.0])[0], atol=1e-12)


@pytest.mark.parametrize("k", [4.0, 25.0, 100.0])
def test_no_rate_and_momentum_beat_the_formulas(k):
    """Searched by SciPy from many starts: the slowest direction of a valley with curvatures 1 to k."""
    (momentum_matrix,) = functions("momentum_matrix")

    def slowest(rate, beta):
        return max(
            np.abs(np.linalg.eigvals(momentum_matrix(rate, beta, curvature))).max()
            for curvature in (1.0, k)
        )

    plain = scipy.optimize.minimize_scalar(
        lambda rate: slowest(rate, 0.0), bounds=(0, 2 / k), method="bounded"
    ).fun
    assert plain == pytest.approx((k - 1) / (k + 1), abs=1e-4)
    found = scipy.optimize.differential_evolution(
        lambda p: slowest(*p), [(0, 4 / k), (0, 1)], seed=0, tol=1e-10, maxiter=300
    ).fun
    root = np.sqrt(k)
    assert (root - 1) / (root + 1) - 1e-6 <= found <= (root - 1) / (root + 1) + 5e-3


@pytest.mark.parametrize("rate, batch", [(0.4, 1), (0.7, 4)])
def test_walkers_spread_as_a_linear_recursion_says(rate, batch):
    (spread_of_walkers,) = functions("spread_of_walkers")
    by_lyapunov = scipy.linalg.solve_discrete_lyapunov([[1 - rate * 2.0]], [[rate**2 * 9 / batch]])[
        0, 0
    ]
    assert by_lyapunov == pytest.approx(rate * 9 / (batch * 2 * (2 - rate * 2)), rel=1e-12)
    assert spread_of_walkers(rate, batch, walkers=4000, steps=400) == pytest.approx(
        by_lyapunov, rel=0.03
    )


def test_under_a_constant_slope_each_rule_is_a_sum_on_paper():
    rules = dict(zip(RULES, functions(*RULES)))
    g, steps = np.array([0.5, -3.0]), 30
    changes = {}
    for name, rule in rules.items():
        memory, w = {}, np.array([2.0, 1.0])
        changes[name] = []
        for t in range(1, steps + 1):
            memory["w"] = w
            changes[name].append(rule(g, t, memory))
            w = w + changes[name][-1]
    t, rate, tiny = np.arange(1, steps + 1)[:, None], 1 / 32, 2**-23
    velocity = rate * g * (1 - (7 / 8) ** t) / (1 / 8)
    s = (1 - (1023 / 1024) ** t) * g**2
    expected = {
        "sgd": rate * g * np.ones_like(t),
        "momentum": velocity,
        "nesterov": 7 / 8 * velocity + rate * g,
        "adagrad": rate * g / np.sqrt(1 / 8 + t * g**2 + tiny),
        "rmsprop": rate * g / np.sqrt((1 - (7 / 8) ** t) * g**2 + tiny),
        "adam": rate * g * np.sqrt(1 - (1023 / 1024) ** t) / (np.sqrt(s) + tiny),
    }
    for name, reference in expected.items():
        np.testing.assert_allclose(-np.array(changes[name]), reference, rtol=1e-9, err_msg=name)
    shrunk = np.array([2.0, 1.0])
    for t, step in enumerate(expected["adam"]):
        np.testing.assert_allclose(changes["adamw"][t], -shrunk / 256 - step, rtol=1e-9)
        shrunk = shrunk * 255 / 256 - step


def test_half_of_the_square_passes_a_relu_and_its_variance_is_five():
    half, _ = scipy.integrate.quad(lambda z: z**2 * scipy.stats.norm.pdf(z), 0, 20)
    fourth, _ = scipy.integrate.quad(lambda z: z**4 * scipy.stats.norm.pdf(z), 0, 20)
    assert (half, fourth / half**2 - 1) == pytest.approx((0.5, 5.0), abs=1e-9)


def test_batch_norm_agrees_with_scipy():
    (batch_norm,) = functions("batch_norm")
    x, running = (
        np.random.default_rng(1).normal(2, 3, size=(9, 4)),
        {"mean": np.zeros(4), "var": np.ones(4)},
    )
    np.testing.assert_allclose(
        batch_norm(x, 1, 0, running, True, epsilon=0), scipy.stats.zscore(x), atol=1e-12
    )
    np.testing.assert_allclose(running["mean"], 0.01 * x.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(
        batch_norm(x, 2, 1, running, False),
        1 + 2 * (x - running["mean"]) / np.sqrt(running["var"] + 1e-3),
    )


def test_the_gradient_of_the_softmax_regression():
    rng = np.random.default_rng(2)
    X, labels, W = rng.normal(size=(7, 4)), rng.integers(3, size=7), rng.normal(size=(4, 3))
    (gradient_and_loss,) = functions("gradient_and_loss", X=X, Y=np.eye(3)[labels])
    gradient, loss = gradient_and_loss(W)
    powers = np.exp(X @ W)
    by_sklearn = log_loss(labels, powers / powers.sum(axis=1, keepdims=True), labels=[0, 1, 2])
    assert loss == pytest.approx(by_sklearn + 0.005 * np.sum(W**2), abs=1e-12)
    for place in np.ndindex(W.shape):
        h = np.zeros_like(W)
        h[place] = 1e-6
        assert gradient[place] == pytest.approx(
            (gradient_and_loss(W + h)[1] - gradient_and_loss(W - h)[1]) / 2e-6, abs=1e-8
        )


def test_clipping_keeps_the_direction():
    (clip,) = functions("clip")
    g = np.array([3.0, -4.0, 12.0])
    np.testing.assert_allclose(clip(g, 2.6), g / 5)
    assert np.array_equal(clip(g, 13.0), g) and np.array_equal(clip(g / 100), g / 100)


@pytest.mark.parametrize("residual", [False, True])
def test_the_equal_layers_agree_with_numpy_and_do_not_share_their_first_weights(residual):
    keras.utils.set_random_seed(0)
    (EqualLayers,) = functions("EqualLayers")
    layer = EqualLayers(gain=2.0, residual=residual, depth=3, neurons=8)
    matrices, biases = layer.get_weights()
    assert (
        matrices.shape == (3, 8, 8)
        and len(np.unique(matrices)) == matrices.size
        and not biases.any()
    )
    biases = np.random.default_rng(4).normal(size=(3, 8)).astype("float32")
    layer.set_weights([matrices, biases])
    h = x = np.random.default_rng(5).normal(size=(6, 8)).astype("float32")
    for W, b in zip(matrices, biases):
        h = residual * h + np.maximum(0, h @ W + b)
    np.testing.assert_allclose(layer(x), h, atol=1e-5)


@pytest.mark.parametrize("gain", [2.0, 0.25])
def test_the_equal_layers_begin_with_their_gain(gain):
    keras.utils.set_random_seed(0)
    (EqualLayers,) = functions("EqualLayers")
    # of 16,384 weights: known to a two-hundredth
    spread = EqualLayers(gain=gain).get_weights()[0].std()
    np.testing.assert_allclose(spread, np.sqrt(gain / 32), rtol=0.03)


def test_the_race_is_drawn_at_the_ends_of_its_sliders():
    draw_race, surfaces, *_ = functions(
        "draw_race", "SURFACES", "run", "START", "hilly_gradient", *RULES
    )
    assert list(surfaces) == ["valley", "banana", "saddle", "bumps"]
    for name, (height, slope, _) in surfaces.items():
        for x, y in np.random.default_rng(3).uniform(-2, 2, size=(5, 2)):
            by_hand = [
                (height(x + 1e-6, y) - height(x - 1e-6, y)) / 2e-6,
                (height(x, y + 1e-6) - height(x, y - 1e-6)) / 2e-6,
            ]
            np.testing.assert_allclose(slope(x, y), by_hand, atol=1e-6)
        for log_rate, beta, steps in ((-3.0, 0.0, 1), (0.5, 0.99, 300), (-2.0, 0.9, 100)):
            said = draw_race(
                Figure(figsize=(8, 4)), surface=name, log_rate=log_rate, beta=beta, steps=steps
            )
            assert name in said and not re.search(r"\b(nan|inf)\b", said)


def test_the_exact_variance_that_a_layer_adds():
    """Of 64 neurons N are positive; the logarithm of a chi-squared number with N degrees of freedom is known."""
    positive = np.arange(1, 65)
    weights = scipy.stats.binom.pmf(positive, 64, 0.5)
    means = scipy.special.digamma(positive / 2)
    variance = np.average(scipy.special.polygamma(1, positive / 2), weights=weights)
    variance += np.average((means - np.average(means, weights=weights)) ** 2, weights=weights)
    assert 64 * variance == pytest.approx(5.31, abs=5e-3)


@chapters.eagerly()
def test_a_step_of_training_is_one_by_hand_and_rows_are_drawn_from_all():
    (train,) = functions(
        "train",
        entropy=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        x_train=None,
        y_train=None,
    )
    x = np.random.default_rng(6).normal(size=(5, 3)).astype("float32")
    y = np.array([0, 1, 1, 0, 1], "int32")
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    keras.utils.set_random_seed(3)
    drawn = tf.random.uniform((6, 4), 0, 5, tf.int32).numpy()
    W, b = (part.astype(float) for part in network.get_weights())
    expected, looks = [], []
    for step, rows in enumerate(drawn):
        p = scipy.special.softmax(x[rows] @ W + b, axis=1)
        expected.append(log_loss(y[rows], p, labels=[0, 1]))
        grad = (p - np.eye(2)[y[rows]]) / 4
        W, b = W - 0.5 * x[rows].T @ grad, b - 0.5 * grad.sum(axis=0)
        if step in (1, 3, 5):
            looks.append(b.sum())
    keras.utils.set_random_seed(3)
    losses, seen = train(
        network,
        keras.optimizers.SGD(0.5),
        6,
        batch=4,
        x=x,
        y=y,
        watch=lambda network: network.get_weights()[1].astype(float).sum(),
        parts=3,
    )
    np.testing.assert_allclose(losses, expected, atol=1e-5)
    np.testing.assert_allclose(seen, looks, atol=1e-6)
    np.testing.assert_allclose(network.get_weights()[0], W, atol=1e-5)


def test_the_networks_of_the_chapter():
    new_network, Growing = functions("new_network", "Growing", width=7, theirs=keras.optimizers)
    network = new_network(dropout=0.5)
    assert [part.shape for part in network.get_weights()] == [(64, 7), (7,), (7, 10), (10,)]
    x = np.random.default_rng(7).normal(size=(6, 64)).astype("float32")
    W, b, V, c = network.get_weights()
    np.testing.assert_allclose(network(x), np.maximum(0, x @ W + b) @ V + c, atol=1e-5)
    assert not np.allclose(network(x, training=True), network(x))
    assert W.std() == pytest.approx(np.sqrt(2 / 64), rel=0.2)
    rates = [float(Growing()(step)) for step in (0, 150, 300)]
    np.testing.assert_allclose(rates, [1e-4, 0.1, 100], rtol=1e-4)


def test_the_deep_network_and_its_gradients():
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(9, 64)).astype("float32"), rng.integers(10, size=9)
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    deep_network, gradient_norms, *_ = functions(
        "deep_network", "gradient_norms", "EqualLayers", x_train=x, y_train=y, entropy=entropy
    )
    network = deep_network(neurons=6, depth=2, gain=2.0)
    start, bias, matrices, biases, out, last = (v.astype(float) for v in network.get_weights())
    assert start.shape == (64, 6) and matrices.shape == (2, 6, 6) and out.shape == (6, 10)

    def loss(matrices):
        h = np.maximum(0, x @ start + bias)
        for W, b in zip(matrices, biases):
            h = np.maximum(0, h @ W + b)
        return log_loss(y, scipy.special.softmax(h @ out + last, axis=1), labels=range(10))

    norms = []
    for layer in range(2):
        slopes = []
        for place in np.ndindex(6, 6):
            h = np.zeros_like(matrices)
            h[layer][place] = 1e-5
            slopes.append((loss(matrices + h) - loss(matrices - h)) / 2e-5)
        norms.append(np.linalg.norm(slopes))
    np.testing.assert_allclose(gradient_norms(network), norms, rtol=1e-3)


def test_one_label_in_five_is_replaced_and_the_watcher_reckons_as_scikit_learn():
    x, y = np.arange(900)[:, None].astype("float32"), np.arange(900) % 10
    few_pictures, watcher = functions(
        "few_pictures",
        "watcher",
        few=800,
        x_train=x,
        y_train=y,
        x_val=np.array([[3.0], [25.0]], "float32"),
        y_val=np.array([3, 4]),
        entropy=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    x_few, y_few, wrong = few_pictures()
    rows = x_few[:, 0].astype(int)
    assert len(set(rows)) == 800 and np.array_equal(wrong, y_few != y[rows])
    # of 800, 18 in 100 wrong: 144, with a standard deviation of 10.9
    assert 100 < wrong.sum() < 188

    def network(x):
        return tf.one_hot(tf.cast(x[:, 0], tf.int32) % 10, 10) * 2.0

    powers = np.exp([2.0] + [0.0] * 9)
    hit, missed = -np.log(powers[[0, 1]] / powers.sum())
    mean = np.where(wrong, missed, hit).mean()
    expected = [mean, (hit + missed) / 2, 0.5, 0.0]
    np.testing.assert_allclose(watcher(x_few, y_few, wrong)(network), expected, rtol=1e-5)


def test_a_dance_ends_where_its_rate_ends_and_keeps_its_places():
    def gradient_and_loss(W, rows):
        return W - 3.0 + (-1.0) ** rows[0], None

    (dance,) = functions(
        "dance", gradient_and_loss=gradient_and_loss, W_best=np.full(1, 3.0), X=np.zeros((10, 1))
    )
    draws = np.random.default_rng(0), np.random.default_rng(0)
    places = dance(lambda done: 0.5 * (done < 0.5), 80, 7, draws[0])
    w, expected = 0.0, []
    for step in range(80):
        row = draws[1].integers(10, size=7)[0]
        w = w - 0.5 * (step < 40) * (w + (-1.0) ** row)
        expected.append(w)
    np.testing.assert_allclose(places[:, 0], expected, atol=1e-12)


def test_a_dance_on_a_parabola_has_no_errors_and_one_with_other_curvatures_has():
    curvatures, noise = np.linspace(0.1, 1, 9), np.arange(1.0, 10)
    rate = 1.5
    known = {
        "dance_rate": rate,
        "noise": noise,
        "spread_found": rate * noise / (128 * curvatures * (2 - rate * curvatures)),
        "jump_found": 1 - rate * curvatures,
    }
    (dance_errors,) = functions("dance_errors", **known)
    np.testing.assert_allclose(dance_errors(curvatures), 0, atol=1e-12)
    for wrong in (2 * curvatures, curvatures / 2, curvatures[::-1], 0 * curvatures + 1e-9):
        assert min(dance_errors(wrong)) > 0.3


def many_networks():
    """The functions that train many networks at once, and five examples for them."""
    rng = np.random.default_rng(9)
    x, y = rng.normal(size=(5, 64)), np.array([3, 1, 4, 1, 5])
    names = "in_layers", "losses_and_gradients", "validation_losses"
    known = {"x_train": x, "y_train": y, "x_val": x[::-1] + 0.1, "y_val": y[::-1]}
    return *functions(*names, **known)[1:], x, y, 0.2 * rng.normal(size=(3, 2410))


def test_the_gradients_of_many_networks_are_those_of_each():
    losses_and_gradients, _, x, y, w = many_networks()
    losses, gradients = losses_and_gradients(w, x, y)
    assert losses.shape == (3,) and gradients.shape == w.shape
    W1, b1, W2, b2 = np.split(w[1], [2048, 2080, 2400])
    h = np.maximum(0, x @ W1.reshape(64, 32) + b1)
    p = scipy.special.softmax(h @ W2.reshape(32, 10) + b2, axis=1)
    assert losses[1] == pytest.approx(log_loss(y, p, labels=range(10)), abs=1e-12)
    for place in np.random.default_rng(10).choice(2410, 60, replace=False).tolist() + [2050, 2405]:
        h = np.zeros_like(w)
        h[:, place] = 1e-6
        up, down = losses_and_gradients(w + h, x, y)[0], losses_and_gradients(w - h, x, y)[0]
        np.testing.assert_allclose(gradients[:, place], (up - down) / 2e-6, atol=1e-7)


def test_each_start_is_trained_with_each_rate_and_the_rate_falls_to_nothing():
    losses_and_gradients, validation_losses, x, y, starts = many_networks()
    batches, rates = np.array([[0, 1], [2, 4], [3, 3]]), np.array([0.1, 0.5])
    seen = []

    def rule(g, t, memory, rate):
        seen.append((t, rate[:, 0].copy(), memory["w"].copy()))
        return -rate * g

    found = validation_losses(rule, rates, starts, batches)
    expected = np.zeros(2)
    for column, rate in enumerate(rates):
        w = starts.copy()
        for rows, falls in zip(batches, (0.75, 0.25, 0.0)):
            w = w - rate * falls * losses_and_gradients(w, x[rows], y[rows])[1]
        expected[column] = losses_and_gradients(w, x[::-1] + 0.1, y[::-1])[0].mean()
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert [t for t, _, _ in seen] == [1, 2, 3] and seen[0][2].shape == (6, 2410)


@chapters.eagerly()
def test_normalised_layers_send_on_what_has_mean_0_and_variance_1():
    keras.utils.set_random_seed(2)
    (EqualLayers,) = functions("EqualLayers")
    layer = EqualLayers(gain=0.5, residual=True, normalised=True, depth=3, neurons=8)
    x = np.random.default_rng(11).normal(size=(50, 8)).astype("float32")
    first, *rest = (np.asarray(h) for h in layer.signals(x, training=True))
    assert np.array_equal(first, x) and len(rest) == 3 and len(layer.norms) == 3
    for before, W, after in zip((first, *rest), layer.matrices.numpy(), rest):
        expected = scipy.stats.zscore(before + np.maximum(0, before @ W))
        np.testing.assert_allclose(after, expected, atol=0.02)
    np.testing.assert_allclose(layer(x, training=True), rest[-1], atol=1e-5)
    assert not np.allclose(layer(x), rest[-1], atol=0.1)
    assert EqualLayers().norms == []


def test_with_few_examples_all_at_once_and_with_many_a_few_at_a_time_come_nearer():
    distances_left, _ = functions("distances_left", "descend")
    for size, better in ((64, 0), (200_000, 1)):
        found = distances_left(size)
        assert np.argmin(found) == better and max(found) > 3 * min(found) > 0


def race(**knobs):
    """What the race says of each optimiser at its end: a height, or that it was thrown out."""
    draw_race, *_ = functions("draw_race", "SURFACES", "run", "START", "hilly_gradient", *RULES)
    said = draw_race(Figure(figsize=(8, 4)), **knobs).split("end: ")[1].rstrip(".")
    parts = [re.fullmatch(r"(.+?) (thrown out|-?[\d.]+)", part) for part in said.split(", ")]
    return {part[1]: part[2] for part in parts}


def test_the_race_ends_as_the_text_says():
    usual = {"beta": 0.9, "steps": 100}
    ends = race(surface="banana", log_rate=-2.0, **usual)
    assert min(ends, key=lambda name: float(ends[name])) == "momentum"
    assert race(surface="banana", log_rate=-1.5, **usual)["momentum"] == "thrown out"
    for log_rate in (-0.9, -0.5, -0.1):
        assert arrive_everywhere(log_rate, **usual) == {"Adam"}
    for log_rate in (-1.8, -1.3, -0.2, 0.4):
        assert arrive_everywhere(log_rate, **usual) <= {"Adam"}
    longer = {"beta": 0.9, "steps": 300}
    for log_rate in (-1.9, -1.8, -1.6):
        assert "momentum" in arrive_everywhere(log_rate, **longer)
    for log_rate in (-1.4, -0.9, 0.0, 0.3):
        assert arrive_everywhere(log_rate, **longer) == {"Adam"}
    for log_rate in (-2.0, 0.4):
        assert arrive_everywhere(log_rate, **longer) == set()
    for beta in (0.0, 0.99):
        assert arrive_everywhere(-1.0, beta=beta, steps=100) == set()
    for log_rate in (-2.0, -1.5, -1.0, -0.5, 0.0):
        assert arrive_everywhere(log_rate, beta=0.99, steps=300) == set()
    few_rates = [
        arrive_everywhere(log_rate, beta=0.0, steps=300) for log_rate in (-1.5, -1.0, -0.5)
    ]
    assert few_rates == [{"Adam"}, set(), set()]


def arrive_everywhere(log_rate, **knobs):
    """The optimisers that come within 0.005 of the bottom of every surface."""
    bottoms, there = {"valley": 0.0, "banana": 0.0, "saddle": -0.5, "bumps": -0.252}, []
    for surface, bottom in bottoms.items():
        ends = race(surface=surface, log_rate=log_rate, **knobs)
        heights = {
            name: np.inf if end == "thrown out" else float(end) for name, end in ends.items()
        }
        there.append({name for name, end in heights.items() if abs(end - bottom) <= 0.0051})
    return set.intersection(*there)


def adam_with(**other):
    """Exercise 2 solved, but for what is given as another lambda."""
    parts = {
        "m": lambda old, g, b: b * old + (1 - b) * g,
        "s": lambda old, g, b: b * old + (1 - b) * g**2,
        "divided": lambda value, b, t: value / (1 - b**t),
        "step": lambda m, s, epsilon: m / (np.sqrt(s) + epsilon),
        "epsilon": lambda epsilon: epsilon,
    } | other

    def rule(g, t, memory, rate=0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        memory["m"] = parts["m"](memory.get("m", 0), g, beta_1)
        memory["s"] = parts["s"](memory.get("s", 0), g, beta_2)
        m, s = parts["divided"](memory["m"], beta_1, t), parts["divided"](memory["s"], beta_2, t)
        with np.errstate(all="ignore"):
            return -rate * parts["step"](m, s, parts["epsilon"](epsilon))

    return rule


def as_keras_has_it(g, t, memory, rate=0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """The paper's faster form, with epsilon-hat in place of epsilon."""
    m, s = memory["both"] = (
        beta_1 * memory.get("both", (0, 0))[0] + (1 - beta_1) * g,
        beta_2 * memory.get("both", (0, 0))[1] + (1 - beta_2) * g**2,
    )
    return -rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(s) + epsilon)


def with_epsilon_hat(g, t, memory, rate=0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    hat = epsilon * np.sqrt(1 - beta_2**t)
    return as_keras_has_it(g, t, memory, rate, beta_1, beta_2, hat)


def from_all_gradients(g, t, memory, rate=0.1, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Both means as weighted sums over everything seen."""
    seen = memory.setdefault("seen", [])
    seen.append(np.array(g))
    age = np.arange(len(seen))[::-1, None]
    m = np.average(seen, axis=0, weights=(beta_1**age).ravel())
    s = np.average(np.square(seen), axis=0, weights=(beta_2**age).ravel())
    return -rate * m / (s**0.5 + epsilon)


def by_eigenvalues(gradient, n):
    return np.linalg.eigvalsh(np.stack([gradient(row) for row in np.eye(n)]))[-1]


def by_rayleigh(gradient, n, rounds=2000):
    w = np.arange(1.0, n + 1)
    for _ in range(rounds):
        w = gradient(w)
        w = w / np.abs(w).max()
    return w @ gradient(w) / (w @ w)


def by_tensorflow(gradient, n):
    rows = tf.constant(np.stack([gradient(row) for row in np.eye(n)]))
    return tf.linalg.eigvalsh(rows)[-1]


RIGHT = {
    "hand": [(0.75, 0.2, 0.05), [3 / 4, 1 / 5, 1 / 20], np.array([0.75, 0.2, 0.05])],
    "adam": [adam_with(), with_epsilon_hat, from_all_gradients],
    "step": [(1382, 70), [1382.0, 70.0], (np.int64(1382), tf.constant(70))],
    "gain": [
        lambda a: 2 / (1 + a**2),
        lambda a: 1 / np.mean([1, a * a]),
        lambda a: tf.constant(2.0) / (1 + tf.constant(a) ** 2),
    ],
    "curvature": [by_eigenvalues, by_rayleigh, by_tensorflow],
}
WRONG = {
    "hand": [
        (1.5, 0.2, 0.05),  # one step
        (0.75, 0.1, 0.05),  # where it is fastest
        (0.75, 0.2, 0.15),  # to the other side
        (0.75, 2, 0.05),
    ],
    "adam": [
        as_keras_has_it,
        adam_with(step=lambda m, s, epsilon: m / np.sqrt(s + epsilon)),
        adam_with(step=lambda m, s, epsilon: m / (np.sqrt(s) + 1e-7)),
        adam_with(step=lambda m, s, epsilon: m / np.sqrt(s)),
        adam_with(m=lambda old, g, b: b * old + g),
        adam_with(s=lambda old, g, b: b * old + (1 - b) * np.abs(g)),
        adam_with(divided=lambda value, b, t: value / (1 - b)),
        adam_with(divided=lambda value, b, t: value),
        adam_with(step=lambda m, s, epsilon: np.nan_to_num(m / np.sqrt(s))),
        lambda g, t, memory, **given: as_keras_has_it(g, t, {}, **given),
    ],
    "step": [
        (1381.6, 69.1),
        (1381, 69),
        (1382, 1382),
        (1382, 1381),
        (2764, 139),  # a millionth
    ],
    "gain": [
        lambda a: 2.0,
        lambda a: 2 / (1 + a),
        lambda a: 2 * (1 + a**2),
        lambda a: 1 / (1 + a**2),
        lambda a: 2 / (1 - a**2) if abs(a) != 1 else 1.0,
        lambda a: np.sqrt(2 / (1 + a**2)),  # of the standard deviation, as PyTorch has it
    ],
    "curvature": [
        lambda gradient, n: np.linalg.norm(gradient(np.ones(n))),
        lambda gradient, n: np.linalg.norm(gradient(np.ones(n))) / np.sqrt(n),
        lambda gradient, n: sum(gradient(row)[i] for i, row in enumerate(np.eye(n))),
        lambda gradient, n: max(gradient(row)[i] for i, row in enumerate(np.eye(n))),
        lambda gradient, n: 1 / by_eigenvalues(gradient, n),
        lambda gradient, n: by_rayleigh(gradient, n, rounds=10),
    ],
}


@pytest.fixture
def ask(capsys):
    """What the check of an exercise, named by its cases, says to an answer."""
    base = {"np": np, "tf": tf, "bh": bh}
    names = ["hilly_gradient", "START", "run", "descend", "adam"]
    known = base | dict(zip(names, functions(*names)))
    asked = chapters.asked_of("02_training", known, capsys, within={"curvature_cases": 1e-3})
    return lambda name, answer: asked(f"{name}_cases", answer)


(
    test_right_answers_of_any_form_are_accepted,
    test_wrong_answers_are_refused,
    test_a_wrong_number_is_not_told_the_right_one,
) = chapters.tests_of_answers(RIGHT, WRONG, numbers=["hand", "step"])
