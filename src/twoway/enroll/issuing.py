"""The one way in which a certificate is issued over the network, whatever the endpoint."""

from __future__ import annotations

from cryptography import x509

from twoway.authority.guard import Guard
from twoway.authority.issuance import Chain, signing_order
from twoway.credential import describe
from twoway.enroll.access import Standing
from twoway.enroll.call import Call
from twoway.enroll.faults import NameHasRole
from twoway.enroll.roles import Roles
from twoway.names import Names
from twoway.trust.rules import facts_of_certificate


async def certify(
    call: Call,
    csr: bytes,
    *,
    profile: str,
    common_name: str | None = None,
    names: Names | None = None,
    days: float | None = None,
    guard: Guard = Guard(),  # noqa: B008 - it is frozen
) -> Chain:
    """The chain (leaf, issuing CA) for a signing request, in the name of the call's caller; see `Authority.sign`.

    Names that would give a role are refused, unless the caller is an admin: whoever may ask for certificates must not
    make himself an operator by it. `guard` adds to that. Raises NameHasRole, what `Authority.sign` raises, what
    `guard` raises, and Overloaded.
    """
    service = call.service

    def judge(unsigned: x509.Certificate) -> None:
        if call.admitted_as is not Standing.ADMIN:
            check_no_role(service.roles, unsigned)
        guard.judge(unsigned)

    watched = Guard(guard.asked, judge, guard.within)
    order = signing_order(csr, profile, call.caller.actor, common_name, names, days, watched)
    chain = await service.certify(order, call.now)
    service.metrics.issued.labels(call.endpoint.name).inc()
    return chain


async def renew(call: Call, csr: bytes) -> Chain:
    """The chain of the successor of the certificate that the caller showed, for the key of a signing request.

    The rules are `authority.renewal`'s; what the operator may loosen of them is in the service's options.
    """
    service, record = call.service, call.caller.record
    assert record is not None
    chain = await service.run(
        lambda: service.authority.renewal.certify(
            record.certificate,
            csr=csr,
            now=call.now,
            actor=call.caller.actor,
            again=service.options.renew_again,
        )
    )
    service.metrics.issued.labels(call.endpoint.name).inc()
    return chain


def check_no_role(roles: Roles, certificate: x509.Certificate) -> None:
    """Raise NameHasRole if whoever presents this certificate would have a role."""
    if roles.none_given:
        return
    found = roles.of(facts_of_certificate(certificate))
    if found:
        raise NameHasRole(describe(certificate), tuple(sorted(found)))
