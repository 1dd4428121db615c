"""The extensions of every message that has some: RFC 8446 §4.2, RFC 6066, and those of other documents; pure."""

from __future__ import annotations

from collections.abc import Callable

from twoway.wire.messages.decoder import Decoder, listed
from twoway.wire.messages.encrypted_hello import read_encrypted_hello, read_retry
from twoway.wire.messages.names import name_text, relative_text
from twoway.wire.tables import (
    CERTIFICATE_COMPRESSIONS,
    CERTIFICATE_TYPES,
    EXTENSIONS,
    FRAGMENT_LENGTHS,
    GROUPS,
    POINT_FORMATS,
    PSK_MODES,
    SIGNATURE_SCHEMES,
    STATUS_TYPES,
    VERSIONS,
    named,
)

Reading = Callable[[Decoder], str | None]


def read_extensions(decoder: Decoder, message: str) -> None:
    """A vector of extensions as it stands in `message`."""
    seen: set[int] = set()

    def one(inner: Decoder) -> str:
        number = inner.number("extension_type", 2, EXTENSIONS)
        if number in seen:
            # RFC 8446 §4.2: there MUST NOT be more than one extension of the same type.
            inner.fail(f"{message}: extension {number} comes twice")
        seen.add(number)
        name = name_of_extension(number)
        return inner.vector("extension_data", 2, _reading(name, message))

    def all_of_them(inner: Decoder) -> None:
        while inner.left:
            number = int.from_bytes(inner.data[inner.at : inner.at + 2], "big")
            inner.group(name_of_extension(number), one)

    decoder.vector("extensions", 2, all_of_them)


def name_of_extension(number: int) -> str:
    name = EXTENSIONS.get(number)
    if name is not None:
        return name
    return "grease" if named({}, number) == "GREASE" else f"extension_{number}"


def _reading(name: str, message: str) -> Reading:
    return _BY_MESSAGE.get((name, message)) or _READINGS.get(name) or _opaque


def _opaque(d: Decoder) -> str:
    if not d.left:
        return "present"
    data = d.rest("data")
    return f"{len(data)} bytes"


def _empty(d: Decoder) -> str:
    return "present"


def _list(name: str, octets: int, table: dict[int, str] | None, head: int, whole: str) -> Reading:
    def read(d: Decoder) -> str:
        return d.vector(whole, head, listed(name, octets, table))

    return read


def _server_name(d: Decoder) -> str:
    names: list[str] = []

    def entry(inner: Decoder) -> str:
        kind = inner.number("name_type", 1, {0: "host_name"})
        name = inner.opaque("host_name" if kind == 0 else "name", 2).decode("ascii", "backslashreplace")
        names.append(name)
        return name

    def entries(inner: Decoder) -> None:
        while inner.left:
            inner.group("server_name", entry)

    d.vector("server_name_list", 2, entries)
    return ", ".join(names)


def _server_name_anywhere(d: Decoder) -> str:
    # RFC 6066 §3: the server's answer is empty.
    return _server_name(d) if d.left else "accepted"


def _protocols(d: Decoder) -> str:
    names: list[str] = []

    def each(inner: Decoder) -> None:
        while inner.left:
            start = len(inner.fields)
            name = inner.opaque("protocol_name", 1).decode("ascii", "backslashreplace")
            names.append(name)
            if len(inner.fields) > start + 1:
                inner.retell(name)

    d.vector("protocol_name_list", 2, each)
    return ", ".join(names)


def _status_request(d: Decoder) -> str:
    if not d.left:
        return "accepted"
    kind = d.number("status_type", 1, STATUS_TYPES)
    if kind == 1:
        d.vector("responder_id_list", 2, _opaque)
        d.vector("request_extensions", 2, _opaque)
    return STATUS_TYPES.get(kind, str(kind))


def _status_request_v2(d: Decoder) -> str:
    kinds: list[str] = []

    def item(inner: Decoder) -> None:
        kind = inner.number("status_type", 1, STATUS_TYPES)
        kinds.append(STATUS_TYPES.get(kind, str(kind)))

        def request(request: Decoder) -> None:
            if kind in STATUS_TYPES:
                request.vector("responder_id_list", 2, _opaque)
                request.vector("request_extensions", 2, _opaque)
            else:
                request.rest("request")

        inner.vector("request", 2, request)

    def items(inner: Decoder) -> None:
        while inner.left:
            inner.group("certificate_status_request_item", item)

    d.vector("certificate_status_req_list", 2, items)
    return ", ".join(kinds)


