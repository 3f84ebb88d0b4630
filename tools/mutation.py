"""Plants defects in Python source, one at a time, as people make them: in programs, and in machine learning.

A mutant is the source with one place changed: a sign, an axis, a bound, a branch, labels in another order. Whoever runs the
tests on it learns whether anything notices. Imports, annotations, `__all__`, docstrings, f-strings, what is raised, seeds
and `alt` sentences stay as they are: changed, they would be no defects, or none that a test should see.
"""

import ast
import hashlib
import io
import re
import tokenize
from dataclasses import dataclass

ARITHMETIC = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "//"),
    ast.Pow: ("**", "*"),
    ast.MatMult: ("@", "*"),
}
BOUNDARY = {ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Lt: ("<", "<="), ast.LtE: ("<=", "<")}
COMPARISON = {
    ast.Gt: (">", "<"),
    ast.GtE: (">=", "<="),
    ast.Lt: ("<", ">"),
    ast.LtE: ("<=", ">="),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}


def both_ways(*pairs):
    return {a: b for pair in pairs for a, b in (pair, pair[::-1])}


REDUCTIONS = both_ways(
    ("sum", "mean"), ("reduce_sum", "reduce_mean"), ("nansum", "nanmean"), ("std", "var")
)
EXTREMES = both_ways(
    ("argmax", "argmin"),
    ("max", "min"),
    ("maximum", "minimum"),
    ("reduce_max", "reduce_min"),
    ("any", "all"),
    ("reduce_any", "reduce_all"),
    ("floor", "ceil"),
)
FUNCTIONS = both_ways(
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("sin", "cos"),
    ("assign_add", "assign_sub"),
    ("add", "subtract"),
    ("relu", "tanh"),
    ("append", "remove"),
    ("startswith", "endswith"),
)
CODES = both_ways(
    ("same", "valid"),
    ("mse", "mae"),
    ("adam", "sgd"),
    ("relu", "linear"),
    ("nearest", "bilinear"),
    ("reflect", "edge"),
    ("gray", "gray_r"),
    ("RdBu", "RdBu_r"),
    ("ij", "xy"),
    ("upper", "lower"),
    ("left", "right"),
) | {"tanh": "linear", "sigmoid": "linear", "softmax": "sigmoid", "gelu": "linear"}
# what draws its first argument, and how that is turned over
DRAWN = {"imshow": "(0, 1)", "plot_matrix": "(0, 1)", "show_images": "(1, 2)"}
# f(x) becomes x
SKIPPABLE = {
    *("sqrt", "square", "abs", "log", "exp", "log1p", "expm1", "softmax", "log_softmax", "sigmoid"),
    *("tanh", "relu", "gelu", "stop_gradient", "flip", "sort", "sorted", "reversed", "cumsum"),
    *("copy", "deepcopy", "strip", "transpose", "normalize", "l2_normalize"),
}
# their two arguments may change places
SYMMETRIC = {
    *("max", "min", "maximum", "minimum", "add", "multiply", "logical_and", "logical_or", "equal"),
    *("isinstance", "issubclass", "getattr", "hasattr", "print", "allclose", "array_equal", "gcd"),
}
# -x is no argument for them
NOT_OF_NUMBERS = {
    *("print", "len", "str", "repr", "list", "dict", "set", "tuple", "sorted", "iter", "next"),
    *("display", "range", "type", "any", "all", "sum", "enumerate", "zip", "map", "filter", "abs"),
    *("Path", "append", "extend", "add", "join", "split", "startswith", "endswith", "get", "pop"),
    *("write", "write_text", "write_bytes", "read", "encode", "decode", "exists", "glob", "open"),
    *("square", "isfinite", "cos", "copy", "deepcopy", "update", "loads", "dumps", "exit", "zeros"),
    *(
        "ones",
        "empty",
        "default_rng",
        "set_seed",
        "permutation",
        "ndenumerate",
        "shape",
        "callable",
    ),
    *(
        "save",
        "load",
        "compile",
        "exec",
        "eval",
        "parse",
        "walk",
        "reshape",
        "isnan",
        "float",
        "cosh",
    ),
}
# words for readers, seeds, and what shows on other systems only (a test of the book wants it in every call)
KEPT_KEYWORDS = {"alt", "x_label", "y_label", "seed", "encoding"}
REPORTING = {"print", "claim", "check_close", "check"}
LABELS = re.compile(r"(\w+_)?(y|labels?|targets?|truth|answers?|classes)(_\w+)?")
SEEDED = {"seed", "random_state", "default_rng", "set_seed", "set_random_seed", "RandomState"}
INDEX = re.compile(r"[a-z]|row|column|index|step|number|position|start|stop|end|best|worst")
ATOMS = ast.Name, ast.Constant, ast.Call, ast.Attribute, ast.Subscript
TEXTS = ast.JoinedStr, ast.List, ast.ListComp, ast.Dict, ast.Set, ast.Tuple, ast.GeneratorExp


