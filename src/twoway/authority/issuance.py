"""From a public key and the names asked for to a certificate that is signed, judged and remembered."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from cryptography import x509
from sqlalchemy.exc import IntegrityError

from twoway.authority import request, schema
from twoway.authority.cas import Ca, Cas
from twoway.authority.certificates import BACKDATE, MAX_COMMON_NAME, serial_number
from twoway.authority.constraints import Constraints
from twoway.authority.faults import IssuerUnfit
from twoway.authority.final import judge
from twoway.authority.guard import Guard
from twoway.authority.leaf import Draft, Form, usual_key_usage
from twoway.authority.profiles import RESPONDER, Profile, Profiles
from twoway.authority.refusals import LifetimeRefused, NameRefused
from twoway.authority.signing import Signer
from twoway.authority.store import Store
from twoway.authority.transaction import Transaction
from twoway.authority.writer import Finished, Preparation, Work
from twoway.credential import PublicKey
from twoway.errors import UsageError
from twoway.names import Names, guess_kind, parse_dns_name, parse_email, parse_ip, parse_uri

T = TypeVar("T")
Chain = tuple[x509.Certificate, ...]

_PARSERS = {"dns": parse_dns_name, "ip": parse_ip, "uri": parse_uri, "email": parse_email}


class Order(NamedTuple):
    """One certificate that is asked for, and why: `act`, `actor`, `renews` and `detail` go on record."""

    public_key: PublicKey
    common_name: str | None
    names: Names
    profile: str
    act: str
    actor: str
    days: float | None = None
    lifetime: datetime.timedelta | None = None  # instead of the profile's, where no days are asked for
    renews: str | None = None
    ignored: tuple[str, ...] = ()
    guard: Guard = Guard()


class Issuance:
    """Where leaves are made. Several threads and several processes may do so at once."""

    def __init__(
        self,
        store: Store,
        cas: Cas,
        profiles: Profiles,
        organization: str,
        public_url: str | None = None,
    ) -> None:
        self._store, self._cas, self._profiles = store, cas, profiles
        self._organization, self._public_url = organization, public_url
        self._forms: dict[tuple[int, str, tuple[str, ...]], Form] = {}

    def certify(self, ask: Callable[[], Order], now: datetime.datetime) -> Chain:
        """The certificate that is asked for, and its issuer's; on the disk and in the audit log when this returns.

        Raises what `ask` raises, the refusals of the final check, LifetimeRefused, ProfileUnknown, IssuerUnfit,
        StoreLocked, DiskFull, and why the issuing CA's key cannot be read.
        """
        return self._certify(lambda: self._cas.issuing, lambda order: self._profiles[order.profile], ask, now)

    def certify_soon(
        self, ask: Callable[[], Order], now: datetime.datetime, finished: Finished[Chain]
    ) -> bool:
        """The same without waiting: `finished` is called in another thread with the chain or with what was raised.

        False where that cannot be done, since the CA's signatures are slow and would hold up everybody: use `certify`.
        What was raised may be one of AGAIN; then `certify` finds the way.
        """
        ca = self._cas.issuing
        signer = self._cas.signer(ca)
        if signer.quick:
            preparation = self._prepare(ask, lambda order: self._profiles[order.profile], ca, signer, now)
            self._store.write_prepared_soon(preparation, finished)
        return signer.quick

    def responder(self, public_key: PublicKey, ca: Ca, now: datetime.datetime) -> Chain:
        """A certificate with which a key answers OCSP requests for that CA and does nothing else.

        Raises IssuerUnfit, and why the CA's key cannot be read: the root's is often offline.
        """
        order = Order(public_key, "OCSP responder", Names(), RESPONDER.name, "issue", "ocsp responder")
        return self._certify(
            lambda: next(each for each in self._cas.all if each.id == ca.id),
            lambda _: RESPONDER,
            lambda: order,
            now,
        )

    def _certify(
        self,
        issuer: Callable[[], Ca],
        rules: Callable[[Order], Profile],
        ask: Callable[[], Order],
        now: datetime.datetime,
    ) -> Chain:
        while True:
            ca = issuer()
            signer = self._cas.signer(ca, "certify an OCSP responder" if ca.role == "root" else "sign")
            preparation = self._prepare(ask, rules, ca, signer, now)
            try:
                if signer.quick:
                    return self._store.write_prepared(preparation)
                return self._store.write(_finished(preparation))  # slow signatures run beside each other
            except _IssuerReplaced:
                self._cas.reload()
            except IntegrityError:
                pass  # the serial is taken: with 158 random bits, once in the life of no authority

    def _prepare(
        self,
        ask: Callable[[], Order],
        rules: Callable[[Order], Profile],
        ca: Ca,
        signer: Signer,
        now: datetime.datetime,
    ) -> Preparation[Chain]:
        if ca.revoked_at is not None:
            raise IssuerUnfit(ca.name, "is revoked")
        order = ask()
        profile = rules(order)
        yield
        not_before, not_after = lifetime(profile, ca, order, now)
        draft = Draft(
            order.public_key, order.common_name, order.names, not_before, not_after, serial_number()
        )
        form = self._form(signer, profile, usual_key_usage(order.public_key))
        to_be_signed = form.fill(draft)
        unsigned = form.unsigned(to_be_signed)
        judge(unsigned, profile, ca, self._pointer(profile))
        order.guard.judge(unsigned)
        yield
        behind = self._cas.presented if ca.id == self._cas.issuing.id else (ca.certificate,)
        return _remember(form.signed(to_be_signed), draft, order, ca, behind, now)

    def _form(self, signer: Signer, profile: Profile, usual: tuple[str, ...]) -> Form:
        key = (signer.certificate.serial_number, profile.name, usual)
        if key not in self._forms:
            pointer = self._pointer(profile)
            self._forms[key] = Form(signer, profile, self._organization, usual, pointer)
        return self._forms[key]

    def _pointer(self, profile: Profile) -> str | None:
        return None if profile is RESPONDER else self._public_url


def lifetime(
    profile: Profile, ca: Ca, order: Order, now: datetime.datetime
) -> tuple[datetime.datetime, datetime.datetime]:
    """From when until when. Without days asked for it is the profile's time or what is left of the CA's, the shorter.

    Raises LifetimeRefused when `days` were asked for that the profile or the CA does not have, and IssuerUnfit.
    """
    start, end = ca.not_before, ca.not_after
    if not start <= now < end:
        why = (
            f"expired on {end:%Y-%m-%d}" if now >= end else f"is not valid before {start:%Y-%m-%d %H:%M} UTC"
        )
        raise IssuerUnfit(ca.name, why)
    now = now.replace(microsecond=0)
    days = order.days
    if days is None:
        wanted = order.lifetime or datetime.timedelta(days=profile.days)
        longest = datetime.timedelta(days=profile.max_days) if profile.max_days is not None else wanted
        not_after = min(now + min(wanted, longest), end)
    else:
        not_after = after_days(days, now)
        if profile.max_days is not None and days > profile.max_days:
            latest = min(now + datetime.timedelta(days=profile.max_days), end)
            raise LifetimeRefused(not_after, latest, f"the profile {profile.name}")
        if not_after > end:
            raise LifetimeRefused(not_after, end, f"the end of its issuer {ca.name}")
    return max(now - BACKDATE, start), not_after


def after_days(days: float, now: datetime.datetime) -> datetime.datetime:
    """The moment that many days from now; raises UsageError for none, less, or past what a certificate can say."""
    try:
        if days > 0:
            # RFC 5280 §4.1.2.5.2: four digits of a year are all there is.
            return (now + datetime.timedelta(days=days)).replace(microsecond=0)
    except (OverflowError, ValueError):
        pass
    raise UsageError(f"{days:g} days is no lifetime", "give a number of days above zero, such as --days 90")


def asked_names(
    name: str,
    profile: Profile,
    limits: Constraints,
    *,
    dns: Iterable[str] = (),
    ip: Iterable[str] = (),
    uri: Iterable[str] = (),
    email: Iterable[str] = (),
) -> tuple[str | None, Names]:
    """The common name and the alternative names for `name` plus what is listed. Raises BadName and NameRefused.

    `name` becomes an alternative name of the kind that it looks like. A common name holds 64 octets; a longer
    name (a SPIFFE ID, often) is an alternative name only.
    """
    found = {"dns": list(dns), "ip": list(ip), "uri": list(uri), "email": list(email)}
    kind = guess_kind(name)
    if kind == "text" and "://" in name:
        parse_uri(name)  # says what is wrong with it: as a mere common name it would identify nobody
    if kind == "dns" and _is_mere_label(name, profile, limits):
        kind = "text"
    if kind != "text":
        found[kind].insert(0, name)
    names = parsed_names(found)
    common = names.dns[0] if kind == "dns" else names.ip[0] if kind == "ip" else name
    return checked_common_name(common, required=kind == "text"), names


def _is_mere_label(name: str, profile: Profile, limits: Constraints) -> bool:
    """Whether `orders`, which could be a host, is meant as a client's plain name, because as a host it may not be."""
    if "." in name or "server" in profile.purpose:
        return False
    host = parse_dns_name(name)
    return bool(limits.objection("dns", host)) or (
        profile.names is not None and not profile.names.allows("dns", host)
    )


