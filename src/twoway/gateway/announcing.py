"""What a gateway says at its start: where and for whom each listener works, and every weakening."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

from twoway.gateway.options import GatewayOptions, ListenerOptions
from twoway.gateway.sockets import port_of
from twoway.server.journal import Journal


def announce(journal: Journal, options: GatewayOptions, sockets: Sequence[socket.socket]) -> None:
    """One line a listener, and one for each thing that makes it weaker than it could be."""
    for one, sock in zip(options.listeners, sockets, strict=True):
        port = port_of(sock)
        place = one.listen if one.listen.path else f"{one.listen.host}:{port}"
        targets = ", ".join(str(target) for target in one.targets)
        way = ("HTTP, " if one.http else "") + ("mutual TLS in" if one.tls_in else "plain in")
        out = "mutual TLS out" if one.tls_out else "plain out"
        journal.event(
            "listening", f"{place} ({way}) to {targets} ({out})",
            listener=one.name or str(one.listen), port=port, kind=one.kind,
        )  # fmt: skip
        for weakening in _weakenings(one):
            journal.event("weakened", f"{place}: {weakening}")


def _weakenings(options: ListenerOptions) -> Iterator[str]:
    if options.unsafe_plain:
        yield "the plain side may leave this machine (--unsafe-plain)"
    if options.tls_in and options.clients != "required":
        yield f"client certificates are {'optional' if options.clients == 'optional' else 'not asked for'}"
    if options.allow_anyone_proven:
        yield "whoever the authority has given an identity may pass (--allow-anyone-proven)"
    if options.record is not None:
        yield f"connections are recorded WITH THEIR SECRETS in {options.record} (--record)"
    if options.crl_rule == "warn":
        yield "a missing or stale revocation list lets clients pass (--crl-rule warn)"
