"""Chapter 05: what it builds, taken from the notebook and held against other references; and the chapter on other data."""

from itertools import product

import chapters
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from matplotlib.figure import Figure

import bigmodel_helpers as bh

with bh.quietly():
    import tensorflow as tf

LOG_CHOOSE = np.log(scipy.special.comb(16, np.arange(17)))


def functions(*names):
    known = {
        "np": np,
        "tf": tf,
        "bh": bh,
        "product": product,
        "norm": scipy.stats.norm,
        "latent": 2,
        "trials": 16,
        "logsumexp": scipy.special.logsumexp,
        "log_choose": tf.constant(LOG_CHOOSE, "float32"),
    }
    return chapters.functions("05_vae", names, known)


@pytest.mark.parametrize("mean, log_variance", [(0.0, 0.0), (1.3, -0.7), (-0.4, 1.1)])
def test_the_divergence_agrees_with_quadrature(mean, log_variance):
    (kl_to_prior,) = functions("kl_to_prior")
    q = scipy.stats.norm(mean, np.exp(log_variance / 2))
    by_quadrature, _ = scipy.integrate.quad(
        lambda z: q.pdf(z) * (q.logpdf(z) - scipy.stats.norm.logpdf(z)), -30, 30, limit=200
    )
    assert kl_to_prior(np.array([mean]), np.array([log_variance])) == pytest.approx(
        by_quadrature, abs=1e-6
    )


@pytest.fixture
def toy():
    """A decoder of one pixel whose logit is the first hidden number, an encoder that always says N((0.3, -0.2), 0.25)."""

    def encoder(x):
        return tf.constant(np.tile([[0.3, -0.2, np.log(0.25), np.log(0.25)]], (len(x), 1)))

    def decoder(z):
        return tf.reshape(tf.cast(z, "float32")[:, 0], (-1, 1, 1, 1))

    x = np.arange(0, 17, 4, dtype="float32").reshape(-1, 1, 1, 1)
    return encoder, decoder, x


def truth(x, density):
    """Integral of density(z) times the binomial probability of each count, over the first hidden number."""

    def one(count):
        return scipy.integrate.quad(
            lambda z: density(z) * scipy.stats.binom.pmf(count, 16, scipy.special.expit(z)), -12, 12
        )[0]

    return np.array([one(count) for count in x.ravel()])


def test_bound_likelihood_and_gap_agree_with_quadrature_where_it_is_easy(toy):
    encoder, decoder, x = toy
    *_, exact_elbo, by_grid, wrongness = functions(
        "log_likelihood",
        "kl_to_prior",
        "guess",
        "log_joint_on_grid",
        "exact_elbo",
        "by_grid",
        "wrongness",
    )
    log_p = by_grid(decoder, x)
    np.testing.assert_allclose(log_p, np.log(truth(x, scipy.stats.norm.pdf)), atol=1e-4)
    q = scipy.stats.norm(0.3, 0.5)
    explains = [
        scipy.integrate.quad(
            lambda z, c=count: q.pdf(z) * scipy.stats.binom.logpmf(c, 16, scipy.special.expit(z)),
            -6,
            6,
        )[0]
        for count in x.ravel()
    ]
    kl = 0.5 * (0.3**2 + 0.2**2 + 2 * (0.25 - 1 - np.log(0.25)))
    bound = exact_elbo((encoder, decoder), x)
    np.testing.assert_allclose(bound, np.array(explains) - kl, atol=1e-4)
    wrong, log_p_near = wrongness((encoder, decoder), x, n=61)
    middle = slice(1, -1)  # the posteriors of the counts 0 and 16 reach beyond the small grid
    np.testing.assert_allclose(log_p_near[middle], log_p[middle], atol=1e-3)
    np.testing.assert_allclose(wrong[middle], (log_p - bound)[middle], atol=1e-3)


def test_the_explorer_draws_wherever_the_ring_is():
    (draw_map,) = functions("draw_map")
    draw_map.__globals__.update(atlas=np.zeros((32, 32)), decoded=lambda z: np.zeros((1, 8, 8)))
    for right, up in product((0.02, 0.5, 0.98), repeat=2):
        assert f"{right:.2f} of the way to the right and {up:.2f}" in draw_map(
            Figure(figsize=(8, 4)), right=right, up=up
        )