def parsed_names(found: Mapping[str, Iterable[str]]) -> Names:
    """The names by kind, each normalised and only once. Raises BadName."""
    return Names(
        **{kind: tuple(dict.fromkeys(map(_PARSERS[kind], values))) for kind, values in found.items()}
    )


def checked_common_name(name: str, *, required: bool) -> str | None:
    """The name if it can stand in a subject; None for one that is too long and stands elsewhere as well."""
    if not name.strip() or not name.isprintable():
        raise NameRefused("common", name, "it has to be text that can be printed")
    size = len(name.encode())
    if size <= MAX_COMMON_NAME:
        return name
    if required:
        raise NameRefused("common", name, f"it has {size} octets, and {MAX_COMMON_NAME} are the most")
    return None


def signing_order(
    csr: bytes | str,
    profile: str,
    actor: str,
    common_name: str | None = None,
    names: Names | None = None,
    days: float | None = None,
    guard: Guard = Guard(),  # noqa: B008 - it is frozen
) -> Callable[[], Order]:
    """What reads a signing request and says what is to be certified; see `Authority.sign`."""

    def order() -> Order:
        asked = request.read(csr)
        guard.asked(asked)
        wanted = asked.names if names is None else parsed_names(names.as_dict())
        common = common_name or asked.common_name
        if common is not None:
            common = checked_common_name(common, required=not wanted)
        return Order(
            asked.public_key, common, wanted, profile, "sign", actor, days, ignored=asked.ignored, guard=guard
        )

    return order


