"""Chapter 04: what it builds, taken from the notebook and held against other references; and the chapter on other data."""

import re
from itertools import product

import chapters
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from matplotlib.figure import Figure

import bigmodel_helpers as bh

with bh.quietly():
    import tensorflow as tf


def functions(*names):
    photograph = np.random.default_rng(0).random((16, 16))
    known = {"np": np, "bh": bh, "scipy": scipy, "reach": 1, "side": 8, "photograph": photograph}
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


def test_of_equal_pixels_the_first_is_blamed_as_tensorflow_does():
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


@pytest.mark.parametrize("layers, kernel, stride", list(product((1, 4), (1, 3, 5), (1, 2))))
@pytest.mark.parametrize("place", [0, 31])
def test_the_field_explorer_shows_as_many_pixels_as_the_formula_says(layers, kernel, stride, place):
    names = functions("output_size", "receptive_field", "paths", "draw_field")
    alt = names[-1](
        Figure(figsize=(8, 4)), layers=layers, kernel=kernel, stride=stride, down=place, right=place
    )
    seen, formula = re.search(r"sees (\d+) by \d+ pixels; the formula says (\d+)", alt).groups()
    assert seen == formula


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
            if line.startswith(("patches", "dense, ", "lead", "hiding", "Grad-CAM: two"))
        ]
        assert len(trained) > 12 and not any(
            "at least" in line or "at most" in line for line in trained
        )


def test_an_epoch_shows_every_picture_once_in_an_order_of_its_own():
    known = {"np": np, "epochs": 6, "batch": 4, "steps": 30}
    (batches,) = chapters.functions("04_convolution", ["batches"], known)
    chosen = batches(np.random.default_rng(0), 20)
    assert chosen.shape == (6, 5, 4)
    assert all(sorted(epoch.ravel()) == list(range(20)) for epoch in chosen)
    assert len({tuple(epoch.ravel()) for epoch in chosen}) == 6


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
