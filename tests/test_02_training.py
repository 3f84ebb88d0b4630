"""Chapter 02: what it builds, taken from the notebook and held against other references."""

import re

import chapters
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.optimize
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


def test_the_slope_of_the_softmax_regression():
    rng = np.random.default_rng(2)
    X, labels, W = rng.normal(size=(7, 4)), rng.integers(3, size=7), rng.normal(size=(4, 3))
    (slope_and_loss,) = functions("slope_and_loss", X=X, Y=np.eye(3)[labels])
    slope, loss = slope_and_loss(W)
    powers = np.exp(X @ W)
    by_sklearn = log_loss(labels, powers / powers.sum(axis=1, keepdims=True), labels=[0, 1, 2])
    assert loss == pytest.approx(by_sklearn + 0.005 * np.sum(W**2), abs=1e-12)
    for place in np.ndindex(W.shape):
        h = np.zeros_like(W)
        h[place] = 1e-6
        assert slope[place] == pytest.approx(
            (slope_and_loss(W + h)[1] - slope_and_loss(W - h)[1]) / 2e-6, abs=1e-8
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
        "draw_race", "SURFACES", "run", "START", "hilly_slope", *RULES
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
