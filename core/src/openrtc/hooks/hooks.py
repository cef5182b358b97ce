"""`Hooks`: the one way in which OpenRTC calls its plugins.

pluggy finds and orders the implementations. Calling them is done here, because one raising implementation would stop
all later ones in pluggy, and an ``async def`` one would win every ``firstresult`` call with its coroutine.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import pluggy

from openrtc.errors import one_line
from openrtc.hooks import specs
from openrtc.hooks.markers import PROJECT
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import PluginFailed

logger = logging.getLogger("openrtc.hooks")

HUNG_LIMIT = 4
"""After so many calls that are still running past their time, an implementation is left out."""


class PluginLike(Protocol):
    """What `Hooks` needs of a loaded plugin."""

    @property
    def name(self) -> str: ...
    @property
    def distribution(self) -> str: ...
    @property
    def target(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's implementation of one hook.

    Args:
        hook: The hook's name.
        plugin: The plugin's name.
        distribution: The distribution that brings it.
        function: What is called.
        argument_names: Which of the hook's arguments it takes.
        tryfirst: Whether it asked to be called before the others.
    """

    hook: str
    plugin: str
    distribution: str
    function: Callable[..., Any]
    argument_names: tuple[str, ...]
    tryfirst: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What calling one implementation gave.

    Args:
        implementation: The one that was called.
        value: What it returned; None when it failed.
        error: What it raised, `TimeoutError` when it took too long, else None.
        ms: How long it took, in milliseconds.
    """

    implementation: Implementation
    value: Any
    error: BaseException | None
    ms: float


class Hooks:
    """The implementations of all hooks, in calling order.

    Args:
        plugins: Loaded plugins in the order in which they are to be asked; ``tryfirst`` and ``trylast`` change it as in
            pluggy.
        events: Where each failure of an implementation is told, if given.
    """

    def __init__(self, plugins: Iterable[PluginLike] = (), events: EventStream | None = None) -> None:
        self._events = events
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(specs)
        self._distributions: dict[str, str] = {}
        self._hung: Counter[Callable[..., Any]] = Counter()
        # pluggy asks the plugin that was registered last first.
        for plugin in reversed(list(plugins)):
            self._manager.register(plugin.target, name=plugin.name)
            self._distributions[plugin.name] = plugin.distribution

    def implementations(self, hook: str) -> list[Implementation]:
        """Return the implementations of ``hook`` in the order in which they are called."""
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return [
            Implementation(
                hook,
                impl.plugin_name,
                self._distributions[impl.plugin_name],
                impl.function,
                tuple(impl.argnames),
                impl.tryfirst,
            )
            for impl in reversed(caller.get_hookimpls())
        ]

    async def call_all(self, hook: str, *, limit: float, **arguments: Any) -> list[Outcome]:
        """Call every implementation of ``hook``, one after the other, whatever each of them raises.

        Args:
            hook: The hook's name.
            limit: Seconds that each implementation has.
            **arguments: The hook's arguments.
        """
        return [
            await self.call(implementation, limit=limit, **arguments) for implementation in self.implementations(hook)
        ]

    async def collect(self, hook: str, *, limit: float, **arguments: Any) -> list[Outcome]:
        """Call every implementation of ``hook``, log each failure in one line, and return those that did not fail.

        Args:
            hook: The hook's name.
            limit: Seconds that each implementation has.
            **arguments: The hook's arguments.
        """
        return without_failures(await self.call_all(hook, limit=limit, **arguments))

    def collect_now(self, hook: str) -> list[Outcome]:
        """Like `collect`, but at once and in this thread: for hooks without arguments, at start."""
        return without_failures(self._told(_call_now(made)) for made in self.implementations(hook))

    async def call(self, implementation: Implementation, *, limit: float, **arguments: Any) -> Outcome:
        """Call one implementation: a sync one in a thread, since a blocked loop could not enforce the limit."""
        return self._told(await self._call(implementation, limit, arguments))

    async def _call(self, implementation: Implementation, limit: float, arguments: dict[str, Any]) -> Outcome:
        given = {name: arguments[name] for name in implementation.argument_names}
        started = time.perf_counter()
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                value = await self._run(implementation.function, given)
            return Outcome(implementation, value, None, _ms_since(started))
        except asyncio.CancelledError as cancelled:
            if _being_cancelled():
                raise
            return Outcome(implementation, None, cancelled, _ms_since(started))
        except BaseException as raised:  # a plugin's sys.exit() must not end the worker
            fault = TimeoutError(f"no answer within {limit:g} s") if deadline.expired() else raised
            return Outcome(implementation, None, fault, _ms_since(started))

    def _told(self, outcome: Outcome) -> Outcome:
        if self._events is not None and outcome.error is not None:
            made, said = outcome.implementation, one_line(f"{type(outcome.error).__name__}: {outcome.error}")
            self._events.emit(
                PluginFailed(plugin=made.plugin, distribution=made.distribution, hook=made.hook, error=said)
            )
        return outcome

    async def _run(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(function):
            return await function(**arguments)
        value = await self._run_in_thread(function, arguments)
        return await value if inspect.isawaitable(value) else value

    async def _run_in_thread(self, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        # A thread of its own, not a pool: an implementation that hangs must not take a place from the others,
        # and a daemon thread does not keep the process from ending.
        if self._hung[function] >= HUNG_LIMIT:
            raise StillHanging(f"left out: {HUNG_LIMIT} earlier calls of it still hang")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                result, error = context.run(function, **arguments), None
            except BaseException as raised:
                result, error = None, raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._settle, answer, function, result, error)

        threading.Thread(target=work, daemon=True, name=f"hook-{function.__name__}").start()
        try:
            return await answer
        except asyncio.CancelledError:
            self._hung[function] += 1
            raise

    def _settle(
        self, answer: asyncio.Future[Any], function: Callable[..., Any], result: Any, error: BaseException | None
    ) -> None:
        if answer.cancelled():
            self._hung[function] -= 1
        elif error is not None:
            answer.set_exception(_storable(error))
        else:
            answer.set_result(result)


def without_failures(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Log each failure in one line and return the other outcomes."""
    succeeded: list[Outcome] = []
    for outcome in outcomes:
        if outcome.error is None:
            succeeded.append(outcome)
            continue
        made, said = outcome.implementation, one_line(f"{type(outcome.error).__name__}: {outcome.error}")
        logger.error("%s: %s failed: %s", made.plugin, made.hook, said)
        logger.debug("%s: %s", made.plugin, made.hook, exc_info=outcome.error)
    return succeeded


class StillHanging(RuntimeError):
    """Too many earlier calls of an implementation have not come back."""


class HookExit(RuntimeError):
    """A plugin called ``sys.exit`` or raised ``KeyboardInterrupt`` or ``StopIteration`` in a hook."""


def _storable(error: BaseException) -> BaseException:
    # asyncio refuses StopIteration in a future, and lets the other two end the loop.
    if isinstance(error, StopIteration | SystemExit | KeyboardInterrupt):
        wrapped = HookExit(f"raised {error!r}")
        wrapped.__cause__ = error
        return wrapped
    return error


def _call_now(implementation: Implementation) -> Outcome:
    started = time.perf_counter()
    try:
        return Outcome(implementation, implementation.function(), None, _ms_since(started))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin's sys.exit() must not end the worker
        return Outcome(implementation, None, error, _ms_since(started))


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
