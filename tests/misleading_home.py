"""A home full of what other Pythons, servers and kernels left there."""

import json


def a_home_that_misleads(home):
    """Files of other Pythons and servers in a reader's home, and the variables that point to them."""
    kernel = {
        "argv": ["no-such-python", "{connection_file}"],
        "display_name": "foreign",
        "language": "python",
    }
    files = {
        ".jupyter/jupyter_server_config.py": "c.ServerApp.contents_manager_class = 'no.such.Class'",
        ".jupyter/jupyter_lab_config.py": "import no_such_module",
        "more/jupyter_config.py": "c.ServerApp.kernel_manager_class = 'no.such.Class'",
        "data/kernels/python3/kernel.json": json.dumps(kernel),
        ".local/share/jupyter/kernels/python3/kernel.json": json.dumps(kernel),
        "packages/numpy/__init__.py": "raise ImportError('of another Python')",
        ".ipython/profile_default/startup/00.py": "import numpy as np; np.set_printoptions(precision=1)",
        ".config/matplotlib/matplotlibrc": "image.origin: lower",
    }
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    folders = {
        "HOME": ".",
        "JUPYTER_CONFIG_DIR": ".jupyter",
        "JUPYTER_CONFIG_PATH": "more",
        "JUPYTER_PATH": "data",
    }
    folders |= {"PYTHONPATH": "packages", "IPYTHONDIR": ".ipython", "VIRTUAL_ENV": "venv"}
    switches = {"JUPYTER_PREFER_ENV_PATH": "0", "PYTHONOPTIMIZE": "2", "PYTHONSAFEPATH": "1"}
    return {name: str(home / place) for name, place in folders.items()} | switches
