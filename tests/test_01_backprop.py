"""The engine of chapter 01, taken from the notebook and held against things that the chapter does not use."""

from pathlib import Path

import nbformat
import numpy as np
import pytest
import scipy.optimize
import scipy.special

CHAPTER = nbformat.read(
    Path(__file__).parent.parent / "notebooks" / "01_backprop.ipynb", as_version=4
)
ENGINE = [cell.source for cell in CHAPTER.cells if "engine" in cell.metadata.get("tags", [])]
COST = next(cell.source for cell in CHAPTER.cells if cell.source.startswith("COST = "))


@pytest.fixture
def engine():
    names = {"np": np, "count": __import__("itertools").count}
    exec("\n".join([*ENGINE, COST.split("\n\n\nu, v")[0]]), names)
    return names


def test_the_engine_has_fewer_than_80_lines_of_code():
    lines = [line for source in ENGINE for line in source.splitlines() if line.strip()]
    assert 50 < len(lines) < 80


class Counted:
    """A number that counts what is done with it."""

    done = 0

    def __init__(self, value):
        self.value = value

    def __add__(self, other):
        Counted.done += 1
        return Counted(self.value + getattr(other, "value", other))

    def __mul__(self, other):
        Counted.done += 1
        return Counted(self.value * getattr(other, "value", other))

    def __rsub__(self, other):
        Counted.done += 1
        return Counted(other - self.value)

    def __truediv__(self, other):
        Counted.done += 1
        return Counted(self.value / other.value)

    def __rtruediv__(self, other):
        Counted.done += 1
        return Counted(other / self.value)

    def __neg__(self):
        Counted.done += 1
        return Counted(-self.value)

    def __gt__(self, other):
        return self.value > other

    def tanh(self):
        Counted.done += 1
        return Counted(np.tanh(self.value))

    def exp(self):
        Counted.done += 1
        return Counted(np.exp(self.value))

    def log(self):
        Counted.done += 1
        return Counted(np.log(self.value))

    __radd__, __rmul__ = __add__, __mul__


def counted(*shape):
    return np.array(
        [Counted(x) for x in np.linspace(0.5, 1.5, int(np.prod(shape)))], dtype=object
    ).reshape(shape)


@pytest.mark.parametrize(
    ("name", "shapes", "forward_free"),
    [
        ("add", [(4, 3), (4, 3)], 0),
        ("add", [(4, 3), (3,)], 0),
        ("multiply", [(4, 3), (4, 3)], 0),
        ("exp", [(4, 3)], 0),
        ("multiply", [(4, 3), (1, 3)], 0),
        ("multiply", [(4, 1), (1, 3)], 0),
        ("tanh", [(4, 3)], 0),
        ("relu", [(4, 3)], 0),
        ("log", [(4, 3)], 0),
        ("sigmoid", [(4, 3)], -3 * 12),
        ("matmul", [(4, 5), (5, 3)], 12),
        ("matmul", [(4, 1), (1, 3)], 12),
        ("total", [(4, 3)], 1),
        ("total", [(1, 1)], 1),
    ],
)
def test_the_cost_table_is_what_numbers_that_count_themselves_say(
    engine, name, shapes, forward_free
):
    """Forward, the table counts the first term of a running total too; machines save that (`forward_free`). A sigmoid
    counts as one function there, where the engine makes four operations of each entry.
    """
    nodes = [engine["Node"](np.ones(shape)) for shape in shapes]
    for node, shape in zip(nodes, shapes):
        node.value = counted(*shape)
    Counted.done = 0
    result = engine[name](*nodes)
    forward, Counted.done = Counted.done, 0
    result.grad = counted(*np.shape(result.value)) if np.shape(result.value) else Counted(1.0)
    for node in nodes:
        node.grad = np.zeros_like(node.value)
    for parent, blame in zip(result.parents, result.share(np.asarray(result.grad, dtype=object))):
        parent.grad = parent.grad + blame
    table = engine["cost"](result)
    assert (forward + forward_free, Counted.done) == tuple(table)


def test_no_row_of_the_table_costs_more_than_four_times_as_much_backward(engine):
    assert all(backward <= 4 * forward for forward, backward in engine["COST"].values())


@pytest.mark.parametrize(
    "shapes", [[(3,), ()], [(2, 3), (3,)], [(2, 1, 3), (4, 1)], [(1, 1), (5, 4)], [(), (2, 2)]]
)
@pytest.mark.parametrize("name", ["add", "multiply"])
def test_broadcasting_gives_the_slopes_that_scipy_finds(engine, name, shapes):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=shape) for shape in shapes]
    weights = rng.normal(size=np.broadcast_shapes(*shapes))

    def loss(row):
        parts = np.split(row, [values[0].size])
        nodes = [engine["Node"](part.reshape(shape)) for part, shape in zip(parts, shapes)]
        root = engine["total"](engine[name](*nodes) * weights)
        root.backward()
        return float(root.value), np.concatenate([node.grad.ravel() for node in nodes])

    row = np.concatenate([value.ravel() for value in values])
    slopes = scipy.optimize.approx_fprime(row, lambda r: loss(r)[0], 1e-7)
    assert np.allclose(loss(row)[1], slopes, atol=1e-5)


def test_a_chain_of_ten_thousand_steps_is_no_problem(engine):
    node = start = engine["Node"](1.0)
    for _ in range(10_000):
        node = node + start * 1e-4
    node.backward()
    assert np.isclose(start.grad, 2.0)


def test_calling_backward_twice_gives_the_same_blame(engine):
    node = engine["Node"](3.0)
    result = node * node
    result.backward()
    result.backward()
    assert node.grad == 6.0


def test_functions_agree_with_scipys(engine):
    x = np.linspace(-5, 5, 101)
    node = engine["Node"](x)
    assert np.allclose(engine["sigmoid"](node).value, scipy.special.expit(x), atol=1e-15)
    sums = engine["log"](engine["total"](engine["exp"](engine["Node"](x[None])), axis=1))
    assert np.isclose(sums.value, scipy.special.logsumexp(x))
