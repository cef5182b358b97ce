"""`Resources`: what is loaded once for the whole worker, with its cost and its failures on record."""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.utils import canonicalize_name

from openrtc.errors import one_line, summarize_error
from openrtc.model.resource import ResourceSpec, ResourceUnavailable
from openrtc.observe.process_memory import resident_bytes
from openrtc.plugins.guard.clock import PackageCode, clocked, find_module
from openrtc.threads import current_threads

logger = logging.getLogger("openrtc.resources")

REASON_LENGTH = 300
"""Characters of an error: the line goes on with its fix, and some libraries put a whole report into an error."""


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
        fix: What fixes that.
    """

    key: str
    distribution: str
    ready: bool
    ms: float = 0.0
    memory_mb: float = 0.0
    reason: str = ""
    fix: str = ""


class MissingResource(KeyError):
    """A resource that no plugin brings, or that failed to load; its message says which."""

    def __str__(self) -> str:
        # KeyError shows its argument as repr() does, a sentence in quotes.
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
        by_key: dict[str, list[tuple[ResourceSpec, str]]] = {}
        for spec, distribution in offered:
            by_key.setdefault(spec.key, []).append((spec, distribution))
        for key, candidates in by_key.items():
            if chosen := self._choose(key, candidates):
                await self._load_one(*chosen)

    async def aclose(self) -> None:
        """Close what was loaded, last one first; what one close raises does not keep the others from closing."""
        for key in reversed(list(self._values)):
            value, spec = self._values.pop(key), self._specs.pop(key)
            if spec.close is None:
                continue
            try:
                await _await_in_part(self._records[key].distribution, spec.close, value)
            except Exception as error:  # the next resource must be closed all the same
                said, distribution = summarize_error(error, REASON_LENGTH), self._records[key].distribution
                logger.error("%s: closing the resource %r failed: %s", distribution, key, said)

    def _choose(self, key: str, candidates: list[tuple[ResourceSpec, str]]) -> tuple[ResourceSpec, str] | None:
        preferred = [one for one in candidates if canonicalize_name(one[1]) == self._prefer.get(key)]
        candidates = preferred or candidates
        if len(candidates) == 1:
            return candidates[0]
        # None is chosen silently: nothing but the packages' names would decide.
        names = " and ".join(sorted({distribution for _, distribution in candidates}))
        fix = f'choose one in openrtc.toml: [plugins.prefer] "{key}" = "{candidates[0][1]}"'
        self._fail(key, names, f"brought by {names}", fix)
        return None

    async def _load_one(self, spec: ResourceSpec, distribution: str) -> None:
        memory, started = resident_bytes(), time.perf_counter()
        try:
            code = PackageCode(
                distribution, distribution, find_module(spec.load), f"the loading of the resource {spec.key!r}"
            )
            with clocked(code):
                value = await _await_in_part(distribution, spec.load)
        except ResourceUnavailable as error:
            self._fail(spec.key, distribution, one_line(str(error)), error.fix)
            return
        except KeyboardInterrupt:
            raise  # the operator's, at the start
        except BaseException as error:  # a package's sys.exit() must not end the worker
            self._fail(spec.key, distribution, summarize_error(error, REASON_LENGTH), f"see the package {distribution}")
            logger.debug("loading the resource %r", spec.key, exc_info=error)
            return
        ms, grown = (time.perf_counter() - started) * 1000, max(0, resident_bytes() - memory) / 1e6
        self._values[spec.key], self._specs[spec.key] = value, spec
        self._records[spec.key] = ResourceRecord(spec.key, distribution, True, ms, grown)
        logger.info("resource %r of %s loaded in %.0f ms, %.1f MB", spec.key, distribution, ms, grown)

    def _fail(self, key: str, distribution: str, reason: str, fix: str) -> None:
        self._records[key] = ResourceRecord(key, distribution, False, reason=reason, fix=fix)
        logger.warning("resource %r of %s is not available: %s (%s)", key, distribution, reason, fix)


async def _await_in_part(distribution: str, function: Callable[..., Any], *arguments: Any) -> Any:
    # What a resource leaves running, such as a client's tasks, uses threads of its package and not the worker's.
    owner = current_threads.get()
    token = current_threads.set(owner.part(distribution) if owner else None)
    try:
        value = function(*arguments)
        return await value if inspect.isawaitable(value) else value
    finally:
        current_threads.reset(token)
