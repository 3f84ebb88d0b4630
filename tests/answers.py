"""Answers to a chapter's exercises, made from its own solutions: a right one, and one that misses by one everywhere."""

import ast
from typing import NamedTuple

# Leaves an answer what it is (a number, an array, a function, some of these), and makes all it says wrong.
OFF_BY_ONE = """
def off_by_one(answer):
    import numpy

    if callable(answer):
        return lambda *given, **named: off_by_one(answer(*given, **named))
    if isinstance(answer, (tuple, list)):
        return type(answer)(off_by_one(part) for part in answer)
    if isinstance(answer, str):
        return answer + "?"
    if numpy.asarray(answer).dtype == bool:
        return numpy.logical_not(answer)
    return answer + 1


"""


class Exercise(NamedTuple):
    """Where an exercise stands in a notebook (cells counted from 0), and the sources that answer it."""

    stub: int
    check: int
    right: str
    wrong: str


def exercises(notebook):
    """The exercises of a chapter: of two cells that call `bh.check`, the first checks the reader, the second solves.

    >>> from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
    >>> sources = ["double = ...", "bh.check(double, cases)", "def f(x):\\n    return 2 * x\\nbh.check(f, cases)"]
    >>> cells = [new_markdown_cell("### 1. Double"), *map(new_code_cell, sources)]
    >>> (exercise,) = exercises(new_notebook(cells=cells))
    >>> print(exercise.stub, exercise.check, exercise.right, sep="\\n")
    1
    2
    def f(x):
        return 2 * x
    double = f
    >>> exercise.wrong.endswith("double = off_by_one(f)")
    True
    """
    code = [number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    calls = [(number, calls_of_check(ast.parse(notebook.cells[number].source))) for number in code]
    calls = [(number, found) for number, found in calls if found]
    found = []
    for (check, (asked, *_)), (solution, (given, *_)) in zip(calls[::2], calls[1::2], strict=True):
        stub = code[code.index(check) - 1]
        source, solved = notebook.cells[solution].source, ast.unparse(given.args[0])
        answer = ast.unparse(asked.args[0])
        right = put_for_check(f"{answer} = {solved}", source)
        wrong = put_for_check(f"{answer} = off_by_one({solved})", source)
        found.append(Exercise(stub, check, right, OFF_BY_ONE.lstrip() + wrong))
    return found


def calls_of_check(tree):
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "bh.check"
    ]


def put_for_check(statement, source):
    """The source with a statement in place of its call of `bh.check`.

    >>> put_for_check("x = 1", "if True:\\n    bh.check(y, cases)")
    'if True:\\n    x = 1'
    """
    return ast.unparse(_Put(statement).visit(ast.parse(source)))


class _Put(ast.NodeTransformer):
    def __init__(self, statement):
        self.statement = statement

    def visit_Expr(self, node):
        if node.value in calls_of_check(node):
            return ast.parse(self.statement).body
        return node
