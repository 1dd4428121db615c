"""A refusal as a record: whom we turned away, in which step, for which reason, and what would help."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509

from twoway.credential import display_name, fingerprint_of, names_of, without_root
from twoway.errors import TwowayError
from twoway.steps import Step
from twoway.tls.alerts import name_of
from twoway.tls.faults import HandshakeFailed
from twoway.trust.reading import first_line

if TYPE_CHECKING:
    from twoway.tls.session import Session


@dataclass(frozen=True, slots=True)
class Refusal:
    """One connection that did not come to be, told once; frozen.

    `presented` is the chain as far as it links up from the leaf, without the root. Certificates are public; nothing secret
    of either side is in here.
    """

    id: str
    at: datetime
    by: str
    address: str | None
    server_name: str | None
    step: Step
    code: str
    reason: str
    remedy: str
    alert: str | None
    presented: tuple[dict[str, object], ...]
    evidence: dict[str, object]

    @classmethod
    def of(cls, fault: BaseException, session: Session, *, now: datetime | None = None) -> Refusal:
        """Tell why `session` failed. An error of our own making is told as what it is."""
        known = isinstance(fault, TwowayError)
        return cls(
            id=secrets.token_hex(6),
            at=now or datetime.now(UTC),
            by="peer" if known and fault.code.startswith("refused_") else "us",  # type: ignore[attr-defined]
            address=session.address,
            server_name=session.server_name or session.asked_so_far(),
            step=(fault.step if isinstance(fault, TwowayError) else None) or session.step,
            code=fault.code if isinstance(fault, TwowayError) else "internal_error",
            reason=str(fault) if known else f"{type(fault).__name__}: {fault}",
            remedy=fault.remedy
            if isinstance(fault, TwowayError)
            else "this is a fault of twoway: please report it",
            alert=_alert_sent(fault, session),
            presented=tuple(_told(certificate) for certificate in _shown(session.presented)),
            evidence=fault.evidence if isinstance(fault, TwowayError) else {},
        )

    def as_dict(self) -> dict[str, object]:
        """The record, ready for JSON; times are RFC 3339 in UTC."""
        return {
            "event": "refused",
            "id": self.id,
            "at": self.at.isoformat(timespec="milliseconds"),
            "by": self.by,
            "address": self.address,
            "server_name": self.server_name,
            "step": int(self.step),
            "step_title": self.step.title,
            "code": self.code,
            "reason": self.reason,
            "remedy": self.remedy,
            "alert": self.alert,
            "presented": list(self.presented),
            "evidence": self.evidence,
        }

    def as_line(self) -> str:
        """The record as one line of JSON: control characters from certificates are escaped."""
        return json.dumps(self.as_dict(), ensure_ascii=True, default=str)


def _shown(chain: Sequence[x509.Certificate]) -> Sequence[x509.Certificate]:
    try:
        return without_root(tuple(chain))
    except Exception:  # noqa: BLE001 - as below
        return chain


def _told(certificate: x509.Certificate) -> dict[str, object]:
    """A stranger's certificate as facts. The library decodes late: what cannot be read must not stop the refusal."""
    fingerprint = fingerprint_of(certificate)
    try:
        return {
            "subject": display_name(certificate.subject),
            "issuer": display_name(certificate.issuer),
            "serial": f"{certificate.serial_number:x}",
            "not_before": certificate.not_valid_before_utc.isoformat(),
            "not_after": certificate.not_valid_after_utc.isoformat(),
            "names": names_of(certificate).as_dict(),
            "fingerprint": fingerprint,
        }
    except Exception as error:  # noqa: BLE001 - the parser raises many kinds; all mean the same here
        return {"subject": "(unreadable)", "unreadable": first_line(error), "fingerprint": fingerprint}


def _alert_sent(fault: BaseException, session: Session) -> str | None:
    if session.alert_sent is not None:
        return name_of(session.alert_sent)
    return fault.alert if isinstance(fault, HandshakeFailed) else None
