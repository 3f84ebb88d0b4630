"""One sentence for a setting that a chapter cannot work with, before anything heavy runs."""

import math
import numbers
from pathlib import Path


def check_setting(
    name,
    value,
    *,
    whole=False,
    at_least=None,
    above=None,
    at_most=None,
    multiple_of=None,
    among=None,
    or_folder=False,
    or_none=False,
):
    """Return a setting that has an allowed value; otherwise stop with one sentence that says which are.

    Chapters call it for each of their settings, before anything else runs. A setting is a number in a range, or, with
    `among`, one of a few values. NumPy's whole numbers are whole numbers; ``True`` is none, nor are ``2.0`` and ``"2"``.

    Args:
        name: what the setting is called in the settings cell.
        value: what it was set to.
        whole: only whole numbers are allowed.
        at_least, above, at_most: bounds of a number.
        multiple_of: only multiples of this whole number are allowed.
        among: the allowed values, strings or whole numbers, instead of a range.
        or_folder: with `among`, the path of a folder that is there is allowed, too.
        or_none: None is allowed, too.

    Returns:
        The value; NumPy's whole numbers as Python's, because Keras takes no others.

    Raises:
        ValueError: if the value is not allowed.

    >>> check_setting("epochs", 30, whole=True, at_least=1)
    30
    >>> check_setting("epochs", 0, whole=True, at_least=1)
    Traceback (most recent call last):
    ValueError: epochs is 0; it must be a whole number of at least 1. Change it in the settings cell and run again.
    >>> check_setting("size", 33, among=(32, 64))
    Traceback (most recent call last):
    ValueError: size is 33; it must be 32 or 64. Change it in the settings cell and run again.
    """
    if or_none and value is None:
        return None
    if among is None:
        fits = _is_number(value, whole) and (
            (at_least is None or value >= at_least)
            and (above is None or value > above)
            and (at_most is None or value <= at_most)
            and (multiple_of is None or value % multiple_of == 0)
        )
        allowed = [_kind(whole, multiple_of) + _range(at_least, above, at_most)]
    else:
        fits = any(_is_same(value, option) for option in among) or or_folder and _is_folder(value)
        allowed = [repr(option) for option in among]
        if or_folder:
            allowed.append(
                f"the path of a folder that is there (a relative one starts at {Path.cwd()})"
            )
    if not fits:
        allowed = ["None", *allowed] if or_none else allowed
        choice = " or ".join([", ".join(allowed[:-1])] * (len(allowed) > 1) + allowed[-1:])
        raise ValueError(
            f"{name} is {value!r}; it must be {choice}. Change it in the settings cell and run again."
        )
    return int(value) if isinstance(value, numbers.Integral) else value


def is_whole(value):
    """Whether this is a whole number, Python's or NumPy's; True and False are none.

    >>> is_whole(3), is_whole(3.0), is_whole(True)
    (True, False, False)
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_number(value, whole):
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return (is_whole(value) if whole else is_real) and abs(value) < math.inf


def _is_same(value, option):
    """Whether it is this option, and of its kind: 32.0 is not 32."""
    same_kind = isinstance(value, str) if isinstance(option, str) else is_whole(value)
    return same_kind and value == option


def _is_folder(value):
    """An empty path is none, though Python takes it for the folder where it runs."""
    try:
        return bool(str(value)) and Path(value).expanduser().is_dir()
    except (TypeError, ValueError, RuntimeError, OSError):  # no path at all, or nobody's home
        return False


def _kind(whole, multiple_of):
    if multiple_of is None:
        return "a whole number" if whole else "a number"
    return "an even number" if multiple_of == 2 else f"a multiple of {multiple_of}"


def _range(at_least, above, at_most):
    """The bounds in words.

    >>> _range(1, None, None), _range(6, None, 100), _range(None, 0, 10)
    (' of at least 1', ' from 6 to 100', ' above 0 and at most 10')
    """
    if at_least is not None and at_most is not None:
        return f" from {at_least:,} to {at_most:,}"
    bounds = (("of at least", at_least), ("above", above), ("at most", at_most))
    parts = [f"{words} {bound:,}" for words, bound in bounds if bound is not None]
    return " " * bool(parts) + " and ".join(parts)
