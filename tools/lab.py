"""open the book in JupyterLab: lab [CHAPTER] [--source] [JupyterLab's options]

usage: python3 run.py lab [CHAPTER] [--source] [JUPYTERLAB_OPTIONS ...]

Opens your own copies of the chapters, in the folder work/: write in them as you like, updating the book never touches
them. With --source, authors open the chapters themselves. All other options go to JupyterLab (--no-browser, ...).
"""
import json
import os
import subprocess
import sys
from pathlib import Path

from _chapters import NOTEBOOKS, WORK, chosen, copy_missing


def main(arguments):
    names = [a for a in arguments if not a.startswith("-")]
    options = [a for a in arguments if a.startswith("-") and a != "--source"]
    folder = NOTEBOOKS if "--source" in arguments else WORK
    first = chosen(names)[0]
    for copy in copy_missing() if folder is WORK else []:
        print(f"{copy.name} is newer in the book than your copy of it; "
              f"'python3 run.py fresh {copy.name[:2]}' brings the new one and keeps yours.", flush=True)
    stay_offline()
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}",
               f"--LabApp.default_url=/lab/tree/{first.name}", *options]
    if os.name != "nt":
        os.execv(command[0], command)
    try:
        sys.exit(subprocess.call(command))
    except KeyboardInterrupt:
        sys.exit(0)


def stay_offline():
    """Keep this environment's JupyterLab from asking for news and updates: the book is read offline."""
    overrides = Path(sys.prefix) / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    if not overrides.exists():
        overrides.parent.mkdir(parents=True, exist_ok=True)
        quiet = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
        overrides.write_text(json.dumps(quiet), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
