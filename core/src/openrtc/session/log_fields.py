"""Keeps the fields that tell of a log line which call it is of, whatever fields an agent sets for its own lines."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from livekit.agents import JobContext

_ours: weakref.WeakKeyDictionary[JobContext, Mapping[str, str]] = weakref.WeakKeyDictionary()


def keep_log_fields(context: JobContext, fields: Mapping[str, str]) -> None:
    """Let livekit-agents' own log lines of a job have fields, also when the agent sets others in their place.

    Args:
        context: LiveKit's context of the job.
        fields: The fields; an agent's of the same name do not count.
    """
    _ours[context] = dict(fields)
    known: Any = vars(JobContext)["log_context_fields"]
    if not hasattr(known.fset, "__wrapped__"):
        kept = property(known.fget, _keep(known.fset), doc=known.__doc__)
        JobContext.log_context_fields = kept  # type: ignore[method-assign,assignment]  # an agent assigns to it
    context.log_context_fields = {}


def _keep(assign: Callable[[JobContext, dict[str, Any]], None]) -> Callable[[JobContext, dict[str, Any]], None]:
    def assign_beside_ours(context: JobContext, fields: dict[str, Any]) -> None:
        # A dict of its own: an agent may give all its calls the same one.
        assign(context, {**fields, **_ours.get(context, {})})

    assign_beside_ours.__wrapped__ = assign  # type: ignore[attr-defined]  # as `functools.wraps` marks it
    return assign_beside_ours
