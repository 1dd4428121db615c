"""A server examined over the network: where it dies, what it asks, whom it lets in; then all files are judged."""

from __future__ import annotations

from dataclasses import dataclass, replace

from twoway.credential import Credential, describe
from twoway.doctor import codes_of_files
from twoway.doctor.between import answers_for_another
from twoway.doctor.codes import found
from twoway.doctor.files import examine, examine_pair, own_faults, verdict_of
from twoway.doctor.finding import Finding, Report
from twoway.doctor.material import Material
from twoway.doctor.observing import Attempt, Target, attempt
from twoway.doctor.order import climbed, leaf_first
from twoway.doctor.reaching import reached
from twoway.doctor.refusing import refused, telling
from twoway.doctor.resuming import Resumption, resumption, skipped
from twoway.doctor.weighing import weighed
from twoway.errors import TwowayError
from twoway.explainer.live import public_authorities
from twoway.trust import verify

_OF_FILES = frozenset(row[0] for row in codes_of_files.ROWS)


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of a server: without a certificate, in each version, and with the identity where there is one."""

    target: Target
    anonymous: Attempt
    anonymous12: Attempt | None
    known: Attempt | None
    known12: Attempt | None
    later: Attempt | None = None  # one that offers to be asked after the handshake
    unnamed: Attempt | None = None  # one without a server name, where the named one was not asked
    resumed: Resumption | None = None  # one that offers a session
    underneath: str | None = None  # what a server that hangs up on a ClientHello understands instead

    @property
    def asks_elsewhere(self) -> bool:
        """Whether the same address asks for a certificate when no server name is sent: another virtual host."""
        return self.unnamed is not None and self.unnamed.asked

    @property
    def asks_later(self) -> bool:
        """Whether the server asks for the certificate only after the handshake."""
        if self.later is not None and self.later.asked_later:
            return True  # what it does in TLS 1.2, where it may ask at once, helps nobody who speaks 1.3
        return self.asking is None and any(one.asked_later for one in self.all)

    @property
    def session(self) -> bytes | None:
        """A session with the identity that was let in: a secret, to be offered in a later examination."""
        known = self.known
        return known.session if known is not None and known.let_in and known.asked else None

    @property
    def all(self) -> tuple[Attempt, ...]:
        found = (self.anonymous, self.anonymous12, self.known, self.known12)
        return tuple(one for one in found if one is not None)

    @property
    def asking(self) -> Attempt | None:
        """The first attempt in which the server asked for a certificate."""
        return next((one for one in self.all if one.asked), None)

    @property
    def showing(self) -> Attempt | None:
        """The first attempt in which the server showed its chain."""
        return next((one for one in self.all if one.presented), None)


def examine_server(
    target: Target, client: Material, server: Material | None = None, *, session: bytes | None = None
) -> Report:
    """Probe `target` as nobody and as `client`, then judge everything that is known; never raises.

    Nothing is believed and nothing secret is sent; at most one GET request goes out on a connection. `session` is one
    that `Observed.session` gave earlier: it is offered, to see whether it still opens the door.
    """
    return judged(observe(target, client, session=session), client, server)


def judged(observed: Observed, client: Material, server: Material | None = None) -> Report:
    """What was observed of a server, judged together with everything that is known of both sides; never raises."""
    target = observed.target
    findings = list(reached(observed.anonymous, target, observed.underneath))
    if findings and not observed.anonymous.answered:
        return Report.of(str(target), "broken", _behind(findings, server))
    client = _enriched(client, observed)
    if server is not None:
        server = server.but(now=server.now or client.other_now)
    if server is not None and _shows_another(observed, server):
        observed = replace(observed, unnamed=observed.unnamed or attempt(target, server_name=None))
    about = answers_for_another(observed, client, server)
    offline = examine_pair(client, _as_shown(observed, server)) if server is not None else examine(client)
    offline += _without_anchors(client)
    findings += refused(observed, client, offline, server)
    if (known := telling(observed)) is not None:
        findings += skipped(known, observed.resumed, offline, target)
    findings = weighed(observed, findings + about, offline)
    return Report.of(str(target), verdict_of(findings), findings)


def _behind(findings: list[Finding], server: Material | None) -> list[Finding]:
    """Where nobody answers: what keeps a server from starting with the files that it has, if anything does."""
    if server is None:
        return findings
    kept_from = [one for one in own_faults(server) if one.severity == "error" and one.code in _OF_FILES]
    if not kept_from:
        return findings
    return [*kept_from, *(replace(one, severity="warning") for one in findings)]


def _shows_another(observed: Observed, server: Material) -> bool:
    seen = observed.showing
    return seen is not None and bool(server.chain) and not set(seen.presented) & set(server.chain[:1])


def _as_shown(observed: Observed, server: Material) -> Material:
    """The server as the client meets it: what is judged is what was shown, where the files have something else."""
    seen = observed.showing
    if seen is None or not _shows_another(observed, server):
        return server
    if leaf_first(server.chain, server.key)[0] == leaf_first(seen.presented)[0]:
        return server
    return server.but(
        chain=seen.presented, key=None, places=replace(server.places, chain="the chain that it presents")
    )


def observe(target: Target, client: Material, *, session: bytes | None = None) -> Observed:
    """The connections that tell the most, in the order in which each makes sense."""
    anonymous = attempt(target)
    if anonymous.unreachable is not None or anonymous.foreign is not None:
        return Observed(target, anonymous, None, None, None)
    if not anonymous.answered:
        return Observed(target, anonymous, None, None, None, underneath=_underneath(target))
    anonymous12 = attempt(target, version="TLSv1.2") if anonymous.facts.version != "TLSv1.2" else None
    credential = _credential(client)
    known = known12 = None
    if credential is not None:
        known = attempt(target, credential=credential)
        if anonymous12 is not None and anonymous12.facts.answer is not None:
            known12 = attempt(target, credential=credential, version="TLSv1.2")
    tried = [one for one in (anonymous, known) if one is not None]
    later = unnamed = None
    if all(one.let_in and not one.asked for one in tried) and anonymous.facts.version == "TLSv1.3":
        later = attempt(target, credential=credential, version="TLSv1.3", post_handshake=True)
    if all(one.let_in and not one.asked for one in tried):
        unnamed = attempt(target, server_name=None)
    again = resumption(target, credential, known, session) if known is not None and known.asked else None
    return Observed(target, anonymous, anonymous12, known, known12, later, unnamed, again)


# PROXY protocol 1 (HAProxy's specification), for an address of documentation; PostgreSQL's SSLRequest.
_PROXY_HEADER = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"
_SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
_IMPATIENT = 3.0


def _underneath(target: Target) -> str | None:
    """What a server that says nothing to a ClientHello understands, of what is common and harmless to try."""
    hasty = replace(target, timeout=min(target.timeout, _IMPATIENT))
    if attempt(hasty, preface=_PROXY_HEADER).facts.answer is not None:
        return "PROXY"
    said = attempt(hasty, preface=_SSL_REQUEST).foreign
    return "PostgreSQL" if said is not None and said[:1] in (b"S", b"N") else None


def _without_anchors(client: Material) -> list[Finding]:
    """A client that trusts nobody of its own believes whom its system believes, which rarely fits."""
    if client.anchors is not None or not client.chain or not client.presented:
        return []
    try:
        verify(client.presented, public_authorities(), purpose="server", now=client.clock)
    except TwowayError:
        return [
            found(
                "no_anchors",
                "error",
                "client",
                "no authority was given for the client to believe, and the server's is none of the system's",
                "put the server's authority into ca.pem beside the identity, or pass --ca FILE",
                {"server": [describe(one) for one in client.presented]},
            )
        ]
    return []


def _credential(client: Material) -> Credential | None:
    """The identity as far as it can be shown: its leaf, and what of its chain leads upwards."""
    if client.key is None or not client.chain:
        return None
    try:
        return Credential(client.key, tuple(climbed(leaf_first(client.chain, client.key))))
    except TwowayError:
        return None  # what is wrong with it is told by the files


def _enriched(client: Material, observed: Observed) -> Material:
    asking, showing = observed.asking, observed.showing
    dated = next((one.date for one in observed.all if one.date is not None), None)
    return client.but(
        presented=showing.presented if showing is not None else (),
        request=asking.facts.request if asking is not None else None,
        hostname=client.hostname or observed.target.name,
        other_now=client.other_now or dated,
    )


__all__ = ["Finding", "Observed", "examine_server", "judged", "observe"]
