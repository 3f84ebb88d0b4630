"""Chapter 03: what it builds, taken from the notebook and held against other references."""

import itertools
import re
from fractions import Fraction

import chapters
import matplotlib.colors
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats
import tensorflow as tf
from matplotlib.figure import Figure
from sklearn import metrics, model_selection
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.svm import SVC

import bigmodel_helpers as bh


def functions(*names, **known):
    base = {"np": np, "scipy": scipy, "bh": bh, "metrics": metrics, "rng": np.random.default_rng(0)}
    return chapters.functions("03_evaluation", names, base | known)


@pytest.fixture(scope="module")
def digits():
    """All pictures as counts, labels and forms; where a form starts was read off the labels by eye."""
    (x_old, y_old), (x_new, y_new) = bh.load_data("digits")
    starts = [0, 130, 256, 386, 516, 646, 776, 905, 1029, 1157, 1287, 1415, 1543, 1667]
    form = np.repeat(np.arange(14), np.diff([*starts, 1797]))
    return (
        np.concatenate([x_old, x_new]).reshape(-1, 64).astype(float),
        np.concatenate([y_old, y_new]),
        form,
    )


def test_the_area_is_mann_and_whitneys_statistic():
    (ranked_rightly,) = functions("ranked_rightly")
    rng = np.random.default_rng(1)
    for _ in range(20):
        truth, score = np.r_[0, 1, rng.integers(0, 2, 40)], rng.integers(0, 15, 42)
        u = scipy.stats.mannwhitneyu(score[truth == 1], score[truth == 0]).statistic
        assert ranked_rightly(truth, score) == pytest.approx(
            u / np.sum(truth == 1) / np.sum(truth == 0), abs=1e-12
        )


def test_wilsons_ends_solve_the_equation_they_come_from():
    (wilson,) = functions("wilson")
    for k, n in ((3, 20), (47, 50), (600, 640)):

        def excess(p, k=k, n=n):
            return abs(k / n - p) - 1.96 * np.sqrt(p * (1 - p) / n)

        low, high = wilson(k, n)
        assert low == pytest.approx(scipy.optimize.brentq(excess, 1e-9, k / n), abs=1e-9)
        assert high == pytest.approx(scipy.optimize.brentq(excess, k / n, 1 - 1e-9), abs=1e-9)


def test_coverage_is_a_sum_over_outcomes():
    coverage, wald = functions("coverage", "wald")
    inside = [
        k for k in range(31) if abs(k / 30 - 0.8) <= 1.96 * np.sqrt(k / 30 * (1 - k / 30) / 30)
    ]
    assert coverage(wald, 0.8, 30) == pytest.approx(
        sum(scipy.stats.binom(30, 0.8).pmf(k) for k in inside), abs=1e-12
    )


def test_mcnemar_is_the_binomial_test():
    mcnemar, _ = functions("mcnemar", "coin_p")
    rng = np.random.default_rng(2)
    for _ in range(50):
        a, b = rng.random((2, 30)) < rng.random((2, 1))
        wins, tosses = int(np.sum(a & ~b)), int(np.sum(a != b))
        expected = scipy.stats.binomtest(wins, tosses).pvalue if tosses else 1.0
        assert mcnemar(a, b) == pytest.approx(expected, abs=1e-12)


def test_the_two_models_have_the_moments_that_the_text_computes():
    (two_models,) = functions("two_models")
    a, b = two_models(2_000_000)
    assert (a.mean(), b.mean(), (a & b).mean()) == pytest.approx((0.95, 0.93, 0.915), abs=1e-3)


def test_precision_and_recall_at_every_threshold_by_counting_again():
    precision_recall, average_precision = functions("precision_recall", "average_precision")
    rng = np.random.default_rng(8)
    for size in (6, 40):
        truth, score = np.r_[1, rng.integers(0, 2, size)], rng.integers(0, 9, size + 1)
        precision, recall = precision_recall(truth, score)
        above = [score >= threshold for threshold in np.unique(score)[::-1]]
        assert precision == pytest.approx([truth[taken].mean() for taken in above])
        assert recall == pytest.approx([taken[truth == 1].mean() for taken in above])
        assert average_precision(truth, score) == pytest.approx(
            metrics.average_precision_score(truth, score), abs=1e-12
        )


