"""The acts of the demo: each really happens on a socket, and each checks what came of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twoway.client import Client, peer
from twoway.demo.pages import write_pages
from twoway.demo.stage import (
    CLIENT_NAME,
    SERVER_NAME,
    Attempt,
    Cast,
    Ledger,
    knock,
    order_service,
    wait_for_generation,
    wait_for_refusals,
)
from twoway.demo.story import (
    Act,
    Handshake,
    tell_check,
    tell_client,
    tell_hello,
    tell_keys,
    tell_refusal,
    tell_server,
)
from twoway.errors import TwowayError
from twoway.server import Server
from twoway.tls import AlertReceived, ClientContext, ClientSettings, Session, Ticket
from twoway.tls.tap import make_tappable

EXPORTER = "EXPORTER-twoway-demo"


class Theatre:
    """Plays the acts in order against one running service."""

    def __init__(self, cast: Cast, server: Server, ledger: Ledger, *, kept: bool = True) -> None:
        self._kept = kept
        self.cast, self.server, self.ledger = cast, server, ledger
        self.target = f"127.0.0.1:{server.port}"
        self.one_way: Handshake | None = None
        self.two_way: Handshake | None = None
        self._ticket: Ticket | None = None
        self._context = ClientContext(ClientSettings(cast.client))
        make_tappable(self._context)

    def acts(self) -> Iterator[Act]:
        yield self.nobody()
        yield self.stranger()
        yield self.friend()
        yield self.order()
        yield self.side_by_side()
        yield from self.revoked()

    # -- refusals ------------------------------------------------------------------------------------

    def nobody(self) -> Act:
        act = Act("one-way TLS: a client without a certificate", "refused: certificate_required")
        return self._refused(
            act, ClientSettings(None, self.cast.trust), "certificate_required", "no_certificate"
        )

    def stranger(self) -> Act:
        act = Act("a stranger: a certificate from another authority", "refused: unknown_ca")
        settings = ClientSettings(self.cast.stranger, self.cast.trust)
        return self._refused(act, settings, "unknown_ca", "unknown_authority")

    def _refused(
        self,
        act: Act,
        settings: ClientSettings | ClientContext,
        alert: str,
        code: str,
        *,
        ticket: Ticket | None = None,
    ) -> Act:
        """Knock, and see that the client was told `alert` and the server logged `code`."""
        before = len(self.ledger.refusals)
        served = self.server.server_state.total_requests
        attempt = knock(self.server.port, settings, ticket=ticket)
        error = attempt.error
        if error is None:
            act.outcome = "it was let in"
            return act
        if not wait_for_refusals(self.ledger, before + 1):
            act.outcome = f"{error}; the server logged nothing"
            return act
        refusal = self.ledger.refusals[before]
        handshake = Handshake.of(attempt.tap)
        act.outcome = f"refused: {error.alert}" if isinstance(error, AlertReceived) else str(error)
        act.steps = (
            tell_hello(handshake, self.target, ticket=ticket is not None),
            tell_server(handshake, attempt.session),
            tell_client(attempt.session, SERVER_NAME, attempt.session.context.own_name),
            tell_refusal(refusal),
        )
        act.client_told = {"sentence": str(error), "remedy": error.remedy, **error.evidence}
        act.server_logged = refusal.as_dict()
        act.as_expected = (
            isinstance(error, AlertReceived)
            and error.alert == alert
            and refusal.code == code
            and not attempt.session.resumed
            and self.server.server_state.total_requests == served
        )
        return act

    # -- the friend ----------------------------------------------------------------------------------

    def friend(self) -> Act:
        act = Act("2-way TLS: the client that the authority knows", "both sides prove who they are")
        attempt = knock(self.server.port, self._context, keep=True)
        if attempt.error is not None or attempt.socket is None:
            act.outcome = str(attempt.error)
            return act
        with attempt.socket:
            there = self._server_side(attempt)
            if there is None or there.peer is None:
                act.outcome = "the server does not know who is connected"
                return act
            mine = attempt.session.exporter(EXPORTER)
            same = mine == there.exporter(EXPORTER)
            second = knock(self.server.port, self._context)
            other = second.error is None and second.session.exporter(EXPORTER) != mine
            self._ticket = second.ticket
            self.two_way = handshake = Handshake.of(attempt.tap)
            decision = there.context.policy.decide(there.peer) if there.context.policy else None
            act.steps = (
                tell_hello(handshake, self.target, ticket=False),
                tell_server(handshake, attempt.session),
                tell_client(attempt.session, SERVER_NAME, attempt.session.context.own_name),
                tell_check(there.peer, decision.because if decision else "no policy"),
                tell_keys(attempt.session, same, other),
            )
            act.outcome = (
                f"the client is {there.peer.describe()}, the server is {attempt.session.server_name}"
            )
            act.as_expected = same and other and there.peer.common_name == CLIENT_NAME
        return act

    def _server_side(self, attempt: Attempt) -> Session | None:
        """The server's own view of this connection: this process has both ends."""
        assert attempt.socket is not None
        assert self.server.listener is not None
        host, port = attempt.socket.local_address[:2]
        for connection in tuple(self.server.listener.connections):
            if connection.session.address == f"{host}:{port}":
                return connection.session
        return None

    def order(self) -> Act:
        act = Act("POST /order/update over such a connection", "200, and the order is updated")
        url = f"https://localhost:{self.server.port}/order/update"
        headers = {"xyz-Client-Id": "abc-def-ghi-jkl", "xyz-Client-Secret": self.cast.secret}
        try:
            with Client(identity=self.cast.client_files) as client:
                response = client.post(url, json={"order_id": 1223}, headers=headers)
                answer: dict[str, Any] = response.json()
                server = peer(response)
        except TwowayError as error:
            act.outcome = str(error)
            return act
        act.notes = [
            "xyz-Client-Id: abc-def-ghi-jkl",
            "xyz-Client-Secret: (sent, and shown to nobody else)",
            '{"order_id": 1223}',
        ]
        act.answer = {"status": response.status_code, "body": answer}
        act.outcome = f"{response.status_code} {response.text}"
        act.as_expected = (
            response.status_code == 200
            and answer == {"order_id": 1223, "status": "updated", "by": CLIENT_NAME}
            and server is not None
            and SERVER_NAME in server.names.dns
        )
        return act

    # -- one way and two ways ------------------------------------------------------------------------

    def side_by_side(self) -> Act:
        """A second listener asks nobody for a certificate, so that a one-way handshake can be seen whole."""
        act = Act("one way and two ways, side by side", "2-way adds three messages")
        with order_service(self.cast, Ledger(), clients="none", allow=()) as open_server:
            attempt = knock(open_server.port, ClientSettings(None, self.cast.trust))
            page = write_pages(self.cast, self.server.port, open_server.port, kept=self._kept)
        if attempt.error is not None or self.two_way is None:
            act.outcome = str(attempt.error or "there is no 2-way handshake to compare with")
            return act
        self.one_way = Handshake.of(attempt.tap)
        one, two = self.one_way.names_until_finished(), self.two_way.names_until_finished()
        added = [entry for entry in two if entry not in one]
        act.notes = [f"the whole of it as a page: {page}"]
        act.outcome = "2-way adds " + ", ".join(f"the {by}'s {name}" for by, name in added)
        act.as_expected = added == [
            ("server", "certificate_request"),
            ("client", "certificate"),
            ("client", "certificate_verify"),
        ] and [entry for entry in two if entry in one] == list(one)
        return act

    # -- revocation ----------------------------------------------------------------------------------

    def revoked(self) -> Iterator[Act]:
        generation = self.server.live.current.number
        self.cast.authority.revoke(self.cast.client.fingerprint, reason="keyCompromise")
        self.cast.publish_revocations()
        assert self.server.listener is not None
        self.server.listener.loop.call_soon_threadsafe(self.server.request_reload)
        reloaded = wait_for_generation(self.server, generation + 1)
        note = f"the authority revoked {CLIENT_NAME}, wrote crl.pem, and the running server took it up"
        act = Act("the same client, after its certificate was revoked", "refused: certificate_revoked")
        act.notes = [note if reloaded else "the server did not take up the new revocation list"]
        yield self._refused(act, self._context, "certificate_revoked", "certificate_revoked")
        act = Act("the same, resuming a session of before the revocation", "refused: certificate_revoked")
        act.notes = ["the ticket belongs to a generation that is gone: every check is made again"]
        if self._ticket is None:
            act.outcome = "there is no ticket to try with"
            yield act
            return
        yield self._refused(
            act, self._context, "certificate_revoked", "certificate_revoked", ticket=self._ticket
        )


@contextlib.contextmanager
def theatre(cast: Cast, *, kept: bool = True, record: Path | None = None) -> Iterator[Theatre]:
    """The service runs, and the acts may begin."""
    ledger = Ledger()
    with order_service(cast, ledger, record=record) as server:
        yield Theatre(cast, server, ledger, kept=kept)
