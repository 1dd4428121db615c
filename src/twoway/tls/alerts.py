"""TLS alerts: their numbers, their names, and what each can mean when it comes back to us.

One alert has many causes, so `meanings` is a list, the likeliest first, and never a verdict.
"""

from __future__ import annotations

from twoway.errors import PeerRefused
from twoway.steps import Step
from twoway.wire.tables import ALERTS as NAMES

NUMBERS = {name: number for number, name in NAMES.items()}

_GOT_NONE = "it requires a client certificate and got none"
_MEANINGS = {
    "certificate_required": (_GOT_NONE,),
    "handshake_failure": (
        "no protocol version, cipher suite or signature algorithm in common",
        "in TLS 1.2: it requires a client certificate and got none",
    ),
    "unknown_ca": (
        "it does not trust the authority that issued the certificate",
        "an intermediate certificate is missing from the chain that was sent",
        "it requires a revocation list that it does not have",
    ),
    "certificate_expired": (
        "the certificate, or one of its chain, has expired by the other side's clock",
        "a revocation list on the other side has expired",
    ),
    "certificate_revoked": ("the certificate, or one of its chain, is revoked",),
    "bad_certificate": (
        "the certificate is not valid yet by the other side's clock",
        "the certificate does not carry the name that was asked for",
        "the certificate is malformed, or its key or signature is too weak",
        "it does not trust the authority that issued the certificate (GnuTLS says it so)",
    ),
    "unsupported_certificate": (
        "the certificate is not for this purpose (extended key usage)",
        "its key type is not accepted",
    ),
    "certificate_unknown": (
        "the other side's policy does not let this identity in",
        "it could not check the certificate's revocation",
        "the certificate breaks a rule that has no alert of its own",
        "it does not trust the authority that issued the certificate (Java says it so)",
    ),
    "access_denied": ("the certificate is good, and the policy does not let this identity in",),
    "decrypt_error": ("the certificate's signature, or the proof of its key, does not verify",),
    "protocol_version": ("no TLS version in common",),
    "insufficient_security": ("the other side demands stronger algorithms",),
    "unrecognized_name": ("the other side serves nothing under this server name",),
    "no_application_protocol": ("no application protocol (ALPN) in common",),
    "internal_error": ("the other side failed by itself; its log says why",),
}
_ABOUT_OUR_CERTIFICATE = frozenset(
    {
        "unknown_ca",
        "certificate_expired",
        "certificate_revoked",
        "bad_certificate",
        "unsupported_certificate",
        "certificate_unknown",
        "access_denied",
        "decrypt_error",
    }
)
# What servers say to a client without a certificate, apart from what Java says: bad_certificate.
# RFC 8446 §4.4.2.4 has the first, TLS 1.2 the second; GnuTLS says the third in TLS 1.2.
_TO_NOBODY = frozenset({"certificate_required", "handshake_failure", "decode_error"})


def name_of(number: int) -> str:
    """The registered name of an alert, or `alert 77` for one without."""
    return NAMES.get(number, f"alert {number}")


def meanings_of(name: str) -> tuple[str, ...]:
    """What this alert can mean, the likeliest first; never empty."""
    return _MEANINGS.get(name, ("the other side saw a protocol error",))


class AlertReceived(PeerRefused):
    """The other side ended the connection with a fatal alert.

    `presented` is what we showed it (a short description of our certificate, or None); `accepted` are
    the authorities it said it accepts, empty when it named none.
    """

    spec = "RFC 8446 §6.2"
    step: Step

    def __init__(
        self,
        alert: str,
        step: Step,
        role: str,
        presented: str | None,
        accepted: tuple[str, ...] = (),
        target: str | None = None,
    ) -> None:
        super().__init__(alert, step, role, presented, accepted, target)
        self.alert, self.step, self.role = alert, step, role
        self.presented, self.accepted, self.target = presented, accepted, target

    @property
    def code(self) -> str:  # type: ignore[override]
        return f"refused_{self.alert.replace(' ', '_')}"

    @property
    def meanings(self) -> tuple[str, ...]:
        """What it can mean, given what we presented."""
        found = meanings_of(self.alert)
        if self._got_none:
            # Nothing can be wrong with a certificate that was not shown.
            others = () if self.alert in _ABOUT_OUR_CERTIFICATE else found
            return (_GOT_NONE, *(one for one in others if not one.endswith(_GOT_NONE)))
        return found

    @property
    def _got_none(self) -> bool:
        """Whether this is how a server says that it wanted a certificate and was shown none."""
        shown_none = self.role == "client" and self.step is Step.SERVER_CHECKS and self.presented is None
        return shown_none and (self.alert in _ABOUT_OUR_CERTIFICATE or self.alert in _TO_NOBODY)

    def __str__(self) -> str:
        who = {"client": "the server", "server": "the client"}[self.role]
        where = f" {self.target}" if self.target else ""
        return (
            f"{who}{where} refused us with the TLS alert {self.alert} "
            f"in step {self.step.value} ({self.step.title}): {self.meanings[0]}"
        )

    @property
    def remedy(self) -> str:
        if self._got_none:
            wanted = f" issued by {' or '.join(self.accepted)}" if self.accepted else ""
            return f"present a client certificate{wanted}: pass --identity DIR (or identity= in code)"
        if self.alert in _ABOUT_OUR_CERTIFICATE and self.presented is not None:
            return f"{self._about_ours()}; the other side's log has the exact reason"
        return "the other side's log has the exact reason"

    def _about_ours(self) -> str:
        wanted = (
            f" issued by {' or '.join(self.accepted)}" if self.accepted else " that the other side trusts"
        )
        if self.alert == "unknown_ca":
            return f"we presented {self.presented}: present an identity{wanted}, with its intermediates (cert.pem)"
        if self.alert in ("certificate_expired", "certificate_revoked"):
            return f"we presented {self.presented}: have it renewed or issued anew"
        if self.alert in ("certificate_unknown", "access_denied"):
            return f"we presented {self.presented}: have it allowed there (their `twoway policy test` tells)"
        return f"we presented {self.presented}: check its purpose, its names and its dates"

    @property
    def evidence(self) -> dict[str, object]:
        return {
            "alert": self.alert,
            "step": int(self.step),
            "role": self.role,
            "presented": self.presented,
            "accepted_authorities": list(self.accepted),
            "can_mean": list(self.meanings),
        }
