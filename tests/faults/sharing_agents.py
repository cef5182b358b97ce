"""Agents whose calls share something, or leave something to others, by mistake or on purpose."""

from __future__ import annotations

from e2e.packages import Package

SOURCE = """
import asyncio
import logging
import os

from livekit import api, rtc
from livekit.agents import Agent, get_job_context
from livekit.agents.telemetry import set_tracer_provider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from openrtc import AgentSpec
from tone_agents import Alpha

logger = logging.getLogger("sharing")


class Client:
    def __init__(self):
        self.questions = asyncio.Queue()
        self.reader = asyncio.create_task(self.read())

    async def read(self):
        while True:
            (await self.questions.get()).set_result(True)

    async def ask(self):
        answer = asyncio.get_running_loop().create_future()
        self.questions.put_nowait(answer)
        return await asyncio.wait_for(answer, 3)


client = None


class SharesClient(Alpha):
    async def on_enter(self):
        global client
        client = client or Client()
        await client.ask()
        await super().on_enter()


class JoinsRooms(Alpha):
    # Rooms whose names begin so get no agent of this worker: the one of that name is not ready.
    fails = False

    async def on_enter(self):
        name = get_job_context().room.name
        self.rooms = []
        for number in (1, 2):
            token = api.AccessToken().with_identity("leg").with_kind("agent")
            token = token.with_grants(api.VideoGrants(room_join=True, room=f"shares-userdata-{name}-{number}"))
            self.rooms.append(rtc.Room())
            await self.rooms[-1].connect(os.environ["LIVEKIT_URL"], token.to_jwt())
        if self.fails:
            raise ValueError("no configuration")
        await super().on_enter()


class JoinsRoomsAndFails(JoinsRooms):
    fails = True


class Exporter(SpanExporter):
    def __init__(self, room):
        self.room = room

    def export(self, spans):
        context = get_job_context(required=False)
        whose = context.job.room.name if context else "nobody"
        for span in spans:
            logger.warning("%s of %s to the exporter of %s", span.name, whose, self.room)
        return SpanExportResult.SUCCESS


class Traces(Alpha):
    def __init__(self, call):
        super().__init__()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(Exporter(call.room_name)))
        set_tracer_provider(provider, metadata={"session.id": call.room_name})


shares_userdata = AgentSpec(agent=Alpha, session_options={"userdata": {}})
"""

SHARING_AGENTS = Package(
    name="sharing-agents",
    modules={"sharing_agents.py": SOURCE},
    agents={
        "shares-client": "sharing_agents:SharesClient",
        "shares-userdata": "sharing_agents:shares_userdata",
        "joins-rooms": "sharing_agents:JoinsRooms",
        "joins-rooms-and-fails": "sharing_agents:JoinsRoomsAndFails",
        "traces": "sharing_agents:Traces",
    },
)
