"""A context that keeps up with its files, cannot be weakened, and writes no key to a disk."""

from __future__ import annotations

import logging
import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from twoway.credential import Credential
from twoway.errors import UsageError
from twoway.tls import NotExpressible, client_context, server_context
from twoway.tls.following import FollowingContext
from twoway.tls.unnamed import unnamed_file

from .conftest import Pki
from .test_stdlib import meet


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def orders(pki: Pki, tmp_path: Path) -> Path:
    return pki.client.save(tmp_path / "orders")


def following(orders: Path, clock: Clock) -> FollowingContext:
    """As client_context makes it, with a clock that stands still."""
    context = client_context(orders)
    context._clock = clock
    context._next_check = clock() + 1
    return context


def serial(pki: Pki, context: ssl.SSLContext) -> int:
    """The serial number that a server sees."""
    _, server = meet(context, server_context(pki.server))
    found = server.getpeercert()
    assert found is not None
    return int(str(found["serialNumber"]), 16)


def test_a_renewed_identity_is_shown_on_the_next_connection(pki: Pki, orders: Path, clock: Clock):
    context = following(orders, clock)
    assert serial(pki, context) == pki.client.leaf.serial_number
    renewed = pki.issuing.leaf("orders")
    renewed.save(orders)
    clock.now += 2
    assert serial(pki, context) == renewed.leaf.serial_number


def test_files_are_looked_at_once_a_second_at_the_most(pki: Pki, orders: Path, clock: Clock):
    context = following(orders, clock)
    pki.issuing.leaf("orders").save(orders)
    clock.now += 0.9
    assert serial(pki, context) == pki.client.leaf.serial_number


def test_half_a_pair_leaves_the_old_one_in_use_and_is_told(
    pki: Pki, orders: Path, clock: Clock, caplog: pytest.LogCaptureFixture
):
    context = following(orders, clock)
    renewed = pki.issuing.leaf("orders")
    (orders / "key.pem").write_bytes(renewed.key_pem())
    clock.now += 2
    with caplog.at_level(logging.ERROR, "twoway.tls"):
        assert serial(pki, context) == pki.client.leaf.serial_number
    assert "the old one stays in use" in caplog.text
    (orders / "cert.pem").write_bytes(renewed.certificate_pem())
    clock.now += 2
    assert serial(pki, context) == renewed.leaf.serial_number


def test_an_error_that_lasts_is_tried_again(pki: Pki, orders: Path, clock: Clock):
    """Files that could not be read once may be readable later without having changed."""
    context = following(orders, clock)
    renewed = pki.issuing.leaf("orders")
    whole = (orders / "ca.pem").read_bytes()
    renewed.save(orders)
    (orders / "ca.pem").write_bytes(b"")
    clock.now += 2
    assert serial(pki, context) == pki.client.leaf.serial_number
    (orders / "ca.pem").write_bytes(whole)
    clock.now += 2
    assert serial(pki, context) == renewed.leaf.serial_number


def test_revocation_lists_that_vanish_leave_the_old_ones_in_use(pki: Pki, tmp_path: Path, clock: Clock):
    """A lost crl.pem must not let a revoked server answer."""
    lists = (pki.issuing.crl(pki.server.leaf), pki.root.crl())
    orders = Credential(pki.client.private_key, pki.client.chain, pki.client.anchors, lists).save(tmp_path)
    context = following(orders, clock)
    (orders / "crl.pem").unlink()
    clock.now += 2
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        meet(context, server_context(pki.server))


def test_new_authorities_are_believed_from_the_next_connection_on(pki: Pki, orders: Path, clock: Clock):
    context = following(orders, clock)
    other = pki.stranger.anchors
    Credential(pki.client.private_key, pki.client.chain, other).save(orders)
    clock.now += 2
    with pytest.raises(ssl.SSLCertVerificationError):
        meet(context, server_context(pki.server))


