"""The JSON schema of the event stream, generated from the events' types and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from openrtc.observe.events import EVENTS, Event

VERSION = 2
"""Of the events: raised when a field is removed or changes its meaning, not when one is added."""
_GOES = re.compile(r"Goes in \d")
"""How what is said of a field begins that goes in some release: ``Goes in 0.5: use …``."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def build_event_schema() -> dict[str, Any]:
    """Return the schema of one event, as JSON Schema 2020-12: one definition for each kind."""
    return {
        "$schema": DIALECT,
        "title": f"An event of an OpenRTC worker, version {VERSION}",
        "description": "Later versions may add kinds of events and fields: readers ignore what they do not know.",
        "oneOf": [{"$ref": f"#/$defs/{kind.kind()}"} for kind in EVENTS],
        "$defs": {kind.kind(): _build_definition(kind) for kind in EVENTS},
    }


def describe_fields(kind: type[Event]) -> dict[str, str]:
    """Return what each field of a kind of event means, from the docstrings; inherited fields come first."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__[:-1]):
        _, _, described = inspect.cleandoc(owner.__doc__ or "").partition("Args:\n")
        for name, text in re.findall(r"^ {4}(\w+): (.+(?:\n {6,}.+)*)", described, re.MULTILINE):
            found[name] = " ".join(text.split())
    return {one.name: found[one.name] for one in fields(kind)}


def describe_event(kind: type[Event]) -> str:
    """Return what a kind of event means."""
    text, _, _ = inspect.cleandoc(kind.__doc__ or "").partition("\n\nArgs:")
    return " ".join(text.split())


def _build_definition(kind: type[Event]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    properties = {
        name: {**_build_type(hints[name]), "description": text, **({"deprecated": True} if _GOES.match(text) else {})}
        for name, text in describe_fields(kind).items()
    }
    return {
        "description": describe_event(kind),
        "type": "object",
        "properties": {"event": {"const": kind.kind()}, **properties},
        "required": ["event", *properties],
    }


def _build_type(hint: Any) -> dict[str, Any]:
    if hint is Any:
        return {}
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _build_type(get_args(hint)[0])}
    if get_origin(hint) is Mapping:
        return {"type": "object", "additionalProperties": _build_type(get_args(hint)[1])}
    if isinstance(hint, UnionType):
        return {"type": [_TYPES[part] for part in get_args(hint)]}
    return {"type": _TYPES[hint]}
