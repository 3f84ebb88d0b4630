"""What of a reader's machine reaches the programs of the book, and what does not.

The index, proxy and certificates are the reader's; which Python, packages, kernel and start-up files are used
is the book's. Standard library only: run.py needs this before there is an environment.
"""

import os
import tempfile
from pathlib import Path

# Python's own variables change which modules are found and how they run; these only say where and how to write.
# PYTHONDONTWRITEBYTECODE is not among them: with it each kernel would compile TensorFlow anew, seven seconds each time.
HARMLESS = {"PYTHONUNBUFFERED", "PYTHONPYCACHEPREFIX", "PYTHONUTF8"}
FOREIGN = ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "JUPYTER_NO_CONFIG", "MATPLOTLIBRC", "MPLBACKEND")


def without_python_settings(environ):
    """A copy of these variables in which nothing misleads a Python about its modules."""
    return {
        name: value
        for name, value in environ.items()
        if name in HARMLESS or not name.startswith(("PYTHON", "__PYVENV"))
    }


def own_variables(environ, prefix):
    """These variables as the programs of an environment need them: its Python, its kernel, no foreign start-up files.

    What programs keep for themselves (IPython's history, Matplotlib's font cache, the list of running servers) goes
    into the folder `kept` of the environment. JupyterLab's own settings, such as the theme, stay where the reader
    has them. Where one of these cannot be written, a temporary folder takes its place.

    Args:
        environ: the variables, by name.
        prefix: the environment's folder.

    Returns:
        A new dictionary; the same one again for variables that have been through here.
    """
    if environ.get("BIGMODEL_PREFIX") == str(prefix):
        return dict(environ)
    changed = without_python_settings(environ)
    for name in FOREIGN:
        changed.pop(name, None)
    changed.pop("VIRTUAL_ENV", None)  # another one may be active in the reader's terminal
    if (Path(prefix) / "pyvenv.cfg").exists():
        changed["VIRTUAL_ENV"] = str(prefix)
    programs = Path(prefix) / ("Scripts" if os.name == "nt" else "bin")
    kept = writable(Path(prefix) / "kept")
    lab = Path(environ.get("JUPYTER_CONFIG_DIR") or home() / ".jupyter", "lab")
    changed.setdefault("JUPYTERLAB_SETTINGS_DIR", str(writable(lab / "user-settings")))
    changed.setdefault("JUPYTERLAB_WORKSPACES_DIR", str(writable(lab / "workspaces")))
    changed.update(
        BIGMODEL_PREFIX=str(prefix),
        PATH=os.pathsep.join([str(programs), environ.get("PATH", os.defpath)]),
        JUPYTER_PREFER_ENV_PATH="1",
        JUPYTER_CONFIG_DIR=str(Path(prefix) / "etc" / "jupyter"),
        JUPYTER_DATA_DIR=str(kept / "jupyter"),
        JUPYTER_RUNTIME_DIR=str(kept / "running"),
        IPYTHONDIR=str(kept / "ipython"),
        MPLCONFIGDIR=str(kept / "matplotlib"),
    )
    return changed


def home():
    """The reader's home; the folder for temporary files where this user has none, as in some containers."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir())


def writable(folder):
    """The folder, made where it is not there yet; a temporary one if nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=str(folder)):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="bigmodel-"))
