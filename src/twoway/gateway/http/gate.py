"""Whether one request may pass: the right host, and a yes of the policy that is in force now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twoway.gateway.http.faults import AmbiguousPath, Misdirected, Overridden, RequestDenied
from twoway.gateway.http.heads import RequestHead, hostname
from twoway.names import problem_of
from twoway.steps import Step
from twoway.tls.generation import ServerGeneration
from twoway.trust import Policy
from twoway.trust.rules import facts_of

if TYPE_CHECKING:
    from twoway.gateway.frontend import Frontend
    from twoway.tls import Session

_MOST_REMEMBERED = 256


class Gate:
    """The judge of one connection's requests.

    What was allowed once is remembered for as long as the generation lasts; a new generation judges the peer
    and the request anew.
    """

    __slots__ = ("_allowed", "_facts", "_frontend", "_host", "_live", "_policy", "_session")

    def __init__(self, frontend: Frontend, session: Session) -> None:
        self._frontend, self._session = frontend, session
        self._live: ServerGeneration | None = None
        self._policy: Policy | None = None
        self._host = b""
        self._facts: dict[str, tuple[str, ...]] | None = None
        self._allowed: set[tuple[bytes, bytes | None]] = set()

    def check(self, request: RequestHead) -> None:
        """Raises Misdirected, AmbiguousPath, Overridden, RequestDenied, or what speaks against the peer by now."""
        live = self._frontend.generation()
        if live is not self._live:
            self._take(live)
        if request.host != self._host:
            self._check_host(request.host, live)
        policy, shadow = self._policy, self._frontend.material.shadow
        judging = policy if policy is not None and policy.judges_requests else None
        if shadow is None and judging is None:
            return
        if request.override and judging is not None:
            raise Overridden(request.override.decode("ascii"))
        key = request.method, request.path
        if key in self._allowed:
            return
        if judging is not None:
            self._decide(judging, *key)
        if shadow is not None:
            self._ask_shadow(shadow, *key)
        elif len(self._allowed) < _MOST_REMEMBERED:
            self._allowed.add(key)

    def _take(self, live: ServerGeneration) -> None:
        session = self._session
        context = live.context_for(session.server_name)
        if session.context is not context:
            objection = context.objection(session.peer)
            if objection is not None:
                objection.step = Step.TALK
                raise objection
        self._live, self._policy, self._host = live, context.settings.policy, b""
        self._allowed.clear()

    def _check_host(self, host: bytes, live: ServerGeneration) -> None:
        """RFC 9110 §7.4: the server name that was judged in the handshake is the one that is asked.

        Without a server name the rules for all others have judged: they must be the ones for this host too.
        """
        name = hostname(host)
        asked = self._session.server_name
        if asked is None:
            if live.context_for(name) is not live.default:
                raise Misdirected(name, None)
        elif name != asked.lower().removesuffix("."):
            raise Misdirected(name, asked)
        self._host = host

    def _decide(self, policy: Policy, method: bytes, path: bytes | None) -> None:
        peer = self._session.peer
        told = path.decode("ascii") if path is not None else None
        if told is not None and policy.judges_paths:
            problem = problem_of("path", told)
            if problem is not None:
                raise AmbiguousPath(told, problem)
        decision = policy.decide_request(self._facts_of_peer(), method.decode("ascii"), told)
        if not decision.allowed:
            who = peer.describe() if peer is not None else "nobody proven"
            raise RequestDenied(who, method.decode("ascii"), told, decision)

    def _ask_shadow(self, shadow: Policy, method: bytes, path: bytes | None) -> None:
        """What another policy would say: told, and without consequence."""
        facts = self._facts_of_peer()
        if facts is None and not shadow.judges_requests:
            return
        decision = shadow.decide_request(
            facts, method.decode("ascii"), path.decode("ascii") if path is not None else None
        )
        self._frontend.shadow_decided(self._session, decision)

    def _facts_of_peer(self) -> dict[str, tuple[str, ...]] | None:
        peer = self._session.peer
        if self._facts is None and peer is not None:
            self._facts = facts_of(peer)
        return self._facts
