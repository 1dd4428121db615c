"""Sealed and signed messages: readable only with one private key, or provably from one."""

from twoway.message.faults import (
    AlgorithmRefused,
    CannotOpen,
    CannotReceive,
    CannotSign,
    CardExpired,
    ContentMissing,
    KeyUsageForbids,
    MessageError,
    MessageMalformed,
    MessageTooLarge,
    NotForUs,
    SignatureInvalid,
    SignerUnknown,
)
from twoway.message.hpke.sealing_key import SealingKey, load_sealing_keys, new_sealing_key
from twoway.message.recipient import Recipient, recipients
from twoway.message.sealing import SEAL_FORMATS, Opened, SealFormat, open_file, seal, seal_file
from twoway.message.sealing import open_message as open  # noqa: A004 - called as message.open
from twoway.message.signer import Verified
from twoway.message.signing import SIGN_FORMATS, SignFormat, sign, sign_file, verify, verify_file

__all__ = [
    "SEAL_FORMATS",
    "SIGN_FORMATS",
    "AlgorithmRefused",
    "CannotOpen",
    "CannotReceive",
    "CannotSign",
    "CardExpired",
    "ContentMissing",
    "KeyUsageForbids",
    "MessageError",
    "MessageMalformed",
    "MessageTooLarge",
    "NotForUs",
    "Opened",
    "Recipient",
    "SealFormat",
    "SealingKey",
    "SignFormat",
    "SignatureInvalid",
    "SignerUnknown",
    "Verified",
    "load_sealing_keys",
    "new_sealing_key",
    "open",
    "open_file",
    "recipients",
    "seal",
    "seal_file",
    "sign",
    "sign_file",
    "verify",
    "verify_file",
]
