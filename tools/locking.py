"""One lock for the environment: who uses it holds the lock with others, who changes it holds it alone.

Standard library only: run.py needs this before there is an environment.
"""

import os
import time

from tools.programs import say

USERS = 64  # how many programs may use the environment at once, on Windows


class EnvironmentLock:
    """A lock on a file, let go by the system when the last process that holds it ends, however it ends.

    Where the folder cannot be written and has no such file, there is nothing to lock: nobody can change
    the environment there.
    """

    def __init__(self, path):
        self.descriptor, self.region = None, None
        for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
            try:
                self.descriptor = os.open(str(path), flags)
                break
            except OSError:
                continue
        if self.descriptor is not None:
            os.set_inheritable(
                self.descriptor, True
            )  # a program that this one becomes goes on holding it

    def hold_with_others(self):
        """Wait until nobody holds the lock alone, and hold it with all others."""
        self._wait(True, "A set-up of the book is at work; waiting for it ...")

    def hold_alone(self):
        """Wait until nobody else holds the lock, and hold it alone."""
        self._wait(
            False,
            "The environment has to be changed, but another command of the book (JupyterLab?) or another "
            "set-up is using it; waiting until that ends (Ctrl-C gives up) ...",
        )

    def let_go(self):
        """Hold the lock no more."""
        if self.descriptor is not None:
            os.close(self.descriptor)
        self.descriptor = None

    def _wait(self, shared, message):
        if self.descriptor is None:
            return
        take = self._take_on_windows if os.name == "nt" else self._take
        while not take(shared):
            if message:
                say(message)
            message = None
            time.sleep(0.2)

    def _take(self, shared):
        import fcntl

        try:
            fcntl.flock(
                self.descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
            )
        except BlockingIOError:
            return False
        except OSError:  # some network file systems know no such locks: better none than no book
            return True
        return True

    def _take_on_windows(self, shared):
        """Windows knows no shared locks: each user locks one byte of many, a set-up all of them."""
        import msvcrt

        if self.region:
            start, length = self.region
            os.lseek(self.descriptor, start, os.SEEK_SET)
            msvcrt.locking(self.descriptor, msvcrt.LK_UNLCK, length)
            self.region = None
        for start, length in [(byte, 1) for byte in range(USERS)] if shared else [(0, USERS)]:
            os.lseek(self.descriptor, start, os.SEEK_SET)
            try:
                msvcrt.locking(self.descriptor, msvcrt.LK_NBLCK, length)
            except OSError:
                continue
            self.region = (start, length)
            return True
        return False
