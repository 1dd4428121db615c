"""The doctor's tables of error texts, held against what the programs on this machine really say."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, browser
from tests.conftest import judge
from tests.judges import clients
from tests.judges.callers import said_by
from tests.judges.clients import Call
from tests.judges.conftest import Ours
from tests.judges.firefox import Firefox, believe, firefox
from tests.judges.identities import Identities
from tests.judges.misfits import Misfits, serving, serving_plain_http
from tests.judges.refused import COMMANDS, Server, at_start, refusing
from tests.judges.speaking import Program, program
from twoway.doctor.finding import Report
from twoway.doctor.wordings import explain_text

pytestmark = [pytest.mark.judge, pytest.mark.slow]

REFUSED, REFUSES, OWN = "the other side", "this program refuses", "this program says"
# The client of each name, and how the doctor calls it.
CALLERS = {
    "openssl": "openssl",
    "curl": "curl",
    "gnutls": "GnuTLS",
    "java": "Java",
    "node": "Node",
    "python3": "Python",
    "go": "Go",
    "rustls": "rustls",
}
every = pytest.mark.parametrize("name", CALLERS)


def understood(text: str, code: str, *, program: str, speaker: str) -> Report:
    """The doctor names the program, who speaks, and the true cause among those it gives; fails otherwise."""
    report = explain_text(text)
    assert report.findings, f"not understood: {text[-1500:]}"
    first = report.findings[0]
    assert code in [one.code for one in report.findings], text[-1500:]
    assert first.evidence["program"] == program, text[-1500:]
    assert str(first.evidence["who_speaks"]).startswith(speaker), text[-1500:]
    return report


@pytest.fixture(scope="session")
def acme(everybody: dict[str, Identities]) -> Identities:
    return everybody["p256"]


@pytest.fixture(scope="session")
def server(our_servers: dict[str, Ours]) -> int:
    """Ours: it gives each fault the alert that the standard has for it."""
    return our_servers["p256"].port


@pytest.fixture(scope="session")
def misfits(tmp_path_factory: pytest.TempPathFactory) -> Misfits:
    return Misfits.made(tmp_path_factory.mktemp("misfits"))


@pytest.fixture(scope="session")
def ports(misfits: Misfits) -> Iterator[dict[str, int]]:
    """Servers that are not to be believed, and one that speaks plain HTTP."""
    with (
        serving(misfits.directory("expired")) as expired,
        serving(misfits.directory("elsewhere")) as elsewhere,
        serving(misfits.directory("foreign")) as foreign,
        serving(misfits.directory("sound")) as sound,
        serving_plain_http() as plain,
    ):
        yield {
            "expired": expired,
            "elsewhere": elsewhere,
            "foreign": foreign,
            "sound": sound,
            "plain": plain,
        }


# -- a client that is refused ------------------------------------------------------------------------------

REFUSALS = {
    "nobody": "certificate_required",
    "stranger": "unknown_authority",
    "expired": "certificate_expired",
    "revoked": "certificate_revoked",
    "unwanted": "not_allowed",
}


@every
@pytest.mark.parametrize("who", REFUSALS)
def test_a_refused_client_says_what_the_doctor_knows(
    foreign_client: Callable[[str], Call], acme: Identities, server: int, name: str, who: str
):
    identity = None if who == "nobody" else acme.directory(who)
    answer = foreign_client(name)(server, "TLSv1.3", identity, acme.trust)
    assert answer.body is None
    # Go keeps back a certificate of no authority that the server names.
    code = "certificate_withheld" if (name, who) == ("go", "stranger") else REFUSALS[who]
    understood(answer.said, code, program=CALLERS[name], speaker=REFUSED)


@pytest.fixture(scope="session")
def mismatched(acme: Identities, misfits: Misfits) -> Path:
    """A client's certificate beside somebody else's key."""
    place = misfits.place / "swapped"
    shutil.copytree(acme.directory("client"), place)
    shutil.copy(misfits.directory("mismatched") / "key.pem", place / "key.pem")
    return place


@pytest.mark.parametrize(
    "name", [name for name in CALLERS if name != "java"]
)  # its keystores hold pairs only
def test_a_client_with_another_key_says_what_the_doctor_knows(
    foreign_client: Callable[[str], Call], acme: Identities, server: int, mismatched: Path, name: str
):
    answer = foreign_client(name)(server, "TLSv1.3", mismatched, acme.trust)
    assert answer.body is None
    # gnutls-cli signs with whatever key it has, and is refused for it.
    speaker = REFUSED if name == "gnutls" else OWN
    understood(answer.said, "key_mismatch", program=CALLERS[name], speaker=speaker)


# -- a client that refuses ---------------------------------------------------------------------------------

DISTRUSTS = {
    "expired": "certificate_expired",
    "elsewhere": "hostname_mismatch",
    "foreign": "unknown_authority",
}


@every
@pytest.mark.parametrize("what", DISTRUSTS)
def test_a_client_that_refuses_says_what_the_doctor_knows(
    foreign_client: Callable[[str], Call], misfits: Misfits, ports: dict[str, int], name: str, what: str
):
    answer = foreign_client(name)(ports[what], "TLSv1.3", None, misfits.trust)
    assert answer.body is None
    report = understood(answer.said, DISTRUSTS[what], program=CALLERS[name], speaker=REFUSES)
    assert report.findings[0].blame == "server"


@every
def test_a_client_that_meets_plain_http_says_what_the_doctor_knows(
    foreign_client: Callable[[str], Call], misfits: Misfits, ports: dict[str, int], name: str
):
    answer = foreign_client(name)(ports["plain"], "TLSv1.3", None, misfits.trust)
    assert answer.body is None
    understood(answer.said, "plain_http", program=CALLERS[name], speaker=OWN)


@pytest.mark.parametrize("name", ["curl", "go", "java", "node", "python", "rustls"])
def test_a_client_that_forgot_tls_says_what_the_doctor_knows(
    acme: Identities,
    server: int,
    ports: dict[str, int],
    helper: Callable[[str], Program],
    name: str,
    place: Path,
):
    """Some servers say why (ours), some close (Python), some answer in TLS's own bytes (Java)."""
    answering = int(helper("java").ask("serve", "TLSv1.3", acme.directory("server"), acme.trust)[0])
    for port in (server, ports["sound"], answering):
        text = said_by(name, f"http://localhost:{port}/", place)
        codes = [one.code for one in explain_text(text).findings]
        assert "plain_http" in codes, f"{codes}: {text[-1500:]}"


