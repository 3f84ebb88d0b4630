"""What a kernel notes while a chapter runs in it: what each figure shows, and what each claim has measured, to the last bit."""

import contextlib
import hashlib
import pickle
import random
import sys
from pathlib import Path

import numpy as np

from tools.chapters import ROOT

# what a kernel runs first
WATCHING = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tools.watching import watch; watch()\ndel sys.path[0]"
# what it is asked then
FINGERPRINT, FORGET, REMEMBER, GO_BACK = (
    f"__import__('sys').modules['tools.watching'].{call}()"
    for call in ("fingerprint", "MEASURED.clear", "remember", "go_back")
)

MEASURED, KEPT = set(), []


def watch(folder=None):
    """From here on, each picture carries in its metadata what `drawn` says of it, and claims are kept; call it in a kernel.

    Args:
        folder: where to put each Matplotlib figure itself, pickled, under the `name_of` its picture; nowhere if None.
    """
    import bigmodel_helpers
    from tools.figures import drawn, name_of

    plotting, explorers = (
        sys.modules[f"bigmodel_helpers.{name}"] for name in ("plotting", "explore")
    )
    claim, save = bigmodel_helpers.claim, plotting.png_bytes
    begin, last = plotting.Bundle.__init__, {}

    def claim_and_keep(name, value, **bounds):
        claim(name, value, **bounds)
        MEASURED.add(measurement(name, value))

    def png_bytes(figure):
        png = save(figure)
        last["drawn"] = drawn(figure)
        if folder:
            Path(folder).mkdir(exist_ok=True)
            # a figure that holds functions cannot be kept
            with contextlib.suppress(AttributeError, TypeError, pickle.PicklingError):
                (Path(folder) / f"{name_of(png)}.pickle").write_bytes(pickle.dumps(figure))
        return png

    def init(self, *args, **more):
        begin(self, *args, **more)
        self._metadata["image/png"]["drawn"] = last["drawn"]

    bigmodel_helpers.claim = claim_and_keep
    plotting.png_bytes = explorers.png_bytes = png_bytes
    plotting.Bundle.__init__ = init


def question(expression):
    """What a kernel's client is to `execute`, so that the reply tells what an expression is."""
    return {"code": "", "silent": True, "user_expressions": {"asked": expression}}


def answer(reply, expression):
    """What the expression of a `question` is, as a text.

    Raises:
        RuntimeError: if the kernel cannot say it.
    """
    found = reply["content"]["user_expressions"]["asked"]
    if found["status"] != "ok":
        raise RuntimeError(
            f"the kernel cannot say {expression}: {found['ename']}: {found['evalue']}"
        )
    return found["data"]["text/plain"].strip("'")


def measurement(name, value):
    """A claim's number to its last bit, and its name.

    >>> measurement("loss", 0.25), measurement("of 10", 3), measurement("shape", (2, 3))
    ('loss 0.25', 'of 10 3.0', 'shape (2, 3)')
    """
    with contextlib.suppress(TypeError, ValueError):
        value = float(value)
    return f"{name} {value}"


def fingerprint(measured=MEASURED):
    """A short text that is the same if, and only if, the same has been measured.

    Two runs with one fingerprint have trained the same networks, so whatever they show must be the same, too.

    >>> fingerprint({"a 1.0", "b 2.0"}) == fingerprint({"b 2.0", "a 1.0"}) != fingerprint({"a 1.0"})
    True
    """
    return hashlib.sha256("\n".join(sorted(measured)).encode()).hexdigest()[:16]


def remember():
    """Note where all streams of random numbers stand, before a cell runs."""
    KEPT.clear()
    KEPT.extend((stream, get(stream), put) for stream, get, put in streams())


def go_back():
    """Put all streams of random numbers back to where they stood, so that the cell draws the same again."""
    for stream, state, put in KEPT:
        put(stream, state)


def streams():
    """`(stream, function that says where it stands, function that puts it there)` of a kernel's streams of random numbers."""
    from IPython import get_ipython

    yield np.random, lambda s: s.get_state(), lambda s, at: s.set_state(at)
    yield random, lambda s: s.getstate(), lambda s, at: s.setstate(at)
    for value in list(get_ipython().user_ns.values()):
        if isinstance(value, np.random.Generator):
            yield value, lambda s: s.bit_generator.state, put_generator
        elif (
            type(value).__module__.startswith("tensorflow") and type(value).__name__ == "Generator"
        ):
            yield value, lambda s: s.state.numpy(), lambda s, at: s.reset(at)
    if "tensorflow" in sys.modules:
        from tensorflow.python.eager.context import context

        # the seeds of TensorFlow's operations; there is no public way
        yield context(), state_of_context, put_context


def put_generator(generator, state):
    generator.bit_generator.state = state


def state_of_context(context):
    rng = getattr(context, "_rng", None)  # there is none before a seed is set
    return context._seed, rng and rng.getstate()


def put_context(context, state):
    context._seed, at = state
    if at:
        context._rng = random.Random()
        context._rng.setstate(at)
        context.clear_kernel_cache()
