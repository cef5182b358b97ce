"""Which errors of a package's code are its own fault, whatever the machine has on which it is tried."""

from __future__ import annotations

import re

_SLIPS = re.compile(
    r"(Syntax|Indentation|Tab|Type|Attribute|Name|UnboundLocal|Index|Key|ZeroDivision|Recursion|NotImplemented)Error\b"
    r"(?!.*\bNoneType\b)"
)
"""What code does wrong by itself. What is None may be a variable that is not set here."""
_VARIABLE = re.compile(r"KeyError: '[A-Z][A-Z0-9_]+'")
"""How a variable is missing that code takes from the environment."""


def is_error(text: str) -> bool:
    """Whether a text begins with the name of an error, as a package has raised it."""
    return re.match(r"[\w.]+(Error|Exception|Exit|Interrupt)\b", text) is not None


def is_slip(text: str) -> bool:
    """Whether an error comes of the code alone, and not of what is not set or not there on this machine.

    Args:
        text: Its type and message.
    """
    return _SLIPS.match(text) is not None and _VARIABLE.match(text) is None
