"""livekit-agents' own one-time warm-up, in parts."""

from __future__ import annotations

import contextlib
import os

import livekit.local_inference as local_inference
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
    for look in (why_unsupported, why_no_routes, why_panics_are_signals):
        look()  # to look into source touches every module: a process that is forked later has that behind it
    if not end_of_turn:
        os.environ.setdefault(PRELOAD_VARIABLE, "0")
    from multiprocessing import forkserver, spawn  # noqa: F401 - AgentServer.run imports them

    import numpy.fft  # noqa: F401 - for the transcript of what the agent says
    from livekit.agents.tokenize.basic import hyphenate_word
    from livekit.agents.utils import http_context

    with contextlib.suppress(ImportError):
        from livekit.agents.llm import async_toolset  # noqa: F401 - of a session's first activity
    with contextlib.suppress(ImportError):  # livekit-agents 1.8.0 has neither
        from livekit.agents.telemetry.traces import _resource

        _resource({})
        if openai:
            from livekit.agents.ipc import _preload  # noqa: F401
    http_context._create_ssl_context()  # a tenth of a second and 2 MB; livekit-agents 1.8.0 does not keep it
    get_ffi_lib()  # 0.2 s; the library starts threads only when it is used
    local_inference.init_vad()
    if end_of_turn and os.environ.get(PRELOAD_VARIABLE, "1").strip().lower() not in NO:
        local_inference.init_eot()
    # The transcript of the first call would wait a third of a second for the patterns to be read.
    hyphenate_word("prewarm")
