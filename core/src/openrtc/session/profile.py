"""What the profile of a worker changes about its sessions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from livekit.agents import room_io
from livekit.agents.utils import is_given

LEAN_RATE = 16000
"""Hz: what voice activity detection takes without resampling, and most speech recognition hears."""


def build_start_options(profile: str, chosen: room_io.RoomOptions | None) -> dict[str, Any]:
    """Return the arguments of ``AgentSession.start`` besides agent and room.

    Args:
        profile: One of `openrtc.settings.config.PROFILES`.
        chosen: The room options of the agent's package, which outweigh the profile.
    """
    if profile == "standard":
        return {} if chosen is None else {"room_options": chosen}
    return {"room_options": _lean(chosen or room_io.RoomOptions())}


def without_sound(options: room_io.RoomOptions | None) -> room_io.RoomOptions:
    """Return room options for a call in text: nothing is heard, and what an agent says goes out as it is written.

    Args:
        options: Those of the agent's package.
    """
    return replace(options or room_io.RoomOptions(), audio_input=False, audio_output=False, video_input=False)


def _lean(options: room_io.RoomOptions) -> room_io.RoomOptions:
    # What it saves is in docs/performance.md: gain control alone takes 24 µs for each 10 ms of audio. `True` and "not
    # given" mean livekit-agents' defaults; what a package has chosen stays.
    changes: dict[str, Any] = {}
    if options.audio_input is True or not is_given(options.audio_input):
        changes["audio_input"] = room_io.AudioInputOptions(sample_rate=LEAN_RATE, auto_gain_control=False)
    if options.text_output is True or not is_given(options.text_output):
        changes["text_output"] = room_io.TextOutputOptions(sync_transcription=False)
    return replace(options, **changes)
