"""What the HTTP library says about an application: with its traceback, in our journal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections.abc import Iterator

from twoway.server.journal import Journal

_LIBRARY = "uvicorn.error"
MAX_FRAMES = 12  # the last ones: those above are the library's and ours
_CANCELLED = "CancelledError\n"


class _Events(logging.Handler):
    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, asyncio.CancelledError) or record.getMessage().endswith(_CANCELLED):
            return  # that is how the last of a server that was told to end at once goes
        if error is not None:
            told = traceback.format_exception(error, limit=-MAX_FRAMES)
            self._journal.failed(f"{type(error).__name__}: {error}", "".join(told))
        elif "\n" in (message := record.getMessage().strip()):
            self._journal.failed(
                message.splitlines()[-1], message
            )  # a start-up that failed, as Starlette tells it
        else:
            self._journal.event(record.levelname.lower(), message)


@contextlib.contextmanager
def told_in(journal: Journal) -> Iterator[None]:
    """Warnings and failures of applications become events, unless somebody has configured logging."""
    logger = logging.getLogger(_LIBRARY)
    if logger.hasHandlers():
        yield
        return
    handler = _Events(journal)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
