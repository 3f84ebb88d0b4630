"""Numbers that the text stands on, each checked on every run."""

import math

import numpy as np


class ClaimError(AssertionError):
    """A number that the text stands on is not what the text says."""


def claim(name, value, *, at_least=None, at_most=None, equals=None, within=None):
    """State what a number must be; print one line, or raise if it is not so.

    Use it for every number that the prose relies on. A measured value differs a little from machine to machine, so
    the tests of the book compare the line but not the number behind `measured`; an exact one (`equals` without
    `within`) is compared to the letter.

    Args:
        name: what the number is, with its unit if it has one.
        value: the number.
        at_least, at_most: bounds, either or both; the book sets them four standard deviations from the mean over seeds.
        equals: the exact value; whole numbers, strings, tuples and booleans may be given too.
        within: how far from `equals` the value may lie (absolute).

    Raises:
        ClaimError: if the claim does not hold; it names the bound and the value.
        ValueError: if there is nothing to hold the value against.

    >>> claim("test accuracy", 0.9534, at_least=0.93)
    test accuracy: measured 0.953, at least 0.93
    >>> claim("parameters", 3 * 2 + 2 + 2 * 1 + 1, equals=11)
    parameters: 11, as it must be
    >>> claim("rate", 0.4981, equals=0.5, within=0.01)
    rate: measured 0.498, equals 0.5 within 0.01
    >>> claim("test accuracy", 0.1, at_least=0.93)
    Traceback (most recent call last):
    bigmodel_helpers.claims.ClaimError: test accuracy is 0.1, but it must be at least 0.93. ...
    """
    if at_least is None and at_most is None and equals is None:
        raise ValueError(f"the claim {name!r} has no bound; give at_least, at_most or equals.")
    if equals is None and within is not None:
        raise ValueError(
            f"the claim {name!r} has within={within!r} but no equals; within says how far from equals."
        )
    if equals is not None and not (at_least is None and at_most is None):
        raise ValueError(f"the claim {name!r} has both equals and a bound; give one or the other.")
    if equals is not None and within is None:
        _require(value == equals, name, value, f"equal to {equals!r}")
        print(f"{name}: {value}, as it must be")
        return
    parts, value = [], float(value)
    if at_least is not None:
        _require(value >= at_least, name, value, f"at least {at_least:g}")
        parts.append(f"at least {at_least:g}")
    if at_most is not None:
        _require(value <= at_most, name, value, f"at most {at_most:g}")
        parts.append(f"at most {at_most:g}")
    if equals is not None:
        _require(
            abs(value - equals) <= within, name, value, f"equal to {equals:g} within {within:g}"
        )
        parts.append(f"equals {equals:g} within {within:g}")
    print(f"{name}: measured {_short(value)}, {' and '.join(parts)}")


def check_close(name, actual, expected, *, within):
    """State that two arrays of one shape agree; print one line, or raise and name the worst place.

    Args:
        name: what is compared.
        actual, expected: arrays of the same shape, real or complex; a shorter shape is not stretched.
        within: the largest absolute difference allowed.

    Raises:
        ClaimError: if shapes differ, a value is not finite, or two values lie too far apart.

    >>> check_close("by hand = by formula", [0.1 + 0.2], [0.3], within=1e-12)
    by hand = by formula: equal within 1e-12
    >>> check_close("two vectors", [1.0, 2.0], [1.0, 2.5], within=1e-3)
    Traceback (most recent call last):
    bigmodel_helpers.claims.ClaimError: two vectors: at index 1 found 2.0, expected 2.5; they differ by 0.5, ...
    """
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise ClaimError(f"{name}: found shape {actual.shape}, expected {expected.shape}.")
    if not (np.all(np.isfinite(actual)) and np.all(np.isfinite(expected))):
        raise ClaimError(f"{name}: there are values that are not finite.")
    actual, expected = (subtractable(array) for array in (actual, expected))
    difference = np.abs(actual - expected)
    if difference.size and not difference.max() <= within:
        worst = np.unravel_index(difference.argmax(), difference.shape)
        place = ", ".join(str(int(i)) for i in worst) or "()"
        raise ClaimError(
            f"{name}: at index {place} found {actual[worst]}, expected {expected[worst]}; they differ by "
            f"{difference[worst]:.3g}, more than {within:g}. {_TURNED}"
        )
    print(f"{name}: equal within {within:g}")


def subtractable(array):
    """The array with numbers that can be subtracted: the difference of two small whole ones would wrap around."""
    if array.dtype.kind == "i":
        return array.astype(np.int64)
    return array.astype(float) if array.dtype.kind in "bu" else array


_TURNED = "If you have turned a setting: the bound was made for the shipped settings and may not apply to yours."


def _require(holds, name, value, bound):
    if not holds:
        raise ClaimError(f"{name} is {value}, but it must be {bound}. {_TURNED}")


def _short(value):
    """Three digits that mean something.

    >>> [_short(x) for x in (0.95312, 1234567.0, 0.000012345, 10.0)]
    ['0.953', '1.23e+06', '1.23e-05', '10']
    """
    return f"{value:.3g}" if math.isfinite(value) else str(value)
