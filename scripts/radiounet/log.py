"""Logging: one file per job, and the reason of death always in it."""

import logging
import sys
from pathlib import Path

_begun: set[str] = set()
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure(path: str | Path | None) -> None:
    """Send every record to `path` (replaced by the first call of a process) and warnings to standard error.

    Parameters
    ----------
    path : path or None
        Log file of the job; None logs everything to standard error.
    """
    console = logging.StreamHandler()
    handlers: list[logging.Handler] = [console]
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, mode="a" if str(path) in _begun else "w"))
        _begun.add(str(path))
        console.setLevel(logging.WARNING)
    logging.basicConfig(level=logging.INFO, format=FORMAT, handlers=handlers, force=True)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught


def _log_uncaught(kind, error, traceback) -> None:
    logging.getLogger("radiounet").critical("died of %s", kind.__name__, exc_info=error)
