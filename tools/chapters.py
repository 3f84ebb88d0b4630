"""The chapters, and the readers' copies of them."""

import contextlib
import hashlib
import itertools
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS, WORK = ROOT / "notebooks", ROOT / "work"
# what caps the threads of NumPy's and TensorFlow's libraries
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
ORIGINS = WORK / ".origins.json"  # for each copy, the sha256 of the chapter it was made from


def chapters_named(names):
    """The chapters whose file names begin with one of `names`; all of them if there is none."""
    chapters = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if not names:
        return chapters
    unknown = [name for name in names if not any(path.name.startswith(name) for path in chapters)]
    if unknown:
        sys.exit(
            f"there is no chapter {', '.join(unknown)}; there are: {', '.join(path.stem for path in chapters)}."
        )
    return [path for path in chapters if any(path.name.startswith(name) for name in names)]


def names_and_options(arguments):
    """Chapters come first; everything from the first option on belongs to the program behind the command."""
    names = list(itertools.takewhile(lambda argument: not argument.startswith("-"), arguments))
    return names, arguments[len(names) :]


@contextlib.contextmanager
def writing_into_the_book():
    """Say in a sentence that the book cannot be written."""
    try:
        yield
    except OSError as error:
        sys.exit(
            f"the folder {WORK} with your copies cannot be written ({error.strerror}); put a copy of the book where "
            "you may write, and run it there."
        )


def copy_missing():
    """Give the reader a copy of each chapter that has none yet; return the copies whose chapter has changed since."""
    WORK.mkdir(exist_ok=True)
    origins, outdated = read_origins(), []
    for chapter in chapters_named([]):
        copy = WORK / chapter.name
        if not copy.exists():
            copy_whole(chapter, origins)
        elif origins.get(chapter.name) != digest(chapter):
            outdated.append(copy)
    return outdated


def renew(chapter):
    """Put a fresh copy in place; keep the reader's own under a free name and return that name, or None."""
    WORK.mkdir(exist_ok=True)
    copy, kept = WORK / chapter.name, None
    if copy.exists() and digest(copy) != read_origins().get(
        chapter.name
    ):  # somebody has worked in it
        number = 1
        while (kept := copy.with_name(f"{copy.stem}.mine-{number}.ipynb")).exists():
            number += 1
        copy.rename(kept)
    copy_whole(chapter, read_origins())
    return kept and kept.name


def copy_whole(chapter, origins):
    """Copy a chapter whole or not at all, and note what it was made from."""
    part = WORK / (chapter.name + ".part")
    shutil.copyfile(chapter, part)
    part.replace(WORK / chapter.name)
    origins[chapter.name] = digest(chapter)
    ORIGINS.write_text(json.dumps(origins, indent=1), encoding="utf-8")


def read_origins():
    try:
        return dict(json.loads(ORIGINS.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