def test_exchanging_names_by_groups_is_scipys_permutation_test():
    permutation_p, exchanged = functions("permutation_p", "exchanged")
    rng = np.random.default_rng(9)
    for groups in (2, 5, 9):
        a, b = rng.integers(0, 12, (2, groups))

        def lead(x, y, axis):
            return np.sum(x - y, axis=axis)

        theirs = scipy.stats.permutation_test(
            (a, b), lead, permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        assert permutation_p(a - b) == pytest.approx(theirs.pvalue, abs=1e-12)
        totals = exchanged(a - b)
        assert len(totals) == 2**groups and totals[0] == np.sum(a - b)
        assert np.sum(totals) == 0 and np.mean(totals**2) == pytest.approx(np.sum((a - b) ** 2))


def test_holm_is_bonferroni_over_every_set_of_true_nulls():
    """Closed testing: adjusted, a p-value is the largest of Bonferroni's over all sets that hold it."""
    (holm,) = functions("holm")
    rng = np.random.default_rng(10)
    for count in (1, 2, 6):
        p = rng.random(count) ** 3
        expected = [
            max(
                min(1, len(together) * p[list(together)].min())
                for size in range(1, count + 1)
                for together in itertools.combinations(range(count), size)
                if place in together
            )
            for place in range(count)
        ]
        assert holm(p) == pytest.approx(expected, abs=1e-12)


def turned_by_rounding(votes, label, near=1e-3):
    """Which answers of one-against-one votes are right, and which of them a small error may change."""

    def right(values):
        wins = np.zeros((len(values), 10))
        for (one, other), value in zip(itertools.combinations(range(10), 2), values.T):
            wins[:, one] += value > 0
            wins[:, other] += value <= 0
        return wins.argmax(axis=1) == label

    base, may = right(votes), np.zeros(len(votes), bool)
    for column in range(votes.shape[1]):
        other = votes.copy()
        other[np.abs(votes[:, column]) < near, column] *= -1
        may |= right(other) != base
    return base, may


def test_the_counts_of_significant_pairs_stand_whichever_uncertain_answers_turn(digits):
    """Two lie on a border of support vectors, and one picture has two nearest of different digits."""
    counts, labels, form = digits
    pictures = counts / 16
    models = {
        "svm": SVC(C=10),
        "linear": SVC(C=10, kernel="linear"),
        "poly": SVC(C=10, kernel="poly"),
        "lda": LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1),
        "1": KNeighborsClassifier(1, algorithm="brute"),
        "3": KNeighborsClassifier(3, algorithm="brute"),
    }
    right = {name: np.zeros(1797, bool) for name in models}
    turns = []
    for name, model in models.items():
        for number in range(14):
            train, test = form != number, np.flatnonzero(form == number)
            model.fit(pictures[train], labels[train])
            right[name][test] = model.predict(pictures[test]) == labels[test]
            if isinstance(model, SVC):
                model.decision_function_shape = "ovo"
                votes = model.decision_function(pictures[test])
                base, may = turned_by_rounding(votes, labels[test])
                assert np.array_equal(base, right[name][test])
                turns += [(name, place) for place in test[may]]
    squares = np.sum(counts**2, axis=1)
    table = squares[:, None] + squares - 2 * counts @ counts.T
    table[form[:, None] == form] = np.inf
    tied = [set((labels == label)[row == row.min()]) for row, label in zip(table, labels)]
    turns += [("1", place) for place, found in enumerate(tied) if len(found) == 2]
    assert 1 <= len(turns) <= 6
    mcnemar, _, permutation_p, _, holm = functions(
        "mcnemar", "coin_p", "permutation_p", "exchanged", "holm"
    )
    for turned in itertools.product((False, True), repeat=len(turns)):
        now = {name: answers.copy() for name, answers in right.items()}
        for name, place in itertools.compress(turns, turned):
            now[name][place] ^= True
        pairs = list(itertools.combinations(now.values(), 2))
        by_form = [np.bincount(form, a.astype(int) - b).astype(int) for a, b in pairs]
        grouped = np.array([permutation_p(lead) for lead in by_form])
        assert sum(mcnemar(a, b) < 0.05 for a, b in pairs) == 11
        assert np.sum(holm(grouped) < 0.05) == 6 and abs(np.sum(grouped < 0.05) - 8) <= 1


