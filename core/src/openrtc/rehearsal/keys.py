"""Lets models be made whose keys are missing: nothing is sent to them, since others stand in for them."""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator

PLACEHOLDER = "no-key-this-is-a-rehearsal-of-openrtc"
"""As long as LiveKit's own secrets are, since tokens are signed with it."""

_in_use: Counter[str] = Counter()
"""How many rehearsals each variable was set for that nobody else had set."""


_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_(?:KEY|SECRET|TOKEN)\b")


def list_named_keys(message: str) -> set[str]:
    """Return the variables of keys that an error's message names, and that are not set."""
    return {name for name in _VARIABLE.findall(message) if not os.environ.get(name)}


@contextlib.contextmanager
def placeholder_keys(variables: Collection[str]) -> Iterator[None]:
    """Set variables that are missing, for the body.

    Args:
        variables: Their names.
    """
    ours = {name for name in variables if name in _in_use or not os.environ.get(name)}
    _in_use.update(ours)
    os.environ.update(dict.fromkeys(ours, PLACEHOLDER))
    try:
        yield
    finally:
        for name in ours:
            _in_use[name] -= 1
            if not _in_use[name]:
                del _in_use[name]
                if os.environ.get(name) == PLACEHOLDER:
                    del os.environ[name]
