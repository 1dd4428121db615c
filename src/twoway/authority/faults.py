"""What can be wrong with an authority itself: its directory, its keys, its store, its audit log."""

from __future__ import annotations

import datetime

from twoway.errors import ConfigError, TwowayError


class Facts(TwowayError):
    """An error whose evidence is its own attributes."""

    @property
    def evidence(self) -> dict[str, object]:
        return {name: _plain(value) for name, value in vars(self).items()}


class AuthorityError(Facts, ConfigError):
    """An authority cannot do what was asked because of the state it is in, or because of how it was asked."""

    code = "authority"


class NotAnAuthority(AuthorityError):
    """The directory that was named holds no authority."""

    code = "authority_not_found"

    def __init__(self, directory: str, missing: str) -> None:
        super().__init__(directory, missing)
        self.directory, self.missing = directory, missing

    def __str__(self) -> str:
        return f"{self.directory} is not an authority directory: {self.missing} is missing"

    @property
    def remedy(self) -> str:
        return (
            "name the directory that `twoway ca init` made, with --ca-dir or TWOWAY_CA_DIR; "
            f"or make a new authority: twoway ca init {self.directory} --name NAME"
        )


class PublicUrlUnusable(AuthorityError):
    """The public address of an authority is none that a verifier could follow."""

    code = "authority_public_url"
    spec = "RFC 5280 §4.2.1.13"

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(url, problem)
        self.url, self.problem = url, problem

    def __str__(self) -> str:
        return f"{self.url} is no public address of an authority: {self.problem}"

    @property
    def remedy(self) -> str:
        return "give the address where `twoway ca serve --public-listen` is reached, such as http://ca.acme.example:8080"


class StoreForeign(AuthorityError):
    """The store in the directory is that of another authority: it was exchanged, or restored to the wrong place."""

    code = "authority_store_foreign"

    def __init__(self, directory: str, expected: str, presented: str) -> None:
        super().__init__(directory, expected, presented)
        self.directory, self.expected, self.presented = directory, expected, presented

    def __str__(self) -> str:
        return (
            f"the store in {self.directory} is another authority's: expected the root of root.pem, "
            f"{self.expected[:16]}…, got {self.presented[:16]}…"
        )

    @property
    def remedy(self) -> str:
        return "bring root.pem and authority.db of the same authority together, from a backup if need be"


class DirectoryTaken(AuthorityError):
    """A new authority was to be made where something else already is."""

    code = "authority_directory_taken"

    def __init__(self, directory: str, authority: bool) -> None:
        super().__init__(directory, authority)
        self.directory, self.authority = directory, authority

    def __str__(self) -> str:
        if self.authority:
            return f"{self.directory} already holds an authority"
        return f"{self.directory} exists and is not an empty directory"

    @property
    def remedy(self) -> str:
        if self.authority:
            return "use it as it is, or choose another directory: an authority is never overwritten"
        return "choose a directory that does not exist yet, or empty this one"


class DirectoryUnwritable(AuthorityError):
    """The directory of an authority cannot be made or written."""

    code = "authority_directory_unwritable"

    def __init__(self, directory: str, reason: str) -> None:
        super().__init__(directory, reason)
        self.directory, self.reason = directory, reason

    def __str__(self) -> str:
        return f"cannot write in {self.directory}: {self.reason}"

    @property
    def remedy(self) -> str:
        return "choose a directory that this user may write, on a file system with room"


class KeyFileMissing(AuthorityError):
    """The issuing CA's key is not where the authority keeps it."""

    code = "authority_key_missing"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"the issuing CA's key {self.path} is missing"

    @property
    def remedy(self) -> str:
        return "put the key file back from the backup; without it nothing can be issued or revoked in a CRL"


class RootKeyOffline(AuthorityError):
    """The root's key is needed and is not in the authority's directory."""

    code = "authority_root_key_offline"

    def __init__(self, path: str, act: str) -> None:
        super().__init__(path, act)
        self.path, self.act = path, act

    def __str__(self) -> str:
        return f"cannot {self.act}: the root's key is kept offline ({self.path} is not there)"

    @property
    def remedy(self) -> str:
        return "bring the exported root key and pass it with --root-key FILE"


class CaKeyMismatch(AuthorityError):
    """A CA's key file holds a key that is not the CA's."""

    code = "authority_key_mismatch"

    def __init__(self, path: str, ca: str, expected: str, presented: str) -> None:
        super().__init__(path, ca, expected, presented)
        self.path, self.ca, self.expected, self.presented = path, ca, expected, presented

    def __str__(self) -> str:
        return (
            f"{self.path} is not the key of {self.ca}: expected key {self.expected[:16]}…, "
            f"got {self.presented[:16]}…"
        )

    @property
    def remedy(self) -> str:
        return "use the key file that was made together with this authority"


