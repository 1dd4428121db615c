"""What people write: addresses, gateway files, options; and what outsiders send: PROXY headers."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Command
from tests.gateway.conftest import Pki, pki
from twoway.credential import chain_pem
from twoway.errors import UsageError
from twoway.gateway.addresses import Address
from twoway.gateway.checking import check
from twoway.gateway.file import BadGatewayFile, parse
from twoway.gateway.proxy_v2 import SIGNATURE, BadProxyHeader, decode, encode

__all__ = ["pki"]

GOOD = """
[gateway]
workers = 2
[[listener]]
kind = "server"
listen = "127.0.0.1:0"
target = "127.0.0.1:8080"
identity = "api"
allow = ["cn=orders"]
limits.idle_seconds = 60
[[listener]]
kind = "client"
listen = "unix:out.sock"
target = ["a.example:443", "b.example:443"]
identity = "orders"
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("127.0.0.1:80", "127.0.0.1:80"),
        (":80", "127.0.0.1:80"),
        ("[::1]:80", "[::1]:80"),
        ("app.example:1", "app.example:1"),
        ("unix:/run/app.sock", "unix:/run/app.sock"),
    ],
)
def test_an_address_is_read_as_written(text: str, told: str):
    assert str(Address.parse(text)) == told


@pytest.mark.parametrize(
    "text", ["", "80", "host", "host:", "host:x", "host:65536", "::1:80", "unix:", "unix:" + "x" * 108]
)
def test_what_is_no_address_is_refused_with_a_remedy(text: str):
    with pytest.raises(UsageError) as caught:
        Address.parse(text)
    assert caught.value.remedy


def test_a_file_describes_listeners_of_both_kinds(tmp_path: Path):
    """Paths are taken from the file's directory; several targets are a list."""
    options = parse(GOOD.encode(), base=tmp_path)
    server, client = options.listeners
    assert (options.workers, server.kind, client.kind) == (2, "server", "client")
    assert server.identity == tmp_path / "api"
    assert server.bounds.idle_seconds == 60
    assert [str(target) for target in client.targets] == ["a.example:443", "b.example:443"]


@pytest.mark.parametrize(
    ("old", "new", "where", "problem"),
    [
        ("allow =", "alow =", "file:9", "did you mean allow?"),
        ('kind = "client"', 'kind = "klient"', "file:12", "not one of server, client"),
        ('listen = "127.0.0.1:0"', 'listen = "nowhere"', "file:6", "not an address"),
        ("idle_seconds = 60", "idle_seconds = true", "file:10", "expected a number"),
        ("workers = 2", 'workers = "two"', "file:3", "another kind of value"),
        ('allow = ["cn=orders"]', "", "file:4", "no policy says"),
        ('target = "127.0.0.1:8080"', 'target = "192.0.2.1:80"', "file:7", "readable for others"),
        ("[gateway]", "[gatewy]", "file:2", "there is no 'gatewy'"),
        ("workers = 2", "workers = ", "file:3", "not TOML"),
        ("workers = 2", "workers = 100000", "file:3", "expected 1 to 256 workers"),
        ("workers = 2", "drain_seconds = -1", "file:3", "expected drain_seconds of 0 or more"),
        ("workers = 2", "drain_seconds = nan", "file:3", "expected drain_seconds of 0 or more"),
        ("workers = 2", "drain_seconds = inf", "file:3", "expected drain_seconds of 0 or more"),
        ("workers = 2", "backlog = -1", "file:3", "expected a backlog of 1 to 65535"),
        ("workers = 2", 'metrics = "0.0.0.0:9"', "file:3", "readable for others"),
        ('allow = ["cn=orders"]', 'allow = ["who=orders"]', "file:9", "allow #1: there is no key 'who'"),
        ("idle_seconds = 60", "idle_seconds = inf", "file:10", "no limit"),
        ("idle_seconds = 60", "connections = 0.5", "file:10", "whole number"),
        (
            "idle_seconds = 60",
            "connections_per_peer = 1.5",
            "file:10",
            "whole number of connections_per_peer",
        ),
        ("idle_seconds = 60", "handshakes_per_second = nan", "file:10", "expected a number"),
    ],
)
def test_every_complaint_about_a_file_names_its_line(old: str, new: str, where: str, problem: str):
    with pytest.raises(BadGatewayFile) as caught:
        parse(GOOD.replace(old, new, 1).encode(), where="file")
    assert str(caught.value).startswith(f"{where}:")
    assert problem in str(caught.value) + caught.value.remedy
    assert caught.value.remedy


@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(max_size=200).map(lambda text: (GOOD + text).encode("utf-8", "ignore")),
    )
)
def test_no_input_breaks_the_file_reader(data: bytes):
    """Options or BadGatewayFile; nothing else comes out."""
    try:
        parse(data)
    except BadGatewayFile as error:
        assert str(error)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(
    st.sampled_from(["kind", "listen", "target", "identity", "allow", "limits", "crl", "ticket_seconds"]),
    _VALUES,
)
def test_no_value_breaks_the_file_reader(key: str, value: Any):
    """A value of the wrong kind is named, not stumbled over."""
    shown = (
        "nan" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else repr(value)
    )
    lines = [line for line in GOOD.splitlines() if not line.startswith(key)]
    lines.insert(lines.index("[[listener]]") + 1, f"{key} = {shown}")
    try:
        parse("\n".join(lines).encode("utf-8", "ignore"))
    except BadGatewayFile as error:
        assert ":" in error.where