# -- browsers ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium(
    acme: Identities, misfits: Misfits, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    judge("chromium")
    home = tmp_path_factory.mktemp("chromium")
    believe(home / ".pki" / "nssdb", acme.trust, misfits.trust)
    with browser(judge("chromedriver"), home=home) as one:
        yield one


@pytest.fixture(scope="module")
def fox(acme: Identities, misfits: Misfits, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with firefox(tmp_path_factory.mktemp("firefox"), acme.trust, misfits.trust) as one:
        yield one


def assert_known(seen: Callable[[str], str], program: str, ports: dict[str, int], server: int) -> None:
    for what, code in DISTRUSTS.items():
        text = seen(f"https://localhost:{ports[what]}/")
        understood(text, code, program=program, speaker=REFUSES)
    understood(seen(f"https://localhost:{server}/"), "certificate_required", program=program, speaker=REFUSED)
    understood(seen(f"https://localhost:{ports['plain']}/"), "plain_http", program=program, speaker=OWN)
    understood(seen(f"http://localhost:{ports['sound']}/"), "plain_http", program=program, speaker=REFUSED)


def test_chromium_says_what_the_doctor_knows(chromium: Browser, ports: dict[str, int], server: int):
    assert_known(chromium.opened, "Chrome", ports, server)


def test_firefox_says_what_the_doctor_knows(fox: Firefox, ports: dict[str, int], server: int):
    assert_known(fox.opened, "Firefox", ports, server)


# -- servers: their logs, their answers, and a start that fails ---------------------------------------------


@pytest.fixture(scope="module")
def foreign(acme: Identities, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Give a server by its name."""
    place, running = tmp_path_factory.mktemp("refused"), dict[str, Server]()
    with contextlib.ExitStack() as stack:

        def give(name: str) -> Server:
            if name not in running:
                running[name] = stack.enter_context(refusing(name, acme, place / name))
            return running[name]

        yield give


LOGGED = {
    "nobody": "certificate_required",
    "stranger": "unknown_authority",
    "expired": "certificate_expired",
    "server-only": "wrong_purpose",
}
# Only these two are given a revocation list.
LOGS = [(name, who) for name in COMMANDS for who in LOGGED] + [("nginx", "revoked"), ("HAProxy", "revoked")]


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
@pytest.mark.parametrize(("name", "who"), LOGS)
def test_a_server_logs_what_the_doctor_knows(
    foreign: Callable[[str], Server], acme: Identities, name: str, who: str, version: str
):
    running, code = foreign(name), LOGGED.get(who, "certificate_revoked")
    identity = None if who == "nobody" else acme.directory(who)
    text = running.says(lambda: clients.openssl(running.port, version, identity, acme.trust))
    report = explain_text(text)
    assert code in [one.code for one in report.findings], text
    assert report.findings[0].evidence["program"] == name, text
    assert next(one for one in report.findings if one.code == code).blame == "client", text


@pytest.mark.parametrize("name", COMMANDS)
def test_a_server_says_what_the_doctor_knows_of_plain_http(foreign: Callable[[str], Server], name: str):
    running = foreign(name)
    text = running.says(running.answer_to_http)
    assert "plain_http" in [one.code for one in explain_text(text).findings], text
    if answer := running.answer_to_http():  # nginx and Go say why; HAProxy and OpenSSL close
        understood(answer, "plain_http", program=name, speaker="")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_server_with_another_key_says_what_the_doctor_knows(
    acme: Identities, mismatched: Path, tmp_path: Path, name: str
):
    text = at_start(name, mismatched, acme, tmp_path / name)
    report = understood(text, "key_mismatch", program=name, speaker=OWN)
    if name in ("nginx", "HAProxy"):
        assert report.findings[0].blame == "server"


# Node closes on whom it does not believe, and tells its own program no more than that the connection ended.
SERVED = [(name, who) for name in ("java", "python3") for who in LOGGED] + [("node", "nobody")]


@pytest.mark.parametrize(("name", "who"), SERVED)
def test_a_library_that_serves_says_what_the_doctor_knows(acme: Identities, place: Path, name: str, who: str):
    identity = None if who == "nobody" else acme.directory(who)
    with program(name, place) as started:
        port = int(started.ask("serve", "TLSv1.3", acme.directory("server"), acme.trust)[0])
        clients.openssl(port, "TLSv1.3", identity, acme.trust)
        (text,) = started.ask("failure")
    assert LOGGED[who] in [one.code for one in explain_text(text).findings], text
