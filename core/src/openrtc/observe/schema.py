"""The JSON schema of the event stream, made from the events themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from openrtc.observe.events import EVENTS, Event

VERSION = 1
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Mapping[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def event_schema() -> dict[str, Any]:
    """Return the schema of one event, as JSON Schema 2020-12: one definition for each kind."""
    return {
        "$schema": DIALECT,
        "title": f"An event of an OpenRTC worker, version {VERSION}",
        "description": "Later versions may add kinds of events and fields: readers ignore what they do not know.",
        "oneOf": [{"$ref": f"#/$defs/{kind.kind()}"} for kind in EVENTS],
        "$defs": {kind.kind(): _definition(kind) for kind in EVENTS},
    }


def meanings(kind: type[Event]) -> dict[str, str]:
    """Return what each field of a kind of event means, from the docstrings, inherited ones first."""
    found: dict[str, str] = {}
    for owner in reversed(kind.__mro__[:-1]):
        _, _, described = inspect.cleandoc(owner.__doc__ or "").partition("Args:\n")
        for name, text in re.findall(r"^ {4}(\w+): (.+(?:\n {6,}.+)*)", described, re.MULTILINE):
            found[name] = " ".join(text.split())
    return {one.name: found[one.name] for one in fields(kind)}


def summary(kind: type[Event]) -> str:
    """Return what a kind of event means."""
    text, _, _ = inspect.cleandoc(kind.__doc__ or "").partition("\n\nArgs:")
    return " ".join(text.split())


def _definition(kind: type[Event]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    properties = {name: {**_type(hints[name]), "description": text} for name, text in meanings(kind).items()}
    return {
        "description": summary(kind),
        "type": "object",
        "properties": {"event": {"const": kind.kind()}, **properties},
        "required": ["event", *properties],
    }


def _type(hint: Any) -> dict[str, Any]:
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _type(get_args(hint)[0])}
    if isinstance(hint, UnionType):
        return {"type": [_TYPES[part] for part in get_args(hint)]}
    return {"type": _TYPES[hint]}