def read_ocsp_status(d: Decoder) -> str:
    """RFC 6066 §8, and in a TLS 1.3 certificate entry RFC 8446 §4.4.2.1."""
    d.number("status_type", 1, STATUS_TYPES)
    response = d.opaque("ocsp_response", 3)
    return f"an OCSP response of {len(response)} bytes"


def _sct_list(d: Decoder) -> str:
    if not d.left:
        return "asked for"
    count = 0

    def each(inner: Decoder) -> None:
        nonlocal count
        while inner.left:
            inner.opaque("serialized_sct", 2)
            count += 1

    d.vector("sct_list", 2, each)
    return f"{count} timestamps"


def _versions(d: Decoder) -> str:
    return d.vector("versions", 1, listed("version", 2, VERSIONS))


def _selected_version(d: Decoder) -> str:
    return named(VERSIONS, d.number("selected_version", 2, VERSIONS))


def _client_shares(d: Decoder) -> str:
    groups: list[str] = []

    def share(inner: Decoder) -> str:
        group = named(GROUPS, inner.number("group", 2, GROUPS))
        inner.opaque("key_exchange", 2)
        groups.append(group)
        return group

    def shares(inner: Decoder) -> None:
        while inner.left:
            inner.group("key_share_entry", share)

    d.vector("client_shares", 2, shares)
    return ", ".join(groups)


def _server_share(d: Decoder) -> str:
    group = named(GROUPS, d.number("group", 2, GROUPS))
    d.opaque("key_exchange", 2)
    return group


def _selected_group(d: Decoder) -> str:
    return named(GROUPS, d.number("selected_group", 2, GROUPS))


def _offered_keys(d: Decoder) -> str:
    count = 0

    def identity(inner: Decoder) -> None:
        nonlocal count
        inner.opaque("identity", 2)
        inner.number("obfuscated_ticket_age", 4)
        count += 1

    def identities(inner: Decoder) -> None:
        while inner.left:
            inner.group("psk_identity", identity)

    def binders(inner: Decoder) -> None:
        while inner.left:
            inner.opaque("binder", 1)

    d.vector("identities", 2, identities)
    d.vector("binders", 2, binders)
    return f"{count} offered"


def _selected_key(d: Decoder) -> str:
    return f"number {d.number('selected_identity', 2)} of those offered"


def _authorities(d: Decoder) -> str:
    names: list[str] = []

    def each(inner: Decoder) -> None:
        while inner.left:
            read_name(inner)
            names.append(inner.fields[-1].text)

    d.vector("authorities", 2, each)
    return "; ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def read_name(d: Decoder) -> None:
    """One distinguished name behind its length (RFC 8446 §4.2.4, RFC 5246 §7.4.4)."""
    length = d.number("distinguished_name_length", 2)
    start = d.at
    d.take("distinguished_name", length, name_text(d.data[start : min(start + length, d.end)]))


def _filters(d: Decoder) -> None:
    def one(inner: Decoder) -> None:
        inner.opaque("certificate_extension_oid", 1)
        inner.opaque("certificate_extension_values", 2)

    def each(inner: Decoder) -> None:
        while inner.left:
            inner.group("oid_filter", one)

    d.vector("filters", 2, each)


def _cookie(d: Decoder) -> str:
    return f"{len(d.opaque('cookie', 2))} bytes"


def _renegotiation(d: Decoder) -> str:
    return "initial" if not d.opaque("renegotiated_connection", 1) else "renegotiation"


def _record_limit(d: Decoder) -> str:
    return f"{d.number('record_size_limit', 2)} bytes"


def _fragment_length(d: Decoder) -> str:
    return FRAGMENT_LENGTHS.get(d.number("max_fragment_length", 1, FRAGMENT_LENGTHS), "?") + " bytes"


def _heartbeat(d: Decoder) -> None:
    d.number("mode", 1, {1: "peer_allowed_to_send", 2: "peer_not_allowed_to_send"})


def _padding(d: Decoder) -> str:
    return f"{len(d.rest('padding_data'))} bytes"


