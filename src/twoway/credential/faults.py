"""What can be wrong with keys, certificates and the files that hold them: each with its own remedy."""

from __future__ import annotations

from datetime import datetime

from twoway.errors import ConfigError


class CredentialError(ConfigError):
    """A key, a certificate or a file of them cannot be used. `where` names the file, or "memory"."""

    code = "credential"

    def __init__(self, where: str, *facts: object) -> None:
        super().__init__(where, *facts)
        self.where = where

    @property
    def evidence(self) -> dict[str, object]:
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in vars(self).items()
            if not name.startswith("_") and name != "step"
        }


class FileMissing(CredentialError):
    """A file that an identity needs is not there."""

    code = "file_missing"

    def __str__(self) -> str:
        return f"{self.where} does not exist"

    @property
    def remedy(self) -> str:
        return "check the path; an identity directory has cert.pem, key.pem and ca.pem"


class FileUnreadable(CredentialError):
    """A file is there and cannot be read."""

    code = "file_unreadable"

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot read {self.where}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "let the user that runs this read the file, and nobody else if it is a key"


class FileUnwritable(CredentialError):
    """A file could not be written; what was there before is unchanged."""

    code = "file_unwritable"

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot write {self.where}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "make room, or let the user that runs this write into the directory; nothing was changed"


class FileEmpty(CredentialError):
    """A file has no bytes in it."""

    code = "file_empty"

    def __str__(self) -> str:
        return f"{self.where} is empty"

    @property
    def remedy(self) -> str:
        return "write it anew; an empty file is often what a full disk or a failed download leaves behind"


class TooLarge(CredentialError):
    """Something exceeds a bound that no honest key, certificate or file exceeds."""

    code = "too_large"

    def __init__(self, where: str, what: str, found: int, limit: int) -> None:
        super().__init__(where, what, found, limit)
        self.what, self.found, self.limit = what, found, limit

    def __str__(self) -> str:
        return f"{self.where}: expected {self.what} of at most {self.limit}, got {self.found}"

    @property
    def remedy(self) -> str:
        return "check that this is the right file"


class NotPem(CredentialError):
    """The bytes are of another format than PEM."""

    code = "not_pem"

    def __init__(self, where: str, found: str) -> None:
        super().__init__(where, found)
        self.found = found

    def __str__(self) -> str:
        return f"{self.where}: expected PEM text, got {self.found}"

    @property
    def remedy(self) -> str:
        commands = {
            "a DER certificate": "openssl x509 -inform der -in FILE -out cert.pem",
            "a DER private key": "openssl pkey -inform der -in FILE -out key.pem",
            "PKCS#12": "load it as one (Credential.from_pkcs12), or: openssl pkcs12 -in FILE -out all.pem",
        }
        return f"convert it: {commands[self.found]}" if self.found in commands else "pass a PEM file"


class PemGlued(CredentialError):
    """Two PEM blocks run into each other without a line break."""

    code = "pem_glued"

    def __init__(self, where: str, line: int) -> None:
        super().__init__(where, line)
        self.line = line

    def __str__(self) -> str:
        return f"{self.where}, line {self.line}: two PEM blocks are glued together without a line break"

    @property
    def remedy(self) -> str:
        return f"put a line break between -----END …----- and -----BEGIN …----- in line {self.line}"


class PemBroken(CredentialError):
    """A PEM block begins and is not what it should be."""

    code = "pem_broken"

    def __init__(self, where: str, line: int, problem: str) -> None:
        super().__init__(where, line, problem)
        self.line, self.problem = line, problem

    def __str__(self) -> str:
        return f"{self.where}, line {self.line}: {self.problem}"

    @property
    def remedy(self) -> str:
        return "copy the block again, whole, with its BEGIN and END lines"


class NoCertificateFound(CredentialError):
    """A file that should hold certificates holds none."""

    code = "no_certificate_found"

    def __init__(self, where: str, found: tuple[str, ...] = ()) -> None:
        super().__init__(where, found)
        self.found = found

    def __str__(self) -> str:
        seen = f"; it has {', '.join(self.found)}" if self.found else ""
        return f"{self.where}: expected a certificate, got none{seen}"

    @property
    def remedy(self) -> str:
        return "the file must have a -----BEGIN CERTIFICATE----- block"


class NoKeyFound(CredentialError):
    """A file that should hold a private key holds none."""

    code = "no_key_found"

    def __init__(self, where: str, found: tuple[str, ...] = ()) -> None:
        super().__init__(where, found)
        self.found = found

    def __str__(self) -> str:
        seen = f"; it has {', '.join(self.found)}" if self.found else ""
        return f"{self.where}: expected a private key, got none{seen}"

    @property
    def remedy(self) -> str:
        return "the file must have a -----BEGIN PRIVATE KEY----- block"


class Swapped(CredentialError):
    """The certificate file holds the key, and the key file the certificate."""

    code = "swapped"

    def __init__(self, where: str, key_file: str) -> None:
        super().__init__(where, key_file)
        self.key_file = key_file

    def __str__(self) -> str:
        return f"{self.where} holds the private key and {self.key_file} the certificate: they are swapped"

    @property
    def remedy(self) -> str:
        return "exchange the two files (and keep the key's mode 0600)"