def test_features_chosen_inside_the_folds_are_right_half_of_the_time_on_noise():
    """With labels tossed one by one; dealt as 25 and 25, a fold lacks what its training part has too much of."""
    folds, best_features, nearest_mean = functions("folds", "best_features", "nearest_mean")
    rng, hits = np.random.default_rng(12), []
    for _ in range(500):
        x, y = rng.normal(size=(50, 100)), rng.integers(0, 2, 50)
        for train, test in folds(50, 5):
            keep = best_features(x[train], y[train])
            hits += list(nearest_mean(x[train][:, keep], y[train], x[test][:, keep]) == y[test])
    assert np.mean(hits) == pytest.approx(0.5, abs=0.0165)


def test_the_bootstrap_has_the_mean_and_the_spread_of_scipys():
    (bootstrap,) = functions("bootstrap")
    differences = np.random.default_rng(11).normal(1.0, 2.0, 14)
    drawn = bootstrap(differences, 20_000)
    theirs = scipy.stats.bootstrap(
        (differences,), np.mean, n_resamples=20_000, method="percentile", rng=1
    )
    assert drawn.std() == pytest.approx(theirs.standard_error, rel=0.03)
    assert np.percentile(drawn, [2.5, 97.5]) == pytest.approx(
        list(theirs.confidence_interval), abs=0.06
    )


def test_the_picture_of_nested_folds_tests_each_fold_once_and_chooses_in_the_rest():
    (draw_nested,) = functions("draw_nested")
    axes = Figure().subplots()
    draw_nested(axes)
    bars = [(bar.get_x(), bar.get_y(), bar.get_facecolor()) for bar in axes.patches]
    colour = {name: matplotlib.colors.to_rgba(bh.COLOURS[name]) for name in ("red", "blue")}
    tests = [bar for bar in bars if bar[2] == colour["red"]]
    chosen = [bar for bar in bars if bar[2] == colour["blue"]]
    assert (len(bars), len(tests), len(chosen)) == (5 * 5 + 4 * 4, 5, 4)
    for found in (tests, chosen):  # no row and no fold twice
        assert len({x for x, _, _ in found}) == len({y for _, y, _ in found}) == len(found)


def test_forms_and_the_leak_by_other_means(digits):
    """The nearest picture by scikit-learn's tree instead of a table of distances."""
    counts, labels, form = digits
    _, found = NearestNeighbors(n_neighbors=40, algorithm="kd_tree").fit(counts).kneighbors(counts)
    assert np.mean(form[found[:, 1]] == form) == pytest.approx(0.535, abs=0.005)
    errors = {"all": 0, "others": 0}
    for place, near in enumerate(found):
        others = [i for i in near if form[i] != form[place]]
        if not others:
            rest = np.flatnonzero(form != form[place])
            others = rest[
                np.sum((counts[rest] - counts[place]) ** 2, axis=1).argsort(kind="stable")
            ]
        errors["all"] += labels[near[1]] != labels[place]
        errors["others"] += labels[others[0]] != labels[place]
    assert (
        abs(errors["all"] - 21) <= 2 and abs(errors["others"] - 63) <= 2
    )  # ties may be broken in another way


