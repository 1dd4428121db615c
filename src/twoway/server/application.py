"""Finds the application and makes it ASGI, whichever of the two interfaces it has."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any, Literal

from twoway.credential import certificate_pem, without_root
from twoway.errors import ConfigError, UsageError
from twoway.server.peer import ENVIRON_KEY, EXTENSION

Interface = Literal["auto", "asgi", "wsgi"]
Application = Callable[..., Any]
WSGI_THREADS = 16


class ApplicationNotFound(ConfigError):
    """`module:name` leads to nothing that can be served."""

    code = "application_not_found"

    def __init__(self, text: str, problem: str, hint: str) -> None:
        super().__init__(text, problem, hint)
        self.text, self.problem, self.hint = text, problem, hint

    def __str__(self) -> str:
        return f"cannot serve {self.text}: {self.problem}"

    @property
    def remedy(self) -> str:
        return self.hint


def find(text: str) -> Application:
    """The application behind `module:name`, looked up from the current directory; raises ApplicationNotFound."""
    module_name, colon, attribute = text.partition(":")
    if not colon or not module_name or not attribute:
        raise ApplicationNotFound(text, "expected module:name", "write it like shop.web:app")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        hint = (
            f"is {module_name.partition('.')[0]}.py here, in {os.getcwd()}?"
            if module_name == missing or module_name.startswith(f"{missing}.")
            else f"install what the application needs: {missing}"
        )
        raise ApplicationNotFound(text, f"there is no module {missing}", hint) from None
    except Exception as error:
        line = str(error).splitlines()[0] if str(error) else ""
        raise ApplicationNotFound(
            text,
            f"importing {module_name} raised {type(error).__name__}: {line}",
            f'try it alone: python -c "import {module_name}"',
        ) from error
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            close = difflib.get_close_matches(part, dir(found), 1)
            hint = f"did you mean {close[0]}?" if close else "name the variable that holds the application"
            raise ApplicationNotFound(text, f"{module_name} has no {part}", hint)
        found = getattr(found, part)
    if not callable(found):
        raise ApplicationNotFound(
            text,
            f"{attribute} is a {type(found).__name__}, not an application",
            "name an ASGI or WSGI application",
        )
    return found  # type: ignore[no-any-return]


def as_asgi(application: Application, interface: Interface = "auto") -> Application:
    """The application as ASGI 3; a WSGI one runs in a bounded pool of threads and finds the peer in its environ.

    `auto` takes a coroutine function of three parameters for ASGI and a callable of two for WSGI. Raises
    UsageError when it cannot tell.
    """
    if interface == "auto":
        interface = _interface_of(application)
    if interface == "asgi":
        return application
    from a2wsgi import WSGIMiddleware

    return WSGIMiddleware(_with_peer(application), workers=WSGI_THREADS)  # type: ignore[no-any-return, unused-ignore]


def _interface_of(application: Application) -> Interface:
    target = application
    if not inspect.isfunction(target) and not inspect.ismethod(target):
        target = type(application).__call__ if not inspect.isclass(application) else application
    if inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(application):
        return "asgi"
    try:
        parameters = [
            p
            for p in inspect.signature(application).parameters.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        parameters = []
    if len(parameters) == 2:
        return "wsgi"
    if len(parameters) == 3:
        return "asgi"
    raise UsageError(
        "cannot tell whether the application is ASGI or WSGI",
        'say which: interface="asgi" or interface="wsgi"',
    )


def _with_peer(application: Application) -> Application:
    """Put the peer into the environ, with the variables that Apache and nginx set by custom."""

    def with_peer(environ: dict[str, Any], start_response: Any) -> Any:
        scope = environ["asgi.scope"]
        who = scope["extensions"][EXTENSION]["peer"]
        environ[ENVIRON_KEY] = who
        environ["SSL_CLIENT_VERIFY"] = "SUCCESS" if who else "NONE"
        if who is not None:
            environ["SSL_CLIENT_CERT"] = certificate_pem(without_root(who.chain)[0]).decode("ascii")
            environ["SSL_CLIENT_S_DN"] = scope["extensions"]["tls"]["client_cert_name"]
        return application(environ, start_response)

    return with_peer
