"""The pytest plugin. It imports nothing heavy, so a session that uses none of its fixtures pays nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from twoway.credential import Credential
    from twoway.testing import Company, Failed, Served


@pytest.fixture(scope="session")
def twoway_company() -> Company:
    """A throw-away authority in memory, with everybody who is let in and everybody who is not."""
    from twoway.testing import Company

    return Company()


@pytest.fixture(scope="session")
def twoway_server_identity(twoway_company: Company) -> Credential:
    """A server's identity for localhost."""
    return twoway_company.server()


@pytest.fixture(scope="session")
def twoway_client_identity(twoway_company: Company) -> Credential:
    """A client's identity that the company's servers let in."""
    return twoway_company.client()


@pytest.fixture(scope="session")
def twoway_stranger(twoway_company: Company) -> Credential:
    """A client of another authority."""
    return twoway_company.stranger


@pytest.fixture(scope="session")
def twoway_expired_client(twoway_company: Company) -> Credential:
    """A client whose certificate ended yesterday."""
    return twoway_company.expired


@pytest.fixture(scope="session")
def twoway_revoked_client(twoway_company: Company) -> Credential:
    """A client whose certificate is on the company's revocation list."""
    return twoway_company.revoked


@pytest.fixture
def twoway_serve(twoway_company: Company) -> Iterator[Callable[..., Served]]:
    """`twoway_serve(app, **options)` serves an ASGI or WSGI application until the test ends.

    Options are those of `twoway.serve`; without `app` it says hello to the caller.
    """
    from twoway.testing import serving

    with ExitStack() as stack:

        def serve(*app: Any, **options: Any) -> Served:
            return stack.enter_context(serving(twoway_company, *app, **options))

        yield serve


@pytest.fixture
def twoway_failure() -> Callable[[str], Failed]:
    """`twoway_failure(CODE)` brings a failure of docs/failures.md about and gives what the caller got.

    `twoway.testing.FAILURES` lists the codes. Each failure has a company of its own.
    """
    from twoway.errors import UsageError
    from twoway.testing import FAILURES, Company

    def happen(code: str) -> Failed:
        if code not in FAILURES:
            raise UsageError(
                f"no failure {code!r} can be made here", f"there are: {', '.join(sorted(FAILURES))}"
            )
        return FAILURES[code].happen(Company())

    return happen
