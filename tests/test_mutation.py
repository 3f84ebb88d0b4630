"""Each sort of defect is planted where it fits, and nowhere else."""

import ast

import pytest

from tools.mutation import chosen, mutants_of

EXAMPLES = {
    "arithmetic": [
        ("y = a + b", "y = a - b"),
        ("y = a - b", "y = a + b"),
        ("y = a * b", "y = a / b"),
        ("y = a / b", "y = a * b"),
        ("y = a // b", "y = (a / b)"),
        ("y = a % b", "y = (a // b)"),
        ("y = 2 * a**b", "y = 2 * (a*b)"),
        ("y = a @ b", "y = (a * b)"),
        ("y += b", "y -= b"),
        ("y -= b", "y += b"),
        ("y *= b", "y /= b"),
        ("y = (a) - (b)", "y = (a) + (b)"),
        ("y = (a  # a + sign\n     - b)", "y = (a  # a + sign\n     + b)"),
        ("größe = 'ä', a - b", "größe = 'ä', a + b"),
    ],
    "sign": [
        ("y = -a", "y = a"),
        ("y = -2.5", "y = 2.5"),
        ("y = a * b", "y = -(a * b)"),
        ("y = norm(value)", "y = norm(-value)"),
        ("y = np.exp(a - b)", "y = np.exp(-(a - b))"),
    ],
    "term dropped": [
        ("y = a + b", "y = a"),
        ("y = a + b", "y = b"),
        ("y = a - b * c", "y = -(b * c)"),
        ("y = a * (b + c)", "y = (b + c)"),
        ("y = a + b + c", "y = b + c"),
        ("y = a / b", "y = a"),
    ],
    "boundary": [
        ("y = a >= b", "y = a > b"),
        ("y = a > b", "y = a >= b"),
        ("y = a <= b", "y = a < b"),
        ("y = a < b < c", "y = a < b <= c"),
    ],
    "comparison": [
        ("y = a == b", "y = a != b"),
        ("y = a != b", "y = a == b"),
        ("y = a < b", "y = a > b"),
        ("y = a is None", "y = a is not None"),
        ("y = a is not None", "y = a is None"),
        ("y = a in b", "y = a not in b"),
        ("y = a not  in b", "y = a in b"),
    ],
    "logic": [
        ("y = a and b", "y = a or b"),
        ("y = a or b and c", "y = a or b or c"),
        ("y = not a", "y = a"),
        ("y = x[~mask]", "y = x[mask]"),
    ],
    "condition dropped": [
        ("y = len(a) == len(b) and all(c)", "y = (all(c))"),
        ("y = a or b or c", "y = (a or c)"),
    ],
    "constant": [
        ("y = 3", "y = 4"),
        ("y = 1", "y = 0"),
        ("y = 1", "y = 2"),
        ("y = 0", "y = 1"),
        ("y = 0.5", "y = 0.75"),
        ("y = 0.5", "y = 0.25"),
        ("y = 1.0", "y = 1.5"),
        ("y = 2.0 * a", "y = 3.0 * a"),
        ("def f(within=1e-6): return 1", "def f(within=1e-05): return 1"),
        ("check(a, within=1e-6)", "check(a, within=0.001)"),
        ("y = True", "y = False"),
    ],
    "axis": [
        ("y = a.sum(axis=0)", "y = a.sum(axis=1)"),
        ("y = a.sum(axis=1)", "y = a.sum(axis=0)"),
        ("y = a.sum(axis=-1)", "y = a.sum(axis=0)"),
        ("y = a.max(axis=(1, 2))", "y = a.max(axis=(2,))"),
    ],
    "keepdims": [("y = a.sum(axis=1, keepdims=True)", "y = a.sum(axis=1)")],
    "index": [
        ("y = a[0]", "y = a[1]"),
        ("y = a[-1]", "y = a[-2]"),
        ("y = a[1:]", "y = a[:]"),
        ("y = a[1:]", "y = a[2:]"),
        ("y = a[:, :n]", "y = a[:, :n - 1]"),
        ("y = a[i]", "y = a[i + 1]"),
        ("for i in range(n): f()", "for i in range(n - 1): f()"),
        ("for i in range(1, n + 1): f()", "for i in range(1, (n + 1) - 1): f()"),
        ("y = np.tril(a)", "y = np.tril(a, k=-1)"),
        ("y = np.tri(n)", "y = np.tri(n, k=1)"),
    ],
    "arguments swapped": [
        ("y = f(a, b)", "y = f(b, a)"),
        ("y = f(a.x, g(b), c)", "y = f(g(b), a.x, c)"),
        ("y = np.reshape(1, 2)", "y = np.reshape(2, 1)"),
    ],
    "reduction": [
        ("y = np.sum(a)", "y = np.mean(a)"),
        ("y = a.mean()", "y = a.sum()"),
        ("y = tf.reduce_sum(a)", "y = tf.reduce_mean(a)"),
    ],
    "extreme": [
        ("y = a.argmax()", "y = a.argmin()"),
        ("y = max(a, b)", "y = min(a, b)"),
        ("y = np.maximum(a, b)", "y = np.minimum(a, b)"),
        ("y = all(a)", "y = any(a)"),
    ],
    "function": [("y = np.zeros(n)", "y = np.ones(n)"), ("y = np.sin(a)", "y = np.cos(a)")],
    "labels shuffled": [
        (
            "model.fit(x_train, y_train, epochs=e)",
            "model.fit(x_train, np.roll(y_train, 1, axis=0), epochs=e)",
        ),
        ("loss(labels, z)", "loss(np.roll(labels, 1, axis=0), z)"),
        ("loss(z, target=targets)", "loss(z, target=np.roll(targets, 1, axis=0))"),
    ],
    "transposition": [
        ("y = a @ b.T", "y = a @ b"),
        ("axes.imshow(a[0], vmin=b)", "axes.imshow(np.swapaxes(a[0], *(0, 1)), vmin=b)"),
        ("bh.show_images(a, alt=b)", "bh.show_images(np.swapaxes(a, *(1, 2)), alt=b)"),
        ("y = np.einsum('ij,jk->ik', a, b)", """y = np.einsum("ij,jk->ki", a, b)"""),
    ],
    "call dropped": [
        ("y = np.sqrt(a)", "y = a"),
        ("y = tf.stop_gradient(a + b)", "y = (a + b)"),
        ("y = a.copy()", "y = a"),
    ],
    "statement deleted": [
        ("y = 0\ny = f(y)", "y = 0\npass"),
        ("def f(a):\n    a = 2\n    return 3", "def f(a):\n    pass\n    return 3"),
        ("y += 1", "pass"),
        ("a[i] = 0", "pass"),
        ("axes.grid(False)", "pass"),
        ("if a:\n    optimizer.reset()", "if a:\n    pass"),
    ],
    "result": [
        ("def f(a, b):\n    return a * b", "def f(a, b):\n    return (-(a * b))"),
        ("def f(a, b):\n    return g(a)", "def f(a, b):\n    return a"),
        ("def f(self, b):\n    return g(b)", "def f(self, b):\n    return b"),
        ("def f(a):\n    return a == 3", "def f(a):\n    return (not (a == 3))"),
        ("f = lambda a: a * 3", "f = lambda a: (-(a * 3))"),
    ],
    "compared with itself": [
        ("bh.claim('n', n, equals=11)", "bh.claim('n', n, equals=n)"),
        ("bh.check_close('n', a, b, within=0.1)", "bh.check_close('n', a, a, within=0.1)"),
        ("bh.check_close('n', a, b, within=0.1)", "bh.check_close('n', b, b, within=0.1)"),
    ],
    "branch": [
        ("if a > b:\n    f()", "if True:\n    f()"),
        ("if a:\n    f()\nelif b:\n    g()", "if a:\n    f()\nelif False:\n    g()"),
        ("y = a if b else c", "y = a if False else c"),
        ("y = [a for a in b if c]", "y = [a for a in b if True]"),
    ],
    "keyword dropped": [
        ("f(a, stride=2, padding=p)", "f(a, padding=p)"),
        ("f(a, stride=2)", "f(a)"),
        ("f(stride=2)", "f()"),
    ],
    "code": [("f(padding='same')", 'f(padding="valid")'), ("f('relu')", 'f("linear")')],
    "start": [
        ("for i, a in enumerate(b): f()", "for i, a in enumerate(b, 1): f()"),
        ("for a, c in zip(b, d): f()", "for a, c in zip(b, list(d)[1:]): f()"),
    ],
    "loop": [
        ("for a in b:\n    break", "for a in b:\n    continue"),
        ("for a in b:\n    continue", "for a in b:\n    break"),
    ],
}
PROGRAM = '''"""A text of 3 - 2."""
import numpy as np

__all__ = ["a", "same"]


@cache(size=3)
def blame(errors: list[3], weights, *, rate=0.5) -> "x - 1":
    """Not 3 - 2 here either."""
    if len(errors) > 3:
        raise ValueError("more than", 3, f"{len(errors) - 1}")
    elif not errors: weights = 0
    # größer als 3 - 2
    größe = "äöü", np.sum(errors * weights.T, axis=1) - rate
    print(f"{rate - 1} and {größe}")
    return größe[0]
'''


