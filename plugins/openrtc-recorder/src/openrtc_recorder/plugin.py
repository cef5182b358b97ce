"""The plugin: gets each session before it starts, and records it. Imports livekit only where calls are held."""

from __future__ import annotations

import functools
import logging
import os
from typing import TYPE_CHECKING, Any

from openrtc import ResourceSpec, hookimpl
from openrtc_recorder.archive import FOLDER, open_archive

if TYPE_CHECKING:
    from openrtc import Call

logger = logging.getLogger("openrtc_recorder")

KEY = "recorder"


@hookimpl
def openrtc_resources() -> list[ResourceSpec]:
    """Bring the folder of the recordings, so that a worker says at its start what is wrong with it."""
    return [ResourceSpec(key=KEY, load=open_archive)] if os.environ.get(FOLDER, "").strip() else []


@hookimpl
async def openrtc_session(call: Call, session: Any) -> None:
    """Record a session."""
    if not openrtc_resources():
        _tell_once(f"no call is recorded: {FOLDER} is not set")
        return
    try:
        archive = call.resources[KEY]
    except KeyError as missing:
        logger.warning("call %s is not recorded: %s", call.job_id, missing.args[0])
        return
    from openrtc_recorder.recording import Recording

    await Recording(call, session, archive).prepare()


@functools.cache
def _tell_once(text: str) -> None:
    logger.warning("%s", text)
