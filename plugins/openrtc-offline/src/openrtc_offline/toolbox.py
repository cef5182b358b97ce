"""An agent's function tools as plain values: what each is called, what it does, what it wants to know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a tool.

    Args:
        name: As the tool's author wrote it.
        kind: JSON type: ``string``, ``integer``, ``number``, ``boolean`` or ``array`` (of strings).
        required: Whether the tool cannot be called without it.
        description: What the docstring says of it.
        choices: The only values that it takes; empty when it takes any.
        format: JSON schema format, such as ``date`` or ``time``.
    """

    name: str
    kind: str = "string"
    required: bool = True
    description: str = ""
    choices: tuple[Any, ...] = ()
    format: str = ""

    @property
    def spoken_name(self) -> str:
        """The name as one says it: ``order_id`` is ``order id``."""
        return split_identifier(self.name)


@dataclass(frozen=True, slots=True)
class ToolView:
    """One function tool.

    Args:
        name: Name of the function.
        description: Its docstring without the section about the arguments.
        parameters: Its arguments in the order of the signature.
    """

    name: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()

    @property
    def spoken_name(self) -> str:
        """The name as one says it: ``book_table`` is ``book table``."""
        return split_identifier(self.name)

    @property
    def summary(self) -> str:
        """The first sentence of the description, without its full stop; the spoken name when there is none."""
        first = re.split(r"(?<=[.!?])\s|\n\s*\n", self.description.strip(), maxsplit=1)[0]
        return " ".join(first.split()).rstrip(".") or self.spoken_name


def split_identifier(name: str) -> str:
    """Return ``name`` as lower-case words: ``getOrderStatus`` and ``get_order_status`` are ``get order status``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Za-z])(?=\d)", " ", name)
    return " ".join(re.findall(r"[A-Za-z0-9]+", spaced)).lower()


def describe_tools(tools: Iterable[Any]) -> tuple[ToolView, ...]:
    """Return the function tools among ``tools``, looking into toolsets; provider tools are left out."""
    found: list[ToolView] = []
    for tool in tools:
        if hasattr(tool, "tools"):
            found.extend(describe_tools(tool.tools))
        elif (view := _describe_tool(tool)) is not None:
            found.append(view)
    return tuple(found)


_described: WeakKeyDictionary[Any, ToolView | None] = WeakKeyDictionary()
"""Kept, since a tool's schema takes 1 ms to read and is needed in each turn."""


def _describe_tool(tool: Any) -> ToolView | None:
    if tool not in _described:
        _described[tool] = _read_tool(tool)
    return _described[tool]


def _read_tool(tool: Any) -> ToolView | None:
    info = getattr(tool, "info", None)
    if info is None:
        return None
    raw = getattr(info, "raw_schema", None)
    if raw is not None:
        return ToolView(
            info.name, _strip_sections(raw.get("description")), _read_parameters(raw.get("parameters") or {})
        )
    return ToolView(info.name, _strip_sections(info.description), _read_parameters(_read_signature(tool)))


def _read_signature(tool: Any) -> Mapping[str, Any]:
    from livekit.agents.llm.utils import function_arguments_to_pydantic_model

    try:
        return function_arguments_to_pydantic_model(tool).model_json_schema()
    except KeyError as error:  # livekit-agents looks up each argument's type
        name = error.args[0]
        raise TypeError(f"the argument {name} of the tool {tool.info.name} has no type: write {name}: str") from None


def _strip_sections(description: str | None) -> str:
    text = re.split(r"\n\s*(?:Args|Arguments|Parameters|Returns|Raises)\s*:", description or "", maxsplit=1)[0]
    return re.split(r"\n\s*:(?:param|return|type)", text, maxsplit=1)[0].strip()


def _read_parameters(schema: Mapping[str, Any]) -> tuple[Parameter, ...]:
    required = set(schema.get("required") or ())
    definitions = schema.get("$defs") or {}
    properties = schema.get("properties") or {}
    return tuple(_read_parameter(name, value, name in required, definitions) for name, value in properties.items())


def _read_parameter(name: str, schema: Mapping[str, Any], required: bool, definitions: Mapping[str, Any]) -> Parameter:
    resolved = _resolve_schema(schema, definitions)
    choices = tuple(resolved["enum"]) if "enum" in resolved else (resolved["const"],) if "const" in resolved else ()
    kind = resolved.get("type") or _find_kind(choices)
    return Parameter(
        name=name,
        kind=kind if isinstance(kind, str) else next((k for k in kind if k != "null"), "string"),
        required=required,
        description=schema.get("description") or "",
        choices=tuple(choice for choice in choices if choice is not None),
        format=resolved.get("format") or "",
    )


def _resolve_schema(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(8):  # definitions may refer to each other in a circle
        options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if "$ref" in schema:
            schema = definitions.get(schema["$ref"].rsplit("/", 1)[-1], {})
        elif options:
            schema = next((option for option in options if option.get("type") != "null"), {})
        else:
            break
    return schema


def _find_kind(choices: tuple[Any, ...]) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number"}
    return kinds.get(type(choices[0]), "string") if choices else "string"
