"""What else has to hold before one certificate comes to be: judged before signing, and again as it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

from twoway.authority.request import Request
from twoway.authority.transaction import Transaction


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Guard:
    """Three questions that whoever asks for a certificate may add; each answers no by raising.

    `asked` sees the signing request, whose signature has been checked: what is not taken from it is otherwise dropped.
    `judge` sees the certificate as it will be signed, with a signature that means nothing. `within` runs inside the transaction that remembers the
    certificate (its serial is given), before that writes anything: what it reads cannot change any more, and what it
    writes is committed together with the certificate or not at all. It may run a second time when its transaction
    had to be rolled back.
    """

    asked: Callable[[Request], None] = _nothing
    judge: Callable[[x509.Certificate], None] = _nothing
    within: Callable[[Transaction, str], None] = _nothing
