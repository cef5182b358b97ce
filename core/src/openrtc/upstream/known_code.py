"""What OpenRTC knows of livekit's own code: the releases it works with, and digests of what it relies on in them.

A digest may be added only after the difference was read: `nox -s livekit -- VERSION` shows it, docs/upgrading.md says
what to do. Nothing here imports livekit, so that what is gone can be found out before anything fails.
"""

from __future__ import annotations

from collections.abc import Mapping

RELEASES = ("1.8.0", "1.8.1", "1.8.2", "1.8.3", "1.8.4", "1.8.5", "1.8.6", "1.8.7", "1.8.8", "1.8.9")
"""The releases of livekit-agents that OpenRTC was compared with, the oldest first; CI checks all of them."""

ABSENT = "absent"
"""Stands for the digest of what a release does not have."""

DIGESTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "livekit.agents.__main__": {
        "_dispatch": ("eb03372285df8ef6",),
    },
    "livekit.agents.cli.cli": {
        "AgentsConsole": ("e6e209a561097282",),
        "_run_tcp_console": ("6562e1769538ffc9",),
        "_run_worker": ("fb229ee9d78c5119", "5900929413eb388e"),  # 1.8.0, 1.8.1
    },
    "livekit.agents.cli.proto": {
        "CliArgs": ("fafa56d11e33b875",),
    },
    "livekit.agents.cli.tcp_console": {
        "TcpAudioInput": ("8459a39cdcc06e8d",),
        "TcpAudioOutput": ("9813fa684d1adfc6",),
    },
    "livekit.agents.cli.watcher": {
        "WatchClient": ("ae2d01fdd59c8ede",),
    },
    "livekit.agents.inference.vad": {
        "VAD": ("a79e452c3dd0a464",),
        "_VADStream": ("cfda4a79cf186a07", "64e051de16be5a94", "f7a39a175098cb59"),  # 1.8.0, 1.8.1, 1.8.7
    },
    "livekit.agents.ipc._preload": {
        "": (ABSENT, "55ab8d2a1d7a79ec", "abc977a9d32aedbf", "fe5cbdecfa084473"),  # 1.8.0, 1.8.2, 1.8.6, 1.8.7
    },
    "livekit.agents.ipc.job_proc_lazy_main": {
        # 1.8.0, 1.8.1, 1.8.2, 1.8.9
        "_JobProc": ("3e76b1bfae5c9b27", "439c09b54b8b1af4", "e71815416abe9a70", "1daddc54141dfb7b"),
    },
    "livekit.agents.ipc.proc_pool": {
        "ProcPool.__init__": ("b4585c457c269a58",),
    },
    "livekit.agents.job": {
        "JobContext.__init__": ("25a94463ec74f534",),
    },
    "livekit.agents.llm.tool_context": {
        "FunctionTool": ("a68419a98dcdd5ba",),
        "RawFunctionTool": ("a61cdc7c79439286",),
        "_BaseFunctionTool": ("6ac148cc7339ea8a",),
    },
    "livekit.agents.llm.utils": {
        "function_arguments_to_pydantic_model": ("83d13a7207ba7a2d", "1b7eff6f4998095d"),  # 1.8.0, 1.8.1
    },
    "livekit.agents.telemetry.traces": {
        # 1.8.0, 1.8.2, 1.8.3, 1.8.5
        "_DynamicTracer": ("672c2e2d7de68cdd", "0e1b0e0a09f2530c", "7d67192f8b041c02", "007c69332ccc728c"),
        "_MetadataSpanProcessor": ("b8fdb91bf00e6947", "0bf6b4411afcf25e"),  # 1.8.0, 1.8.3
        "_resource": (ABSENT, "cdde8a06a2a3bd4d"),  # 1.8.0, 1.8.9
        "set_tracer_provider": ("1fe353408511a521",),
    },
    "livekit.agents.tokenize.token_stream": {
        "BufferedTokenStream": ("aadaf8e74e01b022",),
    },
    "livekit.agents.utils.http_context": {
        "_create_ssl_context": ("a57cc7aab0745c32", "f3cdafc297a91282"),  # 1.8.0, 1.8.7
        "_new_session_ctx": ("7070fb0a0d1c64b6",),
        "_close_http_ctx": ("920d195fafb52a5f",),
    },
    "livekit.agents.utils.http_server": {
        "HttpServer": ("1da9db61cd52da2a",),
    },
    "livekit.agents.vad": {
        "VAD": ("067fd848773dfba1",),
        "VADStream": ("b52220504bba7d57",),
    },
    "livekit.agents.voice.agent_activity": {
        "AgentActivity._pause_authorization": ("109d7a2ee738f671",),
        "AgentActivity._resume_authorization": ("f66394134fdc3946",),
        "AgentActivity.on_end_of_speech": ("cce2afbbef10fcfd",),
    },
    "livekit.agents.voice.agent_session": {
        # 1.8.0, 1.8.1, 1.8.2, 1.8.3
        "AgentSession.__init__": ("0a1e9e70b70a620c", "c64a4f2bafb73bfb", "8b605a6106364701", "03de550e9f6fad92"),
        # 1.8.0, 1.8.2, 1.8.3, 1.8.9
        "AgentSession._update_activity": (
            "07752666ada84108",
            "8a82747f9bacc4d3",
            "118128616c27650b",
            "1bc8618673ef39f0",
        ),
        "AgentSession._close_soon": ("7dbea787790e9e96",),
        "AgentSession._is_closing": ("0e8240ef82bc6804",),
        "AgentSession.room_io": ("98d678735a162ad0",),
    },
    "livekit.agents.voice.avatar._datastream_io": {
        "DataStreamAudioOutput._register_playback_finished_rpc": ("843c46d80f6575e7",),
        "DataStreamAudioOutput._playback_finished_rpc_handler": ("a05ff08eb569e01f",),
        "DataStreamAudioOutput._register_playback_started_rpc": ("1b8840e5075ea5b6",),
        "DataStreamAudioOutput._playback_started_rpc_handler": ("b48ca6e09e284d04",),
        "DataStreamAudioReceiver._register_clear_buffer_rpc": ("3facfcce54451076",),
        "DataStreamAudioReceiver._clear_buffer_rpc_handler": ("3e790aa6e75c8d6f",),
    },
    "livekit.agents.voice.remote_session": {
        "TcpSessionTransport": ("f4e5b3a7aae7e71d",),
    },
    "livekit.agents.voice.room_io._output": {
        "_ParticipantAudioOutput": ("7e3c4cca2e14abf7", "ffe022ead6768cee", "a9c1eb1058e10230"),  # 1.8.0, 1.8.1, 1.8.2
    },
    "livekit.agents.voice.room_io.room_io": {
        "RoomIO.__init__": ("def5f55581083d7a",),
        "RoomIO.start": ("fcd032256abe945c", "f90c6fc9b6b48aba", "3c922d125fe66f33"),  # 1.8.0, 1.8.2, 1.8.3
        "RoomIO._on_user_input_transcribed": ("8001e9b50d7b7a67",),
    },
    "livekit.agents.voice.transcription._speaking_rate": {
        "SpeakingRateStream": ("e7c20889dd5e93ec",),
    },
    "livekit.agents.worker": {
        "AgentServer.__init__": ("10e54971b2d90286", "163c0de5466d5d7a", "84cae2fbee05b07d"),  # 1.8.0, 1.8.3, 1.8.7
        # 1.8.0, 1.8.2, 1.8.3, 1.8.7
        "AgentServer.run": ("7dcb1d93266e07cc", "9e3dbdca6bfb68a1", "613f2301ceb1fbf9", "4505132e5f6c0414"),
        "AgentServer.rtc_session": ("ddeb0deec47b74ae", "a340ad6aae2739ba"),  # 1.8.0, 1.8.3
        "AgentServer.active_jobs": ("1ebb8157661de2dc",),
        "AgentServer.drain": ("9c11c8f75e07ed56",),
        "AgentServer.aclose": ("192dea56dfe52fa5",),
        "AgentServer._handle_termination": ("2a1065adb599aa9d",),
        "AgentServer._connection_task": ("8fa937ca85c5ab5b",),
        "AgentServer._refresh_worker_load": ("3ae0b5c45322e489",),
        "AgentServer._update_worker_status": ("2e7fedf98299f652",),
        "AgentServer._reload_jobs": ("16b77bf0ef91cc56",),
        "AgentServer._queue_msg": ("717d030a4265c921",),
    },
    "livekit.rtc._ffi_client": {
        "ffi_event_callback": ("7d939d096b93671f",),
        "get_ffi_lib": ("d8e13ebee603f118",),
        "to_python_level": ("ab714f44f9a2feb8",),
        "FfiClient": ("f8ce576f6b7b47b8", "a8381456cc5ce418"),  # 1.1.17, 1.1.21
        "FfiQueue": ("f9a0e378fc23238f",),
    },
    "livekit.rtc._utils": {
        "Queue": ("3a19e4adac344ef8", "7a27ab23bf5c3e34"),  # 1.1.17, 1.1.21
    },
    "livekit.rtc.audio_source": {
        "AudioSource": ("0bad25200b50440e",),
    },
    "livekit.rtc.event_emitter": {
        "EventEmitter.emit": ("8ca973b063f878b9", "a82c0acd296851dd"),  # 1.1.17, 1.1.20
        "EventEmitter.__init__": ("53766fb70ff3cd51", "a15bb83619887adc"),  # 1.1.17, 1.1.20
    },
    "livekit.rtc.participant": {
        "Participant.__init__": ("939d03506341d2b6",),
        "LocalParticipant.publish_track": ("b414e6ae6f905c01",),
        "LocalParticipant.unpublish_track": ("6b9013b331117478",),
    },
    "livekit.rtc.room": {
        "Room.__init__": ("c8c15093ee7fc893",),
        "Room._listen_task": ("45ef1e5ef04d1bbd",),
        "Room._on_rpc_method_invocation": ("3371924285e26bd6",),
    },
}
"""By module of livekit, the code that OpenRTC relies on and its digests; the empty name stands for the whole module.

Where there are several, a comment names the releases that brought them: of livekit for `livekit.rtc`, else of
livekit-agents.
"""