class BadCertificate(CredentialError):
    """A certificate's bytes do not decode."""

    code = "bad_certificate"
    spec = "RFC 5280 §4.1"

    def __init__(self, where: str, line: int, problem: str) -> None:
        super().__init__(where, line, problem)
        self.line, self.problem = line, problem

    def __str__(self) -> str:
        return f"{self.where}, line {self.line}: the certificate does not decode: {self.problem}"

    @property
    def remedy(self) -> str:
        return "copy the certificate again, or have it issued anew"


class BadRevocationList(CredentialError):
    """A revocation list's bytes do not decode."""

    code = "bad_revocation_list"
    spec = "RFC 5280 §5.1"

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.where}: the revocation list does not decode: {self.problem}"

    @property
    def remedy(self) -> str:
        return "fetch the list again from its authority (twoway ca crl)"


class BadKey(CredentialError):
    """A private key's bytes do not decode."""

    code = "bad_key"

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.where}: the private key does not decode: {self.problem}"

    @property
    def remedy(self) -> str:
        return "copy the key again, or have the identity issued anew"


class UnsupportedKey(CredentialError):
    """A key of a kind that twoway does not use."""

    code = "unsupported_key"

    def __init__(self, where: str, kind: str, supported: tuple[str, ...]) -> None:
        super().__init__(where, kind, supported)
        self.kind, self.supported = kind, supported

    def __str__(self) -> str:
        return f"{self.where}: expected a key of {', '.join(self.supported)}, got {self.kind}"

    @property
    def remedy(self) -> str:
        return "have the identity issued with p256, which every TLS library takes"


class KeyEncrypted(CredentialError):
    """A private key is encrypted and no passphrase was given."""

    code = "key_encrypted"

    def __str__(self) -> str:
        return f"{self.where} is encrypted and no passphrase was given"

    @property
    def remedy(self) -> str:
        return "pass the passphrase (--passphrase-file, --passphrase-command, or passphrase= in code)"


class WrongPassphrase(CredentialError):
    """The passphrase does not open the key."""

    code = "wrong_passphrase"

    def __str__(self) -> str:
        return f"the passphrase does not open {self.where}"

    @property
    def remedy(self) -> str:
        return "check the passphrase: upper and lower case count, and so do spaces at its end"


class KeyMismatch(CredentialError):
    """The private key is not the one that the certificate was issued for."""

    code = "key_mismatch"

    def __init__(self, where: str, subject: str, matching: tuple[str, ...] = ()) -> None:
        super().__init__(where, subject, matching)
        self.subject, self.matching = subject, matching

    def __str__(self) -> str:
        seen = f"; {' and '.join(self.matching)} would match" if self.matching else ""
        return f"{self.where} is the key of another certificate than {self.subject}{seen}"

    @property
    def remedy(self) -> str:
        if self.matching:
            return f"use {self.matching[0]}"
        return "put the key beside the certificate that it was made for, or have the identity issued anew"


class ChainDisordered(CredentialError):
    """The certificates are not in the order leaf, then each one's issuer (RFC 8446 §4.4.2)."""

    code = "chain_disordered"
    spec = "RFC 8446 §4.4.2"

    def __init__(self, where: str, found: tuple[str, ...], expected: tuple[str, ...]) -> None:
        super().__init__(where, found, expected)
        self.found, self.expected = found, expected

    def __str__(self) -> str:
        return (
            f"{self.where}: expected the leaf first and each issuer behind it "
            f"({' > '.join(self.expected)}), got {' > '.join(self.found)}"
        )

    @property
    def remedy(self) -> str:
        return f"write the blocks in this order: {', '.join(self.expected)}"


class CredentialExpired(CredentialError):
    """The identity's certificate is past its end."""

    code = "credential_expired"
    spec = "RFC 5280 §4.1.2.5"

    def __init__(self, where: str, subject: str, not_after: datetime, now: datetime) -> None:
        super().__init__(where, subject, not_after, now)
        self.subject, self.not_after, self.now = subject, not_after, now

    def __str__(self) -> str:
        return f"{self.where}: the certificate of {self.subject} expired at {self.not_after:%Y-%m-%d %H:%M} UTC, it is {self.now:%Y-%m-%d %H:%M}"

    @property
    def remedy(self) -> str:
        return f"renew it: twoway ca renew {self.subject} --allow-expired --out DIR"


class CredentialNotYetValid(CredentialError):
    """The identity's certificate is before its beginning."""

    code = "credential_not_yet_valid"
    spec = "RFC 5280 §4.1.2.5"

    def __init__(self, where: str, subject: str, not_before: datetime, now: datetime) -> None:
        super().__init__(where, subject, not_before, now)
        self.subject, self.not_before, self.now = subject, not_before, now

    def __str__(self) -> str:
        return f"{self.where}: the certificate of {self.subject} is valid from {self.not_before:%Y-%m-%d %H:%M} UTC, it is {self.now:%Y-%m-%d %H:%M}"

    @property
    def remedy(self) -> str:
        return "check this machine's clock, or wait until the certificate begins"