def test_every_kind_that_there_is_has_an_example():
    sources = [before for pairs in EXAMPLES.values() for before, _ in pairs]
    assert {mutant.kind for source in sources for mutant in mutants_of(source)} == set(EXAMPLES)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_defect_of_each_kind_is_planted(kind):
    for before, after in EXAMPLES[kind]:
        found = [mutant.source for mutant in mutants_of(before) if mutant.kind == kind]
        assert after in found, (before, found)


@pytest.mark.parametrize(
    "source",
    [
        '"""y = 3 - 2"""',
        "def f():\n    '''3 - 2'''",
        "import numpy as np\nfrom a import b as c",
        "__all__ = ['same', 'relu']",
        "raise ValueError('padding', 3 - 2)",
        "y: list[3 - 2]",
        "def f(a: 3 - 2) -> 3 - 2: pass",
        "print(f'{a - b} of {3}')",
        "rng = np.random.default_rng(3)",
        "seed = 3",
        "from __future__ import annotations",
        "y = 'a text'",
    ],
)
def test_what_is_no_defect_is_not_planted(source):
    assert mutants_of(source) == []


@pytest.mark.parametrize(
    ("source", "unwanted"),
    [
        ("f(a, alt=g(3 * 2), b=c)", "f(a, b=c)"),
        ("f(a, alt=g(3 * 2), b=c)", "4"),
        ("f(a, seed=3)", "seed=4"),
        ("y = ['a'] + b", "-"),
        ("y = 'a' + b", "-"),
        ("y = max(a, b)", "max(b, a)"),
        ("print(a, b)", "print(b, a)"),
        ("f('a', b)", "f(b, 'a')"),
        ("if __name__ == '__main__':\n    main()", "!="),
        ("bh.claim('n', n, at_least=3)", "pass"),
        ("bh.claim('n', n, at_least=3)", "claim('n', n)"),
        ("y = grads[name]", "name - 1"),
        ("len(labels)", "roll"),
    ],
)
def test_what_could_only_stop_or_change_nothing_is_not_planted(source, unwanted):
    assert not [mutant for mutant in mutants_of(source) if unwanted in mutant.source]


