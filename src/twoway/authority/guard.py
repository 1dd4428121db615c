"""What else has to hold before one certificate comes to be: judged before signing, and again as it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

from twoway.authority.transaction import Transaction


def _nothing(*_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Guard:
    """Two questions that whoever asks for a certificate may add; each answers no by raising.

    `judge` sees the certificate as it will be signed, with a signature that means nothing. `within` runs inside the transaction that remembers the
    certificate (its serial is given), before that writes anything: what it reads cannot change any more, and what it
    writes is committed together with the certificate or not at all. It may run a second time when its transaction
    had to be rolled back.
    """

    judge: Callable[[x509.Certificate], None] = _nothing
    within: Callable[[Transaction, str], None] = _nothing
