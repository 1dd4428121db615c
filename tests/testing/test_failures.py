"""Every failure that the testing package promises happens, with the reason that it promises."""

from __future__ import annotations

import pytest

from tools import failures as documented
from twoway.client import Client
from twoway.errors import PeerRefused, TwowayError
from twoway.testing import FAILURES, Company, serving

# What the refusing side says where the doctor, who sees more, has another word for it.
SAID = {"missing_intermediate": "unknown_authority", "connection_refused": "connect_failed"}


@pytest.mark.parametrize("code", FAILURES)
def test_a_failure_happens_for_the_reason_that_its_name_says(code: str):
    failed = FAILURES[code].happen(Company())
    wanted = SAID.get(code, code.removeprefix("server_"))
    if FAILURES[code].by == "server":
        assert failed.refusal is not None
        assert failed.refusal.code == wanted
        assert isinstance(failed.error, PeerRefused)
    else:
        assert failed.error.code == wanted
    assert failed.error.remedy


def test_every_failure_has_its_section_in_the_documentation():
    text = documented.PLACE.read_text(encoding="utf-8")
    for code in FAILURES:
        assert f"\n### {code.removeprefix('server_')}\n" in text


def test_who_belongs_is_let_in_and_named():
    company = Company("Globex")
    with serving(company) as served, served.client(company.client("orders")) as client:
        assert client.get("/").text == "hello orders"
        assert served.refusals == []


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("stranger", "unknown_authority"),
        ("expired", "certificate_expired"),
        ("revoked", "certificate_revoked"),
    ],
)
def test_who_does_not_belong_is_turned_away_with_the_reason(who: str, code: str):
    company = Company()
    with serving(company) as served:
        with served.client(getattr(company, who)) as client, pytest.raises(TwowayError):
            client.get("/")
        refusal = served.refusal()
        assert refusal.code == code
        assert refusal.remedy


def test_a_server_may_be_given_a_policy_and_other_options():
    company = Company()
    with serving(company, allow=("cn=orders",)) as served:
        with served.client(company.client("orders")) as client:
            assert client.get("/").status_code == 200
        with served.client(company.client("billing")) as client, pytest.raises(PeerRefused):
            client.get("/")
        assert served.refusal().code == "not_allowed"


def test_a_client_of_the_company_needs_no_identity_to_believe_its_servers():
    company = Company()
    with serving(company, clients="optional") as served, served.client() as client:
        assert client.get("/").text == "hello nobody"
    assert isinstance(served.client(), Client)
