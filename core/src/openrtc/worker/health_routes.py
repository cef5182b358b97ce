"""What the health server answers beside livekit-agents' own ``/`` and ``/worker``."""

from __future__ import annotations

import asyncio

from aiohttp import web

from openrtc.catalog.agent_row import loaded_row
from openrtc.observe.prometheus import CONTENT_TYPE
from openrtc.worker.runtime import Runtime
from openrtc.worker.sight import Sight


def health_routes(runtime: Runtime, sight: Sight) -> list[web.RouteDef]:
    """Return ``/ready``, ``/agents`` and ``/metrics``.

    Args:
        runtime: What the calls share.
        sight: What an operator sees of the worker.
    """

    async def ready(_: web.Request) -> web.Response:
        reason = sight.why_not_ready()
        return web.json_response({"ready": reason is None, "reason": reason}, status=503 if reason else 200)

    async def agents(_: web.Request) -> web.Response:
        rows = [loaded_row(row, runtime.config) for row in runtime.catalog.rows]
        return web.json_response({"schema_version": 1, "agents": rows})

    async def metrics(_: web.Request) -> web.Response:
        text = await asyncio.to_thread(sight.metrics.text)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    return [web.get("/ready", ready), web.get("/agents", agents), web.get("/metrics", metrics)]