def test_a_connection_of_the_old_identity_is_told_from_one_of_the_new(pki: Pki, orders: Path, clock: Clock):
    context = following(orders, clock)
    old, _ = meet(context, server_context(pki.server))
    assert context.is_current(old)
    pki.issuing.leaf("orders").save(orders)
    clock.now += 2
    assert not context.is_current(old)
    new, _ = meet(context, server_context(pki.server))
    assert context.is_current(new)
    assert context.is_current(None)  # no TLS: nothing was shown


def test_what_a_library_asks_for_holds_after_a_renewal_too(pki: Pki, orders: Path, clock: Clock):
    context = following(orders, clock)
    context.set_alpn_protocols(["h2"])
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    pki.issuing.leaf("orders").save(orders)
    clock.now += 2
    server = server_context(pki.server)
    server.set_alpn_protocols(["h2"])
    client, _ = meet(context, server)
    assert client.selected_alpn_protocol() == "h2"
    assert context.current().minimum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    "weaken",
    [
        lambda context: setattr(context, "verify_mode", ssl.CERT_NONE),
        lambda context: setattr(context, "check_hostname", False),
        lambda context: setattr(context, "verify_flags", ssl.VERIFY_DEFAULT),
        lambda context: context.load_default_certs(),
        lambda context: context.set_default_verify_paths(),
        lambda context: context.load_verify_locations(cadata="x"),
        lambda context: context.load_cert_chain("other.pem"),
    ],
)
def test_it_cannot_be_weakened_nor_given_another_identity(pki: Pki, weaken):
    """What libraries do to a context that they were given (requests loads a bundle of public roots)."""
    context = client_context(pki.client)
    with pytest.raises(UsageError, match="settled"):
        weaken(context)
    assert context.verify_mode == ssl.CERT_REQUIRED
    meet(context, server_context(pki.server))


def test_what_goes_past_its_methods_trusts_nobody(pki: Pki):
    """A library in C that takes the bare context gets no identity and no authority: it fails closed."""
    context = client_context(pki.client)
    assert ssl.SSLContext.cert_store_stats(context)["x509"] == 0
    with pytest.raises(ssl.SSLCertVerificationError):
        meet(_Bare(context), server_context(pki.server))  # type: ignore[arg-type]


class _Bare:
    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_bio(self, *arguments, **named):
        return ssl.SSLContext.wrap_bio(self._context, *arguments, **named)


def test_a_key_goes_to_openssl_through_a_pipe_where_there_is_no_memory_file(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delattr(os, "memfd_create")
    meet(client_context(pki.client), server_context(pki.server))


def test_a_pipe_gives_more_than_it_holds_and_may_be_left_unread(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "memfd_create")
    data = os.urandom(1_000_000)
    with unnamed_file(data) as path:
        assert Path(path).read_bytes() == data
    with unnamed_file(data):
        pass  # its reader went away


def test_a_system_with_neither_is_refused_in_words(pki: Pki, monkeypatch: pytest.MonkeyPatch):
    """Never a temporary file: without a way through memory the key stays where it is."""
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(os.path, "isdir", lambda path: path != "/dev/fd")
    with pytest.raises(NotExpressible, match="written to a disk"):
        client_context(pki.client)


def test_nothing_is_written_to_a_disk(pki: Pki):
    """An audit hook hears of every file that this Python opens, and of every directory that it makes."""
    script = """
import os, sys
opened = []
def hear(event, arguments):
    if event in ("os.mkdir", "tempfile.mkstemp", "tempfile.mkdtemp"):
        opened.append((event, arguments[0]))
    if event == "open" and not isinstance(arguments[0], int):
        if (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            opened.append((event, arguments[0]))
from twoway.testing import Company
from twoway import client_context
company = Company()
client = company.client()
sys.dont_write_bytecode = True
sys.addaudithook(hear)
client_context(client)
if len(sys.argv) > 1:
    del os.memfd_create
    client_context(client)
assert opened == [], opened
open(os.devnull, "w").close()
assert len(opened) == 1  # the hook hears
"""
    for arguments in ([], ["pipe"]):
        done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
