"""livekit-agents' own one-time warm-up, in parts: what nobody needs is left out, and 1.8.0 has none.

Each part is lazy one-time work that would otherwise stop the loop in the first call, for everybody, for 0.1 to 0.5 s.
"""

from __future__ import annotations

import contextlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor

import livekit.local_inference as local_inference
from livekit.agents.tokenize.basic import hyphenate_word
from livekit.agents.utils import http_context

from openrtc.upstream.digest import describe_changes, find_changes

logger = logging.getLogger("openrtc.worker")

PRELOAD_VARIABLE = "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE"
"""Environment variable of livekit-agents: whether its processes load the weights of its local models ahead."""
NO = ("0", "false", "no", "off")
"""As livekit-agents reads it."""


def warm_up(*, end_of_turn: bool, openai: bool) -> None:
    """Do livekit-agents' own one-time warm-up now, so that no call waits for it.

    Args:
        end_of_turn: Also load the end-of-turn weights (about 240 MB), unless the variable
            `PRELOAD_VARIABLE` says otherwise.
        openai: Also import what requests to OpenAI, or to LiveKit Inference, need.
    """
    if not end_of_turn:
        os.environ.setdefault(PRELOAD_VARIABLE, "0")  # for the process that livekit-agents forks its jobs from
    read_sources()
    if changes := describe_changes("warm_up"):
        logger.warning(
            "livekit-agents' own warm-up is left to the first call, since OpenRTC does not know it: %s", changes
        )
        _load_public(end_of_turn=end_of_turn)
        return
    with ThreadPoolExecutor(1, "read-certificates") as beside:
        certificates = beside.submit(http_context._create_ssl_context)  # 2 MB; livekit-agents 1.8.0 does not keep it
        _import_private(openai=openai)
        _load_public(end_of_turn=end_of_turn)
        certificates.result()


def read_sources() -> None:
    """Compare with livekit's sources now what calls ask for: to read these takes time, and an upgrade changes them.

    The answers are kept, also by processes that are forked from this one later.
    """
    find_changes("jobs", "health", "names", "panics", "status", "tools")
    find_changes("handoffs", "speech", "hosts", "models")


def _import_private(*, openai: bool) -> None:
    from livekit.rtc._ffi_client import get_ffi_lib

    get_ffi_lib()  # 0.2 s; the library starts threads only when it is used
    # There is no `_resource` before livekit-agents 1.8.9, and `_preload` loads the end-of-turn weights until 1.8.5
    # whatever the variable says.
    with contextlib.suppress(ImportError):
        from livekit.agents.telemetry.traces import _resource

        _resource({})  # OpenTelemetry's description of this process, which is kept
        if openai:
            from livekit.agents.ipc import _preload  # noqa: F401 - its import is livekit-agents' whole warm-up


def _load_public(*, end_of_turn: bool) -> None:
    from multiprocessing import forkserver, spawn  # noqa: F401 - AgentServer.run imports them

    import numpy.fft  # noqa: F401 - for the transcript of what the agent says

    with contextlib.suppress(ImportError):
        from livekit.agents.llm import async_toolset  # noqa: F401 - of a session's first activity
    local_inference.init_vad()
    if end_of_turn and os.environ.get(PRELOAD_VARIABLE, "1").strip().lower() not in NO:
        local_inference.init_eot()
    # The transcript of the first call would wait a third of a second for the patterns to be read.
    hyphenate_word("prewarm")
