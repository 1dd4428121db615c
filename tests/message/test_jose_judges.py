"""Independent judges of JWE and JWS: jwcrypto, and jose on Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jwcrypto import jwe, jwk, jws

from tests.conftest import asset, judge
from tests.message.conftest import SEALABLE, Pki
from twoway import message

CONTENT = b"order 1223"
SIGNERS = ("p256", "p384", "rsa2048", "ed25519")
THEIRS = ["ECDH-ES", "ECDH-ES+A256KW", "RSA-OAEP-256", "A256GCM"]


def their_key(pki: Pki, key_type: str) -> Any:
    return jwk.JWK.from_pem(pki.identity(key_type).key_pem())


@pytest.mark.parametrize("key_type", SEALABLE)
@pytest.mark.parametrize("also", [(), ("p384",)])
def test_jwcrypto_opens_what_we_seal(pki: Pki, key_type: str, also: tuple[str, ...]):
    everybody = [pki.identity(key_type), *(pki.identity(one, "other") for one in also)]
    token = jwe.JWE(algs=THEIRS)
    token.deserialize(
        message.seal(CONTENT, to=everybody, trust=pki.trust).decode(), key=their_key(pki, key_type)
    )
    assert token.payload == CONTENT


@pytest.mark.parametrize("key_type", SEALABLE)
@pytest.mark.parametrize("compact", [True, False])
def test_we_open_what_jwcrypto_seals(pki: Pki, key_type: str, compact: bool):
    algorithm = "RSA-OAEP-256" if key_type.startswith("rsa") else "ECDH-ES+A256KW"
    token = jwe.JWE(CONTENT, json.dumps({"alg": algorithm, "enc": "A256GCM"}), algs=THEIRS)
    token.add_recipient(their_key(pki, key_type))
    sealed = token.serialize(compact=compact).encode()
    assert message.open(sealed, identity=pki.identity(key_type)).content == CONTENT


@pytest.mark.parametrize("key_type", ["p256", "p384", "rsa2048"])
def test_jwcrypto_verifies_what_we_sign(pki: Pki, key_type: str):
    token = jws.JWS()
    token.deserialize(message.sign(CONTENT, identity=pki.identity(key_type)).decode())
    token.verify(their_key(pki, key_type))
    assert token.payload == CONTENT


@pytest.mark.parametrize(
    ("key_type", "algorithm"),
    [("p256", "ES256"), ("p384", "ES384"), ("rsa2048", "PS256"), ("ed25519", "EdDSA")],
)
def test_we_verify_what_jwcrypto_signs(pki: Pki, key_type: str, algorithm: str):
    token = jws.JWS(CONTENT)
    token.add_signature(their_key(pki, key_type), None, json.dumps({"alg": algorithm}), None)
    signed = token.serialize(compact=True).encode()
    verified = message.verify(signed, trust=pki.trust, signer=pki.identity(key_type))
    assert verified.content == CONTENT
    assert verified.signer.common_name == "orders"


# -- Node ---------------------------------------------------------------------------------------------

PROGRAM = """
import * as jose from '%s'
import { X509Certificate, createPrivateKey, createPublicKey } from 'node:crypto'
let text = ''
for await (const part of process.stdin) text += part
const { verb, pem, message, alg } = JSON.parse(text)
const out = value => console.log(JSON.stringify(value))
const plain = bytes => Buffer.from(bytes).toString('utf8')
if (verb === 'open') {
  const key = createPrivateKey(pem)
  const done = message.startsWith('{') ? await jose.generalDecrypt(JSON.parse(message), key)
                                       : await jose.compactDecrypt(message, key)
  out(plain(done.plaintext))
} else if (verb === 'seal') {
  out(await new jose.CompactEncrypt(Buffer.from('order 1223'))
    .setProtectedHeader({ alg, enc: 'A256GCM' }).encrypt(createPublicKey(pem)))
} else if (verb === 'verify') {
  const first = message.startsWith('{') ? JSON.parse(message).signatures[0].protected : message.split('.')[0]
  const head = JSON.parse(Buffer.from(first, 'base64url'))
  const key = new X509Certificate(Buffer.from(head.x5c[0], 'base64')).publicKey
  const done = message.startsWith('{') ? await jose.generalVerify(JSON.parse(message), key)
                                       : await jose.compactVerify(message, key)
  out(plain(done.payload))
} else {
  out(await new jose.CompactSign(Buffer.from('order 1223')).setProtectedHeader({ alg }).sign(createPrivateKey(pem)))
}
"""


@pytest.fixture
def node(tmp_path: Path) -> Any:
    program = judge("node")
    library = asset("node_modules", "jose", "dist", "webapi", "index.js")
    script = tmp_path / "ask.mjs"
    script.write_text(PROGRAM % library.as_uri())

    def ask(**question: str) -> Any:
        done = subprocess.run(
            [program, script], input=json.dumps(question), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask


@pytest.mark.judge
@pytest.mark.parametrize("key_type", SEALABLE)
def test_jose_on_node_opens_what_we_seal_and_we_what_it_seals(pki: Pki, node: Any, key_type: str):
    identity = pki.identity(key_type)
    key = identity.key_pem().decode()
    for everybody in ([identity], [identity, pki.identity("p256", "other")]):
        sealed = message.seal(CONTENT, to=everybody, trust=pki.trust).decode()
        assert node(verb="open", pem=key, message=sealed) == "order 1223"
    algorithm = "RSA-OAEP-256" if key_type.startswith("rsa") else "ECDH-ES+A256KW"
    theirs = node(verb="seal", pem=identity.certificate_pem().decode(), alg=algorithm)
    assert message.open(theirs.encode(), identity=identity).content == CONTENT


@pytest.mark.judge
@pytest.mark.parametrize("key_type", SIGNERS)
def test_jose_on_node_verifies_what_we_sign_and_we_what_it_signs(pki: Pki, node: Any, key_type: str):
    identity = pki.identity(key_type)
    for signers in ([identity], [identity, pki.identity("p256", "auditor")]):
        signed = message.sign(CONTENT, identity=signers).decode()
        assert node(verb="verify", message=signed) == "order 1223"
    algorithm = {"p256": "ES256", "p384": "ES384", "rsa2048": "PS256", "ed25519": "EdDSA"}[key_type]
    theirs = node(verb="sign", pem=identity.key_pem().decode(), alg=algorithm)
    assert message.verify(theirs.encode(), trust=pki.trust, signer=identity).content == CONTENT
