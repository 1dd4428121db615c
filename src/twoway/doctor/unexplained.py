"""A refusal that the client's files do not explain: what its alert, or its silence, can mean beside all that is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from twoway.doctor.codes import CODES, found
from twoway.doctor.finding import Blame, Finding
from twoway.doctor.material import Material
from twoway.doctor.observing import Attempt
from twoway.doctor.telling import accepted_names, issuers_shown, shown
from twoway.tls.alerts import meanings_of

ON_THE_SERVER = (
    "this cannot be told from here: run on the server: "
    "twoway doctor --files --server-identity DIR --server-trust FILE --identity DIR"
)
RELOAD = (
    "by the files that were given it would be let in: check that the server's configuration names these files, and "
    "reload it; its log has the exact reason"
)
# What an alert about a certificate can mean when nothing is wrong with that certificate's own files.
_BEHIND: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "unknown_ca": (
        "unknown_authority",
        "the server does not find a way from this certificate to an authority that it trusts",
        ("rekeyed_authority", "missing_intermediate", "crl_missing", "wrong_authority_in_trust"),
    ),
    "certificate_expired": (
        "crl_stale",
        "the certificates are in date by this clock: a revocation list on the server may have expired, or its clock is wrong",
        ("clock_skew", "certificate_expired", "anchor_expired", "anchor_not_yet_valid"),
    ),
    "certificate_revoked": ("certificate_revoked", "the server's revocation list names it", ()),
    "bad_certificate": (
        "refused_unspecific",
        "several faults are told with this alert",
        (
            "unknown_authority",
            "certificate_not_yet_valid",
            "crl_not_yet_valid",
            "weak_algorithm",
            "not_strict",
        ),
    ),
    "unsupported_certificate": (
        "wrong_purpose",
        "the server does not accept it for client authentication",
        ("key_usage_unfit", "key_type_not_accepted", "intermediate_wrong_purpose"),
    ),
    "certificate_unknown": (
        "not_allowed",
        "it is likely trusted and not allowed in: a policy, or a rule without an alert of its own",
        ("peer_denied", "not_strict", "unknown_authority", "revocation_unknown", "crl_missing"),
    ),
    "access_denied": (
        "not_allowed",
        "the certificate is good, and the server's policy does not let it in",
        (),
    ),
    "decrypt_error": (
        "key_mismatch",
        "the proof of the key did not verify",
        ("bad_signature", "crl_bad_signature", "weak_algorithm"),
    ),
    "internal_error": ("server_misconfigured", "the server failed by itself", ()),
}
# Doubts about files, and the alerts by which a refusal confirms them; None stands for a refusal without an alert.
_CONFIRMED: dict[str, tuple[str | None, ...]] = {
    "intermediate_as_anchor": ("unknown_ca", None),
    "rekeyed_authority": ("unknown_ca", None),
    "wrong_purpose": ("unsupported_certificate", None),
    "not_strict": ("certificate_unknown", "bad_certificate", "unsupported_certificate"),
}

_OF_ITS_TRUST = frozenset(
    {
        "anchor_expired",
        "anchor_not_authority",
        "anchor_not_yet_valid",
        "no_anchors",
        "own_leaf_in_trust",
        "rekeyed_authority",
        "unknown_authority",
        "wrong_authority_in_trust",
    }
)
_OF_EITHER = ("not_strict", "rekeyed_authority")  # an anchor's fault is the judge's, and refuses all the same


def explains_refusal(one: Finding, sees_server: bool = False) -> bool:
    """Whether a fault of the files can be why the server refuses the client.

    That is one of what the client presents and, where the server's files are seen, one of whom it trusts.
    """
    row = CODES.get(one.code)
    if one.blame in ("client", "config"):
        return row is None or row.blame not in ("judge", "server")
    return (
        sees_server and one.blame == "server" and (one.code in _OF_ITS_TRUST or one.code.startswith("crl_"))
    )


def confirmed(seen: Attempt, offline: list[Finding]) -> Finding | None:
    """The doubt of the files that this refusal turns into the cause, if there is one."""
    for one in offline:
        if one.severity != "warning" or seen.alert not in _CONFIRMED.get(one.code, ()):
            continue
        # The server refuses by its own trust, and by what the client presents.
        ours = one.blame != "server"
        if ours is (one.code != "intermediate_as_anchor") or one.code in _OF_EITHER:
            return replace(one, severity="error", likelihood=0.9)
    return None


def unexplained(seen: Attempt, server: Material | None) -> Iterator[Finding]:
    """Refused, and nothing is wrong with the files that are seen: join the alert, the step and the request."""
    if seen.alert is None:
        yield _silent(seen, server)
        return
    code, meaning, also = _BEHIND.get(seen.alert, ("refused_unspecific", meanings_of(seen.alert)[0], ()))
    if server is not None and server.anchors is not None:
        code, meaning, also = _by_elimination(code, meaning, also, server)
    elif code == "unknown_authority" and _named(seen):
        code, meaning, also = _NAMESAKE
    blame: Blame = (
        "client" if code in ("unknown_authority", "certificate_revoked", "key_mismatch") else "server"
    )
    yield found(
        code,
        "error",
        "config" if code == "not_allowed" else blame,
        f"the server refuses this certificate with the alert {seen.alert}: {meaning}",
        _remedy(code, server),
        {"alert": seen.alert, "accepted": accepted_names(seen), "presented": shown(seen)},
        also=also,
        likelihood=0.5,
    )


# The server names this very authority as accepted, and finds no way to it.
_NAMESAKE = (
    "rekeyed_authority",
    "it accepts an authority of this name, so it likely has an older or newer one of the same name with another key",
    ("crl_missing", "unknown_authority", "missing_intermediate"),
)


def _named(seen: Attempt) -> bool:
    """Whether the server's request names an authority of the chain that was shown."""
    request = seen.facts.request
    if request is None:
        return False
    names = set(request.authorities)
    return any(issuer in names for issuer in issuers_shown(seen))


