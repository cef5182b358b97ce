"""What a tool returned, as something that can be said."""

from __future__ import annotations

import ast
import json
from typing import Any

FAILED = "Sorry, that did not work."


def speak_result(output: str, *, is_error: bool) -> str:
    """Return a tool's output as speech; an error as an apology with the tool's own words."""
    text = output.strip()
    if is_error:
        return FAILED if not text or text.startswith("An internal error") else f"{FAILED} {text}"
    return _speak(_parse(text)) or "Done."


def _parse(text: str) -> Any:
    if text[:1] not in ("{", "[", '"', "(", "'") and text not in ("true", "false", "null", "True", "False", "None"):
        return text
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError):
            continue
    return text


def _speak(value: Any) -> str:
    if isinstance(value, dict):
        return (
            ", ".join(f"{_speak_key(key)} is {_speak_value(item)}" for key, item in value.items()) + "."
            if value
            else ""
        )
    if isinstance(value, list | tuple | set):
        return _join_items([_speak_value(item) for item in value])
    return _speak_value(value)


def _speak_value(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{_speak_key(key)} {_speak_value(item)}" for key, item in value.items())
    if isinstance(value, list | tuple | set):
        return _join_items([_speak_value(item) for item in value])
    return str(value)


def _join_items(items: list[str]) -> str:
    separator = "; " if any("," in item for item in items) else ", "
    return separator.join(items[:-1]) + f" and {items[-1]}" if len(items) > 1 else "".join(items) or "There is nothing."


def _speak_key(key: object) -> str:
    return str(key).replace("_", " ")