def test_one_place_is_changed_and_all_else_is_the_same_text():
    mutants = mutants_of(PROGRAM)
    assert len(mutants) > 25
    for mutant in mutants:
        ast.parse(mutant.source)
        assert mutant.source != PROGRAM
        before, after = PROGRAM.split("\n"), mutant.source.split("\n")
        changed = [n for n, pair in enumerate(zip(before, after), 1) if pair[0] != pair[1]]
        assert changed == [mutant.line] and len(before) == len(after), mutant
        assert mutant.description.startswith(f"line {mutant.line}: `")
    kept = {line for line in PROGRAM.split("\n") if '"""' in line or "print" in line}
    assert all(kept <= set(mutant.source.split("\n")) for mutant in mutants)
    descriptions = [mutant.description for mutant in mutants]
    assert "line 7: `@cache(size=3)` becomes `@cache()`" in descriptions
    assert (
        "line 12: `elif not errors: weights = 0` becomes `elif errors: weights = 0`" in descriptions
    )


def test_line_ends_of_windows_stay():
    (mutant,) = [m for m in mutants_of("y = f()\r\nz = y - x\r\n") if m.kind == "arithmetic"]
    assert mutant.source == "y = f()\r\nz = y + x\r\n" and mutant.line == 2


def test_no_program_is_planted_twice_and_places_come_in_order():
    mutants = mutants_of(PROGRAM)
    assert len({ast.dump(ast.parse(mutant.source)) for mutant in mutants}) == len(mutants)
    assert [m.line for m in mutants] == sorted(m.line for m in mutants)
    assert mutants == mutants_of(PROGRAM)


def test_what_is_chosen_is_the_same_everywhere_and_spread_over_kinds_and_places():
    lines = [f"a{n} = f(b{n} - c{n}, d{n})" for n in range(200)]
    source = "\n".join([*lines, "y = g(h.T)"])
    mutants = mutants_of(source)
    some = chosen(mutants, 40)
    assert len(some) == 40 and some == chosen(list(mutants), 40)
    assert [m for m in mutants if m in some] == some
    kinds = [mutant.kind for mutant in some]
    assert set(kinds) == {mutant.kind for mutant in mutants} and kinds.count("transposition") == 1
    assert 12 <= kinds.count("arithmetic") <= 14
    places = [mutant.line for mutant in some if mutant.kind == "arithmetic"]
    assert max(b - a for a, b in zip([0, *places], [*places, 200])) < 33
    assert chosen(mutants, 10**6) == mutants and chosen(mutants, 0) == []
