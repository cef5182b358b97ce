"""What the metadata of a dispatch is to an agent: without what the routing reads there, in the type that it wants."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

from openrtc.errors import OpenRTCError, one_line, summarize_error
from openrtc.model.request import RouteRequest, parse_metadata

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from openrtc.model.agents import AgentSpec

ROUTING_KEYS = ("agent", "demo")
"""What the routing reads in metadata; an agent gets the rest."""

MOST_FAULTS = 3
"""Of how many fields a rejection says what is wrong with them."""


def fit_metadata(request: RouteRequest, spec: AgentSpec | None = None) -> Any:
    """Return a dispatch's metadata as an agent gets it in `Call.metadata`.

    Args:
        request: The call.
        spec: The agent, which may want a type.

    Raises:
        OpenRTCError: It does not fit that type; the message says which field, and no value.
    """
    model = spec.metadata_model if spec else None
    if model is None:
        return _take_out_routing(request)
    if problem := parse_metadata(request.job_metadata_raw)[1] if request.job_metadata is None else None:
        raise OpenRTCError(f"the job's metadata is {problem.removesuffix(': ignored')}")
    from pydantic import ValidationError  # it has been imported for the agent

    try:
        return build_adapter(model).validate_python(_take_out_routing(request))
    except ValidationError as error:
        raise OpenRTCError(f"the job's metadata does not fit: {_describe(error)}") from None
    except OpenRTCError:
        raise
    except (Exception, SystemExit) as error:  # whatever a package's own check raises is that agent's fault alone
        raise OpenRTCError(f"the job's metadata could not be checked: {summarize_error(error, 200)}") from error


def find_model_fault(spec: AgentSpec) -> OpenRTCError | None:
    """Return what is wrong with the type that an agent, or a member of it, wants its metadata in; None for nothing."""
    specs = [spec, *(member.spec for member in spec.cast.members if member.spec)] if spec.cast else [spec]
    for one in specs:
        try:
            if one.metadata_model is not None:
                build_adapter(one.metadata_model)
        except OpenRTCError as error:
            return error
    return None


def build_schema(spec: AgentSpec | None) -> dict[str, Any] | None:
    """Return the JSON schema of the metadata that an agent wants; None where it wants none, or there is no schema."""
    if spec is None or spec.metadata_model is None:
        return None
    return _build_schema(spec.metadata_model)


@cache
def build_adapter(model: Any) -> TypeAdapter[Any]:
    """Return what checks metadata against a type.

    Args:
        model: A dataclass, a pydantic model or a ``TypedDict``.

    Raises:
        OpenRTCError: It is something else, or pydantic cannot read it.
    """
    fix = "give a dataclass, a pydantic model or a TypedDict"
    fields = isinstance(model, type) and (
        dataclasses.is_dataclass(model) or hasattr(model, "model_validate") or hasattr(model, "__total__")
    )
    if not fields:
        raise OpenRTCError(f"AgentSpec metadata_model= is {model!r:.80}", fix=fix)
    from pydantic import TypeAdapter

    try:
        adapter = TypeAdapter(model)
        adapter.rebuild(raise_errors=True)  # it waits for names that are not there yet, else for ever
    except Exception as error:  # pydantic's, or of the type's own code
        why = f"AgentSpec metadata_model= {model.__name__} cannot be read: {summarize_error(error, 300)}"
        raise OpenRTCError(why, fix=fix) from None
    return adapter


@cache
def _build_schema(model: Any) -> dict[str, Any] | None:
    try:
        return build_adapter(model).json_schema()
    except Exception:  # a field's type may have none
        return None


def _take_out_routing(request: RouteRequest) -> dict[str, Any]:
    return {key: value for key, value in (request.job_metadata or {}).items() if key not in ROUTING_KEYS}


def _describe(error: Any) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [_describe_field(one) for one in found[:MOST_FAULTS]]
    more = len(found) - len(lines)
    return "; ".join([*lines, *([f"and {more} more"] if more else [])])


def _describe_field(fault: Any) -> str:
    where = one_line(".".join(map(str, fault["loc"])), 80)
    said = one_line(str(fault["msg"]), 120)
    return f"field {where!r}: {said}" if where else said
