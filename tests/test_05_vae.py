"""Chapter 05: what it builds, taken from the notebook and held against other references; and the chapter on other data."""

from itertools import product

import chapters
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
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
        "dots": 16,
        "counts": np.arange(17),
        "logsumexp": scipy.special.logsumexp,
        "log_choose": LOG_CHOOSE,
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


def tied(z):
    """17 logits of one pixel, tied so that its count is binomial; the logit of a dot is the first latent variable."""
    logit = tf.reshape(tf.cast(z, "float32")[:, 0], (-1, 1, 1, 1, 1))
    return logit * np.arange(17, dtype="float32") + LOG_CHOOSE.astype("float32")


@pytest.fixture
def toy():
    """A decoder of one binomial pixel whose logit is the first latent variable, an encoder that always says N((0.3, -0.2), 0.25)."""

    def encoder(x):
        return tf.constant(np.tile([[0.3, -0.2, np.log(0.25), np.log(0.25)]], (len(x), 1)))

    def decoder(z):
        return tied(z)

    x = np.arange(0, 17, 4, dtype="float32").reshape(-1, 1, 1, 1)
    return encoder, decoder, x


def truth(x, density):
    """Integral of density(z) times the binomial probability of each count, over the first latent variable."""

    def one(count):
        return scipy.integrate.quad(
            lambda z: density(z) * scipy.stats.binom.pmf(count, 16, scipy.special.expit(z)), -12, 12
        )[0]

    return np.array([one(count) for count in x.ravel()])


