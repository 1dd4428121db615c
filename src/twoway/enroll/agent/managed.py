"""One identity directory in the agent's care: what it needs now, and doing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from twoway.credential import (
    Credential,
    PrivateKey,
    chain_pem,
    generate_key,
    private_key_pem,
    read,
    write_private,
    write_public,
)
from twoway.credential.pair import replace_pair
from twoway.enroll.agent.hooks import HookFailed
from twoway.enroll.agent.purpose import check_can_ask
from twoway.enroll.agent.schedule import due_at, retry_after, urgency
from twoway.enroll.agent.settings import IdentityOptions
from twoway.enroll.agent.state import State, read_state, write_state
from twoway.errors import ConfigError, TwowayError

TRUST_EVERY = timedelta(hours=1)
HOOK_RETRY = timedelta(minutes=1)

Tell = Callable[..., None]


class Asks(Protocol):
    """What an authority is asked for; `asking.Authority` does it over the network."""

    def renewed(self, old: Credential, key: PrivateKey) -> Credential: ...
    def roots(self, identity: Credential) -> tuple[x509.Certificate, ...]: ...
    def crls(self, identity: Credential) -> bytes: ...


class IdentityExpired(ConfigError):
    """An identity ran out before it could be renewed."""

    code = "identity_expired_unrenewed"

    def __init__(self, directory: str, subject: str, not_after: datetime) -> None:
        super().__init__(directory, subject, not_after)
        self.directory, self.subject, self.not_after = directory, subject, not_after

    def __str__(self) -> str:
        return f"the identity of {self.subject} in {self.directory} expired on {self.not_after:%Y-%m-%d %H:%M} UTC"

    @property
    def remedy(self) -> str:
        return (
            "an expired certificate proves nothing: issue a token (twoway ca token) and join again into another "
            "directory, or have it renewed where the authority is (twoway ca renew --allow-expired)"
        )


def stands_under(chain: tuple[x509.Certificate, ...], root: x509.Certificate) -> bool:
    """Whether that root signed one of the chain."""
    for certificate in chain:
        try:
            certificate.verify_directly_issued_by(root)
        except (InvalidSignature, ValueError, TypeError):
            continue
        return True
    return False


class Managed:
    """Looks after one identity whenever `look` is called; what happened is told, and kept in the state file."""

    def __init__(self, options: IdentityOptions, authority: Asks, tell: Tell) -> None:
        self.options, self._authority, self._tell = options, authority, tell
        self.state = read_state(options.directory)
        self.credential: Credential | None = None
        self._trust_checked_at: datetime | None = None
        self._hooks_again_at: datetime | None = None

    @property
    def directory(self) -> Path:
        return self.options.directory

    def look(self, now: datetime) -> State:
        """Do what is due now. Failures are told and tried again later; nothing is raised."""
        before = self.state
        if before.next_try_at is None or now >= before.next_try_at:
            try:
                self.credential = credential = Credential.load(self.directory, now=now, allow_expired=True)
                check_can_ask(str(self.directory), credential)
                self._renew(credential, now)
                self._copy_pkcs12()
                self._refresh_trust(now)
                if before.failures:
                    self.state = self.state.succeeded(now, renewed=False)
            except Exception as error:  # noqa: BLE001 - one identity's trouble is not the others'
                self._failed(error, now)
        if self.state.hooks_due and (self._hooks_again_at is None or now >= self._hooks_again_at):
            self._run_hooks(now)
        if self.state != before:
            self._save_state()
        return self.state

    def _renew(self, old: Credential, now: datetime) -> None:
        """Have a new certificate if the old one is due."""
        stands = urgency(old.not_before, old.not_after, old.fingerprint, now)
        if stands == "fresh":
            return
        if stands == "expired":
            raise IdentityExpired(str(self.directory), old.describe(), old.not_after)
        self._succeed(old, now)

    def _succeed(self, old: Credential, now: datetime) -> None:
        key = generate_key(old.key_type) if self.options.new_key else old.private_key
        new = self._authority.renewed(old, key)
        replace_pair(self.directory, private_key_pem(key), new.certificate_pem())
        self.credential = new
        self.state = self.state.succeeded(now, renewed=True)
        self._tell(
            "renewed",
            f"{new.describe()} in {self.directory}, until {new.not_after:%Y-%m-%d %H:%M} UTC",
            directory=str(self.directory),
            serial=f"{new.leaf.serial_number:x}",
        )

    def _copy_pkcs12(self) -> None:
        """Write the PKCS#12 copy if it is older than the identity, or is not there."""
        wanted = self.options.pkcs12
        if wanted is None:
            return
        written = (self.directory / "cert.pem").stat().st_mtime_ns
        if not wanted.file.exists() or wanted.file.stat().st_mtime_ns < written:
            secret = read(wanted.passphrase_file).rstrip(b"\r\n")
            whole = Credential.load(self.directory, allow_expired=True)
            write_private(wanted.file, whole.to_pkcs12(secret, compat=wanted.compat))

    def _refresh_trust(self, now: datetime) -> None:
        """Bring the roots and the revocation lists up to date; asked over a connection that both sides proved."""
        assert self.credential is not None
        checked = self._trust_checked_at
        if checked is not None and checked <= now < checked + TRUST_EVERY:
            return
        identity = Credential.load(self.directory, now=now)
        roots = self._authority.roots(identity)
        if roots != identity.anchors:
            write_public(self.directory / "ca.pem", chain_pem(roots))
            self._changed(
                "trust-changed", f"{len(roots)} roots are believed now, {len(identity.anchors)} before"
            )
        # The first root is the one that signs now: what stands under another is renewed before that one is given up.
        if len(roots) > 1 and not stands_under(identity.chain, roots[0]):
            self._succeed(replace(identity, anchors=roots), now)
            identity = self.credential
        if self.options.crl or (self.directory / "crl.pem").exists():
            lists = self._authority.crls(identity)
            path = self.directory / "crl.pem"
            if not path.exists() or read(path, limit=1 << 30) != lists:
                write_public(path, lists)
                self._changed("crl-changed", "newer revocation lists")
        self._trust_checked_at = now

    def _changed(self, name: str, sentence: str) -> None:
        self._tell(name, f"{self.directory}: {sentence}", directory=str(self.directory))
        self.state = replace(self.state, hooks_due=True)

    def _failed(self, error: Exception, now: datetime) -> None:
        left = self.credential.not_after - now if self.credential is not None else timedelta(hours=1)
        again = now + retry_after(self.state.failures + 1, left)
        told = str(error) if isinstance(error, TwowayError) else f"{type(error).__name__}: {error}"
        remedy = (
            error.remedy if isinstance(error, TwowayError) else "this is a fault of twoway: please report it"
        )
        self.state = self.state.failed(now, again, told, remedy)
        hours = max(0.0, left.total_seconds() / 3600)
        self._tell(
            "not-renewed",
            f"{self.directory}: {told}; {hours:.1f} hours are left, attempt {self.state.failures}, "
            f"again at {again:%H:%M:%S} UTC; remedy: {remedy}",
            directory=str(self.directory),
            failures=self.state.failures,
            error=told,
            remedy=remedy,
        )

    def _run_hooks(self, now: datetime) -> None:
        try:
            for hook in self.options.hooks:
                hook.run()
        except HookFailed as error:
            self._hooks_again_at = now + HOOK_RETRY
            self._tell(
                "hook-failed",
                f"{error}; remedy: {error.remedy}",
                directory=str(self.directory),
                error=str(error),
            )
            return
        self.state = replace(self.state, hooks_due=False)

    def _save_state(self) -> None:
        try:
            write_state(self.directory, self.state)
        except ConfigError as error:
            self._tell("state-not-written", f"{error}; remedy: {error.remedy}", directory=str(self.directory))

    def facts(self, now: datetime) -> dict[str, object]:
        """How this identity stands, for a person or a program."""
        try:
            credential = Credential.load(self.directory, now=now, allow_expired=True)
        except TwowayError as error:
            return {
                "directory": str(self.directory),
                "state": "unusable",
                "error": str(error),
                "remedy": error.remedy,
            }
        begins, ends = credential.not_before, credential.not_after
        return {
            "directory": str(self.directory),
            "subject": credential.describe(),
            "state": "failing" if self.state.failures else urgency(begins, ends, credential.fingerprint, now),
            "not_after": ends.isoformat(),
            "due_at": due_at(begins, ends, credential.fingerprint).isoformat(),
            "authority": self.options.url,
            **self.state.as_dict(),
        }
