"""open the book in JupyterLab: lab [CHAPTER] [--source] [JupyterLab's options]

usage: python3 run.py lab [CHAPTER] [--source] [JUPYTERLAB_OPTIONS ...]

Opens your own copies of the chapters, in the folder work/: write in them as you like, updating the book never touches
them. With --source, authors open the chapters themselves. All other options go to JupyterLab (--no-browser, ...), which
starts as the book needs it: what this machine configures for other Jupyter servers does not apply.
"""

import contextlib
import json
import sys
from pathlib import Path

from tools.chapters import (
    NOTEBOOKS,
    WORK,
    chapters_named,
    copy_missing,
    names_and_options,
    writing_into_the_book,
)


def main(arguments):
    names, options = names_and_options(arguments)
    folder = NOTEBOOKS if "--source" in options else WORK
    options = [option for option in options if option != "--source"]
    first = chapters_named(names)[0]
    with writing_into_the_book():
        for copy in copy_missing() if folder is WORK else []:
            print(
                f"{copy.name} is newer in the book than your copy of it; "
                f"'python3 run.py fresh {copy.name[:2]}' brings the new one and keeps yours.",
                flush=True,
            )
    stay_offline()
    opened = [f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{first.name}"]
    sys.argv = ["jupyter-lab", *opened, *options]
    without_the_machines_configuration()
    from jupyterlab.labapp import main as jupyterlab

    sys.exit(jupyterlab())


def stay_offline():
    """Keep this environment's JupyterLab from asking for news and updates: the book is read offline."""
    overrides = Path(sys.prefix) / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    quiet = {"fetchNews": "false", "checkForUpdates": False}
    with contextlib.suppress(
        OSError
    ):  # an environment that cannot be written asks, and works all the same
        if not overrides.exists():
            overrides.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({"@jupyterlab/apputils-extension:notification": quiet})
            overrides.write_text(text, encoding="utf-8")


def without_the_machines_configuration():
    """Let no file in /etc/jupyter or the like configure this server: it may name what only another Python has."""
    from jupyter_core import paths

    paths.SYSTEM_CONFIG_PATH[:] = []
