"""What one file holds, whatever it is: certificates, lists, a key, and what is wrong with it; pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509

from twoway.credential import (
    BadRevocationList,
    CredentialError,
    FileEmpty,
    KeyEncrypted,
    NoCertificateFound,
    NotPem,
    Passphrase,
    PemGlued,
    PrivateKey,
    certificate_from_der,
    crls_from_pem,
    is_self_issued,
    load_private_key,
    pem,
    read_pkcs12,
)
from twoway.credential.keys import load_der_key

_BEGIN = b"-----BEGIN "
_MAX_SALVAGED_BYTES = 1024 * 1024
_MAX_SALVAGED = 500
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass
class Contents:
    """The parts of one file; `has_key` also where the key did not open. `anchors` is a PKCS#12's own root."""

    where: str
    certificates: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    key: PrivateKey | None = None
    has_key: bool = False
    anchors: tuple[x509.Certificate, ...] = ()
    labels: tuple[str, ...] = ()
    faults: list[CredentialError] = field(default_factory=list)

    def no_certificate(self) -> CredentialError:
        return NoCertificateFound(self.where, self.labels)

    def no_list(self) -> CredentialError:
        return BadRevocationList(self.where, "expected a -----BEGIN X509 CRL----- block, got none")


def read_contents(data: bytes | None, where: str, passphrase: Passphrase) -> Contents:
    """Everything that can be read of these bytes; never raises. None stands for a file that was not given."""
    contents = Contents(where)
    if data is None:
        return contents
    if data[:2] in _UTF16:
        contents.faults.append(NotPem(where, "UTF-16 text"))
        data = data.decode("utf-16", "ignore").encode("ascii", "ignore")
    try:
        blocks = pem.scan(data, where=where)
    except NotPem as fault:
        _read_binary(data, fault, contents, passphrase)
        return contents
    except FileEmpty as fault:
        contents.faults.append(fault)
        return contents
    except CredentialError as fault:
        contents.faults.append(fault)
        # What is broken in one place may still tell a lot in the others.
        blocks = _salvaged(data)
        if isinstance(fault, PemGlued):
            blocks = _scanned(data.replace(b"-----BEGIN", b"\n-----BEGIN"), where) or blocks
    contents.labels = tuple(block.label.lower() for block in blocks)
    _read_blocks(blocks, contents, passphrase)
    return contents


def _read_blocks(blocks: tuple[pem.Block, ...], contents: Contents, passphrase: Passphrase) -> None:
    where = contents.where
    for block in blocks:
        try:
            if block.label.endswith("CERTIFICATE"):
                contents.certificates += (certificate_from_der(block.der, where=where, line=block.line),)
            elif block.label == "X509 CRL":
                contents.crls += crls_from_pem(block.text, where=where)
            elif block.label.endswith("PRIVATE KEY") and not contents.has_key:
                contents.has_key = True
                contents.key = load_private_key(block.text, passphrase, where=where)
        except CredentialError as fault:
            contents.faults.append(fault)
        except Exception:  # noqa: BLE001 - a passphrase that cannot be had must not end the examination
            contents.faults.append(KeyEncrypted(where))


def _read_binary(data: bytes, fault: NotPem, contents: Contents, passphrase: Passphrase) -> None:
    where = contents.where
    try:
        if fault.found == "PKCS#12":
            contents.has_key = True
            contents.key, certificates = read_pkcs12(data, passphrase, where=where)
            contents.certificates = _in_order(certificates)
            if len(contents.certificates) > 1 and is_self_issued(contents.certificates[-1]):
                contents.anchors = contents.certificates[-1:]
                contents.certificates = contents.certificates[:-1]
            return  # where an identity is expected, PKCS#12 is one
        if fault.found == "a DER private key":
            contents.has_key = True
            contents.key = load_der_key(data, None, where=where, encrypted=False)
        elif fault.found in ("a DER certificate", "DER"):
            _read_der(data, contents)
            if contents.crls:
                return  # lists are published as DER: nothing is wrong
    except CredentialError as second:
        if fault.found == "PKCS#12":
            contents.faults.append(second)
            return
    except Exception:  # noqa: BLE001 - as above
        contents.faults.append(KeyEncrypted(where))
        return
    contents.faults.append(fault)


def _read_der(data: bytes, contents: Contents) -> None:
    try:
        contents.certificates = (certificate_from_der(data, where=contents.where),)
    except CredentialError:
        contents.crls = crls_from_pem(data, where=contents.where)


def _scanned(data: bytes, where: str) -> tuple[pem.Block, ...]:
    try:
        return pem.scan(data, where=where)
    except CredentialError:
        return ()


def _salvaged(data: bytes) -> tuple[pem.Block, ...]:
    blocks: list[pem.Block] = []
    for piece in data[:_MAX_SALVAGED_BYTES].split(_BEGIN)[1 : _MAX_SALVAGED + 1]:
        blocks += _scanned(_BEGIN + piece, "a part")
    return tuple(blocks)


def _in_order(certificates: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    """PKCS#12 has no order of its own: leaf, then each issuer, then the rest."""
    order, rest = list(certificates[:1]), list(certificates[1:])
    while found := next((c for c in rest if order and c.subject == order[-1].issuer), None):
        order.append(found)
        rest.remove(found)
    return (*order, *rest)
