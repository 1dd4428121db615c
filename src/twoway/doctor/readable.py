"""What somebody put together in memory, less what cannot be read: each such certificate is a finding."""

from __future__ import annotations

from cryptography import x509

from twoway.doctor.codes import found
from twoway.doctor.finding import Finding
from twoway.doctor.material import Material, Side, other
from twoway.trust import CertificateUnreadable
from twoway.trust.reading import check_readable

Certificates = tuple[x509.Certificate, ...]


def readable(material: Material) -> Material:
    """The same material with readable certificates only. The library decodes late, so all is read here.

    Files have been read by then; a chain off the wire has not.
    """
    side = material.side
    chain, of_chain = _sorted(material.chain, side, material.places.chain)
    presented, of_peer = _sorted(material.presented, other(side), "the chain that it presents")
    anchors, of_trust = _sorted(material.anchors or (), side, material.places.anchors)
    faults = (*of_chain, *of_peer, *of_trust)
    if not faults:
        return material
    return material.but(
        chain=chain,
        presented=presented,
        anchors=anchors if material.anchors is not None else None,
        faults=(*material.faults, *faults),
    )


def _sorted(certificates: Certificates, side: Side, where: str) -> tuple[Certificates, list[Finding]]:
    kept, faults = [], []
    for position, certificate in enumerate(certificates):
        try:
            check_readable((certificate,))
        except CertificateUnreadable as fault:
            faults.append(_finding(CertificateUnreadable(position, fault.problem), side, where))
        else:
            kept.append(certificate)
    return tuple(kept), faults


def _finding(fault: CertificateUnreadable, side: Side, where: str) -> Finding:
    evidence = fault.evidence | {"file": where}
    return found("certificate_unreadable", "error", side, f"{where}: {fault}", fault.remedy, evidence)
