"""Lets each room have its own answers of an avatar: private names of livekit-agents.

What an avatar has played it tells by a call into the agent's process, and livekit-agents looks up there whom that is
for by the avatar's identity alone, in one dict for the process. An avatar mostly has the same identity in every call:
its answer went to whichever call had begun last, and the others waited for theirs.

Import this only where all that the part ``avatars`` needs is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livekit import rtc
from livekit.agents.voice.avatar import DataStreamAudioOutput, DataStreamAudioReceiver

_DICTS: dict[type, dict[str, str]] = {
    DataStreamAudioOutput: {
        "_register_playback_finished_rpc": "_playback_finished_handlers",
        "_register_playback_started_rpc": "_playback_started_handlers",
    },
    DataStreamAudioReceiver: {"_register_clear_buffer_rpc": "_clear_buffer_handlers"},
}
"""By class and the method that registers a handler, the dict of the class in which handlers are looked up."""


def separate_avatars() -> None:
    """From now on, let what an avatar tells go to the output of its own room; once for the process."""
    for kind, methods in _DICTS.items():
        for method in methods:
            register = vars(kind)[method].__func__
            if not hasattr(register, "_openrtc_separate"):
                setattr(kind, method, classmethod(_register_in_room(register, tuple(methods.values()))))


def _register_in_room(register: Callable[..., None], dicts: tuple[str, ...]) -> Callable[..., None]:
    def register_in_room(cls: type, room: rtc.Room, **options: Any) -> None:
        # livekit-agents' own code does what is wanted for a class with dicts of its own. The room has it, and nothing
        # else: it is gone with the room.
        classes: dict[type, type] = vars(room).setdefault("_openrtc_avatars", {})
        if cls not in classes:
            classes[cls] = type(cls.__name__, (cls,), {name: {} for name in dicts})
        register(classes[cls], room, **options)

    register_in_room._openrtc_separate = True  # type: ignore[attr-defined]  # a mark of ours
    return register_in_room
