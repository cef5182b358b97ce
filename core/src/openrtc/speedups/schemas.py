"""Speedup `schemas`: the model of a tool's arguments is built once for each tool.

For each turn of a language model livekit-agents builds the pydantic model of each tool's arguments anew, which blocks
the loop for a millisecond a tool (docs/performance.md).
"""

from __future__ import annotations

from typing import Any

from livekit.agents.llm import FunctionTool, utils
from pydantic import BaseModel

_build_upstream_model = utils.function_arguments_to_pydantic_model


def install() -> None:
    """From now on, build the model of a tool's arguments once."""
    utils.function_arguments_to_pydantic_model = _build_model


def uninstall() -> None:
    """Undo `install`."""
    utils.function_arguments_to_pydantic_model = _build_upstream_model


def _build_model(func: Any) -> type[BaseModel]:
    if not isinstance(func, FunctionTool):
        return _build_upstream_model(func)
    # Kept on the tool, so that it goes with it; and for one function, since containment puts another one into a tool.
    built_for, model = getattr(func, "_openrtc_arguments", (None, None))
    if model is None or built_for is not func._func:
        model = _build_upstream_model(func)
        func._openrtc_arguments = (func._func, model)  # type: ignore[attr-defined]  # ours, beside the tool's own
    return model