@dataclass(frozen=True)
class Mutant:
    """A source with one defect: what sort it is of, where, in words, and the whole changed text."""

    kind: str
    line: int
    description: str
    source: str


def mutants_of(source):
    """Every mutant of a source, in the order of their places.

    >>> for mutant in mutants_of("y = x - 1"):
    ...     print(mutant.kind, "at", mutant.description)
    term dropped at line 1: `y = x - 1` becomes `y = x`
    term dropped at line 1: `y = x - 1` becomes `y = -1`
    arithmetic at line 1: `y = x - 1` becomes `y = x + 1`
    constant at line 1: `y = x - 1` becomes `y = x - 0`
    constant at line 1: `y = x - 1` becomes `y = x - 2`
    """
    return Planter(source).mutants()


def chosen(mutants, count):
    """So many of these mutants, spread over kinds and places; the same ones on every call.

    >>> [mutant.source for mutant in chosen(mutants_of("y = x - 1"), 2)]
    ['y = x', 'y = x - 2']
    """
    kinds = {}
    for mutant in mutants:
        kinds.setdefault(mutant.kind, []).append(mutant)
    wanted = dict.fromkeys(kinds, 0)
    while sum(wanted.values()) < min(count, len(mutants)):
        open_kinds = [kind for kind in kinds if wanted[kind] < len(kinds[kind])]
        # the rarest so far goes first, and among those, the one with the most places left
        kind = min(open_kinds, key=lambda kind: (wanted[kind], -len(kinds[kind]), kind))
        wanted[kind] += 1
    picked = set()
    for kind, share in wanted.items():
        places = kinds[kind]
        shift = int(hashlib.sha256(f"{kind} {len(places)}".encode()).hexdigest()[:8], 16) / 2**32
        picked |= {
            id(places[int((number + shift) * len(places) / share)]) for number in range(share)
        }
    return [mutant for mutant in mutants if id(mutant) in picked]