def test_the_chapter_runs_on_other_data_and_on_a_folder_with_other_latent_sizes(tmp_path):
    """MNIST as a made file, and colour pictures; every cell must run, and no bound on what was trained is applied.

    With two hidden numbers the grids of 28 x 28 pictures alone take more than a minute; the digits walk the same code.
    The linear VAE knows the digits alone, and is left out; where no bound is exact, two samples estimate it.
    """
    mnist = chapters.made_data((28, 28), (), train=128, test=20)
    folder = chapters.made_folder(tmp_path / "mine", count=100)
    chapters.run_side_by_side(
        tmp_path,
        ("05_vae", {"dataset": "mnist", "latent": 4, "epochs": 2}, {"mnist": mnist}),
        ("05_vae", {"dataset": folder, "size": 32, "latent": 3, "epochs": 2}, {}),
        without=("train_linear",),
        shorter=[("log_weights(pair, X_test, 50)", "log_weights(pair, X_test, 2)")],
    )


def test_a_sample_has_the_mean_and_the_variance_that_the_encoder_says():
    two_terms, _ = functions("two_terms", "log_likelihood")
    said = np.tile(np.float32([[0.3, -0.2, np.log(0.25), np.log(4.0)]]), (40_000, 1))
    x, drawn = np.full((40_000, 1, 1, 1), 5, "float32"), []

    def decoder(z):
        drawn.append(z.numpy())
        return tf.reshape(z[:, 0], (-1, 1, 1, 1))

    explains, kl = two_terms(lambda _: tf.constant(said), decoder, x)
    two_terms(lambda _: tf.constant(said), decoder, x, noise=0.0)
    np.testing.assert_allclose(drawn[0].mean(axis=0), [0.3, -0.2], atol=0.05)
    np.testing.assert_allclose(drawn[0].std(axis=0), [0.5, 2.0], rtol=0.03)
    np.testing.assert_array_equal(drawn[1], said[:, :2])
    by_scipy = scipy.stats.binom.logpmf(5, 16, scipy.special.expit(drawn[0][:, 0]))
    np.testing.assert_allclose(explains, by_scipy, atol=1e-3)
    by_hand = (0.3**2 + 0.25 - 1 - np.log(0.25) + 0.2**2 + 4 - 1 - np.log(4)) / 2
    np.testing.assert_allclose(kl, np.full(40_000, by_hand), atol=1e-5)


def test_the_bound_with_several_samples_is_the_logarithm_of_their_mean_weight():
    (grouped,) = functions("grouped")
    log_w = np.random.default_rng(0).normal(size=(3, 6))
    by_twos = np.log(np.exp(log_w).reshape(3, 3, 2).mean(axis=2)).mean(axis=1)
    np.testing.assert_allclose(grouped(log_w, 1), log_w.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(grouped(log_w, 2), by_twos, atol=1e-12)
    np.testing.assert_allclose(grouped(log_w, 6), np.log(np.exp(log_w).mean(axis=1)), atol=1e-12)


@pytest.mark.parametrize("spoiled", [1e-300, 0.25, 0.9])
def test_a_picture_is_cleaned_by_bayes_rule(toy, spoiled):
    _, decoder, x = toy
    (cleaned_on_grid,) = functions("cleaned_on_grid")
    cleaned_on_grid.__globals__.update(decoder=decoder, counts=np.arange(17))
    for count, found in zip(x.ravel(), cleaned_on_grid(x, spoiled, n=121).ravel(), strict=True):

        def joint(z, count=count):
            kept = scipy.stats.binom.pmf(count, 16, scipy.special.expit(z))
            return ((1 - spoiled) * kept + spoiled / 17) * scipy.stats.norm.pdf(z)

        weighted = scipy.integrate.quad(lambda z: joint(z) * scipy.special.expit(z), -6, 6)[0]
        assert found == pytest.approx(weighted / scipy.integrate.quad(joint, -6, 6)[0], abs=1e-3)


def test_roughness_is_the_mean_step_down_and_to_the_right():
    (roughness,) = functions("roughness")
    down, right = np.mgrid[:4, :6]
    assert roughness((2.0 * down - 3.0 * right)[None, ..., None]) == pytest.approx(5)


def test_the_ring_stands_where_the_decoded_picture_does():
    (draw_map,) = functions("draw_map")
    asked = []
    draw_map.__globals__.update(
        atlas=np.zeros((32, 32)), decoded=lambda z: asked.append(z) or np.zeros((1, 8, 8))
    )
    figure = Figure(figsize=(8, 4))
    draw_map(figure, right=0.2, up=0.9)
    np.testing.assert_allclose(np.ravel(figure.axes[0].lines[0].get_data()), [0.2, 0.9])
    np.testing.assert_allclose(scipy.stats.norm.cdf(asked[0]), [0.2, 0.9])
