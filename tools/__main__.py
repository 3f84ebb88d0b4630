"""Runs one command of the book inside the environment: python -m tools COMMAND [ARGUMENTS].

run.py calls this after it has seen to the environment; who made one with conda calls it directly.
"""

import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:] = [str(ROOT)] + [
    folder for folder in sys.path if Path(folder or ".").resolve() != ROOT / "tools"
]


def main(arguments):
    import run
    from tools.programs import hand_over_to
    from tools.surroundings import own_variables

    if not arguments or arguments[0] in ("-h", "--help", "help"):
        return print(run.help_text())
    name = arguments[0]
    found = run.commands()
    if name not in found:
        sys.exit(f"there is no command '{name}'; there are: {', '.join(found)}.")
    variables = own_variables(os.environ, sys.prefix)
    # such variables have misled this process already: begin anew without them
    if any(variable.startswith("PYTHON") for variable in set(os.environ) - set(variables)):
        hand_over_to([sys.executable, str(ROOT / "tools"), *arguments], variables)
    os.environ.clear()
    os.environ.update(variables)
    try:
        importlib.import_module(f"tools.{found[name].parent.name}.{name}").main(arguments[1:])
    except KeyboardInterrupt:
        sys.exit("interrupted.")


if __name__ == "__main__":
    main(sys.argv[1:])
