"""Who noticed which defect: kept in a file until something changes on which that depends."""

import hashlib
import json
import threading

from tools.chapters import ROOT

KEPT = ROOT / ".runs" / "mutants"  # ignored by git; may be deleted at any time


class Verdicts:
    """What is known of the defects of one file or chapter.

    Args:
        name: of the file or chapter.
        depends_on: bytes of everything that a verdict depends on; with others, nothing is known yet.
    """

    def __init__(self, name, depends_on):
        digest = hashlib.sha256(b"\0".join(depends_on)).hexdigest()
        self.path, self.lock, self.found = KEPT / f"{name}.{digest}.json", threading.Lock(), {}
        if self.path.exists():
            self.found = json.loads(self.path.read_text(encoding="utf-8"))
        else:
            KEPT.mkdir(parents=True, exist_ok=True)
            for old in KEPT.glob(f"{name}.*.json"):
                old.unlink()

    def get(self, place, mutant):
        """Who noticed this mutant at this place, or None if it has not been tried."""
        return self.found.get(self.key(place, mutant))

    def note(self, place, mutant, who):
        with self.lock:
            self.found[self.key(place, mutant)] = who
            part = self.path.with_suffix(".part")
            part.write_text(json.dumps(self.found), encoding="utf-8")
            part.replace(self.path)

    @staticmethod
    def key(place, mutant):
        return hashlib.sha256(f"{place} {mutant.source}".encode()).hexdigest()
