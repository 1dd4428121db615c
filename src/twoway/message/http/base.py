"""The signature base (RFC 9421 §2.5): the text that is signed, made of components of a message."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, quote

from twoway.message.http.exchanged import HttpRequest, HttpResponse, combined
from twoway.message.http.faults import SignatureMalformed
from twoway.message.http.fields import FieldMalformed, InnerList, Item, parse_dictionary, write_member

Message = HttpRequest | HttpResponse

# RFC 9421 §2.2. @request-target is left out: @target-uri covers what it does.
_DERIVED: dict[str, Callable[[HttpRequest], str]] = {
    "@method": lambda request: request.method,
    "@target-uri": lambda request: request.url,
    "@authority": lambda request: request.authority,
    "@scheme": lambda request: request.url.partition(":")[0].lower(),
    "@path": lambda request: request.path,
    "@query": lambda request: request.query,
}


def signature_base(message: Message, covered: InnerList) -> bytes:
    """What a signature with these components and parameters is about; raises SignatureMalformed."""
    lines, seen = [], set()
    for component in covered.items:
        identifier = write_member(component)
        if not isinstance(component.value, str) or identifier in seen:
            raise SignatureMalformed(f"the component {identifier[:100]} is no name, or comes twice")
        seen.add(identifier)
        lines.append(f"{identifier}: {_value(message, component)}")
    lines.append(f'"@signature-params": {write_member(covered)}')
    try:
        return "\n".join(lines).encode("ascii")
    except UnicodeEncodeError:
        raise SignatureMalformed("a component has something else than ASCII in it") from None


def _value(message: Message, component: Item) -> str:
    name, parameters = str(component.value), dict(component.parameters)
    if parameters.pop("req", False) is True:
        if not isinstance(message, HttpResponse):
            raise SignatureMalformed(f"{name} is to be taken from the request of a request")
        message = message.request
    if name == "@query-param" and isinstance(message, HttpRequest):
        return _query_parameter(message, parameters.pop("name", None))
    key = parameters.pop("key", None)
    if parameters:
        raise SignatureMalformed(
            f"{name} has the parameter {next(iter(parameters))}, which is not known here"
        )
    if name.startswith("@"):
        return _derived(message, name)
    value = combined(message.headers, name)
    if name != name.lower() or value is None:
        raise SignatureMalformed(f"the header {name[:100]} is signed and not there")
    if key is None:
        if "\n" in value or "\r" in value:
            raise SignatureMalformed(f"the header {name[:100]} has a line break in it")
        return value
    try:
        member = parse_dictionary(value).get(str(key))  # RFC 9421 §2.1.2
    except FieldMalformed as error:
        raise SignatureMalformed(f"the header {name[:100]}: {error}") from None
    if member is None:
        raise SignatureMalformed(f"the header {name[:100]} has no member {str(key)[:100]}")
    return write_member(member)


def _query_parameter(request: HttpRequest, name: object) -> str:
    """RFC 9421 §2.2.8: the one parameter of that name, percent-encoded anew."""
    found = [
        value
        for key, value in parse_qsl(request.query[1:], keep_blank_values=True)
        if quote(key, "*") == name
    ]
    if len(found) != 1:
        raise SignatureMalformed(f"the query has {len(found)} parameters {str(name)[:50]} and not one")
    return quote(found[0], safe="*")


def _derived(message: Message, name: str) -> str:
    if isinstance(message, HttpResponse):
        if name == "@status":
            return str(message.status)
        raise SignatureMalformed(f"{name} is not part of a response")
    make = _DERIVED.get(name)
    if make is None:
        raise SignatureMalformed(f"the component {name[:50]} is not known here")
    return make(message)
