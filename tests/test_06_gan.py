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
    value_of, jensen_shannon, _ = functions("value_of", "jensen_shannon", "divergence")
    for p, q in np.random.default_rng(0).dirichlet(np.ones(6), size=(20, 2)):
        by_scipy = scipy.spatial.distance.jensenshannon(p, q) ** 2
        assert jensen_shannon(p, q) == pytest.approx(by_scipy, abs=1e-12)
        assert value_of(p / (p + q), p, q) == pytest.approx(2 * by_scipy - np.log(4), abs=1e-12)


def test_the_second_loss_charges_less_than_the_first_for_one_mode_of_ten_but_not_for_nine():
    jensen_shannon, divergence = functions("jensen_shannon", "divergence")
    p = np.full(10, 0.1)
    for dropped, less in ((1, True), (5, True), (9, False)):
        q = np.where(np.arange(10) < dropped, 0, 1 / (10 - dropped))
        assert (2 * divergence((p + q) / 2, p) < 2 * jensen_shannon(p, q)) == less


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
    simultaneous = [[1, h], [-h, 1 - rate * penalty]]
    alternating = [[1 - h * h, h * (1 - rate * penalty)], [-h, 1 - rate * penalty]]
    for matrix, how in ((simultaneous, {}), (alternating, {"alternating": True})):
        found = np.sort(measured_moduli(rate, penalty=penalty, **how))
        np.testing.assert_allclose(found, np.sort(np.abs(scipy.linalg.eigvals(matrix))), atol=1e-7)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_far_from_the_end_the_game_goes_as_derived(rate):
    """1 / r^2 = 1 + rate * rounds / 8 with alternating steps; r = sqrt(2 rate), on average, with simultaneous ones."""
    (play,) = functions("play")
    place = 1.0, 0.0
    for _ in range(10_000):
        place = play(*place, rate, alternating=True)
    assert np.hypot(*place) == pytest.approx((1 + rate * 10_000 / 8) ** -0.5, rel=0.02)
    place, distances = (1.0, 0.0), []
    for _ in range(10_000):
        place = play(*place, rate)
        distances.append(np.hypot(*place))
    assert np.mean(distances[-2000:]) == pytest.approx(np.sqrt(2 * rate), rel=0.01)


def test_a_step_of_the_discriminator_is_the_one_on_paper():
    """For a linear discriminator s = w x + b the penalty's slope by w is penalty times w, and V's slope is known."""
    discriminator_step, _ = functions("discriminator_step", "discriminator_loss")
    rng = np.random.default_rng(1)
    real, fake, w, b = (
        rng.normal(size=(9, 3)),
        rng.normal(size=(9, 3)),
        rng.normal(size=(3, 1)),
        np.array([0.3]),
    )
    discriminator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, dtype="float64")])
    discriminator.set_weights([w, b])
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(discriminator.trainable_variables)
    generator = lambda noise, training: noise  # noqa: E731
    discriminator_step(
        discriminator, generator, optimizer, tf.constant(real), tf.constant(fake), penalty=0.7
    )
    D = [1 / (1 + np.exp(-(x @ w + b))) for x in (real, fake)]
    slope_w = -real.T @ (1 - D[0]) / 9 + fake.T @ D[1] / 9 + 0.7 * w
    slope_b = -np.mean(1 - D[0]) + np.mean(D[1])
    np.testing.assert_allclose(discriminator.get_weights()[0], w - 0.1 * slope_w, atol=1e-7)
    np.testing.assert_allclose(discriminator.get_weights()[1], b - 0.1 * slope_b, atol=1e-7)