def test_check_tries_what_a_file_names(pki: Pki, tmp_path: Path, run_twoway: Command):
    """`twoway gateway check`: exit 0 and a line a listener; exit 2 and the place when an identity is missing."""
    pki.server.save(tmp_path / "api")
    (tmp_path / "api" / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
    file = tmp_path / "gw.toml"
    file.write_text('[[listener]]\nkind = "server"\nlisten = "127.0.0.1:0"\ntarget = "127.0.0.1:80"\nidentity = "api"\nallow = "cn=x"\n')  # fmt: skip
    assert len(check(file).listeners) == 1
    done = run_twoway("gateway", "check", file)
    assert done.returncode == 0
    assert "would start" in done.stdout
    (tmp_path / "api" / "key.pem").unlink()
    done = run_twoway("gateway", "check", file)
    assert done.returncode == 2
    assert f"{file}:5: " in done.stderr
    assert "hint:" in done.stderr
    started = run_twoway("gateway", "run", file)
    assert (started.returncode, started.stderr) == (2, done.stderr)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('admin = "api/key.pem"', "a file is there that is no socket"),
        ('admin = "gone/admin.sock"', "there is no directory"),
        ('admin = "taken.sock"', "another gateway answers there"),
        ('metrics = "127.0.0.1:PORT"', "ddress already in use"),
        ('user = "nobody-is-called-so"', "there is no such user"),
    ],
)
def test_what_the_start_would_stumble_over_is_found_by_check_and_harms_nothing(
    pki: Pki, tmp_path: Path, run_twoway: Command, line: str, problem: str
):
    """An admin socket replaces no key and takes nobody's place; check and run say the same, with the line."""
    pki.server.save(tmp_path / "api")
    (tmp_path / "api" / "ca.pem").write_bytes(chain_pem((pki.root.certificate,)))
    key = (tmp_path / "api" / "key.pem").read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_UNIX) as admin:
        admin.bind(str(tmp_path / "taken.sock"))
        admin.listen()
        file = tmp_path / "gw.toml"
        line = line.replace("PORT", str(taken.getsockname()[1]))
        file.write_text(f'[gateway]\n{line}\n[[listener]]\nkind = "server"\nlisten = "127.0.0.1:0"\ntarget = "127.0.0.1:80"\nidentity = "api"\nallow = "cn=x"\n')  # fmt: skip
        checked, started = run_twoway("gateway", "check", file), run_twoway("gateway", "run", file)
    assert (checked.returncode, started.returncode) == (2, 2)
    assert f"{file}:2: " in checked.stderr
    assert problem in checked.stderr
    assert started.stderr == checked.stderr
    assert (tmp_path / "api" / "key.pem").read_bytes() == key
    assert (tmp_path / "taken.sock").is_socket()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--listen", "127.0.0.1:0", "--target", "127.0.0.1:80", "--allow", "cn=x"], "no identity was given"),
        (
            ["--listen", "x", "--target", "127.0.0.1:80", "--identity", "api", "--allow", "cn=x"],
            "not an address",
        ),
        (["--listen", ":0", "--target", ":80", "--identity", "api"], "no policy says who may pass"),
        (
            ["--listen", ":0", "--target", ":80", "--identity", "gone", "--allow", "cn=x"],
            "gone does not exist",
        ),
        (
            ["--listen", ":0", "--target", "10.0.0.1:80", "--identity", "api", "--allow", "cn=x"],
            "readable for others",
        ),
        (["--listen", ":0", "--target", ":80", "--identity", "api", "--allow", "who=x"], "who"),
    ],
)
def test_a_wrong_start_is_told_and_binds_nothing(run_twoway: Command, arguments: list[str], problem: str):
    done = run_twoway("gateway", "server", *arguments)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


@given(st.binary(max_size=200))
def test_no_bytes_break_the_proxy_reader(data: bytes):
    """A header, more wanted, or BadProxyHeader."""
    for candidate in (data, SIGNATURE + data, SIGNATURE + b"\x21\x11" + len(data).to_bytes(2, "big") + data):
        with contextlib.suppress(BadProxyHeader):
            decode(candidate)


_PORTS = st.integers(0, 65535)
_V4, _V6 = st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str)


@given(
    st.one_of(st.tuples(st.tuples(_V4, _PORTS), st.tuples(_V4, _PORTS)), st.tuples(st.tuples(_V6, _PORTS), st.tuples(_V6, _PORTS))),
    st.one_of(st.none(), st.from_regex(r"[a-z]{1,20}\.example", fullmatch=True)),
)  # fmt: skip
def test_decoding_a_header_gives_what_was_encoded(pair: Any, name: str | None):
    data = encode(pair[0], pair[1], None, tls_version="TLSv1.3", server_name=name, alpn="http/1.1")
    found = decode(data + b"rest")
    assert found is not None
    header, length = found
    assert (header.source, header.destination) == pair
    assert data[length:] == b""
    assert header.flags == 1
    assert header.verify == 1
    assert header.tlvs.get(2) == (name.encode() if name else None)
    assert all(decode(data[:cut]) is None for cut in range(length))


def test_the_example_file_of_the_documentation_is_read():
    """docs/gateway.md shows a file that means what it says."""
    text = Path(__file__).parents[2].joinpath("docs", "gateway.md").read_text()
    options = parse(text.split("```toml\n", 1)[1].split("```", 1)[0].encode())
    assert [one.kind for one in options.listeners] == ["server", "client"]
    assert options.listeners[0].bounds.connections_per_peer == 100
