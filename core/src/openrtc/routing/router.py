"""`Router`: asks the rules and the router plugins in order and keeps a trace of what each said."""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence
from dataclasses import replace

from openrtc.catalog.catalog import Catalog
from openrtc.config import RoutingSettings
from openrtc.errors import OpenRTCError, one_line
from openrtc.hooks.hooks import Hooks, Implementation, Outcome
from openrtc.routing.decision import FAILED, IGNORED, Decision, TraceLine
from openrtc.routing.request import RouteRequest
from openrtc.routing.rules import AFTER_PLUGINS, BEFORE_PLUGINS, RULES, Answer, RuleContext

BUILT_IN = "openrtc"
ROUTER_LIMIT = 2.0
"""Seconds that a router plugin has to answer."""

Step = str | Implementation


class Router:
    """Chooses the agent of a call.

    Args:
        catalog: The agents.
        hooks: The plugins, of which those with ``openrtc_route`` are asked.
        settings: Default agent and order.
        worker_agent_name: The setting ``agent_name``: under which names the worker is registered.

    Raises:
        OpenRTCError: The settings name a rule, router or default agent that does not exist.
    """

    def __init__(
        self,
        catalog: Catalog,
        hooks: Hooks,
        settings: RoutingSettings | None = None,
        *,
        worker_agent_name: str = "",
    ) -> None:
        settings = settings or RoutingSettings()
        self._catalog = catalog
        self._hooks = hooks
        self._context = RuleContext(
            catalog, settings.default, worker_agent_name, settings.prefix_agents, settings.room_metadata_agents
        )
        self._steps = _ordered(hooks.implementations("openrtc_route"), settings.order)
        if settings.default and settings.default not in catalog.names:
            raise OpenRTCError(
                catalog.why_not_ready(settings.default) or "", origin=f"[routing] default = {settings.default!r}"
            )

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules and router plugins in the order in which they are asked."""
        return tuple(_name(step) for step in self._steps)

    async def route(self, request: RouteRequest) -> Decision:
        """Return the first decision of a rule or router; a router that fails is a line in the trace.

        Args:
            request: What is known of the call.
        """
        trace: list[TraceLine] = []
        for step in self._steps:
            line, decision = await self._ask(step, request)
            trace.append(line)
            if decision is not None:
                return replace(decision, rule=line.rule, reason=line.reason, trace=tuple(trace))
        return replace(Decision.reject("no rule decided"), trace=tuple(trace))

    async def _ask(self, step: Step, request: RouteRequest) -> tuple[TraceLine, Decision | None]:
        if isinstance(step, Implementation):
            outcome = await self._hooks.call(
                step, limit=ROUTER_LIMIT, request=request, agents=tuple(self._catalog.ready)
            )
            answer = self._judge(outcome)
            return _line(step.plugin, step.distribution, answer, outcome.ms), answer.decision
        started = time.perf_counter()
        answer = RULES[step](request, self._context)
        return _line(step, BUILT_IN, answer, (time.perf_counter() - started) * 1000), answer.decision

    def _judge(self, outcome: Outcome) -> Answer:
        if outcome.error is not None:
            return Answer(None, one_line(f"{FAILED}{type(outcome.error).__name__}: {outcome.error}", 200))
        decision = _as_decision(outcome.value)
        if decision is None:
            if outcome.value is None:
                return Answer(None, "no opinion")
            return Answer(None, f"{IGNORED}answered {outcome.value!r:.80}, not an agent name")
        if decision.rejected is not None:
            return Answer(decision, decision.rejected)
        return self._judge_names(decision)

    def _judge_names(self, decision: Decision) -> Answer:
        names = decision.agents
        if not names:
            return Answer(None, f"{IGNORED}named no agent")
        problem = self._catalog.why_not_ready(names[0]) if len(names) == 1 else self._catalog.why_no_cast(names)
        if problem:
            return Answer(None, f"{IGNORED}named {decision.name!r:.80}: {problem}")
        return Answer(decision, decision.reason or f"the router chose {decision.name!r:.80}")


def _as_decision(value: object) -> Decision | None:
    if isinstance(value, Decision):
        return value
    if isinstance(value, str):
        return Decision.to(value)
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return Decision(agents=tuple(value))
    return None


def _line(rule: str, source: str, answer: Answer, ms: float) -> TraceLine:
    agents = answer.decision.agents if answer.decision else None
    return TraceLine(rule, source, agents, answer.reason, ms)


def _name(step: Step) -> str:
    return step.plugin if isinstance(step, Implementation) else step


def _ordered(routers: Sequence[Implementation], order: Sequence[str] | None) -> list[Step]:
    if order is None:
        first = [router for router in routers if router.tryfirst]
        rest = [router for router in routers if not router.tryfirst]
        return [*first, *BEFORE_PLUGINS, *rest, *AFTER_PLUGINS]
    known: dict[str, Step] = {name: name for name in RULES} | {router.plugin: router for router in routers}
    short = {router.plugin.rpartition(":")[2]: router for router in routers}
    return [_find(name, {**short, **known}) for name in order]


def _find(name: str, known: dict[str, Step]) -> Step:
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, 1)
    fix = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(known))}"
    raise OpenRTCError(f"no rule or router is called {name!r}", origin="[routing] order", fix=fix)