def test_a_step_of_the_generator_is_the_one_on_paper():
    """A generator that adds theta before a linear discriminator: the slope is the mean of -(1 - D) w."""
    (generator_step,) = functions("generator_step")
    noise, w = np.random.default_rng(2).normal(size=(7, 2)), np.array([[0.5], [-1.0]])
    generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, dtype="float64")])
    generator.set_weights([np.eye(2), np.array([0.2, 0.1])])
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(generator.trainable_variables)
    generator_step(lambda x: x @ tf.constant(w), generator, optimizer, tf.constant(noise))
    D = 1 / (1 + np.exp(-(noise + [0.2, 0.1]) @ w))
    expected = np.array([0.2, 0.1]) + 0.1 * np.mean((1 - D) * w.T, axis=0)
    np.testing.assert_allclose(generator.get_weights()[1], expected, atol=1e-7)


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


def test_the_chapter_runs_on_other_data_and_on_a_folder_of_pictures(tmp_path):
    """Fashion-MNIST as a made file, and colour pictures at 64 x 64; every cell must run, no bound on training is applied.

    The games with points and numbers know no pictures, and are left out; the classifier takes fewer steps.
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


MODES = 2 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)


def test_points_are_counted_at_the_mode_that_they_are_near():
    at_modes, fullest = functions("at_modes", "fullest", modes=MODES, spread=0.1)
    points = np.concatenate([MODES + [0.29, 0], MODES[:2] * 1.149, MODES[:3] * 1.151])
    near, shares = at_modes(points)
    assert near == pytest.approx(10 / 13)
    np.testing.assert_allclose(shares, np.array([2, 2, 1, 1, 1, 1, 1, 1]) / 13)
    assert fullest(points) == pytest.approx(6 / 13)


def test_real_points_lie_around_eight_modes_equally_often():
    (real_points,) = functions("real_points", modes=MODES.astype("float32"), spread=0.1)
    keras.utils.set_random_seed(7)
    points = real_points(40_000).numpy()
    offset = points[:, None] - MODES
    nearest = np.linalg.norm(offset, axis=2).argmin(axis=1)
    np.testing.assert_allclose(np.bincount(nearest, minlength=8) / 40_000, 1 / 8, atol=0.008)
    np.testing.assert_allclose(offset[np.arange(40_000), nearest].std(axis=0), 0.1, rtol=0.02)


def test_draws_from_fitted_gaussians_have_the_shares_means_and_covariances_of_the_groups():
    (draw_gaussians,) = functions("draw_gaussians")
    rng = np.random.default_rng(9)
    points = np.concatenate([
        rng.normal(size=(300, 3)) @ rng.normal(size=(3, 3)),
        [[50.0] * 3] * 100,
    ])
    groups = np.repeat([4, 7], [300, 100])
    drawn = draw_gaussians(points, groups, 40_000, np.random.default_rng(8))
    far = drawn[:, 0] > 40
    assert far.mean() == pytest.approx(1 / 4, abs=0.01)
    np.testing.assert_allclose(drawn[far], 50, atol=1e-6)  # equal points have no spread
    near, truth = drawn[~far], points[:300]
    np.testing.assert_allclose(near.mean(axis=0), truth.mean(axis=0), atol=0.06)
    np.testing.assert_allclose(np.cov(near.T), np.cov(truth.T), rtol=0.06, atol=0.06)


def test_k_means_finds_the_eight_modes():
    from sklearn.cluster import KMeans

    (k_means,) = functions("k_means", KMeans=KMeans, seed=3)
    rng = np.random.default_rng(2)
    number = rng.integers(0, 8, 800)
    found = k_means(MODES[number] + 0.1 * rng.normal(size=(800, 2)), 8)
    assert len({*zip(number, found)}) == 8


def test_a_grade_counts_only_what_the_classifier_is_confident_of():
    """Two pictures of each digit, all certain but one 9, which is taken for a 9 with probability 3/4."""
    logits = np.full((20, 10), -9.0, "float32")
    logits[np.arange(20), np.arange(20) % 10] = 0
    logits[19, 9] = -9 + np.log(27)
    real = np.random.default_rng(3).normal(size=(20, 2))
    grade, _ = functions(
        "grade",
        "frechet",
        classifier=lambda pictures: tf.constant(logits),
        features=lambda pictures: tf.constant(pictures),
        halves=[(real, None), (real + [0, 1], None)],
    )
    confident, rarest, distance = grade(real + [3, 0])
    assert (confident, rarest) == (19 / 20, 1 / 19)
    assert distance == pytest.approx((9 + 10) / 2)  # the mean over the halves


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3)])
def test_the_decoder_of_the_vae_gives_every_pixel_seventeen_logits(side, channels):
    known = {"layers": keras.layers, "latent": 16, "side": side, "channels": channels}
    names = "new_decoder", "new_generator", "normalised", "halvings"
    new_decoder, new_generator, _, _ = functions(*names, **known)
    decoder, generator = new_decoder(), new_generator(side, channels)
    assert decoder.output_shape == (None, side, side, channels, 17)
    weights = [tuple(w.shape) for w in generator.weights]
    assert [tuple(w.shape) for w in decoder.weights[:-2]] == weights[:-2]
    assert weights[-2][:3] == tuple(decoder.weights[-2].shape)[:3]


def test_what_is_negative_leaks_through_at_one_fifth():
    (leaky,) = functions("leaky")
    np.testing.assert_allclose(leaky(tf.constant([-5.0, 0.0, 3.0])), [-1, 0, 3])


def test_the_ring_has_the_radius_two_and_half_of_the_pictures_are_the_reference():
    _, modes, spread = functions("angles", "modes", "spread")
    np.testing.assert_allclose(modes, MODES, atol=1e-6)
    assert spread == 0.1
    assert functions("n", known=range(10)) == [5]
    assert functions("dots", dataset="digits") == [16]
    assert functions("dots", dataset="mnist") == [255]


def test_the_explorer_draws_both_densities_and_the_best_discriminator():
    (draw_two,) = functions("draw_two")
    figure = Figure(figsize=(8, 4))
    draw_two(figure, distance=3.0, width=0.6)
    x, real = figure.axes[0].lines[0].get_data()
    fake, best = (line.get_ydata() for line in figure.axes[0].lines[1:3])
    np.testing.assert_allclose(real, norm.pdf(x, -1.5))
    np.testing.assert_allclose(fake, norm.pdf(x, 1.5, 0.6))
    np.testing.assert_allclose(best, real / (real + fake))


RIGHT = {
    "by_hand_cases": [
        ((2 / 3, 1 / 2, 1 / 3), -1.3013, 0.0425),
        ([0.6667, 0.5, 0.3333], np.float32(-1.30135), np.array([0.04247])),
        (np.array([[0.66667], [0.5], [0.33333]]), tf.constant(-1.30135), 0.0425),
    ],
    "loss_cases": [
        lambda real, fake: np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean(),
        lambda real, fake: (
            tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake))
        ),
        lambda real, fake: sum(
            np.mean(np.maximum(s, 0) + np.log1p(np.exp(-np.abs(s)))) for s in (-real, fake)
        ),
        lambda real, fake: (
            -np.mean(-np.logaddexp(0, -real)) - np.mean(-fake - np.logaddexp(0, -fake))
        ),
    ],
    "penalty_cases": [
        (lambda rate, penalty: np.sqrt(1 - rate * penalty), "alternating"),
        (lambda rate, penalty: (1 - rate * penalty) ** 0.5, " Alternating"),
        (lambda rate, penalty: np.abs(np.linalg.eigvals(matrix(rate, penalty))), "alternating"),
        (lambda rate, penalty: np.linalg.det(matrix(rate, penalty)) ** 0.5, "alternating"),
    ],
    "number_cases": [
        (lambda m, s, n, t: (m - n) ** 2 + (s - t) ** 2, "the first", 1.0),
        (lambda m, s, n, t: (m - n) ** 2 + s**2 + t**2 - 2 * s * t, "First", 1),
        (
            lambda *a: np.array([(a[0] - a[2]) ** 2 + abs(a[1] - a[3]) ** 2]),
            "the first",
            tf.constant(1.0),
        ),
    ],
    "generator_cases": [
        lambda z: by_the_first_number(z),
        lambda z: by_the_first_number(z[:, ::-1]),
        lambda z: by_the_angle(z),
        lambda z: by_bisection(z),
        lambda z: tf.constant(by_the_first_number(np.asarray(z)), tf.float32),
    ],
}
WRONG = {
    "by_hand_cases": [
        ((1 / 3, 1 / 2, 2 / 3), -1.3013, 0.0425),  # q / (p + q)
        ((2 / 3, 1 / 2, 1 / 3), 1.3013, 0.0425),  # the loss
        ((2 / 3, 1 / 2, 1 / 3), -1.3013, 0.085),  # not halved
        ((2 / 3, 1 / 2, 1 / 3), -0.6507, 0.0425),  # the real ones alone
        ((0.67, 0.5, 0.33), -1.3013, 0.0425),
        ((2 / 3, 1 / 2, 1 / 3), -1.3013 / np.log(2), 0.0425 / np.log(2)),  # in bits
        ((2, 1, 1 / 2), -1.3013, 0.0425),  # p / q
    ],
    "loss_cases": [
        lambda real, fake: (np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean()) / 2,
        lambda real, fake: np.logaddexp(0, real).mean() + np.logaddexp(0, -fake).mean(),
        lambda real, fake: -np.logaddexp(0, -real).mean() - np.logaddexp(0, fake).mean(),  # V
        lambda real, fake: np.log(1 + np.exp(-real)).mean() + np.log(1 + np.exp(fake)).mean(),
        lambda real, fake: np.logaddexp(0, -real).sum() + np.logaddexp(0, fake).sum(),
        lambda real, fake: (
            np.concatenate([np.logaddexp(0, -real), np.logaddexp(0, fake)]).mean() * 2
        ),
        lambda real, fake: sum(np.log1p(np.exp(np.clip(s, -30, 30))).mean() for s in (-real, fake)),
    ],
    "penalty_cases": [
        (lambda rate, penalty: np.sqrt(1 - rate * penalty), "both"),
        (lambda rate, penalty: np.sqrt(1 - rate * penalty), "simultaneous"),
        (lambda rate, penalty: 1 - rate * penalty, "alternating"),
        (lambda rate, penalty: 1 - rate * penalty / 2, "alternating"),  # to first order
        (lambda rate, penalty: np.sqrt(1 - rate * penalty + rate**2 / 4), "alternating"),
        (lambda rate, penalty: np.sqrt(1 - penalty), "alternating"),
        (lambda rate, penalty: np.linalg.eigvals(matrix(rate, penalty)).real, "alternating"),
    ],
    "number_cases": [
        (lambda m, s, n, t: np.sqrt((m - n) ** 2 + (s - t) ** 2), "the first", 1.0),
        (lambda m, s, n, t: (m - n) ** 2 + (s**2 - t**2) ** 2, "the first", 1.0),
        (lambda m, s, n, t: (m - n) ** 2 + s**2 + t**2, "the first", 1.0),
        (lambda m, s, n, t: abs(m - n) + abs(s - t), "the first", 1.0),
        (lambda m, s, n, t: (m - n) ** 2 + (s - t) ** 2, "the second", 1.0),
        (lambda m, s, n, t: (m - n) ** 2 + (s - t) ** 2, "the first", 0.0),
    ],
    "generator_cases": [
        lambda z: drawn_anew(len(z), np.random.default_rng()),  # real points
        lambda z: drawn_anew(
            len(z), np.random.default_rng(0)
        ),  # the same each time, but not from z
        lambda z: MODES[np.arange(len(z)) % 8] + 0.1 * z,  # the place in the batch
        lambda z: MODES[np.random.default_rng(1).integers(0, 8, len(z))] + 0.1 * z,
        lambda z: MODES[by_rank(z[:, 0]) * 8 // len(z)] + 0.1 * z[:, [1, 1]],
        lambda z: by_the_first_number((z - z.mean(axis=0)) / z.std(axis=0)),  # the whole batch
        lambda z: by_rank_and_offset(z),
        lambda z: 2 * z / np.linalg.norm(z, axis=1, keepdims=True),  # the whole ring
        lambda z: MODES[eighth(z[:, 0])[0]] + 0.1 * z,  # an offset that knows the mode
        lambda z: MODES[eighth(z[:, 0])[0]] + 0.1 * z[:, [1, 1]],
        lambda z: by_the_first_number(z, spread=1.0),
        lambda z: (
            MODES[eighth(z[:, 0])[0]]
            + 0.1 * np.stack([eighth(z[:, 0])[1] * 2 - 1, z[:, 1]], axis=1)
        ),
        lambda z: MODES[np.round(7 * norm.cdf(z[:, 0])).astype(int)] + 0.1 * z[:, [1, 1]],
    ],
}


def matrix(rate, penalty):
    """One round of alternating steps."""
    h, kept = rate / 2, 1 - rate * penalty
    return np.array([[1 - h * h, h * kept], [-h, kept]])


def eighth(numbers):
    """Which eighth of the normal distribution, and how far into it, 0 to 1."""
    place = 8 * norm.cdf(numbers)
    whole = np.minimum(place.astype(int), 7)
    return whole, place - whole


def by_the_first_number(z, spread=0.1):
    whole, part = eighth(z[:, 0])
    return MODES[whole] + spread * np.stack([norm.ppf(part), z[:, 1]], axis=1)


def by_rank(numbers):
    return np.argsort(np.argsort(numbers))


def by_rank_and_offset(z):
    """As the perfect generator, but with the place among the other rows in place of the distribution function."""
    place = 8 * (by_rank(z[:, 0]) + 0.5) / len(z)
    whole = place.astype(int)
    return MODES[whole] + 0.1 * np.stack([norm.ppf(place - whole), z[:, 1]], axis=1)


def by_the_angle(z):
    """The angle's eighth is the mode; the rest of the angle, blown up to a whole turn, and the length are the offset."""
    angle = np.arctan2(z[:, 1], z[:, 0]) / (2 * np.pi) % 1 * 8
    whole, length = np.minimum(angle.astype(int), 7), np.linalg.norm(z, axis=1)
    turn = 2 * np.pi * (angle - whole)
    return MODES[whole] + 0.1 * length[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)


