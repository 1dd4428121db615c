"""One sentence for each message, for a person who never read the standard."""

from __future__ import annotations

from collections.abc import Callable

from cryptography import x509

from twoway.credential import describe
from twoway.explainer.checklist import name_of
from twoway.explainer.gathered import Gathered
from twoway.tls.alerts import meanings_of
from twoway.tls.alerts import name_of as alert_name
from twoway.wire.events import Epoch, Sender, WireMessage
from twoway.wire.handshake import read_client_hello
from twoway.wire.reader import Malformed

_WARNING = 1
_OTHER = {"client": "server", "server": "client"}


def sentence_of(index: int, facts: Gathered) -> str:
    """What the message at `index` says, in the plain words of the story."""
    message = facts.messages[index]
    if message.fault is not None and message.kind != "not_tls":
        return f"the {message.sender} sends what does not decode: {message.fault}"
    if message.kind == "alert":
        return _alert(message, facts)
    if message.kind == "application_data":
        early = "before the server has judged anybody (early data)" if message.epoch is Epoch.EARLY else ""
        return f"the {message.sender} sends data, which only the {_OTHER[message.sender]} can read {early}".strip()
    if message.kind == "encrypted":
        return f"{message.wire_size} bytes that no key at hand opens"
    if message.kind == "not_tls":
        return f"the {message.sender} does not speak TLS: {_first_line(message.data)}"
    teller = _TELLERS.get(message.name)
    return teller(index, facts) if teller is not None else f"the {message.sender} sends {message.name}"


def _first_line(data: bytes) -> str:
    return data[:60].split(b"\r\n")[0].decode("ascii", "backslashreplace")


def _alert(message: WireMessage, facts: Gathered) -> str:
    if len(message.data) != 2:
        return f"the {message.sender} sends an alert that cannot be read"
    level, name = message.data[0], alert_name(message.data[1])
    if name == "close_notify":
        return f"the {message.sender} says that it will send no more"
    if name == "no_renegotiation":
        return f"the {message.sender} declines to shake hands anew; both go on under the keys they have"
    if level == _WARNING and facts.version != "TLSv1.3":
        return f"the {message.sender} warns of {name}: {meanings_of(name)[0]}"
    return f"the {message.sender} ends it with {name}: {meanings_of(name)[0]}"


def _client_hello(index: int, facts: Gathered) -> str:
    try:
        hello = read_client_hello(facts.messages[index].data[4:])
    except Malformed:
        return "the client asks for a connection"
    asked = f" to {hello.server_name}" if hello.server_name else ""
    retried = "asks for a connection"
    if facts.messages[index].epoch is Epoch.APPLICATION:
        retried = "asks to shake hands anew, under the keys they have"
    elif (facts.place("client", "client_hello") or 0) < index:
        retried = "asks again"
    offers = " or ".join(v for v in hello.versions if v.startswith("TLS"))
    resumes = ", and offers to resume an earlier session" if hello.offers_session else ""
    return f"the client {retried}{asked}: {offers}, {len(hello.cipher_suites)} cipher suites{resumes}"


def _server_hello(index: int, facts: Gathered) -> str:
    answer = facts.answer
    if answer is None:
        return "the server chooses"
    group = f", keys agreed over {answer.group}" if answer.group else ""
    resumed = ", resuming an earlier session" if facts.resumed else ""
    return f"the server chooses {answer.version}, {answer.cipher_suite}{group}{resumed}"


def _retry(index: int, facts: Gathered) -> str:
    return "the server asks the client to try again with another key-exchange group"


def _request(index: int, facts: Gathered) -> str:
    request = facts.request
    now = ", now that both talk," if index in facts.asked_later else ""
    if request is None or not request.authorities:
        return f"the server asks the client{now} to show a certificate, of whatever authority"
    names = " or ".join(name_of(der) for der in request.authorities[:3])
    more = f" or {len(request.authorities) - 3} more" if len(request.authorities) > 3 else ""
    return f"the server asks the client{now} to show a certificate of {names}{more}"


def _certificate(index: int, facts: Gathered) -> str:
    message = facts.messages[index]
    sender = message.sender
    packed = message.name == "compressed_certificate"
    if packed and sender not in facts.chains:
        told = message.tree.find("compressed_certificate_message")
        return f"the {sender} shows who it is, {told.text if told is not None else 'compressed'}"
    chain = facts.chains.get(sender, ()) if facts.shown.get(sender) == index else ()
    if not chain:
        return f"the {sender} shows no certificate: its answer to the request is an empty list"
    above = f" and {len(chain) - 1} above it" if len(chain) > 1 else ""
    size = f" (compressed to {message.wire_size} bytes)" if packed else ""
    return f"the {sender} shows who it is: {_described(chain[0])}{above}{size}"


def _described(der: bytes) -> str:
    try:
        return describe(x509.load_der_x509_certificate(der))
    except Exception:  # noqa: BLE001 - whatever the parser raises means the same here
        return "a certificate that cannot be read"


def _verify(index: int, facts: Gathered) -> str:
    sender = facts.messages[index].sender
    proof = facts.proofs.get(sender)
    scheme = f" ({proof.scheme})" if proof is not None else ""
    return f"the {sender} proves that it holds the key of its certificate, by signing all that was said so far{scheme}"


def _key_exchange(index: int, facts: Gathered) -> str:
    exchange = facts.key_exchange
    group = f" over {exchange.group}" if exchange is not None and exchange.group else ""
    return f"the server sends its half of the key exchange{group}, signed with its certificate's key"


def _finished(index: int, facts: Gathered) -> str:
    sender = facts.messages[index].sender
    return f"the {sender} confirms with the new keys that nobody has changed a message on the way"


def _ticket(index: int, facts: Gathered) -> str:
    return "the server gives the client a ticket to resume this session later"


def _ccs(index: int, facts: Gathered) -> str:
    sender: Sender = facts.messages[index].sender
    if facts.version == "TLSv1.3":
        return (
            f"the {sender} sends a leftover of TLS 1.2 that means nothing, so that old middleboxes keep quiet"
        )
    anew = facts.hello is not None and facts.messages[index].epoch is Epoch.APPLICATION
    return f"from here on the {sender} uses the new keys" if anew else f"from here on the {sender} encrypts"


def _constant(text: str) -> Callable[[int, Gathered], str]:
    return lambda index, facts: text.format(sender=facts.messages[index].sender)


_TELLERS: dict[str, Callable[[int, Gathered], str]] = {
    "client_hello": _client_hello,
    "server_hello": _server_hello,
    "hello_retry_request": _retry,
    "certificate_request": _request,
    "certificate": _certificate,
    "compressed_certificate": _certificate,
    "certificate_verify": _verify,
    "server_key_exchange": _key_exchange,
    "finished": _finished,
    "new_session_ticket": _ticket,
    "change_cipher_spec": _ccs,
    "encrypted_extensions": _constant("the server answers the rest of the hello, already encrypted"),
    "server_hello_done": _constant("the server has said all it had to say for now"),
    "client_key_exchange": _constant("the client sends its half of the key exchange"),
    "certificate_status": _constant("the server adds a fresh word of its authority that it is not revoked"),
    "key_update": _constant("the {sender} changes to new keys"),
    "hello_request": _constant("the server asks the client to shake hands anew"),
    "end_of_early_data": _constant("the client ends its early data"),
}