def _by_elimination(
    code: str, meaning: str, also: tuple[str, ...], server: Material
) -> tuple[str, str, tuple[str, ...]]:
    """What the server's files rule out is not said; that it runs with other files is always possible."""
    if code == "unknown_authority":
        if server.crls:
            return (
                "not_reloaded",
                "its trust file has this authority, and it may run with an older one",
                also[2:3],
            )
        return (
            "crl_missing",
            "its trust file has this authority, so it may demand a revocation list, and none is among its files",
            ("not_reloaded",),
        )
    if code == "crl_stale" and not server.crls:
        return (
            "clock_skew",
            "everything is in date by this clock, so the server's may be ahead",
            ("not_reloaded",),
        )
    return code, meaning, (*also, "not_reloaded")


def _remedy(code: str, server: Material | None) -> str:
    if code == "not_allowed":
        return "allow this identity in the server's policy, or present another one"
    if code == "certificate_revoked":
        return "have it issued anew, and find out why it was revoked"
    if code == "crl_missing" and server is not None:
        return "give the server the current list of every authority of the chain (nginx: ssl_crl), or demand none"
    if code == "clock_skew":
        return "compare the clocks: run `date -u` on both; chronyc tracking, timedatectl"
    if server is not None:
        return RELOAD
    return f"compare with the server's trust and revocation lists; {ON_THE_SERVER}"


def _silent(seen: Attempt, server: Material | None) -> Finding:
    where, more = (
        (RELOAD, ("not_reloaded",)) if server is not None and server.anchors else (ON_THE_SERVER, ())
    )
    if seen.refused_at_http:
        return found(
            "refused_at_http",
            "error",
            "client",
            f"TLS succeeds, and the server answers HTTP {seen.status} for the certificate{_although(seen)}",
            f"the server's error log has the exact reason (nginx: 'client SSL certificate verify error'); {where}",
            {"http_status": seen.status, "accepted": accepted_names(seen), "presented": shown(seen)},
            also=(*_possible(seen), *more),
        )
    return found(
        "closed_silently",
        "error",
        "client",
        "the server finishes the handshake and closes without a word: Node and others refuse a certificate so"
        + _although(seen),
        where,
        {"ending": seen.ending, "accepted": accepted_names(seen), "presented": shown(seen)},
        also=(*_possible(seen), "middlebox", *more),
    )


def _although(seen: Attempt) -> str:
    return ", although it accepts an authority of that name" if _named(seen) else ""


def _possible(seen: Attempt) -> tuple[str, ...]:
    if _named(seen):
        return "rekeyed_authority", "certificate_revoked", "crl_missing", "crl_stale"
    return "unknown_authority", "certificate_revoked", "crl_missing", "missing_intermediate"
