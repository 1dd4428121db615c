"""What other people's clients make of it: certbot and lego, with pebble's challenge server as the world outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.conftest import asset, judge
from tests.enroll.acme.conftest import LOOPBACK
from tests.enroll.conftest import Serve, Served
from twoway.credential import certificates_from_pem, names_of
from twoway.enroll.acme import external
from twoway.enroll.acme.options import AcmeOptions

pytestmark = pytest.mark.judge

CERTBOTS = ("Debian's", "PyPI's")


@dataclass(frozen=True)
class Outside:
    """pebble-challtestsrv: a DNS in which every name is loopback, and where TXT records can be set."""

    dns: int
    management: int
    http: int
    tls: int

    def set_text(self, name: str, value: str) -> None:
        body = {"host": f"{name.rstrip('.')}.", "value": value}
        httpx2.post(f"http://127.0.0.1:{self.management}/set-txt", json=body).raise_for_status()


def unused_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in socks]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Outside]:
    program = judge("pebble-challtestsrv")
    found = Outside(*unused_ports(4))
    command = [program, "-dns01", f"127.0.0.1:{found.dns}", "-management", f"127.0.0.1:{found.management}"]
    command += ["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]
    with (tmp_path / "challtestsrv.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 20
            while True:
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(("127.0.0.1", found.management), 1),
                ):
                    break
                assert time.monotonic() < deadline, (tmp_path / "challtestsrv.log").read_text()
                time.sleep(0.05)
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


@pytest.fixture
def options(world: Outside) -> AcmeOptions:
    return AcmeOptions(
        resolver=f"127.0.0.1:{world.dns}",
        http_port=world.http,
        tls_port=world.tls,
        allow_networks=(LOOPBACK,),
        profiles=("server",),
    )


class Client:
    """A client's program with its own directory, which believes the service's root."""

    def __init__(self, program: str, served: Served, directory: Path) -> None:
        self.program, self.served, self.directory = program, served, directory
        directory.mkdir()
        self.root = directory / "root.pem"
        self.root.write_bytes(served.authority.trust_bundle_pem())
        self.server = f"{served.url}/acme/directory"

    def run(self, *arguments: str, fails: bool = False) -> str:
        trust = {"REQUESTS_CA_BUNDLE": str(self.root), "LEGO_CA_CERTIFICATES": str(self.root)}
        done = subprocess.run(
            [self.program, *arguments],
            env={**os.environ, **trust},
            capture_output=True,
            text=True,
            timeout=120,
        )
        told = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, told + "\n" + self.served.journal.getvalue()
        return told


class Certbot(Client):
    def call(self, verb: str, *arguments: str, fails: bool = False) -> str:
        where = [f"--{each}-dir={self.directory / each}" for each in ("config", "work")]
        usual = ["-n", "--server", self.server, f"--logs-dir={self.directory / 'logs'}", *where]
        return self.run(verb, *usual, *arguments, fails=fails)

    def live(self, name: str, file: str = "fullchain.pem") -> Path:
        return self.directory / "config" / "live" / name / file


class Lego(Client):
    def call(self, verb: str, *arguments: str, before: tuple[str, ...] = (), fails: bool = False) -> str:
        usual = ["--server", self.server, "--path", str(self.directory / "lego"), "--email", "a@acme.example"]
        return self.run(*usual, "--accept-tos", *before, verb, *arguments, fails=fails)

    def certificate(self, name: str) -> Path:
        return self.directory / "lego" / "certificates" / f"{name}.crt"


@pytest.fixture(params=CERTBOTS)
def certbot_program(request: pytest.FixtureRequest) -> str:
    if request.param == "Debian's":
        return judge("certbot")
    return str(asset("certbot", "bin", "certbot"))


@pytest.fixture
def service(serve: Serve, options: AcmeOptions) -> Iterator[Served]:
    with serve(acme=options) as found:
        yield found


@pytest.fixture
def certbot(certbot_program: str, service: Served, tmp_path: Path) -> Certbot:
    return Certbot(certbot_program, service, tmp_path / "certbot")


def standalone(world: Outside) -> tuple[str, ...]:
    return ("--standalone", "--http-01-port", str(world.http), "--http-01-address", "127.0.0.1")


REGISTERED = ("--agree-tos", "-m", "a@acme.example", "--no-eff-email")


def serials(path: Path) -> list[int]:
    return [each.serial_number for each in certificates_from_pem(path.read_bytes())][:1]


def test_certbot_issues_renews_and_revokes(certbot: Certbot, world: Outside, service: Served) -> None:
    """By http-01; the renewal has the same names, and the revocation is in the store at once."""
    certbot.call("certonly", *standalone(world), *REGISTERED, "-d", "www.acme.example", "-d", "acme.example")
    first = certbot.live("www.acme.example").read_bytes()
    leaf, issuing = certificates_from_pem(first)
    leaf.verify_directly_issued_by(issuing)
    assert set(names_of(leaf).dns) == {"www.acme.example", "acme.example"}
    certbot.call("renew", "--force-renewal", "--no-random-sleep-on-renew", *standalone(world))
    second = certificates_from_pem(certbot.live("www.acme.example").read_bytes())[0]
    assert second.serial_number != leaf.serial_number
    cert = str(certbot.live("www.acme.example", "cert.pem"))
    certbot.call("revoke", "--cert-path", cert, "--reason", "superseded", "--no-delete-after-revoke")
    found = service.authority.show(second)
    assert (found.state, found.reason) == ("revoked", "superseded")
    assert service.authority.show(leaf).state == "valid"


def test_certbot_revokes_with_the_certificates_own_key(
    certbot: Certbot, world: Outside, service: Served
) -> None:
    certbot.call("certonly", *standalone(world), *REGISTERED, "-d", "www.acme.example")
    cert, key = (str(certbot.live("www.acme.example", each)) for each in ("cert.pem", "privkey.pem"))
    told = ("--cert-path", cert, "--key-path", key, "--reason", "keycompromise", "--no-delete-after-revoke")
    certbot.call("revoke", *told)
    (record,) = service.authority.list("www.acme.example")
    assert (record.state, record.reason) == ("revoked", "keyCompromise")


def test_certbot_proves_a_wildcard_by_the_dns(
    certbot: Certbot, world: Outside, service: Served, tmp_path: Path
) -> None:
    hook = tmp_path / "hook"
    body = '{\\"host\\": \\"_acme-challenge.$CERTBOT_DOMAIN.\\", \\"value\\": \\"$CERTBOT_VALIDATION\\"}'
    hook.write_text(
        f'#!/bin/sh\nexec {judge("curl")} -sf -d "{body}" http://127.0.0.1:{world.management}/set-txt\n'
    )
    hook.chmod(0o755)
    manual = ("--manual", "--preferred-challenges", "dns", "--manual-auth-hook", str(hook))
    certbot.call("certonly", *manual, *REGISTERED, "-d", "*.acme.example")
    (record,) = service.authority.list("*.acme.example", state="valid")
    assert record.names.dns == ("*.acme.example",)


def test_certbot_with_external_account_binding(
    certbot_program: str, serve: Serve, options: AcmeOptions, world: Outside, tmp_path: Path
) -> None:
    """Without a key it gets no account; with one it gets certificates for that key's names and no others."""
    from dataclasses import replace

    from twoway.authority.profiles import NameRules

    with serve(acme=replace(options, accounts="bound")) as service:
        certbot = Certbot(certbot_program, service, tmp_path / "certbot")
        asked = ("certonly", *standalone(world), *REGISTERED, "-d", "www.shop.acme.example")
        certbot.call(*asked, fails=True)
        key = external.make(
            service.authority,
            "shop",
            names=NameRules(dns=("*.shop.acme.example",)),
            lifetime=external.LIFETIME,
            now=service.running.service.now(),
        )
        certbot.call(*asked, "--eab-kid", key.id, "--eab-hmac-key", key.secret)
        certbot.call("certonly", *standalone(world), "-d", "www.acme.example", fails=True)
        assert "the account is bound to *.shop.acme.example" in service.lines("refused-call")[-1]["sentence"]
        assert [each.names.dns for each in service.authority.list("*acme.example")] == [
            ("www.shop.acme.example",)
        ]