def test_grid_and_random_search_as_integrals():
    """With one number that matters: the grid misses by 1/16, sixteen random values by an integral over both."""
    (middles,) = functions("middles")
    assert middles.tolist() == [0.125, 0.375, 0.625, 0.875]
    miss, grid = functions("miss", "grid", middles=middles)

    def not_near(r, u):
        return (1 - (min(u + r, 1) - max(u - r, 0))) ** 16

    expected, _ = scipy.integrate.dblquad(not_near, 0, 1, 0, 1)
    rng = np.random.default_rng(4)
    best, points = rng.random((100_000, 2)), rng.random((100_000, 16, 2))
    assert miss(points, best, 1).mean() == pytest.approx(expected, abs=5e-4)
    assert miss(grid, best, 1).mean() == pytest.approx(1 / 16, abs=5e-4)
    # mean distance from the middle of a square: (sqrt(2) + log(1 + sqrt(2))) / 6 of its side
    side = 1 / 4
    assert miss(grid, best, 2).mean() == pytest.approx(
        side * (np.sqrt(2) + np.log(1 + np.sqrt(2))) / 6, abs=5e-4
    )


def test_the_temperature_is_where_the_slope_vanishes():
    temperature, cross_entropy, _ = functions("temperature", "cross_entropy", "log_softmax")
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(3000, 4))
    truth = np.argmax(0.7 * scores + rng.gumbel(size=scores.shape), axis=1)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert cross_entropy(scores, truth) == pytest.approx(
        metrics.log_loss(truth, p, labels=range(4)), abs=1e-12
    )

    def slope(b):  # of the cross-entropy by b = 1 / T
        p = np.exp(b * scores) / np.exp(b * scores).sum(axis=1, keepdims=True)
        return np.mean(np.sum(p * scores, axis=1) - scores[np.arange(3000), truth])

    assert temperature(scores, truth) == pytest.approx(
        1 / scipy.optimize.brentq(slope, 0.1, 5), rel=1e-4
    )


def test_the_calibration_error_is_a_loop_over_bins():
    calibration_error, *_ = functions("calibration_error", "reliability", "log_softmax")
    rng = np.random.default_rng(6)
    scores, truth = 3 * rng.normal(size=(500, 3)), rng.integers(0, 3, 500)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    total = 0.0
    for low in np.arange(10) / 10:
        here = (p.max(axis=1) >= low) & (p.max(axis=1) < low + 0.1)
        if here.any():
            total += here.mean() * abs(
                p.max(axis=1)[here].mean() - np.mean(p.argmax(axis=1)[here] == truth[here])
            )
    assert calibration_error(scores, truth) == pytest.approx(total, abs=1e-9)


def test_best_features_are_those_of_largest_correlation():
    (best_features,) = functions("best_features")
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(30, 40)), rng.permutation(np.repeat([0, 1], 15))
    r = [abs(scipy.stats.pearsonr(column, y).statistic) for column in x.T]
    assert set(best_features(x, y, 5)) == set(np.argsort(r)[-5:])


def test_the_explorer_at_the_ends_of_its_sliders():
    draw, table, cost, best = functions("draw_threshold", "expected_table", "cost_of", "cheapest")
    below, _ = scipy.integrate.quad(lambda s: scipy.stats.norm.pdf(s, 2.0), -10, 1.2)
    np.testing.assert_allclose(table(1.2, 2.0, 0.3)[1], [0.3 * below, 0.3 * (1 - below)], atol=1e-9)
    for threshold, distance, ones, miss in (
        (-2.0, 0.5, 0.01, 1),
        (4.0, 3.0, 0.5, 50),
        (4.0, 0.5, 0.01, 1),
        (-2.0, 3.0, 0.5, 50),
    ):
        figure = Figure(figsize=(8, 4))
        said = draw(
            figure, threshold=threshold, distance=distance, share_of_ones=ones, cost_of_a_miss=miss
        )
        assert not re.search(r"\b(nan|inf)\b", said)
        times = cost(threshold, distance, ones, miss) / cost(
            best(distance, ones, miss), distance, ones, miss
        )
        curve, place, cheapest = figure.axes[2].lines
        assert times >= 1 - 1e-9 and place.get_xydata().tolist() == [[threshold, min(times, 5)]]
        assert curve.get_ydata().min() >= 1 - 1e-9
        assert cheapest.get_xdata() == 2 * [best(distance, ones, miss)]


