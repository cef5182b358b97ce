"""Every private name of livekit-agents' tool schemas that OpenRTC uses, and nothing else.

For each turn of a language model livekit-agents builds the model of each tool's arguments anew, which takes the loop a
millisecond for each tool. Here it is built once for each tool.
"""

from __future__ import annotations

from typing import Any

from livekit.agents.llm import FunctionTool, utils
from pydantic import BaseModel

from openrtc.worker.speed.digest import changed

_DIGESTS = ("83d13a7207ba7a2d", "1b7eff6f4998095d")  # livekit-agents 1.8.0, 1.8.9
_KNOWN = {"function_arguments_to_pydantic_model": (utils.function_arguments_to_pydantic_model, _DIGESTS)}

_build_as_upstream = utils.function_arguments_to_pydantic_model


def why_schemas_not_kept() -> str | None:
    """Return None when livekit-agents builds the models of arguments as `keep_schemas` knows it, else what differs."""
    return ", ".join(changed(_KNOWN)) or None


def keep_schemas() -> None:
    """From now on, build the model of a tool's arguments once."""
    utils.function_arguments_to_pydantic_model = _build


def build_as_upstream() -> None:
    """Undo `keep_schemas`."""
    utils.function_arguments_to_pydantic_model = _build_as_upstream


def _build(func: Any) -> type[BaseModel]:
    if not isinstance(func, FunctionTool):
        return _build_as_upstream(func)
    built_for, model = getattr(func, "_openrtc_arguments", (None, None))
    if model is None or built_for is not func._func:
        model = _build_as_upstream(func)
        func._openrtc_arguments = (func._func, model)  # type: ignore[attr-defined]
    return model
