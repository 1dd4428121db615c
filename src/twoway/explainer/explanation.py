"""`twoway.explain`: a Transcript that prints itself, and turns into a page, a drawing or JSON when asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twoway.credential import Credential
from twoway.credential.keys import Passphrase
from twoway.explainer.json_face import as_dict
from twoway.explainer.live import watch
from twoway.explainer.terminal import Terminal
from twoway.explainer.transcript import Transcript
from twoway.trust import Trust


@dataclass(frozen=True, slots=True)
class Explanation:
    """One handshake, told. `str()` is the ladder as a terminal shows it; `transcript` has the facts."""

    transcript: Transcript

    def __str__(self) -> str:
        return Terminal().draw(self.transcript)

    @property
    def mutual(self) -> bool:
        """Whether both sides proved who they are."""
        return self.transcript.outcome == "mutual"

    def as_dict(self, *, redact: bool = False) -> dict[str, Any]:
        """Everything, ready for JSON; `redact` leaves out application data."""
        return as_dict(self.transcript, redact=redact)

    def html(self, *, redact: bool = False, now: datetime | None = None) -> str:
        """A page of its own: no network, no JavaScript needed."""
        from twoway.explainer.page import as_html

        return as_html(self.transcript, redact=redact, now=now or datetime.now(UTC))

    def svg(self) -> str:
        """The ladder as a drawing."""
        from twoway.explainer.ladder_svg import as_svg

        return as_svg(self.transcript)


def explain(
    target: str,
    *,
    identity: Credential | str | Path | None = None,
    trust: Trust | str | Path | None = None,
    server_name: str | None = None,
    passphrase: Passphrase = None,
    timeout: float = 10.0,
) -> Explanation:
    """Make a real handshake with `target` ("host:port") as `identity`, and tell it.

    A refusal is told, not raised. Raises UsageError, CredentialError and ConnectFailed where there is nothing
    to tell. No application data is sent.
    """
    return Explanation(
        watch(
            target,
            identity=identity,
            trust=trust,
            server_name=server_name,
            passphrase=passphrase,
            timeout=timeout,
        )
    )
