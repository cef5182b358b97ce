"""`Router`: asks the rules and the router plugins in order, and keeps a trace of what each answered."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from openrtc.catalog.catalog import Catalog
from openrtc.errors import OpenRTCError, one_line
from openrtc.model.decision import FAILED, IGNORED, Decision, TraceLine
from openrtc.model.request import RouteRequest
from openrtc.plugins.hooks import Hooks
from openrtc.plugins.implementation import HookResult, Implementation
from openrtc.routing.rules import AFTER_PLUGINS, BEFORE_PLUGINS, RULES, RuleContext, RuleResult
from openrtc.settings.config import RoutingSettings
from openrtc.suggest import did_you_mean

BUILT_IN = "openrtc"
ROUTER_LIMIT = 2.0
"""Seconds that a router plugin has to answer: the LiveKit server waits for it with the caller already in the room."""

Step = str | Implementation


class Router:
    """Chooses the agent of a call.

    Args:
        catalog: The agents.
        hooks: The plugins, of which those with ``openrtc_route`` are asked.
        settings: Default agent and order.
        worker_agent_name: The setting ``agent_name``: under which names the worker is registered.
        late: What happened to packages after they were loaded, by the names of their agents; it may change.

    Raises:
        OpenRTCError: The settings name a rule or router that does not exist.
    """

    def __init__(
        self,
        catalog: Catalog,
        hooks: Hooks,
        settings: RoutingSettings | None = None,
        *,
        worker_agent_name: str = "",
        late: Mapping[str, str] | None = None,
    ) -> None:
        settings = settings or RoutingSettings()
        self._catalog = catalog
        self._hooks = hooks
        self._context = RuleContext(catalog, settings, worker_agent_name, {} if late is None else late)
        self._steps = _order_steps(hooks.implementations("openrtc_route"), settings.order)

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules and router plugins in the order in which they are asked."""
        return tuple(_read_name(step) for step in self._steps)

    @property
    def default(self) -> str | None:
        """The agent of calls that no rule decides and for which nobody has asked for one; None where there is none."""
        return self._context.settings.default or next(iter(self._context.automatic), None)

    @property
    def default_candidates(self) -> Sequence[str]:
        """The agents of which one is that default where the settings name none."""
        return self._context.automatic

    @property
    def open_channels(self) -> Sequence[str]:
        """The settings of the channels by which a caller chooses any agent, where there is a choice; else none."""
        choice = [name for name in self._catalog.ready if not self._context.is_internal(name)]
        return self._context.list_open_channels(self.rules) if len(choice) > 1 else ()

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
            agents = tuple(self._catalog.ready)
            answer = await self._hooks.ask(step, limit=ROUTER_LIMIT, request=request, agents=agents)
            result = self._check_answer(answer)
            return _build_line(step.plugin, step.distribution, result, answer.ms), result.decision
        started = time.perf_counter()
        result = RULES[step](request, self._context)
        return _build_line(step, BUILT_IN, result, (time.perf_counter() - started) * 1000), result.decision

    def _check_answer(self, answer: HookResult) -> RuleResult:
        if answer.error is not None:
            return RuleResult(None, one_line(f"{FAILED}{type(answer.error).__name__}: {answer.error}", 200))
        if answer.value is None:
            return RuleResult(None, "no opinion")
        decision = _read_decision(answer.value)
        if decision is None:
            return RuleResult(None, f"{IGNORED}answered {answer.value!r:.80}, not an agent name")
        if decision.rejected is not None:
            decision = replace(decision, rejected=one_line(str(decision.rejected)))
            return RuleResult(decision, str(decision.rejected))
        return self._check_agents(replace(decision, reason=one_line(str(decision.reason))))

    def _check_agents(self, decision: Decision) -> RuleResult:
        names = decision.agents
        if not names:
            return RuleResult(None, f"{IGNORED}named no agent")
        problem = self._catalog.why_unusable(names[0]) if len(names) == 1 else self._catalog.why_no_cast(names)
        if problem:
            return RuleResult(None, f"{IGNORED}named {decision.name!r:.80}: {problem}")
        return RuleResult(decision, decision.reason or f"the router chose {decision.name!r:.80}")


def _read_decision(value: object) -> Decision | None:
    if isinstance(value, Decision):
        return value
    if isinstance(value, str):
        return Decision.to(value)
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return Decision(agents=tuple(value))
    return None


def _build_line(rule: str, source: str, result: RuleResult, ms: float) -> TraceLine:
    agents = result.decision.agents if result.decision else None
    return TraceLine(rule, source, agents, result.reason, ms)


def _read_name(step: Step) -> str:
    return step.plugin if isinstance(step, Implementation) else step


def _order_steps(routers: Sequence[Implementation], order: Sequence[str] | None) -> list[Step]:
    if order is None:
        first = [router for router in routers if router.tryfirst]
        rest = [router for router in routers if not router.tryfirst]
        return [*first, *BEFORE_PLUGINS, *rest, *AFTER_PLUGINS]
    known: dict[str, Step] = {name: name for name in RULES} | {router.plugin: router for router in routers}
    short = {router.plugin.rpartition(":")[2]: router for router in routers}
    return [_find_step(name, {**short, **known}) for name in order]


def _find_step(name: str, known: dict[str, Step]) -> Step:
    if name in known:
        return known[name]
    fix = did_you_mean(name, known, f"there are: {', '.join(sorted(known))}")
    raise OpenRTCError(f"no rule or router is called {name!r}", origin="[routing] order", fix=fix)
