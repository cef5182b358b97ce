"""Which workers may upload what is recorded of their calls."""

from __future__ import annotations

from collections.abc import Mapping

from livekit.agents.utils.misc import is_cloud

VARIABLE = "LIVEKIT_OBSERVABILITY_URL"
"""livekit-agents reads it; without it recordings are uploaded to the project of LiveKit Cloud that sends the calls."""


def may_upload_recordings(url: str, environ: Mapping[str, str]) -> bool:
    """Whether livekit-agents uploads what a session records.

    Args:
        url: Address of the LiveKit server.
        environ: Environment variables.
    """
    return bool(environ.get(VARIABLE)) or is_cloud(url)
