"""From a pasted error text to what it can mean. The text is evidence of a kind: it never decides alone."""

from __future__ import annotations

import re
from functools import cache

from twoway.doctor.codes import CODES, found
from twoway.doctor.finding import Blame, Finding, Report
from twoway.doctor.wordings.causes import Speaker, Wording
from twoway.doctor.wordings.table import ALERTS, ROWS, VERIFY
from twoway.wire.tables import ALERTS as NAMES

MAX_TEXT = 65536
_WHO: dict[Speaker, str] = {
    "refused": "the other side has refused this one",
    "refuses": "this program refuses the other side",
    "own": "this program says it about its own side",
}
_PROBE = "twoway doctor HOST:PORT --identity DIR"
_FILES = "twoway doctor --files --identity DIR"
# An alert in the words of those that print it: OpenSSL and what stands on it, Go, Java, rustls.
_ALERT = re.compile(
    r"alert[ _:]+|tlsv1\d?[ _]alert|sslv3[ _]alert|fatal alert: *|remote error: tls: *|Received alert|TLSV1",
    re.I,
)
_VERIFY_FAILED = re.compile(
    r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|verify error|SSL certificate problem",
    re.I,
)
# GnuTLS: "Received alert [48]"; OpenSSL: "SSL alert number 116".
_NUMBER = re.compile(r"alert (?:\[|number )(\d{1,3})")
# A server's own log: these are functions of OpenSSL that read what a client has sent.
_SERVERS_LOG = re.compile(
    r"statem_srvr|tls_process_client_certificate|tls_process_client_hello|TLS handshake error from"
    r"|checkClientCerts|checkClientTrusted|permit use for TLS client authentication"
)
_PROGRAMS: tuple[tuple[str, str], ...] = (
    ("Go", r"remote error: tls|x509: |tls: "),
    ("Java", r"javax\.net\.ssl|Received fatal alert|sun\.security|java\."),
    ("Node", r"ERR_SSL|node:|\bcode: '|EPROTO|at TLSSocket"),
    ("curl", r"curl|SSL certificate problem"),
    ("Firefox", r"SSL_ERROR_|SEC_ERROR_"),
    ("Chrome", r"net::ERR|ERR_(SSL|CERT|BAD)"),
    ("requests", r"requests\.exceptions|urllib3|HTTPSConnectionPool"),
    ("httpx", r"httpx|httpcore"),
    ("aiohttp", r"aiohttp|ClientConnector"),
    ("Python", r"_ssl\.c|ssl\.SSL|SSLError|SSLCertVerificationError"),
    ("nginx", r"nginx|SSL_do_handshake\(\) failed|client SSL certificate"),
    ("openssl", r"routines:|s_client|verify error:num"),
)


def explain_text(text: str) -> Report:
    """What an error text of another program can mean, the likeliest first; never raises.

    The verdict is "undecided" always: one text has several causes, and the remedy names the probe that tells
    them apart. Only the first 64 KiB are read.
    """
    text = _numbered(text[:MAX_TEXT])
    shown = " ".join(text.split())[:120]
    row = _match(text)
    if row is None:
        return Report("the pasted text", "undecided", ())
    of_server = _SERVERS_LOG.search(text) is not None
    findings = [_finding(row, code, shown, number, of_server) for number, code in enumerate(row.codes)]
    return Report.of("the pasted text", "undecided", findings)


def _numbered(text: str) -> str:
    """The text with the names of alerts that it gives by number only."""
    names = [NAMES.get(int(number), "") for number in _NUMBER.findall(text)]
    told = " ".join(f"alert {name.replace('_', ' ')}" for name in names if name)
    return f"{text} {told}" if told else text


def _finding(row: Wording, code: str, shown: str, number: int, of_server: bool) -> Finding:
    known = CODES[code]
    blame: Blame = (
        known.blame
        if known.blame in ("client", "server", "network", "config")
        else _blame(row.speaker, known.blame, of_server)
    )
    if row.speaker == "own" and row.program in _ONLY_SERVERS and code in _OF_FILES:
        blame = "server"  # the files that it could not load are its own
    probe = _FILES if code in _OF_FILES else _PROBE
    return found(
        code,
        "info" if number else "warning",
        blame,
        f"{known.title}: {known.meaning}",
        f"{probe} decides",
        {"program": row.program, "says": shown, "who_speaks": _WHO[row.speaker]} if not number else {},
        also=tuple(one for one in row.codes if one != code),
        likelihood=0.9 - 0.1 * number,
    )


def _blame(speaker: Speaker, role: str, of_server: bool) -> Blame:
    """Who presented: the side that the speaker refuses; clients paste such texts more often than servers."""
    servers = (speaker == "refuses") is not of_server
    presenter: Blame = "server" if servers else "client"
    judge: Blame = "client" if servers else "server"
    return presenter if role == "presenter" else judge


def _match(text: str) -> Wording | None:
    """The first row that fits, then the alerts and verify errors that many programs share."""
    program = _program(text)
    for row, pattern in _patterns():
        if pattern.search(text):
            if row.codes:
                return row._replace(
                    program=program if row.program in ("any", "Python") and program else row.program
                )
            return _shared(text, row.program) or None
    return _shared(text, program)


def _shared(text: str, program: str) -> Wording | None:
    named = program or "a program on OpenSSL"
    if _VERIFY_FAILED.search(text) or not _ALERT.search(text):
        for said, codes in VERIFY:
            if re.search(said, text, re.I):
                return Wording(named, said, "refuses", codes)
    if _ALERT.search(text):
        for said, codes in ALERTS:
            if re.search(said, text, re.I):
                return Wording(named, said, "refused", codes)
    if _VERIFY_FAILED.search(text):
        return Wording(
            named,
            "certificate verify failed",
            "refuses",
            ("unknown_authority", "missing_intermediate", "certificate_expired"),
        )
    return None


@cache
def _patterns() -> tuple[tuple[Wording, re.Pattern[str]], ...]:
    return tuple((row, re.compile(row.pattern, re.I | re.S)) for row in ROWS)


def _program(text: str) -> str:
    return next((name for name, pattern in _PROGRAMS if re.search(pattern, text)), "")


_ONLY_SERVERS = frozenset({"nginx", "HAProxy", "Envoy"})
_OF_FILES = frozenset(
    {"key_mismatch", "key_encrypted", "wrong_passphrase", "not_pem", "file_missing", "file_empty", "swapped"}
)