def test_group_folds_are_scikit_learns(digits):
    *_, form = digits
    (folds_solution,) = functions("folds_solution")
    for groups, count in (
        (form, 5),
        (np.repeat(np.arange(8), np.arange(1, 9)), 3),
        (np.arange(60) * 7 % 12, 4),
    ):
        theirs = [
            len(test) for _, test in model_selection.GroupKFold(count).split(groups, groups=groups)
        ]
        assert sorted(map(len, folds_solution(groups, count))) == sorted(theirs)


def test_expected_costs_and_probabilities_are_integrals():
    """The cost of a threshold over a beta distribution, and mistake 2's mean probability, by quadrature."""
    (expected_cost,) = functions("expected_cost")
    density = scipy.stats.beta(0.5, 5).pdf
    for t in (0.05, 0.3):
        missed, _ = scipy.integrate.quad(lambda p: 19 * p * density(p), 0, t)
        alarms, _ = scipy.integrate.quad(lambda p: (1 - p) * density(p), t, 1)
        assert expected_cost(t) == pytest.approx(missed + alarms, abs=1e-7)

    def believed(x):
        odds = np.exp(1.5 * x - 1.125)
        share = 0.99 * scipy.stats.norm.pdf(x) + 0.01 * scipy.stats.norm.pdf(x - 1.5)
        return share * odds / (1 + odds)

    assert scipy.integrate.quad(believed, -12, 14)[0] == pytest.approx(0.3134, abs=1e-4)


def test_how_often_mcnemar_calls_two_models_different_by_counting_every_outcome():
    called_different, mcnemar, _ = functions("called_different", "mcnemar", "coin_p")
    for a_wins in (0.5, 0.7):
        total = 0.0
        for tosses in range(80):
            for wins in range(tosses + 1):
                a = np.arange(tosses) < wins
                if mcnemar(a, ~a) < 0.05:
                    total += scipy.stats.binom.pmf(tosses, 640, 0.05) * scipy.stats.binom.pmf(
                        wins, tosses, a_wins
                    )
        assert called_different(a_wins) == pytest.approx(total, abs=1e-6)


def test_the_report_to_mend_holds_the_three_mistakes_that_the_text_names():
    stub, solution = functions("mended_report", "report_solution")
    y, p = np.array([1, 1, 0, 1, 0]), np.array([0.5, 0.2, 0.6, 0.8, 0.3])
    precision, recall, surprise = solution(y, np.where(p == 0.5, 0.4999, p))
    surprise = solution(y, p)[2]
    assert stub(y, p) == pytest.approx((recall, precision, 5 * surprise))


def by_library(y, p):
    guess = p >= 0.5
    return metrics.precision_score(y, guess), metrics.recall_score(y, guess), metrics.log_loss(y, p)


def by_tensors(y, p):
    y, p = tf.constant(y, tf.float32), tf.constant(p, tf.float32)
    guess = tf.cast(p >= 0.5, tf.float32)
    hits = tf.reduce_sum(guess * y)
    surprise = -tf.reduce_mean(y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p))
    return hits / tf.reduce_sum(guess), hits / tf.reduce_sum(y), surprise


def by_loops(y, p):
    hits = sum(1 for truth, chance in zip(y, p) if truth and chance >= 0.5)
    surprise = sum(-np.log(chance if truth else 1 - chance) for truth, chance in zip(y, p)) / len(y)
    return [hits / sum(chance >= 0.5 for chance in p), hits / sum(y), surprise]


