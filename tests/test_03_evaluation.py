"""Chapter 03: what it builds, taken from the notebook and held against other references."""

import re

import chapters
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats
from matplotlib.figure import Figure
from sklearn import metrics, model_selection
from sklearn.neighbors import NearestNeighbors

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
    (mcnemar,) = functions("mcnemar")
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


def test_left_out_error_is_a_loop_of_fits():
    (left_out_error,) = functions("left_out_error")
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-1, 1, 15), rng.normal(size=15)
    squares = [
        (np.polyval(np.polyfit(np.delete(x, i), np.delete(y, i), 3), x[i]) - y[i]) ** 2
        for i in range(15)
    ]
    assert left_out_error(x, y, 3) == pytest.approx(np.mean(squares), rel=1e-8)


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


def test_wrong_answers_to_the_hardest_exercise_are_refused(capsys, digits):
    *_, form = digits
    cases, folds_solution, *_ = functions(
        "fold_cases", "folds_solution", "fold_data", "describe", form=form
    )

    def splits_groups(groups, count):
        return np.array_split(np.arange(len(groups)), count)

    def in_turn(groups, count):
        return [np.flatnonzero(np.isin(groups, np.unique(groups)[k::count])) for k in range(count)]

    def forgets_some(groups, count):
        return folds_solution(groups, count)[:-1]

    for answer in (splits_groups, in_turn, forgets_some, lambda groups, count: None):
        bh.check(answer, cases)
        assert capsys.readouterr().out.startswith("not ")
    bh.check(folds_solution, cases)
    assert capsys.readouterr().out.startswith("correct")


def test_expected_costs_and_probabilities_are_integrals():
    """The cost of a threshold over a beta distribution, and mistake 7's mean probability, by quadrature."""
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
    called_different, mcnemar = functions("called_different", "mcnemar")
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
