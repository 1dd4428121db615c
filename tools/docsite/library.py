"""The library as pages: every public name with its signature and its docstring, which is read as Markdown."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import django
from django.conf import settings

import twoway

# Where names may be imported from, beside `twoway` itself. What the gateway, the wire and the fetching of lists are made
# of is not for others; of the doctor and the explainer it is what they give back.
PLACES = (
    "twoway.authority",
    "twoway.client",
    "twoway.credential",
    "twoway.doctor.finding",
    "twoway.enroll",
    "twoway.errors",
    "twoway.explainer.explanation",
    "twoway.explainer.transcript",
    "twoway.integrations",
    "twoway.message",
    "twoway.server",
    "twoway.testing",
    "twoway.tls",
    "twoway.trust",
)


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Give the public names of a module that are classes or functions of twoway, as it lists them."""
    listed = getattr(module, "__all__", None)
    names = listed if listed is not None else [name for name in vars(module) if not name.startswith("_")]
    for name in sorted(names):
        value = getattr(module, name)
        # By its type: looking into a value, as isinstance does, would wake the lazy ones of some frameworks.
        if not issubclass(type(value), type | FunctionType):
            continue
        if value.__module__ == module.__name__ or (
            listed is not None and value.__module__.startswith("twoway")
        ):
            yield name, value


def modules() -> Iterator[ModuleType]:
    """Give `twoway`, the places above, and the modules of those that re-export nothing."""
    yield twoway
    if not settings.configured:  # which the integration with Django's users wants to know at its import
        settings.configure(INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"])
        django.setup()
    for name in PLACES:
        place = importlib.import_module(name)
        if any(public(place)):
            yield place
        else:
            for found in pkgutil.iter_modules(place.__path__, f"{name}."):
                yield importlib.import_module(found.name)


def pages() -> dict[str, str]:
    """Give one page a module: its name, and its text."""
    return {module.__name__: page(module) for module in modules()}


def page(module: ModuleType) -> str:
    """Give the text about one module."""
    parts = [f"# {module.__name__}", _prose(module)]
    for name, value in public(module):
        parts += _class(name, value) if inspect.isclass(value) else _entry("##", name, value)
    return "\n\n".join(part for part in parts if part) + "\n"


def _class(name: str, value: type) -> Iterator[str]:
    yield from _entry("##", name, value)
    for inner, member in sorted(vars(value).items()):
        if inner.startswith("_"):
            continue
        if isinstance(member, property):
            yield f"### {name}.{inner}"
            yield "*property*"
            yield _prose(member)
        elif isinstance(member, staticmethod | classmethod) or inspect.isfunction(member):
            yield from _entry("###", f"{name}.{inner}", getattr(value, inner))


def _entry(level: str, name: str, value: Callable[..., Any]) -> Iterator[str]:
    yield f"{level} {name}"
    yield f"```python\n{_signature(name, value)}\n```"
    yield _prose(value)


def _signature(name: str, value: Callable[..., Any]) -> str:
    kind = (
        "class " if inspect.isclass(value) else "async def " if inspect.iscoroutinefunction(value) else "def "
    )
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return f"{kind}{name}"
    told = [_parameter(one) for one in signature.parameters.values() if one.name not in ("self", "cls")]
    told = _with_marks(signature, told)
    end = (
        ""
        if inspect.isclass(value) or signature.return_annotation is signature.empty
        else (f" -> {_annotation(signature.return_annotation)}")
    )
    line = f"{kind}{name}({', '.join(told)}){end}"
    if len(line) <= 88:
        return line
    inside = "".join(f"    {one},\n" for one in told)
    return f"{kind}{name}(\n{inside}){end}"


def _with_marks(signature: inspect.Signature, told: list[str]) -> list[str]:
    """Put the lone `*` before the first parameter that is given by name only."""
    shown = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
    kinds = [one.kind for one in shown]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        first = kinds.index(inspect.Parameter.KEYWORD_ONLY)
        return [*told[:first], "*", *told[first:]]
    return told


def _parameter(one: inspect.Parameter) -> str:
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(one.kind, "")
    annotated = one.annotation is not one.empty
    text = stars + one.name + (f": {_annotation(one.annotation)}" if annotated else "")
    if one.default is one.empty:
        return text
    default = repr(one.default)
    if default.startswith("<") or " at 0x" in default:
        default = "..."
    return f"{text} = {default}" if annotated else f"{text}={default}"


def _annotation(annotation: object) -> str:
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _prose(value: object) -> str:
    """Give a docstring as Markdown: backticks are code and indented lines are examples already."""
    text = (
        inspect.getdoc(value) if not isinstance(value, ModuleType) else inspect.cleandoc(value.__doc__ or "")
    )
    # A dataclass without a docstring is given its signature as one.
    if not text or re.fullmatch(r"\w+\(.*\)(?: -> .*)?", text, re.DOTALL):
        return ""
    return text
