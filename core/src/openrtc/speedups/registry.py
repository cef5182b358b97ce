"""The list of speedups: what makes the calls of a process cheaper, with livekit-agents' own behaviour.

A new one is a module beside this one, a line in `SPEEDUPS` and a row in docs/performance.md; a module that replaces
code of livekit is a `Patch`, and what of livekit's it needs stands in `openrtc.upstream.known_code`. Settings and
`--help` read the names here, so nothing here imports livekit.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, cast


@dataclass(frozen=True, slots=True)
class Speedup:
    """A name of `--speedups`.

    Args:
        summary: What it does, in one line.
        is_patch: Whether its module is a `Patch`, which `install_speedups` installs. The others are needed earlier:
            before livekit-agents is imported, or before there is a loop.
    """

    summary: str
    is_patch: bool = True


SPEEDUPS: Mapping[str, Speedup] = {
    "vad": Speedup("runs the voice activity model in the loop, without a thread for each call"),
    "native": Speedup("drops the native library's log lines that nobody sees, and keeps its threads' states"),
    "events": Speedup("dispatches an event of the native library to the listener it is for, not to all"),
    "pace": Speedup("paces transcripts by what is new of the sound"),
    "tokens": Speedup("cuts long texts into words and sentences once, not once more for each word"),
    "signatures": Speedup("looks once at how many arguments a callback takes"),
    "schemas": Speedup("builds the model of a tool's arguments once for each tool"),
    "connections": Speedup("keeps HTTP connections to providers open for the next calls"),
    "playout": Speedup("plays seconds of speech without the loop, so that a blocked one is not heard"),
    "uvloop": Speedup("runs the calls on uvloop where it is installed", is_patch=False),
    "imports": Speedup("imports what few calls need when it is first used", is_patch=False),
}
"""By the name, which is also that of the module in `openrtc.speedups`; patches are installed in this order."""


class Patch(Protocol):
    """What the module of a speedup has that replaces code of livekit.

    It is imported only where OpenRTC knows all code of livekit that it stands in for or relies on (`USED_BY`): its
    import fails where a name is gone.
    """

    def install(self) -> None:
        """Replace livekit's code from now on, in the whole process."""


def install_speedups(chosen: Collection[str]) -> None:
    """Make calls cheaper from now on; what does not fit this livekit is left off, with one line in the log.

    Args:
        chosen: Some of `SPEEDUPS`; those that are no patches are ignored.
    """
    for name, speedup in SPEEDUPS.items():
        if speedup.is_patch and name in chosen:
            _install(name)


def load_patch(name: str) -> Patch:
    """Import the module of a patch, and livekit with it."""
    return cast("Patch", importlib.import_module(f"openrtc.speedups.{name}"))


def _install(name: str) -> None:
    # Not at the top: `openrtc list-agents` reads the names above, and every import delays it.
    import logging

    from openrtc.upstream.digest import describe_changes

    changes = describe_changes(name)
    if changes is None:
        try:
            load_patch(name).install()
        except ImportError as error:  # of what has no digest: livekit's generated protocol
            changes = str(error)
    if changes:
        text = "speedup %r is off, since OpenRTC does not know this livekit-agents: %s"
        logging.getLogger("openrtc.worker").warning(text, name, changes)
