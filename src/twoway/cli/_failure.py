"""From an exception to two lines on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import select
import sys

import click

from twoway.cli._output import complain
from twoway.errors import ConfigError, TwowayError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
NO, ASKED_WRONGLY, OUR_MISTAKE, INTERRUPTED, PIPE_CLOSED = 1, 2, 70, 130, 141


def report(error: BaseException) -> int:
    """Say on stderr what went wrong and what to do about it; return the exit code.

    With `TWOWAY_DEBUG` set to anything but `0` the traceback comes first. Never raises.
    """
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError) and _stdout_is_gone():
        return PIPE_CLOSED
    if os.environ.get("TWOWAY_DEBUG", "0") not in ("", "0"):
        import traceback

        traceback.print_exception(error)
    try:
        sentence, hint, code = _explain(error)
    except Exception as second:  # noqa: BLE001 - a faulty error is no reason for a traceback
        sentence, hint, code = _internal(second)
    complain("error", sentence)
    if hint:
        complain("hint", hint)
    return code


def _explain(error: BaseException) -> tuple[str, str, int]:
    if isinstance(error, TwowayError):
        return str(error), error.remedy, ASKED_WRONGLY if isinstance(error, ConfigError) else NO
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {_lower(error.strerror)}", "", ASKED_WRONGLY
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return f"cannot write the result: {_lower(os.strerror(error.errno))}", "make room", ASKED_WRONGLY
    return _internal(error)


def _internal(error: BaseException) -> tuple[str, str, int]:
    sentence = f"internal error: {type(error).__name__}: {error}"
    return sentence, "set TWOWAY_DEBUG=1 to see where, and report it with `twoway --version`", OUR_MISTAKE


def _usage(error: click.ClickException) -> tuple[str, str, int]:
    if isinstance(error, click.exceptions.NoSuchCommand):
        return _unknown(f"there is no verb {error.command_name!r}", error.possibilities, error)
    if isinstance(error, click.NoSuchOption):
        return _unknown(f"there is no option {error.option_name}", error.possibilities, error)
    return _lower(error.format_message().rstrip(".")), _see_help(error), ASKED_WRONGLY


def _unknown(sentence: str, possibilities: list[str] | None, error: click.UsageError) -> tuple[str, str, int]:
    if possibilities:
        return sentence, f"did you mean {' or '.join(possibilities)}?", ASKED_WRONGLY
    if isinstance(error, click.exceptions.NoSuchCommand) and error.ctx and isinstance(error.cmd, click.Group):
        return sentence, f"the verbs are {', '.join(error.cmd.list_commands(error.ctx))}", ASKED_WRONGLY
    return sentence, _see_help(error), ASKED_WRONGLY


def _see_help(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"see {context.command_path if context else 'twoway'} --help"


def _lower(sentence: str) -> str:
    head = sentence.split(" ", 1)[0]
    return sentence if head.isupper() and len(head) > 1 else sentence[:1].lower() + sentence[1:]


def _stdout_is_gone() -> bool:
    """Tell whether the reader of our output left (`twoway ca list | head`), and keep the exit quiet then."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, AttributeError):  # not a real file
        return False
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are always reported
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return True