def report(swap=False, mean=True, tie=True):
    """The report of exercise 2, with one mistake or none."""

    def made(y, p):
        guess = p >= 0.5 if tie else p > 0.5
        precision, recall = y[guess].mean(), guess[y == 1].mean()
        surprise = -(y * np.log(p) + (1 - y) * np.log(1 - p))
        surprise = surprise.mean() if mean else surprise.sum()
        return (recall, precision, surprise) if swap else (precision, recall, surprise)

    return made


def needed(p, q, rho):
    s, t = np.sqrt(p * (1 - p)), np.sqrt(q * (1 - q))
    return 4 * (s**2 + t**2 - 2 * rho * s * t) / (p - q) ** 2


def by_trying(p, q, rho):
    variance = p * (1 - p) + q * (1 - q) - 2 * rho * (p * (1 - p) * q * (1 - q)) ** 0.5
    n = 1
    while abs(p - q) < 2 * (variance / n) ** 0.5:
        n += 1
    return n


def greedy(largest_first=True, by_members=False, kind="positions"):
    """The folds of exercise 5, in several ways, right and wrong."""

    def made(groups, count):
        members = {g: [i for i, other in enumerate(groups) if other == g] for g in set(groups)}
        made_folds = [[] for _ in range(count)]
        inside = [[] for _ in range(count)]
        for g in sorted(members, key=lambda g: len(members[g]), reverse=largest_first):
            filled = inside if by_members else made_folds
            place = min(range(count), key=lambda k: len(filled[k]))
            made_folds[place] += members[g]
            inside[place].append(g)
        if kind == "others":
            return [np.setdiff1d(np.arange(len(groups)), fold) for fold in made_folds]
        return inside if kind == "groups" else made_folds

    return made


def by_group_k_fold(groups, count):
    splitter = model_selection.GroupKFold(count)
    return tuple(test for _, test in splitter.split(groups, groups=groups))


def leads_of(a, b, groups):
    return np.array([
        int(np.sum(a[groups == g])) - np.sum(b[groups == g]) for g in np.unique(groups)
    ])


def by_scipy(a, b, groups):
    wins, decide = int(np.sum(a & ~b)), int(np.sum(a != b))
    leads = leads_of(a, b, groups)
    exchanged = scipy.stats.permutation_test(
        (leads, 0 * leads),
        lambda x, y: np.sum(x - y),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=False,
    )
    return scipy.stats.binomtest(wins, decide).pvalue, exchanged.pvalue


def by_every_sign(a, b, groups, values=leads_of, one_sided=False):
    wins, decide = int(np.sum(a & ~b)), int(np.sum(a != b))
    leads = values(a, b, groups)
    sums = np.array([np.dot(s, leads) for s in itertools.product((1, -1), repeat=len(leads))])
    if one_sided:
        sums = np.maximum(0, sums)
    pooled = scipy.stats.binomtest(wins, decide).pvalue
    return [np.float32(pooled), np.mean(np.abs(sums) >= abs(leads.sum()) - 1e-9)]


def mean_leads(a, b, groups):
    return np.array([a[groups == g].mean() - b[groups == g].mean() for g in np.unique(groups)])


