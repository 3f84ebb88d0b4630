"""Chapter 06: what it builds, taken from the notebook and held against other references; and the chapter on other data."""

import chapters
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.spatial.distance
import scipy.special
from matplotlib.figure import Figure
from scipy.stats import norm

import bigmodel_helpers as bh

with bh.quietly():
    import keras
    import tensorflow as tf


def functions(*names, **known):
    base = {
        "np": np,
        "tf": tf,
        "keras": keras,
        "bh": bh,
        "norm": norm,
        "expit": scipy.special.expit,
    }
    known = base | {"softplus": tf.nn.softplus} | known
    return chapters.functions("06_gan", names, known)


def test_divergences_agree_with_scipy():
    score, jensen_shannon, _ = functions("score", "jensen_shannon", "divergence")
    for p, q in np.random.default_rng(0).dirichlet(np.ones(6), size=(20, 2)):
        by_scipy = scipy.spatial.distance.jensenshannon(p, q) ** 2
        assert jensen_shannon(p, q) == pytest.approx(by_scipy, abs=1e-12)
        assert score(p / (p + q), p, q) == pytest.approx(2 * by_scipy - np.log(4), abs=1e-12)


@pytest.mark.parametrize("theta", [0.3, 1.5, -2.0])
def test_divergences_of_two_bells_agree_with_quadrature(theta):
    (divergences,) = functions("divergences")
    p, q = norm.pdf, lambda x: norm.pdf(x, theta)
    twice, _ = scipy.integrate.quad(
        lambda x: p(x) * np.log(2 * p(x) / (p(x) + q(x))) + q(x) * np.log(2 * q(x) / (p(x) + q(x))),
        -12,
        12,
        limit=200,
    )
    np.testing.assert_allclose(divergences(theta), [twice, theta**2 / 2], atol=1e-7)


@pytest.mark.parametrize("rate, penalty", [(0.2, 0.0), (0.7, 0.3), (1.5, 0.9), (3.0, 0.2)])
def test_the_game_turns_as_its_matrix_says(rate, penalty):
    measured_moduli, _ = functions("measured_moduli", "play")
    h = rate / 2
    at_once = [[1, h], [-h, 1 - rate * penalty]]
    in_turn = [[1 - h * h, h * (1 - rate * penalty)], [-h, 1 - rate * penalty]]
    for matrix, how in ((at_once, {}), (in_turn, {"in_turn": True})):
        found = np.sort(measured_moduli(rate, penalty=penalty, **how))
        np.testing.assert_allclose(found, np.sort(np.abs(scipy.linalg.eigvals(matrix))), atol=1e-7)


def test_a_step_of_the_inspector_is_the_one_on_paper():
    """For a linear inspector s = w x + b the penalty's slope by w is penalty times w, and V's slope is known."""
    inspector_step, _ = functions("inspector_step", "inspector_loss")
    rng = np.random.default_rng(1)
    real, forged, w, b = (
        rng.normal(size=(9, 3)),
        rng.normal(size=(9, 3)),
        rng.normal(size=(3, 1)),
        np.array([0.3]),
    )
    inspector = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, dtype="float64")])
    inspector.set_weights([w, b])
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(inspector.trainable_variables)
    forger = lambda noise, training: noise  # noqa: E731
    inspector_step(
        inspector, forger, optimizer, tf.constant(real), tf.constant(forged), penalty=0.7
    )
    D = [1 / (1 + np.exp(-(x @ w + b))) for x in (real, forged)]
    slope_w = -real.T @ (1 - D[0]) / 9 + forged.T @ D[1] / 9 + 0.7 * w
    slope_b = -np.mean(1 - D[0]) + np.mean(D[1])
    np.testing.assert_allclose(inspector.get_weights()[0], w - 0.1 * slope_w, atol=1e-7)
    np.testing.assert_allclose(inspector.get_weights()[1], b - 0.1 * slope_b, atol=1e-7)


