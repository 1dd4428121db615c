"""Why something could not be fetched from an authority."""

from __future__ import annotations

from twoway.errors import ConfigError, NetworkError


class BadUrl(ConfigError):
    """An address that nothing is fetched from."""

    code = "bad_url"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return f"{self.url!r} cannot be fetched: {self.reason}"

    @property
    def remedy(self) -> str:
        return "write http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH"


class FetchFailed(NetworkError):
    """A list or an answer was asked for over HTTP, and what came cannot be used."""

    code = "fetch_failed"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def __str__(self) -> str:
        return f"cannot fetch {self.url}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "check that the address answers from this machine, without a redirect: curl -v URL"

    @property
    def evidence(self) -> dict[str, object]:
        return {"url": self.url, "reason": self.reason}


class ListRejected(FetchFailed):
    """What was fetched as a revocation list is none, is older than the one that is there, or was signed by another."""

    code = "list_rejected"

    @property
    def remedy(self) -> str:
        return "look at what the address serves: twoway inspect FILE; the list that was there stays in use"
