"""JWS: who signed, and everything that is not believed."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.message.conftest import Pki, usage
from tests.message.test_jwe import header
from tests.pki import make
from twoway import message
from twoway.errors import UsageError
from twoway.message.jose import jws
from twoway.message.jose.headers import encode, thumbprint
from twoway.trust import CertificateExpired, CertificateRevoked, Trust, UnknownAuthority, WrongPurpose

VECTORS = json.loads((Path(__file__).parent / "vectors" / "jose.json").read_text())
CONTENT = b"order 1223"
SIGNERS = ("p256", "p384", "rsa2048", "ed25519")


@pytest.mark.parametrize("detached", [False, True])
@pytest.mark.parametrize("key_type", SIGNERS)
def test_a_signature_says_who_signed(pki: Pki, key_type: str, detached: bool):
    signed = message.sign(CONTENT, identity=pki.identity(key_type), detached=detached)
    verified = message.verify(signed, trust=pki.trust, content=CONTENT if detached else None)
    assert verified.signer.common_name == "orders"
    assert verified.signer.fingerprint == pki.identity(key_type).fingerprint
    assert verified.content == (None if detached else CONTENT)
    assert (encode(CONTENT).encode() in signed) is not detached


def test_several_sign_one_message_and_all_of_them_must_hold(pki: Pki):
    signed = message.sign(CONTENT, identity=[pki.identity("p256"), pki.identity("ed25519", "auditor")])
    verified = message.verify(signed, trust=pki.trust)
    assert [one.common_name for one in verified.signers] == ["orders", "auditor"]
    parsed = json.loads(signed)
    parsed["signatures"][1]["signature"] = parsed["signatures"][0]["signature"]
    with pytest.raises(message.SignatureInvalid, match="auditor"):
        message.verify(json.dumps(parsed).encode(), trust=pki.trust)


@pytest.mark.parametrize("name", VECTORS["signed"])
def test_the_published_examples_verify(pki: Pki, name: str):
    vector = VECTORS["signed"][name]
    kind: Any = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}[vector["key"]["kty"]]
    public = kind.import_key(vector["key"]).public_key

    class Holder:
        def public_key(self) -> Any:
            return public

    leaf = make("vector", Holder(), pki.issuing, dns=("vector",), purpose="client")
    signer = (leaf, *pki.issuing.chain)
    verified = message.verify(vector["message"].encode(), trust=pki.trust, signer=signer)
    assert verified.content == vector["content"].encode()
    with pytest.raises(message.SignerUnknown, match="no x5c"):
        message.verify(vector["message"].encode(), trust=pki.trust)


def test_a_signer_of_an_unknown_authority_is_not_believed(pki: Pki):
    with pytest.raises(UnknownAuthority):
        message.verify(message.sign(CONTENT, identity=Pki().identity()), trust=pki.trust)


def test_a_revoked_signer_is_not_believed(pki: Pki):
    dismissed = pki.identity("p256", "dismissed")
    trust = Trust(pki.trust.anchors, (pki.root.crl(), pki.issuing.crl(dismissed.leaf)))
    with pytest.raises(CertificateRevoked, match="dismissed"):
        message.verify(message.sign(CONTENT, identity=dismissed), trust=trust)


def test_an_expired_signer_is_believed_only_at_a_time_that_was_his(pki: Pki):
    old = pki.make("old", start=-0.9, days=-0.5)
    signed = message.sign(CONTENT, identity=old)
    with pytest.raises(CertificateExpired, match="old"):
        message.verify(signed, trust=pki.trust)
    assert message.verify(signed, trust=pki.trust, now=old.not_before).signer.common_name == "old"


def test_a_certificate_for_something_else_does_not_sign_messages(pki: Pki):
    other = pki.make("coder", purpose="other")
    with pytest.raises(WrongPurpose, match="codeSigning"):
        message.verify(message.sign(CONTENT, identity=other), trust=pki.trust)
    server = pki.make("api", purpose="server")
    signed = message.sign(CONTENT, identity=server)
    assert message.verify(signed, trust=pki.trust).signer.common_name == "api"
    with pytest.raises(WrongPurpose):
        message.verify(signed, trust=pki.trust, purpose="client")


def test_a_key_usage_without_signatures_is_obeyed_on_both_sides(pki: Pki):
    only_agrees = pki.make("only-agrees", "p256", usage("key_agreement"))
    with pytest.raises(message.KeyUsageForbids) as caught:
        message.sign(CONTENT, identity=only_agrees)
    assert caught.value.args == ("only-agrees", "digitalSignature", ("keyAgreement",))


def test_a_kind_of_key_that_the_format_does_not_know_is_told(pki: Pki):
    with pytest.raises(message.CannotSign) as caught:
        message.sign(CONTENT, identity=pki.identity("mldsa44"))
    assert caught.value.args[:3] == ("orders", "mldsa44", "jws")
    assert "cms" in caught.value.remedy


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384", "RS256", "EdDSA", None, 7])
def test_the_key_decides_which_algorithm_is_believed(pki: Pki, algorithm: object):
    """RFC 8725 §3.1: neither `none` nor an HMAC under the public key, nor another key's algorithm."""
    signed = message.sign(CONTENT, identity=pki.identity("p256"))
    with pytest.raises(message.AlgorithmRefused, match="expected ES256 in a jws message"):
        message.verify(header(signed, alg=algorithm), trust=pki.trust)