def test_bound_likelihood_and_gap_agree_with_quadrature_where_it_is_easy(toy):
    encoder, decoder, x = toy
    *_, exact_elbo, by_grid, kl_to_posterior = functions(
        "log_likelihood", "kl_to_prior", "guess", "exact_elbo", "by_grid", "kl_to_posterior"
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
    wrong, log_p_near = kl_to_posterior((encoder, decoder), x, n=61)
    middle = slice(1, -1)  # the posteriors of the counts 0 and 16 reach beyond the small grid
    np.testing.assert_allclose(log_p_near[middle], log_p[middle], atol=1e-3)
    np.testing.assert_allclose(wrong[middle], (log_p - bound)[middle], atol=1e-3)


def test_the_explorer_draws_wherever_the_ring_is():
    (draw_map,) = functions("draw_map")
    draw_map.__globals__.update(
        atlas=np.zeros((32, 32)), decoder=None, mean_counts=lambda _, z: np.zeros((1, 8, 8))
    )
    for right, up in product((0.02, 0.5, 0.98), repeat=2):
        assert f"{right:.2f} of the way to the right and {up:.2f}" in draw_map(
            Figure(figsize=(8, 4)), right=right, up=up
        )


def test_the_chapter_runs_on_other_data_and_on_a_folder_with_other_latent_sizes(tmp_path):
    """MNIST as a made file, and colour pictures; every cell must run, and no bound on what was trained is applied.

    With two latent variables the grids of 28 x 28 pictures alone take more than a minute; the digits walk the same code.
    The linear VAE knows the digits alone, and is left out; where no bound is exact, two samples estimate it.
    """
    mnist = chapters.made_data((28, 28), (), train=128, test=20)
    folder = chapters.made_folder(tmp_path / "mine", count=100)
    chapters.run_side_by_side(
        tmp_path,
        ("05_vae", {"dataset": "mnist", "latent": 4, "epochs": 2}, {"mnist": mnist}),
        ("05_vae", {"dataset": folder, "size": 32, "latent": 3, "epochs": 2}, {}),
        without=("train_linear",),
        shorter=[
            ("X_test, 50,", "X_test, 2,"),
            ("X_test, 100, aside", "X_test, 2, aside"),
            ("X_test, 100, draw), 100)", "X_test, 2, draw), 2)"),
        ],
    )


def test_a_sample_has_the_mean_and_the_variance_that_the_encoder_says():
    two_terms, _ = functions("two_terms", "log_likelihood")
    said = np.tile(np.float32([[0.3, -0.2, np.log(0.25), np.log(4.0)]]), (40_000, 1))
    x, drawn = np.full((40_000, 1, 1, 1), 5, "float32"), []

    def decoder(z):
        drawn.append(z.numpy())
        return tied(z)

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


def test_the_ring_stands_where_the_decoded_picture_does():
    (draw_map,) = functions("draw_map")
    asked = []
    draw_map.__globals__.update(
        atlas=np.zeros((32, 32)),
        decoder=None,
        mean_counts=lambda _, z: asked.append(z[0]) or np.zeros((1, 8, 8)),
    )
    figure = Figure(figsize=(8, 4))
    draw_map(figure, right=0.2, up=0.9)
    np.testing.assert_allclose(np.ravel(figure.axes[0].lines[0].get_data()), [0.2, 0.9])
    np.testing.assert_allclose(scipy.stats.norm.cdf(asked[0]), [0.2, 0.9])


def test_the_categorical_likelihood_is_the_softmax_of_each_pixel_added_up():
    (log_likelihood,) = functions("log_likelihood")
    rng = np.random.default_rng(0)
    logits, x = 3 * rng.normal(size=(5, 4, 3, 2, 17)), rng.integers(0, 17, (5, 4, 3, 2))
    by_hand = [
        sum(scipy.special.log_softmax(logits[n][at])[x[n][at]] for at in np.ndindex(4, 3, 2))
        for n in range(5)
    ]
    found = log_likelihood(x.astype("float32"), tf.constant(logits, "float32"))
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


def test_a_mixture_of_tables_is_a_distribution_over_whole_pictures():
    """Pictures of one pixel: the probabilities of all 17 counts add up to 1, and each is what counting says."""
    log_p_of_tables, _ = functions("log_p_of_tables", "tables")
    x, group = np.array([0, 0, 3, 16, 16]).reshape(-1, 1, 1, 1), np.array([0, 0, 0, 1, 1])
    known = log_p_of_tables.__globals__

    def probability(count):
        known["X_test"] = np.full((1, 1, 1, 1), count, "float32")
        return np.exp(log_p_of_tables(x, group))

    every = [probability(count) for count in range(17)]
    assert sum(every) == pytest.approx(1, abs=1e-5)
    assert every[0] == pytest.approx(3 / 5 * 3 / 20 + 2 / 5 * 1 / 19, abs=1e-5)
    assert every[16] == pytest.approx(3 / 5 * 1 / 20 + 2 / 5 * 3 / 19, abs=1e-5)


def test_samples_and_mean_counts_follow_the_probabilities_of_the_decoder():
    sample, mean_counts = functions("sample", "mean_counts")
    sample.__globals__["rng"] = np.random.default_rng(0)
    z = np.tile(np.float32([[0.7, 0.0]]), (40_000, 1))
    theta = scipy.special.expit(0.7)
    drawn = sample(tied, z)
    shares = np.bincount(drawn.ravel(), minlength=17) / len(z)
    np.testing.assert_allclose(shares, scipy.stats.binom.pmf(np.arange(17), 16, theta), atol=0.012)
    np.testing.assert_allclose(mean_counts(tied, z[:2]).ravel(), theta, atol=1e-5)


def test_a_fitted_prior_decodes_points_with_the_mean_and_covariance_of_the_codes():
    (fitted_prior,) = functions("fitted_prior")
    codes = np.random.default_rng(0).normal(size=(500, 2)) @ [[3.0, 1.0], [0.0, 0.5]] + [5.0, -2.0]
    fitted_prior.__globals__.update(known=np.zeros(500), guess=lambda encoder, x: (codes, None))
    points = fitted_prior((None, lambda z: z))(np.random.default_rng(1).normal(size=(200_000, 2)))
    np.testing.assert_allclose(np.mean(points, axis=0), codes.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(np.cov(np.transpose(points)), np.cov(codes.T), rtol=0.02, atol=0.02)


def test_the_best_guess_with_independent_parts_is_wrong_by_the_formula_of_the_collapse():
    """Two latent variables that add up: the least KL of a normal q with independent parts, looked for by descent."""
    w, _, variance_of_q, gap = functions("w", "s2", "variance_of_q", "gap_by_formula")
    for at in (0, 40, 150, 300):
        r = w[at] ** 2 / (1 - 2 * w[at] ** 2)
        precision = np.eye(2) + r

        def wrong_by(log_d, precision=precision):
            d = np.diag(np.exp(log_d))
            _, log_det = np.linalg.slogdet(precision @ d)
            return 0.5 * (np.trace(precision @ d) - log_det - 2)

        best = scipy.optimize.minimize(wrong_by, [0.3, -0.5], tol=1e-10)
        assert best.fun == pytest.approx(gap[at], abs=1e-8)
        np.testing.assert_allclose(np.exp(best.x), variance_of_q[at], atol=1e-4)


def test_what_a_hundred_guesses_give_is_the_known_likelihood_of_a_decoder_without_latent_variables():
    """A decoder that says the same whatever z: each weight is p(x) p(z) / q(z), and with q the prior exactly p(x)."""
    log_weights, *_, grouped = functions("log_weights", "guess", "log_likelihood", "grouped")
    x = np.arange(0, 17, 4, dtype="float32").reshape(-1, 1, 1, 1)
    known = np.log(scipy.stats.binom.pmf(x.ravel(), 16, scipy.special.expit(0.4)))

    def same(z):
        return tied(tf.fill((len(z), 1), 0.4))

    for said, within in (([0.0, 0.0, 0.0, 0.0], 1e-5), ([0.3, -0.2, np.log(0.8), 0.1], 0.06)):
        encoder = lambda x, said=said: tf.constant(np.tile([said], (len(x), 1)))  # noqa: E731
        log_w = log_weights((encoder, same), x, 400, np.random.default_rng(0))
        np.testing.assert_allclose(grouped(log_w, 400), known, atol=within)


# --- the exercises: answers that are right in another form, and answers that learners give ---------------------------


def answers_of_the_small_world():
    right = (1.3069, -6.7258, 4.7953)
    return {
        "a list": (list(right), True),
        "an array": (np.array(right), True),
        "a column": (np.array(right)[:, None], True),
        "by the boxed identity": ((2 - np.log(2), -6.72579, -1.93051 + 6.72579), True),
        "numbers of TensorFlow": (tuple(tf.constant(number) for number in right), True),
        "log of the standard deviation": ((2 - np.log(2) / 2, *right[1:]), False),
        "the variance forgotten": ((1.3069, right[1] + 2, 4.7953), False),
        "KL the other way round": ((*right[:2], 0.5 * (0.2 + 1.44 - 1 + np.log(5))), False),
        "sign of the bound": ((1.3069, 6.7258, 4.7953), False),
        "of N(1, 2)": ((0.5 * (1 + 2 - 1 - np.log(2)), *right[1:]), False),
    }


def losses():
    def loss(pixels=np.sum, normalised=True, sign=1, kl_sign=1, half=0.5):
        def answer(x, logits, mean, log_variance):
            of_x = np.take_along_axis(logits, x[..., None], axis=2)[..., 0]
            if normalised:
                of_x = of_x - scipy.special.logsumexp(logits, axis=2)
            kl = half * np.sum(mean**2 + np.exp(log_variance) - 1 - log_variance, axis=1)
            return sign * np.mean(kl_sign * kl - pixels(of_x, axis=1))

        return answer

    def in_float32(x, logits, mean, log_variance):
        logits, mean, log_variance = (np.float32(array) for array in (logits, mean, log_variance))
        return loss()(x, logits, mean, log_variance)

    def by_tensorflow(x, logits, mean, log_variance):
        logits, mean, log_variance = (
            tf.constant(array, "float32") for array in (logits, mean, log_variance)
        )
        missed = tf.nn.sparse_softmax_cross_entropy_with_logits(x, logits)
        kl = 0.5 * tf.reduce_sum(mean**2 + tf.exp(log_variance) - 1 - log_variance, axis=1)
        return tf.reduce_mean(kl + tf.reduce_sum(missed, axis=1))

    return {
        "NumPy": (loss(), True),
        "in float32": (in_float32, True),
        "by TensorFlow": (by_tensorflow, True),
        "pixels averaged": (loss(pixels=np.mean), False),
        "logits for logarithms": (loss(normalised=False), False),
        "the sign": (loss(sign=-1), False),
        "sign of KL": (loss(kl_sign=-1), False),
        "KL without the half": (loss(half=1.0), False),
        "only the sum mended": (loss(normalised=False, sign=-1), False),
        "no KL": (loss(half=0.0), False),
    }


def estimators():
    def answer(path, score):
        return lambda mu, sigma, noise: (path(mu, sigma, noise), score(mu, sigma, noise))

    def right_path(m, s, e):
        return 2 * (m + s * e) * e

    def right_score(m, s, e):
        return (m + s * e) ** 2 * (e**2 - 1) / s

    return {
        "two arrays": (answer(right_path, right_score), True),
        "one array": (lambda m, s, e: np.array([right_path(m, s, e), right_score(m, s, e)]), True),
        "by z": (
            lambda m, s, e: [
                2 * m * e + 2 * s * e**2,
                (m + s * e) ** 2 * (-1 / s + (s * e) ** 2 / s**3),
            ],
            True,
        ),
        "noise forgotten": (answer(lambda m, s, e: 2 * (m + s * e), right_score), False),
        "score of mu": (answer(right_path, lambda m, s, e: (m + s * e) ** 2 * e / s), False),
        "no -1": (answer(right_path, lambda m, s, e: (m + s * e) ** 2 * e**2 / s), False),
        "divided by sigma squared": (
            answer(right_path, lambda m, s, e: right_score(m, s, e) / s),
            False,
        ),
        "the other way round": (answer(right_score, right_path), False),
        "means": (lambda m, s, e: (right_path(m, s, e).mean(), right_score(m, s, e).mean()), False),
    }


def messages():
    def bits(log_p, pixels=64):
        return -log_p / np.log(2) / pixels

    return {
        "NumPy": ((bits, np.log2(17)), True),
        "by log2 of e": ((lambda log_p, pixels=64: -np.log2(np.e) * log_p / pixels, 4.09), True),
        "a list": ([lambda log_p, pixels=64: np.float32(bits(log_p, pixels)), 4.0875], True),
        "pixels ignored": ((lambda log_p, pixels=64: bits(log_p), np.log2(17)), False),
        "nats": ((lambda log_p, pixels=64: -log_p / pixels, np.log2(17)), False),
        "of the whole picture": ((lambda log_p, pixels=64: -log_p / np.log(2), 4.09), False),
        "16 counts": ((bits, 4.0), False),
        "by its own function": ((bits, bits(-64 * np.log(17))), True),
        "one digit": ((bits, 4.1), False),
        "the sign": ((lambda log_p, pixels=64: log_p / np.log(2) / pixels, 4.09), False),
        "nothing in nats": ((bits, np.log(17)), False),
    }


ANSWERS = {
    "small_world": answers_of_the_small_world(),
    "repaired": losses(),
    "estimators": estimators(),
    "messages": messages(),
}
RIGHT, WRONG = (
    {
        name: [answer for answer, right in forms.values() if right is wanted]
        for name, forms in ANSWERS.items()
    }
    for wanted in (True, False)
)


@pytest.fixture
def ask(capsys):
    """What the check of an exercise, named by its cases, says to an answer."""
    known = {"np": np, "bh": bh}
    known |= dict(zip(("elbo", "kl_normal"), functions("elbo", "kl_normal"), strict=True))
    within = {"small_world": 2e-4, "repaired": 1e-4, "messages": 5e-3}
    return chapters.asked_of("05_vae", known, capsys, within)


(
    test_right_answers_of_any_form_are_accepted,
    test_wrong_answers_are_refused,
    test_a_wrong_number_is_not_told_the_right_one,
) = chapters.tests_of_answers(RIGHT, WRONG, numbers=["small_world"])


@pytest.mark.parametrize(
    ("guessed", "verdict"),
    [
        (lambda x, mean, variance: (mean + 0.5, np.log(variance)), "correct"),
        (lambda x, mean, variance: (list(mean + 0.5), np.log(variance)), "correct"),
        (lambda x, mean, variance: (tf.constant(mean + 0.45), np.log(variance)), "correct"),
        (lambda x, mean, variance: (mean, np.log(variance)), "not yet"),
        (lambda x, mean, variance: (0 * mean, 0 * mean), "not yet"),
        (lambda x, mean, variance: (mean + 0.5, variance), "not yet"),
        (lambda x, mean, variance: (mean - 0.5, np.log(variance)), "not yet"),
        (lambda x, mean, variance: None, "not done yet"),
    ],
)
def test_a_better_guess_is_judged_by_the_part_of_the_gap_that_it_closes(guessed, verdict, capsys):
    """The encoder says N(m, 1/4) where the posterior is N(m + 1/2, 1/4): the bound is known, and so is the gap."""

    def elbo_of(pair, x):
        mean, log_variance = np.split(np.asarray(pair[0](x)), 2, axis=1)
        off = (mean - 0.5) ** 2 / 0.25 + np.exp(log_variance) / 0.25
        return -0.5 * np.sum(off - 1 - log_variance + np.log(0.25), axis=1)

    n = 12
    known = {
        "np": np,
        "tf": tf,
        "bh": bh,
        "drawable": True,
        "X_test": np.zeros((n, 1, 1, 1)),
        "bound": np.full(n, -1.0),
        "log_p": np.zeros(n),
        "decoder": None,
        "exact_elbo": elbo_of,
    }
    _, guessing = chapters.functions("05_vae", ["verdict", "guessing"], known)
    mean, variance = np.zeros((1, 2)), np.full((1, 2), 0.25)
    bh.check(lambda x: guessed(x, mean, variance), guessing)
    assert capsys.readouterr().out.startswith(verdict)
