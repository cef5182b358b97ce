"""`Resources`: what was loaded once for the whole worker, with its cost and its failures on record."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.utils import canonicalize_name

from openrtc.errors import one_line
from openrtc.resources.spec import ResourceSpec, ResourceUnavailable

logger = logging.getLogger("openrtc.resources")


@dataclass(frozen=True, slots=True)
class ResourceRecord:
    """How loading one resource went.

    Args:
        key: The resource's key.
        distribution: Who brings it.
        ready: Whether it can be used.
        ms: How long loading took, in milliseconds.
        memory_mb: By how much the process grew meanwhile, in MB (resident set size).
        reason: Why it cannot be used, else an empty string.
        fix: What mends it.
    """

    key: str
    distribution: str
    ready: bool
    ms: float = 0.0
    memory_mb: float = 0.0
    reason: str = ""
    fix: str = ""


class MissingResource(KeyError):
    """A resource that no plugin brings, or that failed to load; tells which."""

    def __str__(self) -> str:
        return str(self.args[0])


class Resources(Mapping[str, Any]):
    """The worker's shared resources by key.

    Args:
        prefer: For a key that several distributions bring: which distribution wins.
    """

    def __init__(self, prefer: Mapping[str, str] | None = None) -> None:
        self._prefer = prefer or {}
        self._values: dict[str, Any] = {}
        self._specs: dict[str, ResourceSpec] = {}
        self._records: dict[str, ResourceRecord] = {}

    @property
    def records(self) -> tuple[ResourceRecord, ...]:
        """How loading each resource went, in loading order."""
        return tuple(self._records.values())

    def __getitem__(self, key: str) -> Any:
        if key in self._values:
            return self._values[key]
        raise MissingResource(self.why_missing(key))

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def why_missing(self, key: str) -> str | None:
        """Return why the resource cannot be used, or None when it can."""
        if key in self._values:
            return None
        record = self._records.get(key)
        if record is None:
            return f"no installed plugin brings the resource {key!r}"
        return f"the resource {key!r} of {record.distribution} is not available: {record.reason}"

    async def load(self, offered: Iterable[tuple[ResourceSpec, str]]) -> None:
        """Load each key once, whatever the number of packages that ask for it; failures are recorded, not raised.

        Args:
            offered: Resource specs, each with the distribution that brings it.
        """
        for key, candidates in _by_key(offered).items():
            chosen = self._choose(key, candidates)
            if chosen is not None:
                await self._load_one(*chosen)

    async def aclose(self) -> None:
        """Close what was loaded, last one first; what one close raises does not keep the others from closing."""
        for key in reversed(list(self._values)):
            value, spec = self._values.pop(key), self._specs.pop(key)
            if spec.close is None:
                continue
            try:
                await _settled(spec.close(value))
            except Exception as error:
                logger.error(
                    "%s: closing the resource %r failed: %s", self._records[key].distribution, key, _said(error)
                )

    def _choose(self, key: str, candidates: list[tuple[ResourceSpec, str]]) -> tuple[ResourceSpec, str] | None:
        wanted = self._prefer.get(key)
        if len(candidates) > 1 and wanted is not None:
            candidates = [
                candidate for candidate in candidates if canonicalize_name(candidate[1]) == wanted
            ] or candidates
        if len(candidates) == 1:
            return candidates[0]
        names = " and ".join(sorted({distribution for _, distribution in candidates}))
        fix = f'choose one in openrtc.toml: [plugins.prefer] "{key}" = "{candidates[0][1]}"'
        self._fail(key, names, f"brought by {names}", fix)
        return None

    async def _load_one(self, spec: ResourceSpec, distribution: str) -> None:
        memory, started = _resident_mb(), time.perf_counter()
        try:
            value = await _settled(spec.load())
        except ResourceUnavailable as error:
            self._fail(spec.key, distribution, one_line(str(error)), error.fix)
            return
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a package's sys.exit() must not end the worker
            self._fail(spec.key, distribution, _said(error), f"see the package {distribution}")
            logger.debug("loading the resource %r", spec.key, exc_info=error)
            return
        ms, grown = (time.perf_counter() - started) * 1000, max(0.0, _resident_mb() - memory)
        self._values[spec.key], self._specs[spec.key] = value, spec
        self._records[spec.key] = ResourceRecord(spec.key, distribution, True, ms, grown)
        logger.info("resource %r of %s loaded in %.0f ms, %.1f MB", spec.key, distribution, ms, grown)

    def _fail(self, key: str, distribution: str, reason: str, fix: str) -> None:
        self._records[key] = ResourceRecord(key, distribution, False, reason=reason, fix=fix)
        logger.warning("resource %r of %s is not available: %s (%s)", key, distribution, reason, fix)


def _by_key(offered: Iterable[tuple[ResourceSpec, str]]) -> dict[str, list[tuple[ResourceSpec, str]]]:
    grouped: dict[str, list[tuple[ResourceSpec, str]]] = {}
    for spec, distribution in offered:
        grouped.setdefault(spec.key, []).append((spec, distribution))
    return grouped


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _said(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}", 300)


def _resident_mb() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss) / 1e6
