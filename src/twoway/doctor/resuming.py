"""Whether a session that was made before still opens the door: resumption must not skip a check (DESIGN.md, rule 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from twoway.credential import Credential
from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.doctor.observing import Attempt, Target, attempt
from twoway.doctor.unexplained import explains_refusal

# Faults by which a server that looks again refuses somebody whom it has let in before.
_AFTERWARDS = ("certificate_revoked", "certificate_expired", "intermediate_expired")
_GOOD = re.compile(r"2\d\d|404")


@dataclass(frozen=True, slots=True)
class Resumption:
    """What came of offering a session: `earlier` says that it was made before this examination."""

    seen: Attempt
    earlier: bool

    @property
    def let_in(self) -> bool:
        """Whether the session was taken and the server then served who offered it."""
        seen = self.seen
        return seen.resumed and seen.let_in and (seen.status is None or bool(_GOOD.match(str(seen.status))))


def resumption(
    target: Target, credential: Credential | None, known: Attempt, earlier: bytes | None
) -> Resumption | None:
    """Come again with the session of a connection that was let in, or with one that was kept from before.

    The identity is offered beside it, as every client does: a server that does not take the session judges it anew.
    """
    session = earlier or (known.session if known.let_in else None)
    if session is None:
        return None
    seen = attempt(target, credential=credential, version=known.facts.version, session=session)
    return Resumption(seen, earlier is not None) if seen.unreachable is None else None


def skipped(
    known: Attempt, resumed: Resumption | None, offline: list[Finding], target: Target
) -> Iterator[Finding]:
    """A session that is let in where the identity is refused, or would be by today's files."""
    if resumed is None or not resumed.let_in:
        return
    evidence: dict[str, object] = {
        "expected": "a resumed session is judged like a new one",
        "resumed": f"let in, in {known.facts.version}",
    }
    if not known.let_in and resumed.earlier:
        yield found(
            "resumption_skips_check",
            "error",
            "server",
            f"{target} refuses this identity in a full handshake, and lets in a session that was made with it before: "
            "resumption skips the check",
            _REMEDY,
            evidence | {"full_handshake": f"refused ({known.alert or known.status or known.ending})"},
        )
        return
    today = next((one for one in offline if one.severity == "error" and _refuses(one)), None)
    if known.let_in and today is not None:
        yield found(
            "resumption_skips_check",
            "warning",
            "server",
            f"by today's files {target} has to refuse this identity ({today.code}), and lets it in, with a full handshake "
            "and with a resumed session: it works with older files, or does not look at them",
            f"reload the server, and have it use its revocation list; then keep resumption from skipping it: {_REMEDY}",
            evidence | {"full_handshake": "let in", "files": today.summary},
            also=(today.code, "not_reloaded"),
            likelihood=0.1,
        )


def _refuses(one: Finding) -> bool:
    return one.code in _AFTERWARDS and one.blame == "client" and explains_refusal(one)


_REMEDY = (
    "switch tickets off (nginx: ssl_session_tickets off and ssl_session_cache off; Python: context.num_tickets = 0, or a "
    "new context at each change; Node: a new server), or change the ticket keys whenever trust or lists change"
)
