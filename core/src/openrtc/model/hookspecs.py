"""Every hook that a plugin can implement. All arguments are frozen values, but for the session of `openrtc_session`."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from openrtc.model.agents import AgentSpec
    from openrtc.model.call import Call, WorkerInfo
    from openrtc.model.check_result import CheckResult
    from openrtc.model.decision import Decision
    from openrtc.model.provider import Provider
    from openrtc.model.request import RouteRequest
    from openrtc.model.resource import ResourceSpec

PROJECT = "openrtc"

# The specs have no bodies, which mypy reports where a hook must return something: hence `type: ignore[empty-body]`.
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def openrtc_agents() -> Iterable[AgentSpec]:  # type: ignore[empty-body]
    """Contribute agents, each with a name.

    Example::

        @hookimpl
        def openrtc_agents():
            return [AgentSpec(name="support", agent=SupportAgent), AgentSpec(name="billing", agent=BillingAgent)]
    """


@hookspec
def openrtc_resources() -> Iterable[ResourceSpec]:  # type: ignore[empty-body]
    """Contribute resources that the worker loads once, before it accepts jobs.

    Example::

        @hookimpl
        def openrtc_resources():
            return [ResourceSpec(key="faq", load=load_faq_index)]
    """


@hookspec
def openrtc_providers() -> Mapping[str, Provider]:  # type: ignore[empty-body]
    """Contribute speech and language models under a scheme, such as ``offline:``.

    Example::

        @hookimpl
        def openrtc_providers():
            return {"acme": AcmeProvider()}
    """


@hookspec
def openrtc_route(
    request: RouteRequest, agents: Sequence[str]
) -> str | Sequence[str] | Decision | None | Awaitable[str | Sequence[str] | Decision | None]:
    """Choose an agent for a call, or return None to leave it to the next router. Sync or async.

    ``agents`` are the names that can be chosen; a list of several is a cast, in one room, that the first one leads.
    A sync router runs in a thread; either kind has two seconds.

    Example::

        @hookimpl
        def openrtc_route(request, agents):
            if request.job_metadata and request.job_metadata.get("tier") == "gold":
                return Decision.to("vip", reason="gold customer")
    """


@hookspec
def openrtc_session_options(
    call: Call,
) -> Mapping[str, Any] | None | Awaitable[Mapping[str, Any] | None]:
    """Contribute keyword arguments of ``AgentSession`` for a call; what the agent sets itself stands.

    Example::

        @hookimpl
        def openrtc_session_options(call):
            if call.room_name.startswith("kiosk-"):
                return {"user_away_timeout": 60.0}
    """


@hookspec
def openrtc_session(call: Call, session: Any) -> None | Awaitable[None]:
    """Get the ``livekit.agents.AgentSession`` of a call before it starts: the only hook that is given a LiveKit object.

    It is called on the loop of all calls and in the call's context, for each session of a call: that of an agent, those
    that an entrypoint starts in its room, and one for each member of a cast. After a hand-off it is the same session.

    Listen with ``session.on(...)``; wrap nodes by livekit-agents' public API. What it does costs every call: a sync one
    that blocks the loop for 0.5 s is reported, and after the second time left out; an async one has two seconds, then
    the session starts without it. Tasks that it starts end with the call.

    Example::

        @hookimpl
        def openrtc_session(call, session):
            @session.on("conversation_item_added")
            def count(event):
                items_by_agent[call.agent_name] += 1
    """


@hookspec
def openrtc_session_started(call: Call) -> None | Awaitable[None]:
    """Learn that a session has started. Sync or async, off the audio path.

    Example::

        @hookimpl
        def openrtc_session_started(call):
            calls_by_agent[call.agent_name] += 1
    """


@hookspec
def openrtc_session_ended(call: Call, reason: str) -> None | Awaitable[None]:
    """Learn that a session has ended, and why. Sync or async.

    Example::

        @hookimpl
        async def openrtc_session_ended(call, reason):
            await crm.hang_up(call.room_name, reason)
    """


@hookspec
def openrtc_redact(text: str) -> str:  # type: ignore[empty-body]
    """Take out of a text what nobody may read, with ``[observe] words = "redacted"``: what is returned is written.

    It gets what callers and agents say, tools' arguments and results, and texts of errors, each before it goes into a
    file or the log. It is sync, and called at once, perhaps on the loop of all calls and in any thread: it must be
    quick. Several take turns, each with what the one before has returned. Where one raises, or returns no string,
    nothing is written of that text; where nobody implements it, of none.

    Example::

        @hookimpl
        def openrtc_redact(text):
            return re.sub(r"[0-9]{6,}", "…", text)
    """


@hookspec
def openrtc_shutdown(worker: WorkerInfo) -> None | Awaitable[None]:
    """Clean up when the worker has drained. Every implementation runs, even when others raise. Sync or async.

    Example::

        @hookimpl
        async def openrtc_shutdown(worker):
            await database.close()
    """


@hookspec
def openrtc_checks(config: Any) -> Iterable[CheckResult] | Awaitable[Iterable[CheckResult]]:  # type: ignore[empty-body]
    """Say what is wrong on this machine, when somebody asks `openrtc doctor`: each with a name, a verdict and a fix.

    Sync or async, with five seconds, in a process of its own in which all packages are loaded and no worker runs. No
    resource is loaded. ``config`` has the settings, each as `docs/settings.md` names it, such as
    ``config.worker.max_sessions``; the LiveKit server's key and secret are empty. It returns a list, yields, or returns
    nothing. The verdicts are ``ok``, ``warning`` and ``fault``, and one that is a fault gives the command exit code 1.

    Example::

        @hookimpl
        def openrtc_checks(config):
            path = Path(os.environ.get("FAQ_FILE", "faq.json"))
            if path.is_file():
                return [CheckResult(name="faq", verdict="ok", message=f"{path} is there")]
            return [CheckResult(name="faq", verdict="fault", message=f"{path} is missing", fix="set FAQ_FILE")]
    """
