"""Speaking, and going over to another program. Standard library only: run.py needs this before there is an environment."""

import contextlib
import os
import signal
import subprocess
import sys


def say(text):
    """Print a line at once; where nobody reads it any more, go on without."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def hand_over_to(program, environ=None):
    """Let this process become another program; on Windows, which cannot, run it and end as it ends.

    Ctrl-C is then for that program alone, which ends in its own order.

    Args:
        program: the program's path and its arguments.
        environ: its variables; those of this process if none are given.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError):  # closed, or nobody reads it any more
            stream.flush()
    environ = os.environ if environ is None else environ
    if os.name != "nt":
        os.execve(program[0], program, environ)
    process = subprocess.Popen(program, env=environ)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(process.wait())
