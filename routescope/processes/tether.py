"""Become another program that ends when the process that started it does, however that ended.

Run by path, not imported: ``python -I -S tether.py PARENT_ID PROGRAM ARGUMENT...``. Only Linux can tie a
child to its parent; elsewhere this just becomes the program.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        import ctypes

        # The argument is passed on over exec. A SIGTERM, so that work under way may finish.
        if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != int(parent):
            raise SystemExit("The process that started this one is gone already.")
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
