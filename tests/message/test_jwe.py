"""JWE: who can open what, and what is refused."""

from __future__ import annotations

import base64
import json
import pickle
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from tests.message.conftest import SEALABLE, Pki, usage
from tests.pki import NOW, make
from twoway import message
from twoway.credential import Credential
from twoway.message.jose.headers import thumbprint
from twoway.trust import CertificateExpired, CertificateRevoked, Trust, UnknownAuthority

VECTORS = json.loads((Path(__file__).parent / "vectors" / "jose.json").read_text())
CONTENT = b"order 1223"


@pytest.mark.parametrize("key_type", SEALABLE)
def test_what_is_sealed_for_a_certificate_opens_with_its_key(pki: Pki, key_type: str):
    identity = pki.identity(key_type)
    sealed = message.seal(CONTENT, to=identity, trust=pki.trust, content_type="text/plain")
    assert CONTENT not in sealed
    assert message.open(sealed, identity=identity) == message.Opened("jwe", CONTENT, "text/plain")


def test_each_of_several_recipients_opens_it_and_nobody_else(pki: Pki):
    everybody = [pki.identity(key_type) for key_type in SEALABLE]
    sealed = message.seal(CONTENT, to=everybody, trust=pki.trust)
    for one in everybody:
        assert message.open(sealed, identity=one).content == CONTENT
    stranger = pki.identity("p256", "stranger")
    with pytest.raises(message.NotForUs) as caught:
        message.open(sealed, identity=stranger)
    assert caught.value.recipients == tuple(thumbprint(one.leaf) for one in everybody)
    assert "stranger" in str(caught.value)


@pytest.mark.parametrize("name", VECTORS["sealed"])
def test_the_published_examples_open(name: str):
    vector = VECTORS["sealed"][name]
    key = ECKey.import_key(vector["key"]).private_key
    identity = Credential(key, (make("vector", key, None),))  # type: ignore[arg-type]
    assert message.open(vector["message"].encode(), identity=identity).content == VECTORS["content"].encode()


def test_nothing_is_sealed_for_a_certificate_of_an_unknown_authority(pki: Pki):
    with pytest.raises(UnknownAuthority):
        message.seal(CONTENT, to=Pki().identity(), trust=pki.trust)


def test_nothing_is_sealed_when_one_of_several_recipients_is_revoked(pki: Pki):
    good, bad = pki.identity("p256"), pki.identity("p256", "dismissed")
    trust = Trust(pki.trust.anchors, (pki.root.crl(), pki.issuing.crl(bad.leaf)))
    with pytest.raises(CertificateRevoked, match="dismissed"):
        message.seal(CONTENT, to=[good, bad], trust=trust)


def test_nothing_is_sealed_for_an_expired_certificate_but_its_holder_opens_what_is_old(pki: Pki):
    old = pki.make("old", start=-0.9, days=-0.5)
    with pytest.raises(CertificateExpired, match="old"):
        message.seal(CONTENT, to=old, trust=pki.trust)
    sealed = message.seal(CONTENT, to=old, trust=pki.trust, now=old.not_before)
    assert message.open(sealed, identity=old).content == CONTENT


@pytest.mark.parametrize("key_type", ["ed25519", "mldsa44"])
def test_a_key_that_only_signs_cannot_be_sealed_for(pki: Pki, key_type: str):
    with pytest.raises(message.CannotReceive) as caught:
        message.seal(CONTENT, to=pki.identity(key_type), trust=pki.trust)
    assert caught.value.args == ("orders", key_type, "jwe", ("p256", "p384", "rsa"))
    assert "p256" in caught.value.remedy
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(("key_type", "wanted"), [("p256", "keyAgreement"), ("rsa2048", "keyEncipherment")])
def test_a_key_usage_that_allows_only_signatures_is_obeyed(pki: Pki, key_type: str, wanted: str):
    """RFC 5280 §4.2.1.3."""
    only_signs = pki.make("only-signs", key_type, usage("digital_signature"))
    with pytest.raises(message.KeyUsageForbids) as caught:
        message.seal(CONTENT, to=only_signs, trust=pki.trust)
    assert caught.value.args == ("only-signs", wanted, ("digitalSignature",))


def test_identities_of_our_own_authority_can_be_sealed_for(tmp_path: Path):
    import twoway

    authority = twoway.Authority.create(tmp_path / "pki", name="Acme", no_passphrase=True)
    for key_type in SEALABLE:
        identity = authority.issue_client("orders", key_type=key_type)
        sealed = message.seal(CONTENT, to=identity, trust=Trust(identity.anchors))
        assert message.open(sealed, identity=identity).content == CONTENT


