"""Writes docs/api.md from the public names of `openrtc` and their docstrings: `python docs/generate_api.py`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import Any

import openrtc

PAGE = Path(__file__).with_name("api.md")
HEAD = """# Public names

What `from openrtc import …` gives; [stability.md](stability.md) says how long each lives.
Hooks are in [hooks.md](hooks.md), events in [events.md](events.md), settings and variables in [settings.md](settings.md).

This page is generated from the docstrings of `openrtc.__all__`.
"""
SECTION = re.compile(r"(Args|Returns|Raises|Yields|Example):{1,2}\n")
ENTRY = re.compile(r"([\w*.]+): (.*)", re.DOTALL)
KINDS = inspect.Parameter


def page() -> str:
    """Return the whole page."""
    names = [name for name in openrtc.__all__ if not name.startswith("__")]
    return "\n".join([HEAD, *(_describe(name, getattr(openrtc, name)) for name in names)])


def _describe(name: str, value: Any) -> str:
    title = f"## `{name}`\n"
    if not inspect.isclass(value):
        return (
            "\n".join([title, *_describe_callable(name, value)])
            if isinstance(value, FunctionType)
            else title + ("\nMarks the implementation of a hook: see [hooks.md](hooks.md).\n")
        )
    parts = [title, *_describe_callable(name, value)]
    for member, found in vars(value).items():
        if member.startswith("_") or not (inspect.isroutine(found) or isinstance(found, property | classmethod)):
            continue
        function = getattr(found, "fget", None) or getattr(found, "__func__", found)
        is_property = isinstance(found, property) or not callable(function)
        parts.append(f"### `{name}.{member}`\n")
        parts += _format(function) if is_property else _describe_callable(f"{name}.{member}", function)
    return "\n".join(parts)


def _describe_callable(name: str, value: Callable[..., Any]) -> Iterator[str]:
    if inspect.isclass(value) and issubclass(value, Enum):  # its signature is another in each Python
        values = "".join(f'{name}.{one.name} = "{one.value}"\n' for one in value)
        yield f"```python\n{values}```\n"
        yield from _format(value)
        return
    prefix = "async " if inspect.iscoroutinefunction(value) else ""
    if not (inspect.isclass(value) and getattr(value, "_is_protocol", False)):
        yield f"```python\n{prefix}{name}({_list_parameters(value)})\n```\n"
    yield from _format(value)


def _list_parameters(value: Callable[..., Any]) -> str:
    """Return the parameters with their types as the source writes them, one a line where they are many."""
    shown, star = [], False
    made = {one.name for one in fields(value) if one.default_factory is not MISSING} if is_dataclass(value) else ()
    for one in inspect.signature(value).parameters.values():
        if one.name in ("self", "cls"):
            continue
        if one.kind is KINDS.KEYWORD_ONLY and not star:
            shown.append("*")
        star = star or one.kind in (KINDS.KEYWORD_ONLY, KINDS.VAR_POSITIONAL)
        mark = {KINDS.VAR_POSITIONAL: "*", KINDS.VAR_KEYWORD: "**"}.get(one.kind, "")
        typed = "" if one.annotation is one.empty else f": {one.annotation}"
        default = "" if one.default is one.empty else " = …" if one.name in made else f" = {_show(one.default)}"
        shown.append(f"{mark}{one.name}{typed}{default}")
    line = ", ".join(shown)
    return line if len(line) <= 90 else "\n    " + ",\n    ".join(shown) + ",\n"


def _show(default: Any) -> str:
    text = repr(default)
    return "…" if " object at 0x" in text or text.startswith("<") else text


def _format(value: Any) -> Iterator[str]:
    """Yield a docstring in Markdown."""
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    pieces = SECTION.split(inspect.cleandoc(own or ""))
    yield _prose(pieces[0])
    for heading, text in zip(pieces[1::2], pieces[2::2], strict=True):
        body = inspect.cleandoc("\n" + text)
        if heading == "Example":
            yield f"```python\n{body}\n```\n"
        elif heading in ("Returns", "Yields"):
            yield f"{heading}: {_prose(body)}"
        else:
            yield f"{heading}:\n\n" + "".join(f"- {_entry(one)}\n" for one in re.split(r"\n(?=\S)", body))


def _entry(text: str) -> str:
    match = ENTRY.fullmatch(" ".join(text.split()))
    return f"`{match[1]}`: {_code(match[2])}" if match else _code(" ".join(text.split()))


def _prose(text: str) -> str:
    paragraphs = (" ".join(part.split()) for part in text.strip().split("\n\n"))
    return "\n\n".join(re.sub(r"(?<=\.) (?=[A-Z`])", "\n", _code(one)) for one in paragraphs) + "\n"


def _code(text: str) -> str:
    return text.replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
