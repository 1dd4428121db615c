"""What third-party programs showed to be wrong, each as a rule that needs none of them."""

from __future__ import annotations

import pytest

from twoway.steps import Step
from twoway.tls import AlertReceived


@pytest.mark.parametrize(
    "alert", ["certificate_required", "handshake_failure", "bad_certificate", "decode_error", "unknown_ca"]
)
def test_whoever_presented_nothing_is_told_that_something_was_wanted(alert: str):
    """Java answers nobody with bad_certificate and GnuTLS in TLS 1.2 with decode_error."""
    error = AlertReceived(alert, Step.SERVER_CHECKS, "client", None)
    assert error.meanings[0] == "it requires a client certificate and got none"
    assert str(error).endswith("it requires a client certificate and got none")
    assert not any("the certificate is" in meaning for meaning in error.meanings)
    assert "--identity" in error.remedy


@pytest.mark.parametrize("alert", ["unknown_ca", "bad_certificate", "certificate_unknown"])
def test_an_unknown_authority_is_among_what_an_alert_can_mean(alert: str):
    """OpenSSL says unknown_ca for it, GnuTLS bad_certificate, Java certificate_unknown."""
    error = AlertReceived(alert, Step.SERVER_CHECKS, "client", "orders")
    assert any("does not trust the authority" in meaning for meaning in error.meanings)


def test_nobody_in_step_one_is_no_missing_certificate():
    error = AlertReceived("handshake_failure", Step.HELLO, "client", None)
    assert error.meanings[0].startswith("no protocol version, cipher suite")


def test_a_failure_of_the_server_is_no_missing_certificate():
    error = AlertReceived("internal_error", Step.SERVER_CHECKS, "client", None)
    assert "--identity" not in error.remedy
    assert "certificate" not in error.meanings[0]