def drawn_anew(n, rng):
    return MODES[rng.integers(0, 8, n)] + 0.1 * rng.normal(size=(n, 2))


def by_bisection(z):
    """Three coin tosses, each by folding the first number at the median of what is left."""
    left, mode = norm.cdf(z[:, 0]), np.zeros(len(z), int)
    for _ in range(3):
        toss = left >= 0.5
        mode, left = 2 * mode + toss, 2 * left - toss
    return MODES[mode] + 0.1 * np.stack([norm.ppf(left), z[:, 1]], axis=1)


@pytest.fixture
def ask(capsys):
    """What the check of an exercise, named by its cases, says to an answer."""
    names = (
        "value_of",
        "jensen_shannon",
        "divergence",
        "play",
        "measured_moduli",
        "at_modes",
        "plain",
    )
    within = {"by_hand_cases": 2e-4, "generator_cases": 0.04}
    known = {"np": np, "tf": tf, "norm": norm, "expit": scipy.special.expit}
    known |= {"modes": MODES, "spread": 0.1}
    known |= dict(zip(names, functions(*names, **known)))
    return chapters.asked_of("06_gan", known, capsys, within, over="ignore")


(
    test_right_answers_of_any_form_are_accepted,
    test_wrong_answers_are_refused,
    test_a_wrong_number_is_not_told_the_right_one,
) = chapters.tests_of_answers(
    RIGHT, WRONG, numbers=["by_hand_cases", "penalty_cases", "number_cases"]
)


def test_half_an_answer_is_told_from_none(ask):
    assert "1 of 2 parts is missing" in ask("penalty_cases", (RIGHT["penalty_cases"][0][0], ...))
    assert "1 of 3 parts is missing" in ask("number_cases", (*RIGHT["number_cases"][0][:2], ...))
    assert ask("generator_cases", lambda z: ...).startswith("not done yet (")
