"""What the libraries below log, as lines of the command line."""

from __future__ import annotations

import logging

from twoway.cli._output import complain


class _Lines(logging.Handler):
    """Warnings and worse, as `twoway: warning: …` on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.levelname.lower(), record.getMessage())


def print_warnings() -> None:
    """Show warnings on stderr until somebody configures logging; a configured logger is left alone."""
    # `lastResort` serves only records that no other handler took, so a verb that sets up its own log
    # never prints a line twice.
    logging.lastResort = _Lines(logging.WARNING)