def test_a_changed_header_content_or_signature_does_not_fit(pki: Pki):
    signed = message.sign(CONTENT, identity=pki.identity("p256"))
    head, payload, signature = signed.split(b".")
    for changed in (
        header(signed, cty="text/html"),
        b".".join((head, base64.urlsafe_b64encode(b"order 1224").rstrip(b"="), signature)),
        b".".join((head, payload, base64.urlsafe_b64encode(bytes(64)).rstrip(b"="))),
        b".".join((head, payload, b"")),
    ):
        with pytest.raises(message.SignatureInvalid, match="of orders does not fit"):
            message.verify(changed, trust=pki.trust)


def test_an_unprotected_header_decides_nothing(pki: Pki):
    """Whoever relays a message can write there."""
    signed = json.loads(jws.sign(CONTENT, [pki.identity("p256")], as_json=True))
    stranger = Pki().identity()
    signed["signatures"][0]["header"] = {"alg": "none", "x5t#S256": thumbprint(stranger.leaf)}
    assert message.verify(json.dumps(signed).encode(), trust=pki.trust).signer.common_name == "orders"


def test_a_detached_signature_needs_its_content_and_an_attached_one_takes_no_other(pki: Pki):
    identity = pki.identity("p256")
    detached, attached = (message.sign(CONTENT, identity=identity, detached=one) for one in (True, False))
    with pytest.raises(message.ContentMissing):
        message.verify(detached, trust=pki.trust)
    with pytest.raises(message.SignatureInvalid):
        message.verify(detached, trust=pki.trust, content=b"another order")
    with pytest.raises(UsageError, match="given too"):
        message.verify(attached, trust=pki.trust, content=CONTENT)


def test_unencoded_payloads_are_read_where_they_are_detached(pki: Pki):
    """RFC 7797: b64=false, which must be critical, and is believed only beside the message."""
    from joserfc import jws as library

    from twoway.message.jose.headers import private_jwk, x5c

    identity = pki.identity("p256")
    fields = {"alg": "ES256", "x5c": x5c(identity.chain), "b64": False, "crit": ["b64"]}
    registry = jws._Registry(algorithms=["ES256"])
    signed = library.serialize_compact(fields, b"$.02", private_jwk(identity.private_key), registry=registry)
    assert message.verify(signed.encode(), trust=pki.trust, content=b"$.02").signer.common_name == "orders"
    with pytest.raises(message.SignatureInvalid):
        message.verify(signed.encode(), trust=pki.trust, content=b"$.03")
    with pytest.raises(message.AlgorithmRefused, match="b64=false with the content inside"):
        message.verify(signed.replace("..", ".abcd.").encode(), trust=pki.trust)
    with pytest.raises(message.MessageMalformed, match="b64 is set and not critical"):
        message.verify(header(signed.encode(), crit=None), trust=pki.trust, content=b"$.02")


def test_empty_content_can_be_signed(pki: Pki):
    signed = message.sign(b"", identity=pki.identity("p256"))
    assert message.verify(signed, trust=pki.trust).content == b""


def test_a_thumbprint_of_another_certificate_is_told(pki: Pki):
    signed = message.sign(CONTENT, identity=pki.identity("p256"))
    other = thumbprint(pki.identity("p256", "other").leaf)
    with pytest.raises(message.MessageMalformed, match="thumbprint"):
        message.verify(header(signed, **{"x5t#S256": other}), trust=pki.trust)