def _finished(preparation: Preparation[T]) -> Work[T]:
    while True:
        try:
            next(preparation)
        except StopIteration as end:
            work: Work[T] = end.value
            return work


class _IssuerReplaced(Exception):
    """Another process renewed or revoked the issuing CA since this one looked."""


AGAIN = (_IssuerReplaced, IntegrityError)
"""What may come of `certify_soon` and says only that it has to be done once more."""


def _remember(
    encoded: bytes, draft: Draft, order: Order, ca: Ca, behind: Chain, now: datetime.datetime
) -> Work[Chain]:
    serial, fingerprint = format(draft.serial, "x"), hashlib.sha256(encoded).hexdigest()
    certificate = x509.load_der_x509_certificate(encoded)
    not_before, not_after = int(draft.not_before.timestamp()), int(draft.not_after.timestamp())
    names = [(kind, value) for kind in ("dns", "ip", "uri", "email") for value in getattr(draft.names, kind)]

    def work(transaction: Transaction) -> Chain:
        state = transaction.once(("issuer", ca.id), lambda: transaction.ask(_ISSUER_STATE, ca.id))
        if state != (ca.serial, ca.current, None):
            raise _IssuerReplaced
        order.guard.within(transaction, serial)
        transaction.add(
            schema.certificates,
            issuer=ca.id,
            serial=serial,
            fingerprint=fingerprint,
            common_name=draft.common_name,
            profile=order.profile,
            requested_by=order.actor,
            not_before=not_before,
            not_after=not_after,
            renews=order.renews,
            certificate=encoded,
        )
        for kind, value in names:
            transaction.add(schema.names, value=value, kind=kind, serial=serial)
        detail: dict[str, object] = {"fingerprint": fingerprint, "profile": order.profile}
        if draft.common_name:
            detail["common_name"] = draft.common_name
        if names:
            detail["names"] = [f"{kind}:{value}" for kind, value in names]
        if order.renews:
            detail["renews"] = order.renews
        if order.ignored:
            detail["ignored"] = list(order.ignored)
        transaction.record(order.act, serial, actor=order.actor, at=now, **detail)
        return certificate, *behind

    return work


_ISSUER_STATE = "SELECT serial, current, revoked_at FROM issuers WHERE id = ?"
