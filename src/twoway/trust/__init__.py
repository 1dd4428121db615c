"""Whom we believe, who somebody proved to be, and what they may do."""

from twoway.trust.bundle import Trust
from twoway.trust.diagnosis import untrusted
from twoway.trust.faults import (
    AnchorNotAuthority,
    BadSignature,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateUnreadable,
    ChainRefused,
    HostnameMismatch,
    NameConstraintViolated,
    NoAnchors,
    NoCertificate,
    NotAnAuthority,
    NotStrict,
    OutOfBounds,
    UnknownAuthority,
    Untrusted,
    WeakAlgorithm,
    WrongPurpose,
)
from twoway.trust.peer import Peer
from twoway.trust.pins import PinMismatch, Pins
from twoway.trust.policy import Decision, NotAllowed, Policy
from twoway.trust.revocation_faults import (
    CertificateRevoked,
    CrlMissing,
    CrlStale,
    CrlUnusable,
    RevocationUnknown,
)
from twoway.trust.rules import BadRule, Rule
from twoway.trust.verification import VerifiedChain, accept_current, accept_verified, check_hostname, verify

__all__ = [
    "AnchorNotAuthority",
    "BadRule",
    "BadSignature",
    "CertificateExpired",
    "CertificateNotYetValid",
    "CertificateRevoked",
    "CertificateUnreadable",
    "ChainRefused",
    "CrlMissing",
    "CrlStale",
    "CrlUnusable",
    "Decision",
    "HostnameMismatch",
    "NameConstraintViolated",
    "NoAnchors",
    "NoCertificate",
    "NotAllowed",
    "NotAnAuthority",
    "NotStrict",
    "OutOfBounds",
    "Peer",
    "PinMismatch",
    "Pins",
    "Policy",
    "RevocationUnknown",
    "Rule",
    "Trust",
    "UnknownAuthority",
    "Untrusted",
    "VerifiedChain",
    "WeakAlgorithm",
    "WrongPurpose",
    "accept_current",
    "accept_verified",
    "check_hostname",
    "untrusted",
    "verify",
]
