"""The table of codes: complete, and one language with the typed errors."""

from __future__ import annotations

import re
from typing import get_args

import pytest

import twoway.client.faults
import twoway.credential.faults
import twoway.tls.faults
import twoway.trust.faults
import twoway.trust.revocation_faults
from twoway.doctor.codes import CODES, TypicalBlame, found
from twoway.errors import TwowayError

FOUNDATIONS = {"credential", "untrusted", "peer", "network", "config", "error"}
# Errors that a running program meets and no examination does.
ELSEWHERE = {
    "file_unwritable",
    "plain_http_refused",
    "redirect_elsewhere",
    "answer_broken",
    "no_free_connection",
    "address_unusable",
}
LIVE = [
    "refused_at_http",
    "closed_silently",
    "never_asked",
    "asked_not_required",
    "plain_http",
    "not_tls",
    "connection_refused",
    "unreachable",
    "dns_failure",
    "timed_out",
    "middlebox",
    "wrong_virtual_host",
    "protocol_version_mismatch",
    "cipher_mismatch",
    "alpn_mismatch",
    "resumption_skips_check",
    "post_handshake_authentication",
    "certificate_withheld",
]


def errors_of(*modules: object) -> list[type[TwowayError]]:
    return [
        one
        for module in modules
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, TwowayError) and one.__module__ == module.__name__  # type: ignore[attr-defined]
    ]


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_stable_to_write_and_explained(code: str):
    row = CODES[code]
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", code)
    assert row.code == code
    assert row.title
    assert not row.title.endswith(".")
    assert row.meaning.endswith(".")
    assert row.blame in get_args(TypicalBlame)
    assert 0 < row.likelihood <= 1


@pytest.mark.parametrize(
    "error",
    errors_of(
        twoway.credential.faults,
        twoway.trust.faults,
        twoway.trust.revocation_faults,
        twoway.tls.faults,
        twoway.client.faults,
    ),
)
def test_every_typed_error_has_its_code_in_the_table(error: type[TwowayError]):
    assert error.code in CODES.keys() | FOUNDATIONS | ELSEWHERE


@pytest.mark.parametrize("code", LIVE)
def test_what_only_a_connection_shows_has_a_code_too(code: str):
    assert code in CODES


def test_a_finding_of_an_unknown_code_is_our_mistake():
    with pytest.raises(KeyError):
        found("no_such_code", "error", "client", "it broke", "mend it")
    with pytest.raises(KeyError):
        found("timed_out", "error", "client", "it broke", "mend it", also=("no_such_code",))


def test_no_code_is_there_twice():
    from twoway.doctor import codes_of_chains, codes_of_connections, codes_of_files

    rows = [*codes_of_files.ROWS, *codes_of_chains.ROWS, *codes_of_connections.ROWS]
    assert len(rows) == len(CODES)
