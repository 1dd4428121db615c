"""Text that a database or an answer cannot carry: told as what it is, neither as a fault of the store nor as ours."""

from __future__ import annotations

import json

from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.authority.conftest import make_csr
from tests.enroll.conftest import Served

STORES = ("sqlite", "postgresql")


def test_a_certificate_or_reason_in_any_text_is_looked_up_and_not_found(service: Served) -> None:
    """Half a surrogate pair has no UTF-8, and PostgreSQL has no NUL: no stored name has either."""
    operator = service.authority.issue_client("operator")
    with service.client(operator) as client:
        for text in ("\ud800", "*\udfff", "a\x00b", "\x00*", "\U0010ffff", "%", "\r\nx: y"):
            absent = client.post("/revoke", content=json.dumps({"certificate": text}).encode())
            assert (absent.status_code, absent.json()["code"]) == (404, "certificate_unknown")
            unknown = client.post("/revoke", content=json.dumps({"reason": text}).encode())
            assert unknown.status_code == 400
    assert not service.lines("failed-call")


def test_a_common_name_that_no_store_or_terminal_could_hold_is_refused(service: Served) -> None:
    operator = service.authority.issue_client("operator")
    with service.client(operator) as client:
        for text in ("a\x00b", "a\r\nb", "a\u2028b", "a\x1b[31mb"):
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
            answer = client.post("/sign?profile=client", content=make_csr(None, subject=subject))
            assert answer.status_code in (400, 403), answer.text
    assert not service.lines("failed-call")
