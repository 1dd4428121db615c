"""A listener of the gateway: accepts, keeps the limits, knows every connection, and lives through reloads."""

from __future__ import annotations

import itertools
import socket
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from twoway.errors import TwowayError
from twoway.gateway.attempt import Way
from twoway.gateway.backend import Backend, Target
from twoway.gateway.connection import Connection, too_many
from twoway.gateway.door import BACK_OFF, Door
from twoway.gateway.faults import OutlivedLimit
from twoway.gateway.http.conversation import Conversation
from twoway.gateway.http.service import HttpService
from twoway.gateway.loop import Loop
from twoway.gateway.material import Material
from twoway.gateway.options import ListenerOptions
from twoway.gateway.pool import Pool
from twoway.gateway.rates import Rates
from twoway.gateway.recorded import RecordedSession
from twoway.gateway.tally import Tally
from twoway.server.journal import Journal
from twoway.steps import Step
from twoway.tls import ClientContext, Refusal, Session
from twoway.tls.context import ServerContext
from twoway.tls.faults import TicketElsewhere, Truncated
from twoway.tls.generation import ServerGeneration
from twoway.tls.socketed import SocketSession
from twoway.trust import Decision, Peer

SWEEP_SECONDS = 0.25
_SLOW_SWEEP = 5.0
_HTTP_SWEEP = 0.5


