"""What this package contributes to OpenRTC: models under ``offline:``, their processes, and fitting session options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from openrtc import ResourceSpec, hookimpl
from openrtc_offline.provider import OfflineProvider

if TYPE_CHECKING:
    from openrtc import Call, WorkerInfo

RECOGNIZER_KEY = "offline.recognizer"

# Recognition gives final transcripts only, so the VAD decides about turns and interruptions. A speech of 0.6 s
# interrupts; when it turns out to hold no words ("mm-hm", a cough) the agent goes on after 1.5 s.
TURN_HANDLING: Mapping[str, Any] = {
    "turn_detection": "vad",
    "endpointing": {"min_delay": 0.2, "max_delay": 2.0},
    "interruption": {
        "mode": "vad",
        "min_duration": 0.6,
        "resume_false_interruption": True,
        "false_interruption_timeout": 1.5,
    },
}

_provider = OfflineProvider()


@hookimpl
def openrtc_providers() -> Mapping[str, OfflineProvider]:
    """Contribute the models of ``offline:``."""
    return {"offline": _provider}


@hookimpl
def openrtc_resources() -> list[ResourceSpec]:
    """Contribute the recogniser processes; they start when the first offline model is built."""
    return [ResourceSpec(key=RECOGNIZER_KEY, load=lambda: _provider, close=_close_provider)]


@hookimpl
def openrtc_session_options(call: Call) -> Mapping[str, Any] | None:
    """Contribute turn handling that suits the offline recogniser."""
    if not call.models.get("stt", "").startswith("offline:"):
        return None
    return {
        "turn_handling": {key: value if isinstance(value, str) else dict(value) for key, value in TURN_HANDLING.items()}
    }


@hookimpl
async def openrtc_shutdown(worker: WorkerInfo) -> None:
    """End child processes that are left."""
    await _close_provider(_provider)


async def _close_provider(provider: OfflineProvider) -> None:
    import asyncio

    await asyncio.to_thread(provider.close)