@pytest.fixture
def lego(service: Served, tmp_path: Path) -> Lego:
    return Lego(judge("lego"), service, tmp_path / "lego")


@pytest.mark.parametrize("kind", ["http", "tls"])
def test_lego_issues_renews_and_revokes(lego: Lego, world: Outside, service: Served, kind: str) -> None:
    """By http-01 and by tls-alpn-01."""
    port = world.http if kind == "http" else world.tls
    way = (f"--{kind}", f"--{kind}.port", f"127.0.0.1:{port}", "-d", "www.acme.example")
    lego.call("run", before=way)
    first = serials(lego.certificate("www.acme.example"))
    lego.call("renew", "--days", "100", "--no-random-sleep", before=way)
    second = serials(lego.certificate("www.acme.example"))
    assert first != second
    lego.call("revoke", "--reason", "4", before=("-d", "www.acme.example"))
    states = {int(each.serial, 16): each.state for each in service.authority.list("www.acme.example")}
    assert states == {first[0]: "valid", second[0]: "revoked"}


def test_lego_proves_a_wildcard_by_the_dns(
    lego: Lego, world: Outside, service: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "hook"
    hook.write_text(
        f'#!/bin/sh\n[ "$1" = present ] || exit 0\nexec {judge("curl")} -sf '
        f'-d "{{\\"host\\": \\"$2\\", \\"value\\": \\"$3\\"}}" http://127.0.0.1:{world.management}/set-txt\n'
    )
    hook.chmod(0o755)
    monkeypatch.setenv("EXEC_PATH", str(hook))
    way = ("--dns", "exec", "--dns.disable-cp", "--dns.resolvers", f"127.0.0.1:{world.dns}")
    lego.call("run", before=(*way, "-d", "*.acme.example"))
    (record,) = service.authority.list("*.acme.example", state="valid")
    assert record.names.dns == ("*.acme.example",)


def test_lego_with_external_account_binding(
    serve: Serve, options: AcmeOptions, world: Outside, tmp_path: Path
) -> None:
    from dataclasses import replace

    with serve(acme=replace(options, accounts="bound")) as service:
        lego = Lego(judge("lego"), service, tmp_path / "lego")
        key = external.make(
            service.authority,
            "shop",
            names=None,
            lifetime=external.LIFETIME,
            now=service.running.service.now(),
        )
        way = ("--http", "--http.port", f"127.0.0.1:{world.http}", "-d", "www.acme.example")
        wrong = ("--eab", "--kid", key.id, "--hmac", key.secret[:-4] + "AAAA")
        assert "unauthorized" in lego.call("run", before=(*way, *wrong), fails=True)
        lego.call("run", before=(*way, "--eab", "--kid", key.id, "--hmac", key.secret))
        assert len(service.authority.list("www.acme.example")) == 1


def test_what_they_send_is_in_the_audit_log(lego: Lego, world: Outside, service: Served) -> None:
    lego.call("run", before=("--http", "--http.port", f"127.0.0.1:{world.http}", "-d", "www.acme.example"))
    rows = {row.act: json.loads(row.detail) for row in service.authority.audit()}
    assert rows["acme-order"]["names"] == ["dns:www.acme.example"]
    assert (rows["acme-proof"]["by"], rows["acme-proof"]["seen"]) == ("http-01", "127.0.0.1")
