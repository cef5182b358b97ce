"""`HungPackage`: a distribution whose code did not come back while a worker started, and which is left out since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import asdict, dataclass

from openrtc.errors import one_line
from openrtc.model.names import normalise_name
from openrtc.model.status import State, Status

HUNG_VARIABLE = "OPENRTC_HUNG_PACKAGES"
"""Hands them to a process that begins again. Taken out of the environment at once, so that nothing else inherits it."""

IMPORT = "its import"
"""How the code is called that runs when a package is imported."""
FIX_IMPORT = (
    "move what blocks or serves out of the import, into the agent or a resource; or give it longer: --import-seconds"
)
FIX_OTHER = "let it end sooner; or give it longer: --import-seconds"


@dataclass(frozen=True, slots=True)
class HungPackage:
    """A distribution whose code hung.

    Args:
        distribution: Its name.
        reason: Which code, and for how long.
        fix: What helps.
        location: ``file:line`` where it hung, as far as that is known.
    """

    distribution: str
    reason: str
    fix: str
    location: str | None = None

    @property
    def key(self) -> str:
        """The distribution's normalised name."""
        return normalise_name(self.distribution)

    @property
    def status(self) -> Status:
        """Where everything of that distribution stands."""
        return Status(State.BROKEN, self.reason, self.fix, self.location)


def name_hung(distribution: str, what: str, seconds: float, location: str | None) -> HungPackage:
    """Return what a distribution is whose code had its time.

    Args:
        distribution: Its name.
        what: Which code: `IMPORT`, or a hook.
        seconds: How long it had.
        location: Where it hung.
    """
    fix = FIX_IMPORT if what == IMPORT else FIX_OTHER
    return HungPackage(distribution, one_line(f"{what} had not ended after {seconds:g} seconds"), fix, location)


def put_hung(environ: Mapping[str, str], hung: Iterable[HungPackage]) -> dict[str, str]:
    """Return a copy of ``environ`` for a process that is to leave these out."""
    import json

    return {**environ, HUNG_VARIABLE: json.dumps([asdict(one) for one in hung])}


def take_hung(environ: MutableMapping[str, str]) -> tuple[HungPackage, ...]:
    """Return what this process is to leave out, and forget it; nothing where a person has started it."""
    if (handed := environ.pop(HUNG_VARIABLE, None)) is None:
        return ()
    import json

    try:
        return tuple(HungPackage(**one) for one in json.loads(handed))
    except (TypeError, ValueError):  # it is nobody's but OpenRTC's to set, so what somebody wrote there means nothing
        return ()
