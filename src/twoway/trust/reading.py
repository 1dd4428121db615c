"""Certificates that strangers present: whether everything in them that twoway reads can be read."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from twoway.credential import describe, display_name, key_type_of, names_of
from twoway.credential.remembered import remembered
from twoway.trust.faults import CertificateUnreadable


def check_readable(chain: Sequence[x509.Certificate]) -> None:
    """Read all of every certificate now, so that nothing fails later; raises CertificateUnreadable.

    The library decodes late, OpenSSL accepts more than the library does, and whoever is about to be refused
    must be refused with a reason.
    """
    for position, certificate in enumerate(chain):
        try:
            _read(certificate)
        except Exception as error:  # noqa: BLE001 - the parser raises many kinds; all mean the same here
            raise CertificateUnreadable(position, first_line(error)) from None


def first_line(error: Exception) -> str:
    """What a parser says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


@remembered(1024)
def _read(certificate: x509.Certificate) -> None:
    key_type_of(certificate.public_key())
    _ = certificate.extensions, certificate.serial_number, certificate.signature_algorithm_oid
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    _ = display_name(certificate.subject), display_name(certificate.issuer)
    _ = names_of(certificate), describe(certificate)