USED_BY: Mapping[str, tuple[str, ...]] = {
    "jobs": (
        "livekit.agents.ipc.job_proc_lazy_main:_JobProc",
        "livekit.agents.ipc.proc_pool:ProcPool.__init__",
        "livekit.agents.worker:AgentServer.__init__",
        "livekit.agents.worker:AgentServer.run",
        "livekit.agents.worker:AgentServer.rtc_session",
        "livekit.agents.worker:AgentServer.active_jobs",
        "livekit.agents.worker:AgentServer.drain",
        "livekit.agents.worker:AgentServer.aclose",
        "livekit.agents.worker:AgentServer._handle_termination",
        "livekit.agents.job:JobContext.__init__",
    ),
    "health": (
        "livekit.agents.worker:AgentServer.run",
        "livekit.agents.worker:AgentServer._connection_task",
        "livekit.agents.utils.http_server:HttpServer",
    ),
    "names": (
        "livekit.agents.worker:AgentServer.run",
        "livekit.agents.worker:AgentServer.rtc_session",
        "livekit.agents.worker:AgentServer.aclose",
    ),
    "status": (
        "livekit.agents.worker:AgentServer._refresh_worker_load",
        "livekit.agents.worker:AgentServer._update_worker_status",
        "livekit.agents.worker:AgentServer._queue_msg",
    ),
    "traces": (
        "livekit.agents.telemetry.traces:_DynamicTracer",
        "livekit.agents.telemetry.traces:_MetadataSpanProcessor",
        "livekit.agents.telemetry.traces:set_tracer_provider",
    ),
    "avatars": (
        "livekit.agents.voice.avatar._datastream_io:DataStreamAudioOutput._register_playback_finished_rpc",
        "livekit.agents.voice.avatar._datastream_io:DataStreamAudioOutput._playback_finished_rpc_handler",
        "livekit.agents.voice.avatar._datastream_io:DataStreamAudioOutput._register_playback_started_rpc",
        "livekit.agents.voice.avatar._datastream_io:DataStreamAudioOutput._playback_started_rpc_handler",
        "livekit.agents.voice.avatar._datastream_io:DataStreamAudioReceiver._register_clear_buffer_rpc",
        "livekit.agents.voice.avatar._datastream_io:DataStreamAudioReceiver._clear_buffer_rpc_handler",
    ),
    "panics": ("livekit.rtc._ffi_client:ffi_event_callback",),
    "registered": (
        "livekit.agents.worker:AgentServer.__init__",
        "livekit.agents.worker:AgentServer.rtc_session",
    ),
    "models": ("livekit.agents.voice.agent_session:AgentSession.__init__",),
    "hosts": ("livekit.agents.voice.agent_session:AgentSession.__init__",),
    "lk": (
        "livekit.agents.__main__:_dispatch",
        "livekit.agents.cli.cli:AgentsConsole",
        "livekit.agents.cli.cli:_run_tcp_console",
        "livekit.agents.cli.cli:_run_worker",
        "livekit.agents.cli.proto:CliArgs",
        "livekit.agents.cli.tcp_console:TcpAudioInput",
        "livekit.agents.cli.tcp_console:TcpAudioOutput",
        "livekit.agents.cli.watcher:WatchClient",
        "livekit.agents.voice.remote_session:TcpSessionTransport",
        "livekit.agents.worker:AgentServer._reload_jobs",
    ),
    "tools": (
        "livekit.agents.llm.tool_context:FunctionTool",
        "livekit.agents.llm.tool_context:RawFunctionTool",
        "livekit.agents.llm.tool_context:_BaseFunctionTool",
    ),
    "handoffs": (
        "livekit.agents.voice.agent_session:AgentSession._update_activity",
        "livekit.agents.voice.agent_session:AgentSession._close_soon",
        "livekit.agents.voice.agent_session:AgentSession._is_closing",
    ),
    "speech": (
        "livekit.agents.voice.agent_activity:AgentActivity._pause_authorization",
        "livekit.agents.voice.agent_activity:AgentActivity._resume_authorization",
        "livekit.agents.voice.agent_activity:AgentActivity.on_end_of_speech",
        "livekit.agents.voice.agent_session:AgentSession.__init__",
        "livekit.agents.voice.agent_session:AgentSession._update_activity",
        "livekit.agents.voice.agent_session:AgentSession.room_io",
        "livekit.agents.voice.room_io.room_io:RoomIO.__init__",
        "livekit.agents.voice.room_io.room_io:RoomIO.start",
        "livekit.agents.voice.room_io.room_io:RoomIO._on_user_input_transcribed",
        "livekit.agents.voice.room_io._output:_ParticipantAudioOutput",
        "livekit.agents.job:JobContext.__init__",
    ),
    "warm_up": (
        "livekit.agents.utils.http_context:_create_ssl_context",
        "livekit.agents.telemetry.traces:_resource",
        "livekit.agents.ipc._preload:",
        "livekit.rtc._ffi_client:get_ffi_lib",
    ),
    "vad": (
        "livekit.agents.vad:VAD",
        "livekit.agents.vad:VADStream",
        "livekit.agents.inference.vad:VAD",
        "livekit.agents.inference.vad:_VADStream",
    ),
    "native": (
        "livekit.rtc._ffi_client:ffi_event_callback",
        "livekit.rtc._ffi_client:to_python_level",
        "livekit.rtc._ffi_client:get_ffi_lib",
        "livekit.rtc._ffi_client:FfiClient",
    ),
    "events": (
        "livekit.rtc._ffi_client:FfiQueue",
        "livekit.rtc._ffi_client:FfiClient",
        "livekit.rtc._utils:Queue",
        "livekit.rtc.room:Room.__init__",
        "livekit.rtc.room:Room._listen_task",
        "livekit.rtc.room:Room._on_rpc_method_invocation",
        "livekit.rtc.participant:Participant.__init__",
        "livekit.rtc.participant:LocalParticipant.publish_track",
        "livekit.rtc.participant:LocalParticipant.unpublish_track",
    ),
    "pace": ("livekit.agents.voice.transcription._speaking_rate:SpeakingRateStream",),
    "tokens": ("livekit.agents.tokenize.token_stream:BufferedTokenStream",),
    "signatures": (
        "livekit.rtc.event_emitter:EventEmitter.emit",
        "livekit.rtc.event_emitter:EventEmitter.__init__",
    ),
    "schemas": (
        "livekit.agents.llm.utils:function_arguments_to_pydantic_model",
        "livekit.agents.llm.tool_context:FunctionTool",
        "livekit.agents.llm.tool_context:_BaseFunctionTool",
    ),
    "connections": (
        "livekit.agents.utils.http_context:_new_session_ctx",
        "livekit.agents.utils.http_context:_close_http_ctx",
        "livekit.agents.utils.http_context:_create_ssl_context",
    ),
    "playout": (
        "livekit.agents.voice.room_io._output:_ParticipantAudioOutput",
        "livekit.rtc.audio_source:AudioSource",
    ),
}
"""What each part of OpenRTC needs of that, as ``module:Class.function``: the speedups by their names, and modules or
functions of `openrtc.upstream`. A part is left off where any of it is another."""
