"""Logging: one file per job, which always says why a job failed."""

import logging
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from radiounet.errors import RadioUNetError
from radiounet.images.progress_bar import bars_aside
from radiounet.images.words import one_line, visible

_begun: set[str] = set()
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LineFormatter(logging.Formatter):
    """One line for every record, whatever its words hold; a traceback below it keeps its lines.

    Names and server answers stand in log messages: a line break in one of them must not
    look like another record, nor an escape sequence reach a terminal.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format the record's own line."""
        return one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """Format a traceback."""
        return visible(super().formatException(ei))


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Standard error, where a progress bar may stand."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record above the bars."""
        with bars_aside():
            super().emit(record)


def open_streams() -> None:
    """Give standard streams that are closed a place where nothing is kept.

    The files opened next would have their numbers, and libraries write their messages there.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # its number may have been taken by a file since
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def configure(path: str | Path | None) -> None:
    """Send every record to `path` (replaced by the first call of a process) and warnings to standard error.

    Parameters
    ----------
    path : path or None
        Log file of the job; None logs everything to standard error.
    """
    console = ConsoleHandler()
    handlers: list[logging.Handler] = [console]
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        mode = "a" if str(path) in _begun else "w"
        handlers.append(logging.FileHandler(path, mode, encoding="utf-8"))
        _begun.add(str(path))
        console.setLevel(logging.WARNING)
    for handler in handlers:
        handler.setFormatter(LineFormatter(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    logger = logging.getLogger("radiounet")
    if isinstance(error, RadioUNetError):  # raised on purpose: its words say all
        logger.error("%s: %s", kind.__name__, error)
    else:
        logger.critical("failed with %s", kind.__name__, exc_info=error)