class Frontend:
    """One listener at work, on one loop."""

    def __init__(
        self,
        options: ListenerOptions,
        material: Material,
        sockets: Sequence[socket.socket],
        loop: Loop,
        journal: Journal,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self.options, self.material, self.loop, self.journal = options, material, loop, journal
        self.door = Door(sockets, loop, self._took, self._out_of_descriptors)
        self.tally = Tally()
        self.pool = Pool(loop) if options.asks else None
        for checks in material.checks:
            checks.told = self._revocation_told
        way = Way(options, self.client_context, lambda: material.via, self.pool)
        through = material.via.address if material.via is not None else None
        targets = tuple(Target(address, through) for address in options.targets)
        self.backend = Backend(targets, way, loop, self._target_told)
        self.http = HttpService(self) if options.http else None
        self.connections: set[Connection] = set()
        self._numbers = numbers or itertools.count(1)
        bounds = options.bounds
        self._rates = Rates(bounds.handshakes_per_second) if bounds.handshakes_per_second else None
        self._of_peer: Counter[str] = Counter()
        self._waiting: deque[tuple[float, Connection, str]] = deque()
        self._draining: deque[tuple[float, Connection, str]] = deque()
        self._told_full = 0.0
        self._next_slow = 0.0

    @property
    def name(self) -> str:
        """What logs and metrics call this listener."""
        return self.options.name or str(self.options.listen)

    # -- accepting -----------------------------------------------------------------------------------

    @property
    def sock(self) -> socket.socket:
        """The listening socket, or one of several on the same address."""
        return self.door.sockets[0]

    def start(self, covered: Iterable[int] | None = None) -> None:
        """Listen from now on, on the sockets with these numbers, or on all."""
        self.door.open(covered)
        self.loop.later(SWEEP_SECONDS, self._sweep)
        if self.options.bounds.health_seconds:
            self.backend.watch(self.options.bounds.health_seconds)

    def stop(self) -> None:
        """Take nobody new; what runs goes on."""
        self.door.close()

    def _took(self, sock: socket.socket, address: object) -> None:
        self.tally.accepted += 1
        bounds = self.options.bounds
        if len(self.connections) >= bounds.connections:
            self._turn_away(sock, "too_many_connections")
            return
        rates = self._rates
        if rates is not None and isinstance(address, tuple) and not rates.take(address[0], self.loop.now):
            self._turn_away(sock, "too_many_handshakes")
            return
        connection = Connection(self, sock, address, next(self._numbers))
        self.connections.add(connection)
        connection.begin()
        if connection.stage not in ("open", "ended"):
            limit = bounds.handshake_seconds if self.options.tls_in else bounds.connect_seconds
            self._waiting.append((self.loop.now + limit, connection, ""))

    def _out_of_descriptors(self, error: OSError) -> None:
        self.tally.turned_away["no_descriptors"] += 1
        self._tell_full(f"accepts nobody for {BACK_OFF} s: {error.strerror}")

    def _turn_away(self, sock: socket.socket, why: str) -> None:
        self.tally.turned_away[why] += 1
        self._tell_full(f"turns connections away: {why}")
        sock.close()

    def _tell_full(self, sentence: str) -> None:
        if self.loop.now >= self._told_full:
            self._told_full = self.loop.now + 1.0
            self.journal.event("full", f"{self.name} {sentence}", listener=self.name)

    # -- what connections ask and tell ---------------------------------------------------------------

    def generation(self) -> ServerGeneration:
        assert self.material.server is not None
        return self.material.server.current

    def client_context(self) -> ClientContext | None:
        return self.material.client.current if self.material.client is not None else None

    def admitted(self, connection: Connection, session: Session) -> None:
        """The last checks of a handshake that is complete: raises what speaks against it."""
        live, tally = self.generation(), self.tally
        if session.context.generation != live.number:
            # A reload has overtaken this handshake: what it was judged by is no longer in force.
            objection = live.context_for(session.server_name).objection(session.peer)
            if objection is not None:
                objection.step = Step.SERVER_CHECKS
                raise objection
        elif live.named and live.context_for(session.server_name) is not session.context:
            # A second hello, after a retry request, asks for another name than the first.
            raise TicketElsewhere(session.context.own_name, session.server_name)
        bounds = self.options.bounds
        if session.presented or session.resumed:
            if bounds.connections_per_peer and session.peer is not None:
                self._count_peer(connection, session.peer, bounds.connections_per_peer)
            tally.resumed += session.resumed
            tally.post_quantum += "MLKEM" in (session.group or "").upper()
            shadow = self.material.shadow
            if shadow is not None and session.peer is not None and self.http is None:
                self.shadow_decided(session, shadow.decide(session.peer))
        tally.admitted += 1
        tally.handshakes.add(time.monotonic() - connection.since)

    def _count_peer(self, connection: Connection, peer: Peer, most: int) -> None:
        if self._of_peer[peer.fingerprint] >= most:
            raise too_many(peer, most)
        self._of_peer[peer.fingerprint] += 1
        connection.counted = True

    def shadow_decided(self, session: Session, decision: Decision) -> None:
        """Count and tell what the policy that decides nothing would have decided."""
        self.tally.shadow["allowed" if decision.allowed else "denied"] += 1
        if not decision.allowed:
            who = session.peer.describe() if session.peer is not None else "nobody proven"
            self.journal.event("shadow-denied", f"{who} would be refused: {decision.because}", peer=who)

    def session(self, context: ServerContext, connection: Connection) -> SocketSession:
        """The TLS of a connection that comes in, not begun."""
        recorder, sock = self.material.recorder, connection.sock
        if recorder is not None:
            return RecordedSession(context, sock, recorder, address=connection.told_address)
        return SocketSession(context, sock.fileno(), address=connection.told_address)

    def refused(self, fault: BaseException, session: Session) -> None:
        refusal = Refusal.of(fault, session)
        self.tally.refused[refusal.code] += 1
        self.keep(refusal)

    def keep(self, refusal: Refusal) -> None:
        """Write a refusal wherever `twoway explain --refusal` may look for it."""
        if self.material.recorder is not None:
            self.material.recorder.refused(refusal)
        self.journal.refused(refusal)

    def silent(self, connection: Connection) -> None:
        self.tally.silent += 1
        self.journal.event(
            "silent", f"{connection.told_address or self.name} said nothing that could be answered in time"
        )

    def drains(self, connection: Connection) -> None:
        self._draining.append((self.loop.now + self.options.bounds.drain_seconds, connection, "refused"))

    def no_way(self, fault: BaseException, connection: Connection, *, what: str = "a connection") -> None:
        """The target, or the way to it, is the reason that a connection ends, or a request fails."""
        self.tally.failed[fault.code if isinstance(fault, TwowayError) else "internal_error"] += 1
        self.journal.fault("no-way", f"{self.name}: {what} of {self._who(connection)} ends", fault)

    def ended(self, connection: Connection, fault: BaseException | None) -> None:
        """A relay has ended."""
        tally, relay = self.tally, connection.relay
        assert relay is not None
        up, down = relay.carried
        seconds = self.loop.now - connection.since
        tally.bytes_up += up
        tally.bytes_down += down
        tally.lives.add(seconds)
        how = _how(fault)
        tally.ended[how] += 1
        self.forget(connection, broke=how != "closed")
        if self.journal.access:
            peer = connection.peer
            self.journal.event(
                "connection",
                f"{self.name} #{connection.number} {self._who(connection)} up={up}B down={down}B "
                f"{seconds:.3f}s {'resumed ' if peer is not None and peer.resumed else ''}ended={how}",
                listener=self.name, number=connection.number, peer=peer.describe() if peer else None,
                fingerprint=peer.fingerprint if peer else None, address=connection.told_address,
                up=up, down=down, seconds=round(seconds, 6), resumed=peer.resumed if peer else None, ended=how,
            )  # fmt: skip

    def forget(self, connection: Connection, *, broke: bool = False) -> None:
        self.connections.discard(connection)
        if isinstance(connection.session, RecordedSession):
            connection.session.keep(broke=broke)
        peer = connection.peer if connection.counted else None
        if peer is not None:
            self._of_peer[peer.fingerprint] -= 1
            if not self._of_peer[peer.fingerprint]:
                del self._of_peer[peer.fingerprint]

    def _who(self, connection: Connection) -> str:
        peer = connection.peer
        return (
            f"{peer.describe() if peer else 'nobody proven'} from {connection.told_address or 'this machine'}"
        )

    def _revocation_told(self, fault: BaseException) -> None:
        """No answer came of a responder, and whoever it was about was let in, or not: as the rule says."""
        self.journal.fault("ocsp-failed", self.name, fault)

    def _target_told(self, name: str, sentence: str) -> None:
        self.journal.event(name, f"{self.name}: {sentence}", listener=self.name)

    # -- limits over time ----------------------------------------------------------------------------

    def _sweep(self) -> None:
        now = self.loop.now
        for queue in (self._waiting, self._draining):
            while queue and (queue[0][0] <= now or queue[0][1].stage in ("open", "ended")):
                at, connection, _ = queue.popleft()
                if connection.stage in ("open", "ended"):
                    continue
                if at <= now:
                    before = connection.stage
                    connection.out_of_time()
                    if connection.stage not in ("open", "ended", "refused") and connection.stage != before:
                        self._waiting.append((now + self.options.bounds.connect_seconds, connection, ""))
        if now >= self._next_slow:
            slow = _SLOW_SWEEP if self.http is None else _HTTP_SWEEP
            self._next_slow = now + min(slow, max(SWEEP_SECONDS, self.options.bounds.idle_seconds / 4))
            self._sweep_open(now)
        self.loop.later(SWEEP_SECONDS, self._sweep)

    def _sweep_open(self, now: float) -> None:
        bounds, at = self.options.bounds, datetime.now(UTC)
        if self.http is not None:
            self.http.pool.sweep()
        for connection in tuple(self.connections):
            relay = connection.relay
            if relay is None or connection.stage != "open":
                continue
            peer = connection.peer
            if self.http is not None and isinstance(relay, Conversation):
                self.http.limit(relay, now)
            elif now - relay.active >= bounds.idle_seconds:
                self._end(connection, f"idle for {bounds.idle_seconds:g} s")
            if bounds.lifetime_seconds and now - connection.since >= bounds.lifetime_seconds:
                self._end(connection, f"open for {bounds.lifetime_seconds:g} s")
            elif self.options.end_at_expiry and peer is not None and peer.not_after <= at:
                self._end(connection, f"the certificate expired at {peer.not_after:%Y-%m-%d %H:%M:%S} UTC")

    def _end(self, connection: Connection, what: str) -> None:
        connection.cut(OutlivedLimit(what))

    # -- a new generation ----------------------------------------------------------------------------

    def reauthorize(self) -> int:
        """Judge every open connection, both ends of it, by what is in force now and cut what it would not admit: how many."""
        verdicts: dict[tuple[int, str], TwowayError | None] = {}
        cut = 0
        for connection in tuple(self.connections):
            fault = None if connection.stage == "refused" else self._objection(connection, verdicts)
            if fault is not None:
                connection.cut(fault)
                cut += 1
        self.tally.cut += cut
        return cut

    def _objection(
        self, connection: Connection, verdicts: dict[tuple[int, str], TwowayError | None]
    ) -> TwowayError | None:
        """What speaks against a connection by now, told in the log; `verdicts` has what was found of others."""
        for context, session in connection.ends_judged():
            peer = session.peer
            key = (id(context), peer.fingerprint if peer is not None else "")
            if key not in verdicts:
                verdicts[key] = context.objection(peer)
            fault = verdicts[key]
            if fault is not None:
                fault.step = Step.TALK
                if session is connection.session:
                    self.refused(fault, session)
                else:
                    self.no_way(fault, connection)
                return fault
        try:
            connection.check_request()
        except TwowayError as fault:
            assert connection.session is not None
            self.refused(fault, connection.session)
            return fault
        return None

    def status(self) -> dict[str, Any]:
        """What an operator wants to know, ready for JSON."""
        tally = self.tally
        under_way = [one.relay.carried for one in self.connections if one.relay is not None]
        return {
            "name": self.name,
            "kind": self.options.kind,
            "listen": str(self.options.listen),
            "generation": self.material.number,
            "open": len(self.connections),
            "ready": self.backend.is_ready,
            "targets": [
                {"address": str(one.address), "up": one.is_up, "open": one.open, "reason": one.reason}
                for one in self.backend.targets
            ],
            "certificates": self._certificates(),
            **self.material.revocation(),
            **tally.as_dict(),
            "bytes_up": tally.bytes_up + sum(up for up, _ in under_way),
            "bytes_down": tally.bytes_down + sum(down for _, down in under_way),
        }

    def _certificates(self) -> list[dict[str, str]]:
        found = {}
        for checks in self.material.checks:
            if checks.credential is not None:
                found[checks.credential.chain[0]] = checks.credential
        return [
            {"name": one.describe(), "not_after": leaf.not_valid_after_utc.isoformat()}
            for leaf, one in found.items()
        ]


def _how(fault: BaseException | None) -> str:
    if fault is None:
        return "closed"
    if isinstance(fault, Truncated):
        return "truncated"
    if isinstance(fault, TwowayError):
        return fault.code
    return "reset"