class Planter:
    """Finds the places of a source where a defect fits."""

    def __init__(self, source):
        self.source, self.tree = source, ast.parse(source)
        self.lines = source.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.tokens = [
            (token.string, self.starts[token.start[0] - 1] + token.start[1])
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type in (tokenize.OP, tokenize.NAME)
        ]
        self.around = None

    def mutants(self):
        found = []
        for statement in self.tree.body:
            for kind, start, end, new in self.visit(statement, None, None, set()):
                if not self.is_another_program(start, end, new):
                    continue
                line = self.source.count("\n", 0, start) + 1
                description = f"line {line}: {self.words(start, end, new)}"
                changed = self.source[:start] + new + self.source[end:]
                found.append((start, Mutant(kind, line, description, changed)))
        return [mutant for _, mutant in sorted(found, key=lambda pair: pair[0])]

    def enter(self, statement):
        """Note where the statement stands, if it can be parsed alone."""
        start, stop = self.span(statement)
        decorators = [node.lineno for node in getattr(statement, "decorator_list", [])]
        begin = self.starts[min([statement.lineno, *decorators]) - 1]
        start = begin if decorators else start
        alone = not self.source[begin:start].strip() and not self.source.startswith("elif", start)
        if alone or not self.around:
            self.around = begin, stop, {self.parsed(self.source[begin:stop])}

    @staticmethod
    def parsed(text):
        return ast.dump(ast.parse(f"if 1:\n{text}" if text[:1].isspace() else text))

    def is_another_program(self, start, end, new):
        """Whether the statement around a change remains Python, and is none that it was before."""
        begin, stop, seen = self.around
        try:
            program = self.parsed(self.source[begin:start] + new + self.source[end:stop])
        except SyntaxError:
            return False
        known = program in seen
        seen.add(program)
        return not known

    def words(self, start, end, new):
        """A change in words: what stands around it in its line, before and after."""
        begin = max(self.source.rfind("\n", 0, start) + 1, start - 30)
        stop = min(self.source.find("\n", end) % (len(self.source) + 1), end + 30)
        before, after = self.source[begin:start], self.source[end:stop]
        texts = (before + self.source[start:end] + after, before + new + after)
        return " becomes ".join(f"`{' '.join(text.split())[:120]}`" for text in texts)

    def span(self, node):
        """Where a node begins and ends in the text; Python counts bytes."""
        return [
            self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())
            for line, column in (
                (node.lineno, node.col_offset),
                (node.end_lineno, node.end_col_offset),
            )
        ]

    def text(self, node):
        start, end = self.span(node)
        return self.source[start:end]

    def bracketed(self, node):
        """A node's text, to stand in any expression."""
        return self.text(node) if isinstance(node, ATOMS) else f"({self.text(node)})"

    def whole(self, kind, node, new):
        """The change of a whole node."""
        return kind, *self.span(node), new

    def operator(self, kind, left, right, old, new):
        """The change of the operator between two nodes."""
        start, end = self.span(left)[1], self.span(right)[0]
        for word, place in self.tokens:
            if start <= place < end and word == old.split()[0]:
                stop = place + len(old)
                if old in ("is not", "not in"):
                    last = old.split()[1]
                    stop = next(p for w, p in self.tokens if p > place and w == last) + len(last)
                yield kind, place, stop, new
                return

    def visit(self, node, parent, function, names):
        """The changes of a node and of all that is in it, but for what stays as it is."""
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr, ast.Raise, ast.Global)):
            return
        if isinstance(node, ast.Assign) and any(
            getattr(target, "id", "") in ("__all__", "seed") for target in node.targets
        ):
            return
        if isinstance(node, ast.Call) and name_of(node.func) in SEEDED:
            return
        if isinstance(node, ast.keyword) and node.arg in ("alt", "seed", "random_state"):
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        if isinstance(node, ast.If) and "__name__" in self.text(node.test):
            return
        outside = self.around
        if isinstance(node, ast.stmt):
            self.enter(node)
        rules = getattr(self, f"of_{type(node).__name__}", None)
        if rules:
            yield from rules(node, parent, function, names)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            function = node
            arguments = node.args
            names = {
                argument.arg
                for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
            }
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "type_params", "type_comment"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from self.visit(child, node, function, names)
        if isinstance(node, ast.Assign):
            names.update(part.id for part in ast.walk(node) if is_stored(part))
        self.around = outside

    def of_BinOp(self, node, parent, function, names):
        if any(isinstance(side, TEXTS) or is_text(side) for side in (node.left, node.right)):
            return
        old, new = ARITHMETIC.get(type(node.op), (None, None))
        if old is None:
            return
        for _, start, end, _ in self.operator("arithmetic", node.left, node.right, old, new):
            if old in ("**", "%", "//", "@"):
                before, stop = self.span(node)
                text = f"({self.source[before:start]}{new}{self.source[end:stop]})"
                yield self.whole("arithmetic", node, text)
            else:
                yield "arithmetic", start, end, new
        if old in ("+", "-", "*", "/"):
            yield self.whole("term dropped", node, self.bracketed(node.left))
            same_rank = (ast.Add, ast.Sub) if old in "+-" else (ast.Mult, ast.Div)
            if not (isinstance(node.left, ast.BinOp) and isinstance(node.left.op, same_rank)):
                sign = "-" if old == "-" else ""
                if old != "/":
                    yield self.whole("term dropped", node, sign + self.bracketed(node.right))

    def of_AugAssign(self, node, parent, function, names):
        old, new = ARITHMETIC.get(type(node.op), (None, None))
        if old and not (isinstance(node.value, TEXTS) or is_text(node.value)):
            yield from self.operator("arithmetic", node.target, node.value, f"{old}=", f"{new}=")
        yield self.whole("statement deleted", node, "pass")

    def of_UnaryOp(self, node, parent, function, names):
        if isinstance(node.op, ast.Not):
            yield self.whole("logic", node, self.bracketed(node.operand))
        if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
            yield self.whole("sign", node, self.bracketed(node.operand))
        if isinstance(node.op, ast.Invert):
            yield self.whole("logic", node, self.bracketed(node.operand))

    def of_Compare(self, node, parent, function, names):
        sides = [node.left, *node.comparators]
        for left, operator, right in zip(sides, node.ops, sides[1:]):
            for kind, table in (("boundary", BOUNDARY), ("comparison", COMPARISON)):
                if type(operator) in table:
                    old, new = table[type(operator)]
                    yield from self.operator(kind, left, right, old, new)

    def of_BoolOp(self, node, parent, function, names):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:]):
            for _, start, end, _ in self.operator("logic", left, right, old, new):
                yield "logic", start, end, new
        for dropped in node.values:
            kept = [self.bracketed(value) for value in node.values if value is not dropped]
            yield self.whole("condition dropped", node, f"({f' {old} '.join(kept)})")

    def of_Constant(self, node, parent, function, names):
        value = node.value
        if isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.USub):
            yield self.whole("sign", parent, self.text(node))
        if isinstance(value, bool):
            yield self.whole("constant", node, str(not value))
        elif isinstance(value, int):
            if value == 1:
                yield self.whole("constant", node, "0")
            yield self.whole("constant", node, str(value + 1))
        elif isinstance(value, float) and value == value and abs(value) != float("inf"):
            small = 0 < abs(value) < 1e-3
            for factor in (1000, 10, 0.1) if small else (1.5, 0.5):
                new = f"{value * factor:.12g}"
                if float(new) != value:
                    yield self.whole(
                        "constant", node, new if "." in new or "e" in new else f"{new}.0"
                    )
            if value == 0:
                yield self.whole("constant", node, "1.0")
        elif isinstance(value, str):
            if value in CODES:
                yield self.whole("code", node, repr(CODES[value]).replace("'", '"'))
            if found := re.fullmatch(r"([\w,. ]+->[\w.]*)(\w)(\w)", value):
                start, last, end = found.groups()
                yield self.whole("transposition", node, f'"{start}{end}{last}"')

    def of_Subscript(self, node, parent, function, names):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for part in parts:
            if isinstance(part, ast.Slice):
                for bound in filter(None, (part.lower, part.upper)):
                    yield from self.off_by_one(bound)
                if part.step is None and isinstance(part.lower, ast.Constant) and part.lower.value:
                    yield self.whole("index", part.lower, "")
            elif is_whole(part) or isinstance(part, ast.Name) and INDEX.fullmatch(part.id):
                yield from self.off_by_one(part)

    def off_by_one(self, node, kind="index"):
        if is_whole(node):
            value = ast.literal_eval(node)
            steps = (
                (1, -1) if value > 0 else (-1,) if value < -1 else (1,) if value == 0 else (-1, 1)
            )
            for step in steps:
                yield self.whole(kind, node, str(value + step))
        elif not is_text(node) and not isinstance(node, (ast.Tuple, ast.List)):
            for sign in "-+":
                yield self.whole(kind, node, f"{self.bracketed(node)} {sign} 1")

    def of_Attribute(self, node, parent, function, names):
        if node.attr == "T":
            yield self.whole("transposition", node, self.text(node.value))
        if isinstance(parent, ast.Call) and parent.func is node or len(node.attr) > 3:
            yield from self.renamed(node, node.attr, self.span(node)[1] - len(node.attr))

    def of_Name(self, node, parent, function, names):
        if isinstance(parent, ast.Call) and parent.func is node:
            yield from self.renamed(node, node.id, self.span(node)[0])

    def renamed(self, node, name, start):
        for kind, table in (
            ("reduction", REDUCTIONS),
            ("extreme", EXTREMES),
            ("function", FUNCTIONS),
        ):
            # Python has no mean
            if name in table and not (isinstance(node, ast.Name) and table is REDUCTIONS):
                yield kind, start, start + len(name), table[name]

    def of_Call(self, node, parent, function, names):
        name, plain = name_of(node.func), not any(isinstance(a, ast.Starred) for a in node.args)
        first = node.args[0] if node.args and plain else None
        yield from self.of_claim(node, name)
        if first is not None and len(node.args) == 1:
            if name in SKIPPABLE:
                yield self.whole("call dropped", node, self.bracketed(first))
            if name == "range":
                yield self.whole("index", first, f"{self.bracketed(first)} - 1")
            if name == "enumerate" and not node.keywords:
                yield self.whole("start", first, f"{self.text(first)}, 1")
            if name not in NOT_OF_NUMBERS and isinstance(
                first, (ast.Name, ast.BinOp, ast.Subscript)
            ):
                yield self.whole("sign", first, f"-{self.bracketed(first)}")
        if first is not None and name in DRAWN:
            new = f"np.swapaxes({self.text(first)}, *{DRAWN[name]})"
            yield self.whole("transposition", first, new)
        if first is not None and len(node.args) >= 2:
            second = node.args[1]
            if name == "range":
                yield from self.off_by_one(first)
                yield self.whole("index", second, f"{self.bracketed(second)} - 1")
            if name == "zip":
                yield self.whole("start", second, f"list({self.text(second)})[1:]")
            if name not in SYMMETRIC and rank(first) == rank(second):
                (start, middle), (_, end) = self.span(first), self.span(second)
                between = self.source[middle : self.span(second)[0]]
                swapped = self.text(second) + between + self.text(first)
                yield "arguments swapped", start, end, swapped
        if not node.args and name in SKIPPABLE and isinstance(node.func, ast.Attribute):
            yield self.whole("call dropped", node, self.text(node.func.value))
        if name in ("tri", "tril", "triu") and first is not None and len(node.args) == 1:
            if not any(keyword.arg == "k" for keyword in node.keywords):
                for k in "-1", "1":
                    end = self.span(node)[1] - 1
                    yield "index", end, end, f", k={k}"
        for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
            if isinstance(argument, ast.Name) and LABELS.fullmatch(argument.id):
                if name not in NOT_OF_NUMBERS | REPORTING:
                    new = f"np.roll({argument.id}, 1, axis=0)"
                    yield self.whole("labels shuffled", argument, new)
        for keyword in node.keywords:
            if keyword.arg and keyword.arg not in KEPT_KEYWORDS:
                yield from self.keyword_changed(node, keyword, name)

    def of_claim(self, node, name):
        """A claim that compares a number with itself."""
        if name == "claim" and len(node.args) == 2:
            for keyword in node.keywords:
                if keyword.arg == "equals":
                    new = self.bracketed(node.args[1])
                    yield self.whole("compared with itself", keyword.value, new)
        if name == "check_close" and len(node.args) == 3:
            yield self.whole("compared with itself", node.args[2], self.text(node.args[1]))
            yield self.whole("compared with itself", node.args[1], self.text(node.args[2]))

    def keyword_changed(self, call, keyword, name):
        value = keyword.value
        if keyword.arg == "axis":
            if is_whole(value):
                number = ast.literal_eval(value)
                others = [0, 1] if number < 0 else [1 - number] if number < 2 else [number - 1, 0]
                for other in others:
                    yield self.whole("axis", value, str(other))
            if isinstance(value, ast.Tuple) and len(value.elts) > 1:
                for dropped in value.elts:
                    kept = [self.text(part) for part in value.elts if part is not dropped]
                    yield self.whole("axis", value, f"({', '.join(kept)},)")
        if name in REPORTING:
            return
        start, end = self.span(keyword)
        after = re.match(r"\s*,[ ]*", self.source[end:])
        before = re.search(r",\s*$", self.source[:start])
        if after:
            end += after.end()
        elif before:
            start = before.start()
        kind = "keepdims" if keyword.arg == "keepdims" else "keyword dropped"
        yield kind, start, end, ""

    def of_Expr(self, node, parent, function, names):
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call) and name_of(value.func) not in REPORTING:
            yield self.whole("statement deleted", node, "pass")

    def of_Assign(self, node, parent, function, names):
        if isinstance(node.value, ast.BinOp) and isinstance(node.value.op, (ast.Mult, ast.Div)):
            yield self.whole("sign", node.value, f"-({self.text(node.value)})")
        parts = [part for target in node.targets for part in ast.walk(target) if is_stored(part)]
        loaded = {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
        if all(part.id in names | loaded for part in parts):
            yield self.whole("statement deleted", node, "pass")

    def of_Return(self, node, parent, function, names):
        if node.value is not None:
            yield from self.result(node.value, function)

    def of_Lambda(self, node, parent, function, names):
        yield from self.result(node.body, None)

    def result(self, value, function):
        if isinstance(value, (ast.Compare, ast.BoolOp)) or (
            isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not)
        ):
            yield self.whole("result", value, f"(not ({self.text(value)}))")
        elif isinstance(value, (ast.BinOp, ast.Name, ast.Subscript)) or (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and name_of(value.func.value) in ("np", "tf", "math", "nn", "linalg")
        ):
            yield self.whole("result", value, f"(-({self.text(value)}))")
        if function is not None and not isinstance(function, ast.Lambda):
            arguments = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
            arguments = [name for name in arguments if name not in ("self", "cls")]
            if arguments and self.text(value) != arguments[0]:
                yield self.whole("result", value, arguments[0])

    def of_If(self, node, parent, function, names):
        for always in ("True", "False"):
            yield self.whole("branch", node.test, always)

    of_IfExp = of_If

    def of_comprehension(self, node, parent, function, names):
        for condition in node.ifs:
            yield self.whole("branch", condition, "True")

    def of_Break(self, node, parent, function, names):
        yield self.whole("loop", node, "continue")

    def of_Continue(self, node, parent, function, names):
        yield self.whole("loop", node, "break")


def name_of(function):
    """The last name of what is called: `sum` of `np.sum`."""
    return getattr(function, "attr", getattr(function, "id", ""))


def is_stored(node):
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))


def is_whole(node):
    """Whether this is a whole number as written, with its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) is int


def rank(node):
    """What may stand for each other: a name for a call, but no number for a text."""
    if isinstance(node, ast.Constant):
        return type(node.value).__name__
    if isinstance(node, (ast.Lambda, *TEXTS)):
        return type(node).__name__
    return "expression"
