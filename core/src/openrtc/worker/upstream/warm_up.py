"""livekit-agents' own one-time warm-up, in parts."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import livekit.local_inference as local_inference
from livekit.agents.tokenize.basic import hyphenate_word
from livekit.agents.utils import http_context
from livekit.rtc._ffi_client import get_ffi_lib

from openrtc.worker.upstream.jobs import why_no_routes, why_panics_are_signals, why_unsupported

PRELOAD_VARIABLE = "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE"
NO = ("0", "false", "no", "off")


def warm_up(*, end_of_turn: bool, openai: bool) -> None:
    """Do livekit-agents' own one-time warm-up now, so that no call waits for it.

    Args:
        end_of_turn: Also load the end-of-turn weights (about 240 MB), unless the variable
            `PRELOAD_VARIABLE` says otherwise.
        openai: Also import what requests to OpenAI, or to LiveKit Inference, need.
    """
    if not end_of_turn:
        os.environ.setdefault(PRELOAD_VARIABLE, "0")
    with ThreadPoolExecutor(1, "read-certificates") as beside:
        certificates = beside.submit(http_context._create_ssl_context)  # 2 MB; livekit-agents 1.8.0 does not keep it
        _look_into_source()
        _import(openai=openai)
        _load(end_of_turn=end_of_turn)
        certificates.result()


def _look_into_source() -> None:
    # It touches every module: a process that is forked later has that behind it.
    for look in (why_unsupported, why_no_routes, why_panics_are_signals):
        look()


def _import(*, openai: bool) -> None:
    from multiprocessing import forkserver, spawn  # noqa: F401 - AgentServer.run imports them

    import numpy.fft  # noqa: F401 - for the transcript of what the agent says

    with contextlib.suppress(ImportError):
        from livekit.agents.llm import async_toolset  # noqa: F401 - of a session's first activity
    with contextlib.suppress(ImportError):  # livekit-agents 1.8.0 has neither
        from livekit.agents.telemetry.traces import _resource

        _resource({})
        if openai:
            from livekit.agents.ipc import _preload  # noqa: F401


def _load(*, end_of_turn: bool) -> None:
    get_ffi_lib()  # 0.2 s; the library starts threads only when it is used
    local_inference.init_vad()
    if end_of_turn and os.environ.get(PRELOAD_VARIABLE, "1").strip().lower() not in NO:
        local_inference.init_eot()
    # The transcript of the first call would wait a third of a second for the patterns to be read.
    hyphenate_word("prewarm")
