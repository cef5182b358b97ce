"""What is asked of the agents before a worker starts: that the required ones are there, and that one is the default."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from openrtc.catalog.loaded import LoadedAgent, LoadedPlugin
from openrtc.catalog.required import find_unmet
from openrtc.errors import OpenRTCError
from openrtc.model.dispatch_names import WorkerNames
from openrtc.model.lack import Lack
from openrtc.routing.rules import CHANNELS
from openrtc.runtime.runtime import Runtime

logger = logging.getLogger("openrtc.worker")
security_log = logging.getLogger("openrtc.security")
"""What it warns of may be wanted: it is nothing for `openrtc start --strict` to refuse."""

DEFAULT_RULE = "default"


def require_distributions(runtime: Runtime) -> None:
    """Raise where a distribution that the settings require cannot serve.

    Raises:
        OpenRTCError: It is not installed in a version that will do, or an agent or plugin of it is not ready.
    """
    parts: list[LoadedAgent | LoadedPlugin] = [*runtime.catalog.rows, *runtime.plugins]
    unmet = list(find_unmet(runtime.config, (part.entry for part in parts if part.entry), parts))
    for error in unmet[1:]:
        logger.error("%s", error)
    if unmet:
        raise unmet[0]


def report_lacks(runtime: Runtime) -> None:
    """Say once what each agent lacks to answer; it takes calls all the same."""
    for name in runtime.catalog.ready:
        for lack in runtime.find_lacks(name):
            logger.warning("agent %r cannot answer: it lacks %s", name, lack)


def require_answers(runtime: Runtime) -> None:
    """Raise where no agent can answer since each lacks models.

    Raises:
        OpenRTCError: Says what one lacks, and the ways out.
    """
    if error := find_no_answers({name: runtime.find_lacks(name) for name in runtime.catalog.ready}):
        raise error


def find_no_answers(lacks: Mapping[str, Sequence[Lack]]) -> OpenRTCError | None:
    """Return that no agent can answer, where each lacks models.

    Args:
        lacks: What each ready agent lacks, by its name.
    """
    lacking = {name: [one for one in found if one.kind == "models"] for name, found in lacks.items()}
    if not lacking or not all(lacking.values()):
        return None
    name, (first, *_) = next(iter(lacking.items()))
    return OpenRTCError(f"no agent can answer: {name!r} lacks {first.what}", fix=first.fix)


def warn_of_chance_default(runtime: Runtime) -> None:
    """Warn where the order of names says which of several installed agents gets the calls that no rule decides."""
    ready, worker = runtime.router.default_candidates, runtime.config.worker
    in_code = len(ready) and runtime.catalog.get(ready[0]).entry is None
    if len(ready) < 2 or in_code or runtime.config.routing.default or DEFAULT_RULE not in runtime.router.rules:
        return
    if not WorkerNames.parse(worker.agent_name).own:  # under its own name, each agent gets its own calls
        return
    logger.warning(
        "calls that no rule decides go to the first of %d agents, now %s, and the next pip install may change that "
        '(choose one in openrtc.toml: [routing] default = "%s"; or OPENRTC_DEFAULT_AGENT)',
        len(ready),
        ready[0],
        ready[0],
    )


def warn_of_open_choice(runtime: Runtime) -> None:
    """Warn of each way in which whoever names rooms, or has tokens made, chooses among the agents."""
    if not (channels := runtime.router.open_channels):
        return
    *others, last = [CHANNELS[one] for one in channels]
    ways = f"{', '.join(others)} or {last}" if others else last
    signed = "signed = true, " if len(channels) > 1 else ""
    security_log.warning(
        "whoever writes %s may choose any agent (limit it in openrtc.toml: [routing] %s%s = [...], or "
        "internal = [...]; see docs/security.md)",
        ways,
        signed,
        channels[0],
    )
