"""open the book in JupyterLab: lab [CHAPTER] [--source] [JupyterLab's options]

usage: python3 run.py lab [CHAPTER] [--source] [JUPYTERLAB_OPTIONS ...]

Opens your own copies of the chapters, in the folder work/: write in them as you like, updating the book never touches
them. With --source, authors open the chapters themselves. All other options go to JupyterLab (--no-browser, ...).
"""

import json
import sys
from pathlib import Path

from _chapters import NOTEBOOKS, WORK, become, chosen, command, copy_missing, split


def main(arguments):
    names, options = split(arguments)
    folder = NOTEBOOKS if "--source" in options else WORK
    options = [option for option in options if option != "--source"]
    first = chosen(names)[0]
    for copy in copy_missing() if folder is WORK else []:
        print(
            f"{copy.name} is newer in the book than your copy of it; "
            f"'python3 run.py fresh {copy.name[:2]}' brings the new one and keeps yours.",
            flush=True,
        )
    stay_offline()
    become([
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{first.name}",
        *options,
    ])


def stay_offline():
    """Keep this environment's JupyterLab from asking for news and updates: the book is read offline."""
    overrides = Path(sys.prefix) / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    if not overrides.exists():
        overrides.parent.mkdir(parents=True, exist_ok=True)
        quiet = {
            "@jupyterlab/apputils-extension:notification": {
                "fetchNews": "false",
                "checkForUpdates": False,
            }
        }
        overrides.write_text(json.dumps(quiet), encoding="utf-8")


if __name__ == "__main__":
    command(main)
