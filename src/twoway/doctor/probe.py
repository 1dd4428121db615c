"""A server examined over the network: where it dies, what it asks, whom it lets in; then all files are judged."""

from __future__ import annotations

from dataclasses import dataclass

from twoway.credential import Credential, describe
from twoway.doctor.codes import found
from twoway.doctor.files import examine, examine_pair, verdict_of
from twoway.doctor.finding import Finding, Report
from twoway.doctor.material import Material
from twoway.doctor.observing import Attempt, Target, attempt
from twoway.doctor.reaching import reached
from twoway.doctor.refusing import refused
from twoway.doctor.weighing import weighed
from twoway.errors import TwowayError
from twoway.explainer.live import public_authorities
from twoway.trust import verify


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

    @property
    def asks_elsewhere(self) -> bool:
        """Whether the same address asks for a certificate when no server name is sent: another virtual host."""
        return self.unnamed is not None and self.unnamed.asked

    @property
    def asks_later(self) -> bool:
        """Whether the server asks for the certificate only after the handshake (RFC 8446 §4.6.2)."""
        return self.later is not None and self.later.asked

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


def examine_server(target: Target, client: Material, server: Material | None = None) -> Report:
    """Probe `target` as nobody and as `client`, then judge everything that is known; never raises.

    Nothing is believed and nothing secret is sent; at most one GET request goes out on a connection.
    """
    observed = observe(target, client)
    findings = list(reached(observed.anonymous, target))
    if findings and not observed.anonymous.answered:
        return Report.of(str(target), "broken", findings)
    client = _enriched(client, observed)
    offline = examine_pair(client, server) if server is not None else examine(client)
    offline += _without_anchors(client)
    findings += refused(observed, client, offline, sees_server=server is not None)
    findings = weighed(observed, findings, offline)
    return Report.of(str(target), verdict_of(findings), findings)


def observe(target: Target, client: Material) -> Observed:
    """The connections that tell the most, in the order in which each makes sense."""
    anonymous = attempt(target)
    if anonymous.unreachable is not None or anonymous.foreign is not None:
        return Observed(target, anonymous, None, None, None)
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
    return Observed(target, anonymous, anonymous12, known, known12, later, unnamed)


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
    if client.key is None or not client.chain:
        return None
    try:
        return Credential(client.key, client.chain)
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


__all__ = ["Finding", "Observed", "examine_server", "observe"]