def test_a_step_of_the_forger_is_the_one_on_paper():
    """A forger that adds theta before a linear inspector: the slope is the mean of -(1 - D) w."""
    (forger_step,) = functions("forger_step")
    noise, w = np.random.default_rng(2).normal(size=(7, 2)), np.array([[0.5], [-1.0]])
    forger = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, dtype="float64")])
    forger.set_weights([np.eye(2), np.array([0.2, 0.1])])
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(forger.trainable_variables)
    forger_step(lambda x: x @ tf.constant(w), forger, optimizer, tf.constant(noise))
    D = 1 / (1 + np.exp(-(noise + [0.2, 0.1]) @ w))
    expected = np.array([0.2, 0.1]) + 0.1 * np.mean((1 - D) * w.T, axis=0)
    np.testing.assert_allclose(forger.get_weights()[1], expected, atol=1e-7)


def test_the_distance_between_normal_distributions():
    (frechet,) = functions("frechet")
    rng = np.random.default_rng(3)
    for dimensions in (1, 4, 32):
        a, b = (
            rng.normal(size=(300, dimensions)) @ rng.normal(size=(dimensions, dimensions))
            for _ in range(2)
        )
        A, B = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
        root = scipy.linalg.sqrtm(
            scipy.linalg.sqrtm(A) @ B @ scipy.linalg.sqrtm(A)
        ).real  # another form of the same root
        expected = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + np.trace(A + B - 2 * root)
        if dimensions > 1:
            assert frechet(a, b) == pytest.approx(expected, rel=1e-7)
        else:
            assert expected == pytest.approx(
                (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2, rel=1e-7
            )


def test_the_nearest_training_picture_is_the_nearest():
    known = np.random.default_rng(4).random((40, 4, 4, 1)).astype("float32")
    (nearest,) = functions("nearest", known=known)
    pictures = np.random.default_rng(5).random((9, 4, 4, 1)).astype("float32")
    distances = scipy.spatial.distance.cdist(pictures.reshape(9, -1), known.reshape(40, -1))
    which, how_far = nearest(pictures)
    assert np.array_equal(which, distances.argmin(axis=1))
    np.testing.assert_allclose(how_far, distances.min(axis=1), atol=1e-6)


def test_the_explorers_draw_at_the_ends_of_their_sliders():
    (draw_two,) = functions("draw_two")
    for distance in (0.0, 6.0):
        for width in (0.3, 1.0, 3.0):
            said = draw_two(Figure(figsize=(8, 4)), distance=distance, width=width)
            assert f"spread {width:.1f}" in said and "inf" not in said
            assert ("loss is 1.386" in said) == (distance == 0 and width == 1)
    stations = np.random.default_rng(6).normal(size=(6, 16))
    stations *= 4 / np.linalg.norm(stations, axis=1, keepdims=True)
    draw_walk, _ = functions(
        "draw_walk",
        "on_the_way",
        stations=stations,
        latent=16,
        known=np.zeros((1, 8, 8, 1)),
        nearest=lambda x: ([0], [1.5]),
        average=lambda z, training: tf.zeros((1, 8, 8, 1)),
    )
    for time in (0.0, 2.95, 6.0):
        assert f"time {time:.2f}" in draw_walk(Figure(figsize=(8, 4)), time=time)


def test_the_chapter_runs_on_other_data_and_on_a_folder_of_pictures(tmp_path):
    """Fashion-MNIST as a made file, and colour pictures at 64 x 64; every cell must run, no bound on training is applied.

    The games with points and numbers know no pictures, and are left out; the judge takes fewer steps.
    """
    made = chapters.made_data((28, 28), (), train=256, test=140)
    folder = chapters.made_folder(tmp_path / "mine", count=40)
    chapters.run_side_by_side(
        tmp_path,
        ("06_gan", {"dataset": "fashion_mnist", "epochs": 3}, {"fashion_mnist": made}),
        ("06_gan", {"dataset": folder, "size": 64, "epochs": 3}, {}),
        without=("play_on_the_ring", "train_on_numbers"),
        shorter=[("steps=1500", "steps=30")],
    )


def test_the_optimizer_has_no_momentum_and_a_rate_that_falls_to_nothing():
    (new_optimizer,) = functions("new_optimizer")
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    constant, falling = new_optimizer(network, 0.01), new_optimizer(network, 0.01, steps=10)
    for optimizer in (constant, falling):
        assert (optimizer.beta_1, optimizer.beta_2) == (0.0, 0.99)
    rates = []
    for _ in range(11):
        rates.append([float(o.learning_rate) for o in (constant, falling)])
        for optimizer in (constant, falling):
            optimizer.iterations.assign_add(1)
    expected = 0.005 * (1 + np.cos(np.pi * np.arange(11) / 10))
    np.testing.assert_allclose(np.transpose(rates), [np.full(11, 0.01), expected], atol=1e-7)


PLACES = 2 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)