def header(sealed: bytes, **changes: object) -> bytes:
    head, rest = sealed.split(b".", 1)
    fields = json.loads(base64.urlsafe_b64decode(head + b"=="))
    fields = {name: value for name, value in (fields | changes).items() if value is not None}
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=") + b"." + rest


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"alg": "RSA1_5"}, "RSA1_5"),
        ({"alg": "RSA-OAEP"}, "RSA-OAEP"),
        ({"alg": "dir"}, "dir"),
        ({"alg": "none"}, "none"),
        ({"alg": ["RSA-OAEP-256"]}, "\\['RSA-OAEP-256'\\]"),
        ({"enc": "A128CBC"}, "A128CBC"),
        ({"zip": "DEF"}, "compression"),
        ({"crit": ["exp"], "exp": 1}, "critical"),
    ],
)
def test_weak_and_unknown_algorithms_are_refused_by_name(pki: Pki, changes: dict[str, object], refused: str):
    """RSA1_5 is a padding oracle waiting to be asked, compression tells the content by its length."""
    identity = pki.identity("rsa2048")
    sealed = message.seal(CONTENT, to=identity, trust=pki.trust)
    with pytest.raises(message.AlgorithmRefused, match=f"got .*{refused}"):
        message.open(header(sealed, **changes), identity=identity)


@pytest.mark.parametrize("key_type", SEALABLE)
@pytest.mark.parametrize("segment", [0, 1, 2, 3, 4])
def test_every_fault_of_opening_looks_the_same(pki: Pki, key_type: str, segment: int):
    """A wrong key, a broken padding and a wrong tag are one error without a detail: no oracle."""
    identity = pki.identity(key_type)
    parts = message.seal(CONTENT, to=identity, trust=pki.trust).split(b".")
    if segment == 0:
        other = pki.identity(key_type, "other")
        parts = message.seal(CONTENT, to=other, trust=pki.trust).split(b".")
        parts = header(b".".join(parts), **{"x5t#S256": thumbprint(identity.leaf)}).split(b".")
    else:
        raw = bytearray(base64.urlsafe_b64decode(parts[segment] + b"=="))
        raw[len(raw) // 2] ^= 1
        parts[segment] = base64.urlsafe_b64encode(raw).rstrip(b"=")
    with pytest.raises(message.CannotOpen) as caught:
        message.open(b".".join(parts), identity=identity)
    assert caught.value.args == ("orders",)
    assert caught.value.__cause__ is None


def test_a_message_that_names_nobody_opens_with_the_key_that_fits(pki: Pki):
    identity = pki.identity("p256")
    from joserfc import jwe

    from twoway.message.jose.headers import public_jwk

    sealed = jwe.encrypt_compact(
        {"alg": "ECDH-ES", "enc": "A256GCM"},
        CONTENT,
        public_jwk(identity.leaf),
        algorithms=["ECDH-ES", "A256GCM"],
    )
    assert message.open(sealed.encode(), identity=identity).content == CONTENT
    with pytest.raises(message.AlgorithmRefused, match="got ECDH-ES"):
        message.open(sealed.encode(), identity=pki.identity("rsa2048"))


def test_nobody_twice_and_too_many_are_asked_wrongly(pki: Pki):
    from twoway.errors import UsageError

    one = pki.identity()
    for to, sentence in (([], "nobody"), ([one, one], "twice"), ([one] * 17, "at most 16")):
        with pytest.raises(UsageError, match=sentence):
            message.seal(CONTENT, to=to, trust=pki.trust)


def test_content_beyond_the_limit_of_the_format_is_refused_with_what_takes_it(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("twoway.message.sealing.MAX_CONTENT", 9)
    with pytest.raises(message.MessageTooLarge, match="at most 9 bytes") as caught:
        message.seal(CONTENT, to=pki.identity(), trust=pki.trust)
    assert "cms" in caught.value.remedy


def test_a_recipient_is_made_by_verification_only(pki: Pki):
    found = message.recipients(pki.identity(), pki.trust, now=NOW)
    assert [one.describe() for one in found] == ["orders"]
    assert found[0].fingerprint == pki.identity().fingerprint


def test_additional_authenticated_data_of_others_is_authenticated(pki: Pki):
    """RFC 7516 §5.2 step 14."""
    from jwcrypto import jwe, jwk

    identity = pki.identity("p256")
    token = jwe.JWE(CONTENT, json.dumps({"enc": "A256GCM"}), aad="for the books")
    token.add_recipient(jwk.JWK.from_pem(identity.key_pem()), json.dumps({"alg": "ECDH-ES+A256KW"}))
    sealed = token.serialize()
    assert message.open(sealed.encode(), identity=identity).content == CONTENT
    changed = json.loads(sealed) | {"aad": base64.urlsafe_b64encode(b"for the birds").decode().rstrip("=")}
    with pytest.raises(message.CannotOpen):
        message.open(json.dumps(changed).encode(), identity=identity)


def test_what_a_sender_writes_into_a_header_cannot_forge_a_line_of_a_log(pki: Pki):
    sealed = message.seal(CONTENT, to=pki.identity(), trust=pki.trust)
    for changes in ({"x5t#S256": "a\nb"}, {"alg": "a\nb"}):
        with pytest.raises(message.MessageError) as caught:
            message.open(header(sealed, **changes), identity=pki.identity())
        assert "\n" not in str(caught.value)
