"""The plugin: redacts texts, with further patterns from the environment."""

from __future__ import annotations

import functools
import os
import re

from openrtc import ResourceSpec, ResourceUnavailable, hookimpl
from openrtc_redact.redaction import redact

PATTERNS = "OPENRTC_REDACT_PATTERNS"
PRIVATE, EVERYTHING = "[private]", "[redacted]"


@hookimpl
def openrtc_redact(text: str) -> str:
    """Take out of a text what nobody may read; all of it, where a pattern of the environment is none."""
    try:
        patterns = compile_patterns()
    except ResourceUnavailable:
        return EVERYTHING
    for pattern in patterns:
        text = pattern.sub(lambda found: PRIVATE if found[0] else "", text)
    return redact(text)


@hookimpl
def openrtc_resources() -> list[ResourceSpec]:
    """Bring the patterns of the environment, so that a worker says at its start what is wrong with them."""
    return [ResourceSpec(key="redact.patterns", load=compile_patterns)] if os.environ.get(PATTERNS, "").strip() else []


@functools.cache
def _compile(lines: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(line.strip(), re.IGNORECASE) for line in lines.splitlines() if line.strip())


def compile_patterns() -> tuple[re.Pattern[str], ...]:
    """Return the patterns of the environment.

    Raises:
        ResourceUnavailable: One is no regular expression.
    """
    try:
        return _compile(os.environ.get(PATTERNS, ""))
    except (re.error, RecursionError, OverflowError) as error:
        pattern = getattr(error, "pattern", None)
        problem = f"{PATTERNS} has {pattern!r}, which is no regular expression: {error}: all words are redacted"
        raise ResourceUnavailable(problem, fix="correct it: one regular expression a line") from error