def test_points_are_counted_at_the_place_that_they_are_near():
    at_places, fullest = functions("at_places", "fullest", places=PLACES, spread=0.1)
    points = np.concatenate([PLACES + [0.29, 0], PLACES[:2] * 1.149, PLACES[:3] * 1.151])
    near, shares = at_places(points)
    assert near == pytest.approx(10 / 13)
    np.testing.assert_allclose(shares, np.array([2, 2, 1, 1, 1, 1, 1, 1]) / 13)
    assert fullest(points) == pytest.approx(6 / 13)


def test_real_points_lie_around_eight_places_equally_often():
    (real_points,) = functions("real_points", places=PLACES.astype("float32"), spread=0.1)
    keras.utils.set_random_seed(7)
    points = real_points(40_000).numpy()
    offset = points[:, None] - PLACES
    nearest = np.linalg.norm(offset, axis=2).argmin(axis=1)
    np.testing.assert_allclose(np.bincount(nearest, minlength=8) / 40_000, 1 / 8, atol=0.008)
    np.testing.assert_allclose(offset[np.arange(40_000), nearest].std(axis=0), 0.1, rtol=0.02)


def test_draws_from_the_fitted_bell_have_the_mean_and_the_covariance_of_the_pictures():
    (gaussian,) = functions("gaussian", rng=np.random.default_rng(8))
    rng = np.random.default_rng(9)
    real = 0.5 + 0.05 * (rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))).reshape(-1, 2, 2, 1)
    drawn = gaussian(real, 40_000)
    assert drawn.shape == (40_000, 2, 2, 1) and 0 <= drawn.min() and drawn.max() <= 1
    flat, flat_drawn = real.reshape(-1, 4), drawn.reshape(-1, 4).astype(float)
    np.testing.assert_allclose(flat_drawn.mean(axis=0), flat.mean(axis=0), atol=0.005)
    np.testing.assert_allclose(np.cov(flat_drawn.T), np.cov(flat.T), atol=0.0008)
    beyond = gaussian(np.random.default_rng(1).choice([0.0, 1.0], (50, 2, 1, 1)), 1000)
    assert (beyond.min(), beyond.max()) == (0, 1)


def test_the_verdict_counts_only_what_the_judge_is_sure_of():
    """Two pictures of each digit, all sure but one 9, which the judge takes for a 9 with probability 3/4."""
    logits = np.full((20, 10), -9.0, "float32")
    logits[np.arange(20), np.arange(20) % 10] = 0
    logits[19, 9] = -9 + np.log(27)
    reference = np.random.default_rng(3).normal(size=(20, 2))
    verdict, _ = functions(
        "verdict",
        "frechet",
        judge=lambda pictures: tf.constant(logits),
        points_of=lambda pictures: tf.constant(pictures),
        reference=reference,
    )
    sure, rarest, distance = verdict(reference + [3, 0])
    assert (sure, rarest) == (19 / 20, 1 / 19) and distance == pytest.approx(9)


def test_what_is_negative_leaks_through_at_one_fifth():
    (leaky,) = functions("leaky")
    np.testing.assert_allclose(leaky(tf.constant([-5.0, 0.0, 3.0])), [-1, 0, 3])


def test_the_ring_has_the_radius_two_and_half_of_the_pictures_are_the_reference():
    _, places, spread = functions("angles", "places", "spread")
    np.testing.assert_allclose(places, PLACES, atol=1e-6)
    assert spread == 0.1
    assert functions("n", known=range(10)) == [5]
    assert functions("dots", dataset="digits") == [16]
    assert functions("dots", dataset="mnist") == [255]


def test_the_explorer_draws_both_densities_and_the_best_discriminator():
    (draw_two,) = functions("draw_two")
    figure = Figure(figsize=(8, 4))
    draw_two(figure, distance=3.0, width=0.6)
    x, real = figure.axes[0].lines[0].get_data()
    forged, best = (line.get_ydata() for line in figure.axes[0].lines[1:3])
    np.testing.assert_allclose(real, norm.pdf(x, -1.5))
    np.testing.assert_allclose(forged, norm.pdf(x, 1.5, 0.6))
    np.testing.assert_allclose(best, real / (real + forged))
