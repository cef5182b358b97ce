"""`Hooks`: the one way in which OpenRTC calls its plugins.

pluggy finds and orders the implementations. Calling them is done here, because one raising implementation would stop
all later ones in pluggy, and an ``async def`` one would win every ``firstresult`` call with its coroutine.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import pluggy

from openrtc.model import hookspecs as specs
from openrtc.model.call import Call
from openrtc.model.hookspecs import PROJECT
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import PluginFailed
from openrtc.plugins.fault import source_location
from openrtc.plugins.guard.clock import PackageCode, find_module
from openrtc.plugins.guard.scope import package_scope
from openrtc.plugins.hook_wrappers import Plan, plan_wrapped_calls
from openrtc.plugins.implementation import HookResult, Implementation, contain_exit
from openrtc.plugins.loop_hook import BLOCKS, call_on_loop, take_step
from openrtc.threads import current_threads

logger = logging.getLogger("openrtc.hooks")

HUNG_LIMIT = 4
"""After so many calls that still run past their time, an implementation is left out: each holds a thread for ever."""


class PluginLike(Protocol):
    """What `Hooks` needs of a loaded plugin."""

    @property
    def name(self) -> str: ...
    @property
    def distribution(self) -> str: ...
    @property
    def target(self) -> object: ...


class Hooks:
    """The implementations of all hooks, in calling order.

    Args:
        plugins: Loaded plugins in the order in which they are to be asked; ``tryfirst`` and ``trylast`` change it as in
            pluggy.
        events: Where each failure of an implementation is emitted, if given.
    """

    def __init__(self, plugins: Iterable[PluginLike] = (), events: EventStream | None = None) -> None:
        self._events = events
        self._hung: Counter[tuple[str, str]] = Counter()
        self._blocks: Counter[tuple[str, str]] = Counter()
        self._targets: dict[str, object] = {}
        self.use(plugins)

    def use(self, plugins: Iterable[PluginLike]) -> None:
        """Call other plugins from now on; what is being called goes on.

        Args:
            plugins: As the class takes them. What an earlier object of a plugin has blocked or hung counts no more.
        """
        manager, distributions = pluggy.PluginManager(PROJECT), dict[str, str]()
        manager.add_hookspecs(specs)
        targets: dict[str, object] = {}
        # pluggy asks the plugin that was registered last first.
        for plugin in reversed(list(plugins)):
            with warnings.catch_warnings(action="ignore"):  # of deprecated hooks: loading has logged them
                manager.register(plugin.target, name=plugin.name)
            distributions[plugin.name], targets[plugin.name] = plugin.distribution, plugin.target
        for counted in (self._hung, self._blocks):
            for key in [key for key in counted if targets.get(key[0]) is not self._targets.get(key[0])]:
                del counted[key]
        self._manager, self._distributions, self._targets = manager, distributions, targets
        self.__dict__.pop("_redactors", None)

    def implementations(self, hook: str) -> list[Implementation]:
        """Return the implementations of ``hook`` in the order in which they are called, without its wrappers."""
        return self._list(hook, wrappers=False)

    def _list(self, hook: str, *, wrappers: bool) -> list[Implementation]:
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
            if impl.wrapper is wrappers
        ]

    async def call_all(self, hook: str, *, limit: float, **arguments: Any) -> list[HookResult]:
        """Call every implementation of ``hook`` within its wrappers, one after the other, whatever each of them raises.

        Args:
            hook: The hook's name.
            limit: Seconds that each implementation has.
            **arguments: The hook's arguments.
        """
        return await self._call_each(self.implementations(hook), hook, limit, arguments)

    async def ask(self, implementation: Implementation, *, limit: float, **arguments: Any) -> HookResult:
        """Call one implementation alone, within the wrappers of its hook.

        Args:
            implementation: One of `implementations`.
            limit: Seconds that it and each wrapper has.
            **arguments: The hook's arguments.
        """
        results = await self._call_each([implementation], implementation.hook, limit, arguments)
        drop_failures(result for result in results if result.implementation is not implementation)
        answers = (one for one in results if one.error is None or one.implementation is implementation)
        return next(answers, HookResult(implementation, None, None, 0.0))

    async def collect(self, hook: str, *, limit: float, **arguments: Any) -> list[HookResult]:
        """Call every implementation of ``hook``, log each failure in one line, and return those that did not fail.

        Args:
            hook: The hook's name.
            limit: Seconds that each implementation has.
            **arguments: The hook's arguments.
        """
        return drop_failures(await self.call_all(hook, limit=limit, **arguments))

    async def collect_on_loop(self, hook: str, *, limit: float, **arguments: Any) -> None:
        """Like `collect`, but on the running loop and in its context, also sync ones.

        One that has blocked the loop `BLOCKS` times is left out from then on.

        Args:
            hook: The hook's name.
            limit: Seconds that each async implementation has; it is not waited for any longer, whatever it does.
            **arguments: The hook's arguments.
        """
        present = [one for one in self.implementations(hook) if self._blocks[one.plugin, hook] < BLOCKS]
        if present:
            drop_failures(await self._call_each(present, hook, limit, arguments, on_loop=True))

    async def call_observers(self, observers: Sequence[Implementation], *, limit: float, **arguments: Any) -> None:
        """Call observers as `collect_on_loop` calls a hook, but all at once and without wrappers.

        Args:
            observers: The observers' methods.
            limit: Seconds that each has.
            **arguments: Their arguments.
        """
        present = [one for one in observers if self._blocks[one.plugin, one.hook] < BLOCKS]
        calls = (self._call(one, limit, arguments, on_loop=True) for one in present)
        drop_failures(map(self._emit_failure, await asyncio.gather(*calls)))

    def collect_now(self, hook: str) -> list[HookResult]:
        """Like `collect`, but at once and in this thread: for hooks without arguments, at start."""
        plan = plan_wrapped_calls(self.implementations(hook), self._list(hook, wrappers=True), {})
        try:
            step = next(plan)
            while True:
                step = plan.send(self._emit_failure(_call_now(step)))
        except StopIteration as end:
            return drop_failures(end.value)

    @functools.cached_property
    def _redactors(self) -> list[tuple[Implementation, list[Implementation]]]:
        wrappers = self._list("openrtc_redact", wrappers=True)
        return [(one, wrappers) for one in self.implementations("openrtc_redact")]

    def redact(self, text: str) -> str | None:
        """Return a text as every ``openrtc_redact`` has left it, in turn; None where it may not be written.

        That is so where nobody implements it, where one fails, and where one has blocked the caller `BLOCKS` times.
        All are called at once and in this thread.

        Args:
            text: What somebody has said, or another text that may hold such words.
        """
        left: str | None = text if self._redactors else None
        for implementation, wrappers in self._redactors:
            if left is None or self._blocks[implementation.plugin, implementation.hook] >= BLOCKS:
                return None
            left = self._redact_by(plan_wrapped_calls([implementation], wrappers, {"text": left}), left)
        return left

    def _redact_by(self, plan: Plan, text: str) -> str | None:
        try:
            step = next(plan)
            while True:
                step = plan.send(self._redact_now(step, text))
        except StopIteration as end:
            results: list[HookResult] = end.value
        if len(results) == 1 and results[0].error is None and isinstance(results[0].value, str):
            return results[0].value
        return None

    def _redact_now(self, step: Implementation, text: str) -> HookResult:
        started = time.perf_counter()
        given = {"text": text} if step.argument_names else {}
        try:
            value = take_step(step, partial(self._note_block, step), lambda: step.function(**given))
            return HookResult(step, value, None, _ms_since(started))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin's sys.exit() must not end the worker
            # Without its message, which may hold the words.
            failed = HookResult(step, None, _Unredacted(type(error).__name__), _ms_since(started))
            drop_failures([self._emit_failure(failed)])
            return failed

    async def _call_each(
        self,
        implementations: Sequence[Implementation],
        hook: str,
        limit: float,
        arguments: dict[str, Any],
        *,
        on_loop: bool = False,
    ) -> list[HookResult]:
        plan = plan_wrapped_calls(implementations, self._list(hook, wrappers=True), arguments)
        try:
            step = next(plan)
            while True:
                step = plan.send(self._emit_failure(await self._call(step, limit, arguments, on_loop=on_loop)))
        except StopIteration as end:
            results: list[HookResult] = end.value
            return results

    async def call(self, implementation: Implementation, *, limit: float, **arguments: Any) -> HookResult:
        """Call one implementation: a sync one in a thread, since a blocked loop could not enforce the limit."""
        return self._emit_failure(await self._call(implementation, limit, arguments))

    async def _call(
        self, implementation: Implementation, limit: float, arguments: dict[str, Any], *, on_loop: bool = False
    ) -> HookResult:
        given = {name: _give(arguments[name], implementation) for name in implementation.argument_names}
        started = time.perf_counter()
        deadline = asyncio.timeout(limit)
        # Of the call, or of the worker: neither waits for threads that a plugin never gives back.
        owner = current_threads.get()
        token = current_threads.set(owner.part(implementation.plugin, implementation.distribution) if owner else None)
        try:
            if on_loop:
                value = await call_on_loop(implementation, given, limit, partial(self._note_block, implementation))
            else:
                async with deadline:
                    value = await self._run(implementation, given)
            return HookResult(implementation, value, None, _ms_since(started))
        except asyncio.CancelledError as cancelled:
            # A plugin may raise it itself; only when the call's own task is cancelled may it pass.
            if _is_being_cancelled():
                raise
            return HookResult(implementation, None, cancelled, _ms_since(started))
        except BaseException as raised:  # a plugin's sys.exit() must not end the worker
            fault = TimeoutError(f"no answer within {limit:g} s") if deadline.expired() else raised
            return HookResult(implementation, None, fault, _ms_since(started))
        finally:
            current_threads.reset(token)

    def _note_block(self, implementation: Implementation, seconds: float) -> None:
        key = (implementation.plugin, implementation.hook)
        self._blocks[key] += 1
        text = "%s: %s has blocked the loop of all calls for %.1f s"
        if self._blocks[key] == BLOCKS:
            text += "; it is left out from now on"
            text += (
                ", and nothing is written of what it would redact" if implementation.hook == "openrtc_redact" else ""
            )
        logger.error(text, implementation.plugin, implementation.hook, seconds)

    def _emit_failure(self, result: HookResult) -> HookResult:
        if self._events is not None and result.error is not None:
            failed = result.implementation
            self._events.emit(
                PluginFailed(
                    plugin=failed.plugin, distribution=failed.distribution, hook=failed.hook, error=result.error_line
                )
            )
        return result

    async def _run(self, implementation: Implementation, arguments: dict[str, Any]) -> Any:
        if inspect.iscoroutinefunction(implementation.function):
            return await implementation.function(**arguments)
        value = await self._run_in_thread(implementation, arguments)
        return await value if inspect.isawaitable(value) else value

    async def _run_in_thread(self, implementation: Implementation, arguments: dict[str, Any]) -> Any:
        # A thread of its own, not a pool: an implementation that hangs must not take a place from the others,
        # and a daemon thread does not keep the process from ending.
        key = (implementation.plugin, implementation.hook)
        if self._hung[key] >= HUNG_LIMIT:
            raise StillHanging(f"left out: {HUNG_LIMIT} earlier calls of it still hang")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                result, error = context.run(implementation.function, **arguments), None
            except BaseException as raised:  # also SystemExit: it would end this thread, and nobody would get an answer
                result, error = None, raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._deliver, answer, key, result, error)

        threading.Thread(target=work, daemon=True, name=f"hook-{implementation.hook}").start()
        try:
            return await answer
        except asyncio.CancelledError:
            self._hung[key] += 1
            raise

    def _deliver(
        self, answer: asyncio.Future[Any], key: tuple[str, str], result: Any, error: BaseException | None
    ) -> None:
        if answer.cancelled():
            self._hung[key] -= 1
        elif error is not None:
            answer.set_exception(contain_exit(error))
        else:
            answer.set_result(result)


def drop_failures(results: Iterable[HookResult]) -> list[HookResult]:
    """Log each failure in one line and return the other results."""
    succeeded: list[HookResult] = []
    for result in results:
        if result.error is None:
            succeeded.append(result)
            continue
        failed = result.implementation
        logger.error("%s: %s failed: %s", failed.plugin, failed.hook, result.error_line)
        logger.debug("%s: %s", failed.plugin, failed.hook, exc_info=result.error)
    return succeeded


class _Unredacted(RuntimeError):
    """An ``openrtc_redact`` has failed; the message is the type of what it has raised."""


class StillHanging(RuntimeError):
    """Too many earlier calls of an implementation have not come back."""


def _give(argument: Any, implementation: Implementation) -> Any:
    """Return an argument as one implementation gets it: what it records on a call stands under its own name."""
    if isinstance(argument, Call):
        return replace(argument, recorded_by=implementation.distribution or implementation.plugin)
    return argument


def _call_now(implementation: Implementation) -> HookResult:
    started = time.perf_counter()
    try:
        with package_scope(lambda: _describe(implementation), _name_code(implementation)):
            return HookResult(implementation, implementation.function(), None, _ms_since(started))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin's sys.exit() must not end the worker
        return HookResult(implementation, None, error, _ms_since(started))


def _name_code(implementation: Implementation) -> PackageCode:
    module = find_module(implementation.function)
    return PackageCode(implementation.distribution, implementation.plugin, module, implementation.hook)


def _describe(implementation: Implementation) -> str:
    return f"{implementation.plugin}: {implementation.hook} ({source_location(implementation.function)})"


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