class PassphraseNeeded(AuthorityError):
    """A CA's key is encrypted (or is to be) and no passphrase was given."""

    code = "authority_passphrase_needed"

    def __init__(self, path: str, creating: bool = False) -> None:
        super().__init__(path, creating)
        self.path, self.creating = path, creating

    def __str__(self) -> str:
        if self.creating:
            return f"the CA keys in {self.path} need a passphrase, and none was given"
        return f"{self.path} is encrypted and no passphrase was given"

    @property
    def remedy(self) -> str:
        ways = "--passphrase-file FILE, --passphrase-command COMMAND or TWOWAY_CA_PASSPHRASE"
        if self.creating:
            return f"give one with {ways}; or say --no-passphrase to store the keys unencrypted"
        return f"give it with {ways}"


class WrongCaPassphrase(AuthorityError):
    """The passphrase does not open the CA's key."""

    code = "authority_wrong_passphrase"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"the passphrase does not open {self.path}"

    @property
    def remedy(self) -> str:
        return "give the passphrase that this authority was made with; it cannot be recovered from the files"


class StoreLocked(AuthorityError):
    """Another process held the store's write lock for too long."""

    code = "authority_store_locked"

    def __init__(self, path: str, waited: float) -> None:
        super().__init__(path, waited)
        self.path, self.waited = path, waited

    def __str__(self) -> str:
        return f"{self.path} stayed locked by another process for {self.waited:g} s; nothing was done"

    @property
    def remedy(self) -> str:
        if "://" in self.path:
            return "try again; if it stays so, find who holds it: SELECT * FROM pg_locks WHERE NOT granted"
        return "try again; if it stays so, find who holds it: fuser -v " + self.path


class StoreBusy(AuthorityError):
    """This process uses as many connections to the database as it may, and none became free."""

    code = "authority_store_busy"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"no connection to {self.path} became free in time; nothing was done"

    @property
    def remedy(self) -> str:
        return "try again; if it stays so, ask less at a time"


class StoreUnreachable(AuthorityError):
    """The database's server does not answer, or the connection to it was lost. Nothing was handed out."""

    code = "authority_store_unreachable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"the database {self.path} does not answer: {self.reason}; nothing was handed out"

    @property
    def remedy(self) -> str:
        return "try again when the server is back; it connects anew by itself"


class StoreTaken(AuthorityError):
    """The database that a new authority was to use holds one already."""

    code = "authority_store_taken"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} holds an authority already"

    @property
    def remedy(self) -> str:
        return "make a database of its own for each authority: createdb NAME"


class DiskFull(AuthorityError):
    """The store could not grow. What was asked was not done, and nothing was handed out."""

    code = "authority_disk_full"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"no room left on the disk of {self.path}; nothing was done"

    @property
    def remedy(self) -> str:
        return "free some space on that file system and try again; the store itself is intact"


class StoreUnusable(AuthorityError):
    """The store cannot be read or written, for a reason the database names."""

    code = "authority_store_unusable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path} cannot be used: {self.reason}"

    @property
    def remedy(self) -> str:
        return "check the file's owner, mode and disk; if it is damaged, restore it from a backup"


class StoreTooNew(AuthorityError):
    """The store was written by a later twoway."""

    code = "authority_store_too_new"

    def __init__(self, path: str, expected: str, presented: str) -> None:
        super().__init__(path, expected, presented)
        self.path, self.expected, self.presented = path, expected, presented

    def __str__(self) -> str:
        return f"{self.path} has schema {self.presented!r}, and this twoway knows up to {self.expected!r}"

    @property
    def remedy(self) -> str:
        return "use the twoway that wrote it, or a later one: pip install --upgrade twoway"


class IssuerUnfit(AuthorityError):
    """The issuing CA may not sign any more: it is revoked, replaced or expired."""

    code = "authority_issuer_unfit"

    def __init__(self, ca: str, why: str) -> None:
        super().__init__(ca, why)
        self.ca, self.why = ca, why

    def __str__(self) -> str:
        return f"the issuing CA {self.ca} may not issue: it {self.why}"

    @property
    def remedy(self) -> str:
        if "replaced" in self.why:
            return "open the authority again: another process has renewed its issuing CA"
        return "renew the issuing CA with the root's key: twoway ca renew --issuing --new-key"


class CrlStuck(AuthorityError):
    """A CRL has run out and cannot be made anew; a stale one is never handed out."""

    code = "authority_crl_stuck"

    def __init__(self, ca: str, next_update: datetime.datetime, why: str) -> None:
        super().__init__(ca, next_update, why)
        self.ca, self.next_update, self.why = ca, next_update, why

    def __str__(self) -> str:
        return f"the CRL of {self.ca} ran out on {self.next_update:%Y-%m-%d %H:%M} UTC and {self.why}"

    @property
    def remedy(self) -> str:
        return "bring the exported root key and make a new one: twoway ca crl --root-key FILE"


class AuditBroken(Facts):
    """The audit log is not what was written: the first row that shows it is named."""

    code = "authority_audit_broken"

    def __init__(self, row: int, why: str) -> None:
        super().__init__(row, why)
        self.row, self.why = row, why

    def __str__(self) -> str:
        return f"audit row {self.row}: {self.why}"

    @property
    def remedy(self) -> str:
        return "keep this directory as evidence, and compare it with a backup from before that row"


def _plain(value: object) -> object:
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
