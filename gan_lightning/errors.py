"""How the package fails: what the user can fix is a `UserError`, what a run cannot help a `RunFailed`, the rest a bug.

Standard library only, because the command line answers typing errors before anything slow is imported.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable
from typing import NoReturn

USER_ERROR = 2
"""Exit code of a mistake that the user can fix."""

RANK_VARIABLES = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")
"""Where launchers tell a process its rank; a process of which all are 0 or absent speaks for the run."""


class UserError(ValueError):
    """A mistake of the user, raised on purpose: one line that names the value and the fix; exit code 2.

    Any other exception that leaves the package is a bug of ours, and is shown with its traceback.
    """


class RunFailed(Exception):
    """A run cannot continue for a reason outside it, such as a full disk: one line, exit code 1."""


def fail(message: str) -> NoReturn:
    """Print one line on standard error and exit with code 2, the user's mistake."""
    print(f"gan-lightning: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(USER_ERROR)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" with the known word that is nearest, or "" if none is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {found[0]}?)" if found else ""


def speaks() -> bool:
    """Tell whether this process speaks for its run: it is rank 0 as far as its environment tells."""
    return all(os.environ.get(name, "0") == "0" for name in RANK_VARIABLES)


def say(message: str) -> None:
    """Print one line on standard error, on rank 0."""
    if speaks():
        print(f"gan-lightning: {message}", file=sys.stderr, flush=True)
