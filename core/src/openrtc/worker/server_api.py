"""The API of the LiveKit server, with the worker's own key."""

from __future__ import annotations

from livekit import api

from openrtc.config import WorkerSettings


def server_api(worker: WorkerSettings, url: str = "") -> api.LiveKitAPI:
    """Return the API; use it in ``async with``.

    Args:
        worker: Key and secret.
        url: Where the server is, if not where the worker is registered.
    """
    return api.LiveKitAPI(url or worker.url, worker.api_key, worker.api_secret)