def _srtp(d: Decoder) -> None:
    d.vector("srtp_protection_profiles", 2, listed("profile", 2, None))
    d.opaque("srtp_mki", 1)


def _ticket(d: Decoder) -> str:
    ticket = d.rest("ticket")
    return f"{len(ticket)} bytes" if ticket else "none yet"


def _max_early_data(d: Decoder) -> str:
    return f"{d.number('max_early_data_size', 4)} bytes"


def _certificate_type(d: Decoder) -> None:
    # RFC 7250 §3: a list in the hello, one number in the answer.
    if d.left > 1:
        d.vector("types", 1, listed("type", 1, CERTIFICATE_TYPES))
    else:
        d.number("type", 1, CERTIFICATE_TYPES)


def _trust_anchors(d: Decoder) -> str:
    """draft-ietf-tls-trust-anchor-ids-04 §4: whom the client trusts, as relative object identifiers."""
    names: list[str] = []

    def each(inner: Decoder) -> None:
        while inner.left:
            start = len(inner.fields)
            name = relative_text(inner.opaque("trust_anchor_id", 1))
            names.append(name)
            if len(inner.fields) > start + 1:
                inner.retell(name)

    if not d.left:
        return "present"
    d.vector("trust_anchor_ids", 2, each)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "") or "none named"


_READINGS: dict[str, Reading] = {
    "server_name": _server_name_anywhere,
    "max_fragment_length": _fragment_length,
    "status_request": _status_request,
    "status_request_v2": _status_request_v2,
    "supported_groups": _list("named_group", 2, GROUPS, 2, "named_group_list"),
    "ec_point_formats": _list("ec_point_format", 1, POINT_FORMATS, 1, "ec_point_format_list"),
    "signature_algorithms": _list(
        "signature_scheme", 2, SIGNATURE_SCHEMES, 2, "supported_signature_algorithms"
    ),
    "signature_algorithms_cert": _list(
        "signature_scheme", 2, SIGNATURE_SCHEMES, 2, "supported_signature_algorithms"
    ),
    "delegated_credential": _list(
        "signature_scheme", 2, SIGNATURE_SCHEMES, 2, "supported_signature_algorithms"
    ),
    "use_srtp": _srtp,
    "heartbeat": _heartbeat,
    "application_layer_protocol_negotiation": _protocols,
    "application_settings": _protocols,
    "application_settings_old": _protocols,
    "signed_certificate_timestamp": _sct_list,
    "client_certificate_type": _certificate_type,
    "server_certificate_type": _certificate_type,
    "padding": _padding,
    "encrypt_then_mac": _empty,
    "extended_master_secret": _empty,
    "post_handshake_auth": _empty,
    "truncated_hmac": _empty,
    "compress_certificate": _list("algorithm", 2, CERTIFICATE_COMPRESSIONS, 1, "algorithms"),
    "record_size_limit": _record_limit,
    "session_ticket": _ticket,
    "early_data": _empty,
    "supported_versions": _versions,
    "cookie": _cookie,
    "psk_key_exchange_modes": _list("ke_mode", 1, PSK_MODES, 1, "ke_modes"),
    "certificate_authorities": _authorities,
    "oid_filters": _filters,
    "key_share": _client_shares,
    "pre_shared_key": _offered_keys,
    "renegotiation_info": _renegotiation,
    "encrypted_client_hello": read_encrypted_hello,
    "trust_anchors": _trust_anchors,
}
_BY_MESSAGE: dict[tuple[str, str], Reading] = {
    ("supported_versions", "server_hello"): _selected_version,
    ("supported_versions", "hello_retry_request"): _selected_version,
    ("key_share", "server_hello"): _server_share,
    ("key_share", "hello_retry_request"): _selected_group,
    ("pre_shared_key", "server_hello"): _selected_key,
    ("early_data", "new_session_ticket"): _max_early_data,
    ("status_request", "certificate"): read_ocsp_status,
    ("delegated_credential", "certificate"): _opaque,
    ("encrypted_client_hello", "hello_retry_request"): read_retry,
    ("encrypted_client_hello", "encrypted_extensions"): _opaque,
    ("application_settings", "encrypted_extensions"): _opaque,
    ("application_settings_old", "encrypted_extensions"): _opaque,
}

__all__ = ["name_of_extension", "read_extensions", "read_name", "read_ocsp_status"]