RIGHT = {
    "both_cases": [
        by_scipy,
        by_every_sign,
        lambda a, b, groups: np.array(by_every_sign(a, b, groups)),
    ],
    "hand_cases": [
        (0.97, 0.6, 0.75, 0.96),
        [Fraction(97, 100), Fraction(3, 5), Fraction(3, 4), Fraction(24, 25)],
        np.array([[0.97], [0.6], [0.75], [0.96]]),
        tuple(map(np.float32, (0.97, 0.6, 0.75, 0.96))),
    ],
    "report_cases": [report(), by_library, by_tensors, by_loops],
    "rate_cases": [
        lambda r, f, share: r * share / (r * share + f * (1 - share)),
        lambda r, f, share: 1 / (1 + f / r * (1 - share) / share),
        lambda r, f, share: tf.constant([r * share / (share * (r - f) + f)]),
        lambda r, f, share: 10**6 * share * r / (10**6 * share * r + 10**6 * (1 - share) * f),
    ],
    "count_cases": [
        lambda *case: int(np.ceil(needed(*case))),
        by_trying,
        lambda *case: float(-(-needed(*case) // 1)),
        lambda *case: int(needed(*case)) + (needed(*case) > int(needed(*case))),
    ],
    "fold_cases": [greedy(), by_group_k_fold, lambda g, k: list(map(np.sort, greedy()(g, k)))],
}
WRONG = {
    "both_cases": [
        lambda a, b, groups: 2 * [by_scipy(a, b, groups)[0]],
        lambda a, b, groups: by_scipy(a, b, groups)[::-1],
        lambda *data: by_every_sign(*data, one_sided=True),
        lambda *data: by_every_sign(*data, values=mean_leads),
        lambda a, b, groups: (  # McNemar's approximation
            scipy.stats.chi2.sf((np.sum(a) - np.sum(b)) ** 2 / np.sum(a != b), 1),
            by_scipy(a, b, groups)[1],
        ),
        lambda a, b, groups: (
            by_scipy(a, b, groups)[0],
            scipy.stats.wilcoxon(leads_of(a, b, groups)).pvalue,
        ),
        lambda a, b, groups: (
            by_scipy(a, b, groups)[0],
            scipy.stats.ttest_1samp(leads_of(a, b, groups), 0).pvalue,
        ),
    ],
    "hand_cases": [
        (0.97, 0.75, 0.6, 0.96),  # precision and recall exchanged
        (0.97, 0.6, 0.75, 0.04),
        (97, 60, 75, 96),
        (0.97, 0.6, 0.75, 0.97),
        (0.95, 0.6, 0.75, 0.96),
    ],
    "report_cases": [
        report(swap=True),
        report(mean=False),
        report(tie=False),
        lambda y, p: by_library(y, p)[:2],
        lambda y, p: by_library(y, 1 - p),
    ],
    "rate_cases": [
        lambda r, f, share: r * share,
        lambda r, f, share: r * share / (r * share + f),
        lambda r, f, share: r / (r + f),
        lambda r, f, share: share,
        lambda r, f, share: 1 / 6,
        lambda r, f, share: r * share / (r * share + (1 - f) * (1 - share)),
    ],
    "count_cases": [
        lambda *case: int(needed(*case)) + 1,  # one too many where it is exact
        lambda *case: round(needed(*case)),
        lambda *case: int(needed(*case)),
        lambda *case: needed(*case),
        lambda *case: int(np.ceil(needed(*case) * 1.96**2 / 4)),
        lambda *case: int(np.ceil(needed(*case) / 4)),
        lambda p, q, rho: int(np.ceil(needed(p, q, 0))),
        lambda p, q, rho: int(np.ceil(needed(p, q, rho / 2))),
        lambda p, q, rho: int(np.ceil(needed(p, q, rho) * abs(p - q))),
    ],
    "fold_cases": [
        lambda groups, count: np.array_split(np.arange(len(groups)), count),
        lambda g, k: [np.flatnonzero(np.isin(g, np.unique(g)[part::k])) for part in range(k)],
        lambda groups, count: greedy()(groups, count)[:-1],
        lambda groups, count: [*greedy()(groups, count)[:-1], [0]],
        greedy(largest_first=False),
        greedy(by_members=True),
        greedy(kind="others"),
        greedy(kind="groups"),
    ],
}


@pytest.fixture
def ask(capsys, digits):
    """What the check of an exercise, named by its cases, says to an answer."""
    known = {"np": np, "bh": bh, "metrics": metrics, "form": digits[2]}
    tests = ("mcnemar", "coin_p", "permutation_p", "exchanged")
    known |= dict(zip(tests, functions(*tests)))
    return chapters.asked_of("03_evaluation", known, capsys)


(
    test_right_answers_of_any_form_are_accepted,
    test_wrong_answers_are_refused,
    test_a_wrong_number_is_not_told_the_right_one,
) = chapters.tests_of_answers(RIGHT, WRONG, numbers=["hand_cases"])
