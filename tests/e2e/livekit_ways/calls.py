"""What the people do in the call of each way; a function has the name of its way."""

from __future__ import annotations

import asyncio

from livekit import rtc

from e2e.livekit_ways.people import Conversation


async def plain_entrypoint(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.hear()
    await ann.say("what time do you open")
    await ann.hear()


async def server_object(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.hear()
    await ann.say("how is the weather")
    await ann.hear()


async def prewarmed(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.wait_until_heard()
    await ann.say("what time do you open")
    await ann.hear()


async def hand_off(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.hear()
    await ann.say("please give me the manager")
    await ann.hear()
    await ann.say("that is all")
    await ann.hear()


async def user_data(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.wait_until_heard()
    await ann.say("my name is anna")
    await ann.hear()
    await ann.say("i want tea")
    await ann.hear()


async def consent_task(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.hear()
    await ann.say("yes you may")
    await ann.hear()
    await ann.chat("that is all")
    await ann.hear()


async def task_group(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.hear()
    await ann.say("my name is anna")
    await ann.hear()
    await ann.say("i want tea")
    await ann.hear()


async def background_audio(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.wait_for("transcription", text="Sorry for the noise in here.")
    await ann.hear()
    await ann.say("what time do you open")
    await ann.hear()


async def front_end_rpc(call: Conversation) -> None:
    ann = await call.join("ann")

    async def get_place(data: rtc.RpcInvocationData) -> str:
        call.found.append(f"the agent asks get_place({data.payload})")
        return "london"

    ann.room.local_participant.register_rpc_method("get_place", get_place)
    await ann.wait_until_heard()
    call.found.append(await ann.ask("set_level", "3"))
    for method in ("refuse", "unknown"):
        try:
            await ann.ask(method)
        except rtc.RpcError as error:
            call.found.append(f"{method}: {error.code} {error.message}")
    call.found.append(await ann.ask("greet", "anna"))
    await ann.hear()
    await ann.chat("where am i")
    await ann.hear()


async def streams(call: Conversation) -> None:
    ann = await call.join("ann", speaks=False)
    texts, files = asyncio.Queue[rtc.TextStreamReader](), asyncio.Queue[rtc.ByteStreamReader]()
    ann.room.register_text_stream_handler("answer", lambda reader, _: texts.put_nowait(reader))
    ann.room.register_byte_stream_handler("file", lambda reader, _: files.put_nowait(reader))
    await ann.read_attribute("speaks", "streams")
    me = ann.room.local_participant
    await me.send_text("stressed desserts", topic="question")
    call.found.append(await (await texts.get()).read_all())
    writer = await me.stream_bytes("numbers.bin", topic="file", attributes={"kind": "numbers"}, total_size=40_000)
    await writer.write(bytes(range(200)) * 200)
    await writer.aclose()
    back = await files.get()
    content = b"".join([chunk async for chunk in back])
    call.found.append(f"{len(content)} bytes, {content[:3].hex()}, {back.info.name}, {back.info.mime_type}")
    await me.publish_data(b"ping", topic="pings")
    packet = await ann.wait_for("data", topic="pings")
    call.found.append(f"packet: {packet['text']}")


async def video_frames(call: Conversation) -> None:
    ann = await call.join("ann")
    source = rtc.VideoSource(320, 240)
    track = rtc.LocalVideoTrack.create_video_track("camera", source)
    options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_CAMERA)
    await ann.room.local_participant.publish_track(track, options)
    green = rtc.VideoFrame(320, 240, rtc.VideoBufferType.RGB24, bytes((20, 200, 40)) * (320 * 240))

    async def film() -> None:
        while True:
            source.capture_frame(green)
            await asyncio.sleep(0.1)

    filming = asyncio.create_task(film())
    try:
        await ann.read_attribute("sees", "video")
        await ann.chat("what do you see")
        await ann.hear()
    finally:
        filming.cancel()


async def push_to_talk(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.wait_until_heard()
    await ann.say("i want tea")  # nobody listens
    call.found.append(await ann.ask("start_turn"))
    await ann.say("i want tea")
    await asyncio.sleep(0.6)  # a button is let go of after the last word
    call.found.append(await ann.ask("cancel_turn"))
    call.found.append(await ann.ask("start_turn"))
    await ann.say("what time do you open")
    await asyncio.sleep(0.6)
    call.found.append(await ann.ask("end_turn"))
    await ann.hear()


async def several_participants(call: Conversation) -> None:
    ann = await call.join("ann")
    bob = await call.join("bob")
    for name in ("ann", "bob"):
        await ann.read_attribute(name, "is listened to")
    await ann.say("what time do you open")
    await bob.wait_for("data", text="ann: what time do you open")
    await bob.say("i want tea")
    await ann.wait_for("data", text="bob: i want tea")
    await bob.leave()
    await ann.wait_for("participant_disconnected", identity="bob")
    await asyncio.sleep(3)  # until bob's session has closed
    await ann.say("that is all")
    await ann.wait_for("data", text="ann: that is all")
    call.found += [event["text"] for event in ann.seen if event["event"] == "data"]


async def phone_caller(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.hear()
    await ann.room.local_participant.publish_dtmf(code=5, digit="5")
    await ann.hear()


async def recorded(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.wait_until_heard()
    await ann.say("what time do you open")
    await ann.hear()


async def waits_for_participant(call: Conversation) -> None:
    other = await call.join("other", subscribes=False)  # an agent waits for no one else to hear it
    await other.agent()
    guest = await call.join("guest")
    await guest.hear()
    await other.say("i want tea")  # it does not listen to this one
    await guest.say("what time do you open")
    await guest.hear()


async def participant_entrypoints(call: Conversation) -> None:
    for name in ("ann", "bob"):
        person = await call.join(name, speaks=False)
        packet = await person.wait_for("data", topic="welcome")
        call.found.append(packet["text"])


async def shutdown_callbacks(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.wait_until_heard()
    await ann.say("goodbye")
    await ann.hear()
    await ann.wait_for("disconnected")


async def said_with_audio(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.hear()


async def realtime_model(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.hear()


async def echo(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.read_attribute("echo", "on")
    await asyncio.sleep(0.5)  # until it listens
    await ann.say("that is all")
    await ann.hear()


async def mcp_tools(call: Conversation) -> None:
    ann = await call.join("ann")
    await ann.wait_until_heard()
    await ann.say("i want tea")
    await ann.hear()
