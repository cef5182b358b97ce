"""The operator's settings: each is declared here, once; `load` reads them from `openrtc.toml`, environment and flags.

To add one, add a field with `setting(…)` to the dataclass of its table: ``start`` and ``dev`` have its flag, other
commands name it by its path (`openrtc.cli.setting_options`), and ``python docs/generate_settings.py`` documents it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from openrtc.model.call_limits import CallLimits
from openrtc.model.hung_package import HungPackage
from openrtc.model.isolation import ISOLATIONS
from openrtc.settings.env_files import EnvFiles
from openrtc.settings.kinds import (
    AGENTS,
    DISTRIBUTIONS,
    AgentName,
    Choice,
    DistributionName,
    LimitTable,
    Names,
    Number,
    Parts,
    Processes,
    Requirements,
    Seconds,
    Some,
    Switch,
    Table,
    Text,
    Url,
)
from openrtc.settings.setting import Setting, Unknown, list_settings, setting
from openrtc.speedups.registry import SPEEDUPS

if TYPE_CHECKING:
    from pathlib import Path

PROFILES = ("standard", "lean")
"""What a call costs and has: as livekit-agents has it by default, or less of both."""

_SERVER, _LIMITS, _APART = "LiveKit server", "limits", "isolation and processes"
_COST, _LOGS, _MODELS, _PACKAGES, _ROUTING = "cost of a call", "logs and metrics", "models", "packages", "routing"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How the worker runs."""

    # The upper ends of ranges only catch slips, such as bytes in place of megabytes or milliseconds of seconds.

    url: str = setting("", Url(), "address of the LiveKit server", section=_SERVER, variable="LIVEKIT_URL")
    api_key: str = setting(
        "", Text("KEY", secret=True), "API key of the LiveKit server", section=_SERVER, variable="LIVEKIT_API_KEY"
    )
    api_secret: str = setting(
        "",
        Text("SECRET", secret=True),
        "API secret of the LiveKit server",
        section=_SERVER,
        variable="LIVEKIT_API_SECRET",
    )
    agent_name: str = setting(
        "",
        Text("NAME"),
        "name of the worker for explicit dispatch; per-agent: one for each agent; without it, dispatch is automatic",
        section=_SERVER,
        variable="LIVEKIT_AGENT_NAME",
    )
    max_retry: int = setting(
        16, Number(0, 1_000_000), "attempts to reach the LiveKit server before the worker gives up", section=_SERVER
    )
    max_sessions: int = setting(50, Number(1, 100_000), "sessions that the worker takes at once", section=_LIMITS)
    memory_limit: int = setting(
        0,
        Number(0, 10_000_000, "MB"),
        "resident memory at which the worker drains and exits with code 75, to be replaced; 0 for no limit",
        section=_LIMITS,
    )
    drain_timeout: int = setting(
        3600, Number(0, 7 * 86_400, "seconds"), "time that live calls have to finish after SIGTERM", section=_LIMITS
    )
    break_seconds: int = setting(
        10,
        Number(0, 3600, "seconds"),
        "time after which an agent's code that blocks the loop of all calls is broken off, and its call ended; "
        "0 for never",
        section=_LIMITS,
    )
    on_block: str = setting(
        "tell",
        Choice("tell", "isolate"),
        "what is done about an agent that blocked the loop for 0.5 s in two of its last ten calls: it is told, or its "
        "further calls also get a process each, where one is ready",
        section=_APART,
    )
    hang_up_seconds: int = setting(
        60,
        Number(0, 86_400, "seconds"),
        "time that a tool has to finish when everybody has left its call, which keeps its slot meanwhile",
        section=_LIMITS,
    )
    rejoin_seconds: int = setting(
        20,
        Number(0, 86_400, "seconds"),
        "time that a call waits for its caller to come back when everybody has left it, at most as long as its room "
        "stays open (departure_timeout); phone calls do not wait",
        section=_LIMITS,
    )
    nobody_seconds: int | None = setting(
        None,
        Number(0, 86_400, "seconds"),
        "time that a call waits for its first caller, 0 for no limit; by default as long as its room stays open "
        "(empty_timeout)",
        section=_LIMITS,
    )
    isolation: str = setting(
        "coroutine",
        Choice(*ISOLATIONS),
        "all calls in one loop (coroutine), or a thread or process for each call",
        section=_APART,
    )
    foreign: str = setting(
        "auto",
        Choice("auto", "shared", "process"),
        "where the calls of LiveKit entrypoints and servers run: as those of other agents (shared), in a process each, "
        "or so where their code is seen to write into its modules (auto); see docs/livekit.md",
        section=_APART,
    )
    processes: int = setting(
        0,
        Processes(),
        "workers that openrtc start runs under a supervisor, which replaces those that die; "
        "auto: one for each core; 0: one worker without supervisor",
        section=_APART,
    )
    session_host: str = setting(
        "operators",
        Choice("operators", "all", "off"),
        "who in a room may look into an agent's session and steer it by LiveKit's session stream: participants whose "
        "token grants can_manage_agent_session, everybody, or nobody; see docs/security.md",
        section=_SERVER,
    )
    profile: str = setting(
        "standard",
        Choice(*PROFILES),
        "standard, or lean: cheaper calls that do without some things; see docs/performance.md",
        section=_COST,
    )
    speedups: tuple[str, ...] = setting(
        tuple(SPEEDUPS),
        Some(*SPEEDUPS),
        "what makes calls cheaper and changes nothing else; see docs/performance.md",
        section=_COST,
    )
    host: str = setting("127.0.0.1", Text("HOST"), "address of the health server", section=_LOGS)
    port: int = setting(
        8081,
        Number(0, 65_535),
        "port of the health server, 0 for a free one; further workers of a supervisor have the ports after it",
        section=_LOGS,
    )
    log_level: str = setting(
        "info",
        Choice("debug", "info", "warning", "error"),
        "the least that is logged; console and demo log warnings, openrtc dev shows calls and logs the rest of info",
        section=_LOGS,
    )
    log_format: str = setting(
        "text", Choice("text", "json"), "log lines for people, or one JSON object a line", section=_LOGS
    )
    metrics_jsonl: str = setting(
        "",
        Text("FILE"),
        "file to which every event is appended, one JSON object a line; see docs/events.md",
        section=_LOGS,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSettings:
    """How calls are routed."""

    default: str | None = setting(
        None,
        AgentName(),
        "agent that answers when no rule decides; by default the first one that is ready",
        section=_ROUTING,
        variable="OPENRTC_DEFAULT_AGENT",
        flag="",
        unknown=Unknown.ERROR,
    )
    order: tuple[str, ...] | None = setting(
        None,
        Names(),
        "rules and router plugins in the order in which they are asked; by default the built-in order",
        section=_ROUTING,
        variable="OPENRTC_ROUTING_ORDER",
        flag="",
    )
    prefix_agents: tuple[str, ...] | None = setting(
        None, Names(AGENTS), "the only agents that a room's name may choose; by default all", section=_ROUTING
    )
    room_metadata_agents: tuple[str, ...] | None = setting(
        None, Names(AGENTS), "the only agents that room metadata may choose; by default all", section=_ROUTING
    )
    job_metadata_agents: tuple[str, ...] | None = setting(
        None,
        Names(AGENTS),
        "the only agents that the metadata of a dispatch may choose; by default all",
        section=_ROUTING,
    )
    attribute_agents: tuple[str, ...] | None = setting(
        None,
        Names(AGENTS),
        "the only agents that an attribute of a dispatch may choose; by default all",
        section=_ROUTING,
    )
    agent_name_agents: tuple[str, ...] | None = setting(
        None,
        Names(AGENTS),
        "the only agents that the agent name of a dispatch may choose; by default all",
        section=_ROUTING,
    )
    internal: tuple[str, ...] = setting(
        (),
        Names(AGENTS),
        "agents that no room or caller chooses: only a signed dispatch, a router, a cast or a hand-off does",
        section=_ROUTING,
    )
    signed: bool = setting(
        False,
        Switch(),
        "take the choice of an agent only from dispatches that OpenRTC's functions and commands have made with the API "
        "secret; see docs/security.md",
        section=_ROUTING,
    )
    signing_secrets: str = setting(
        "",
        Text("SECRETS", secret=True),
        "further API secrets that sign dispatches, with commas between them: of other keys, or one that is replaced",
        section=_ROUTING,
        variable="OPENRTC_SIGNING_SECRETS",
        flag="",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDefaults:
    """Models and greeting of every agent that sets none itself.

    From code, a model may also be a callable that returns a fresh instance; ``vad`` and ``turn_detection`` come only
    from there.
    """

    stt: Any = setting("", Text("MODEL"), "speech-to-text model", section=_MODELS, flag="")
    llm: Any = setting("", Text("MODEL"), "language model", section=_MODELS, flag="")
    tts: Any = setting("", Text("MODEL"), "text-to-speech model", section=_MODELS, flag="")
    vad: Any = None
    turn_detection: Any = None
    greeting: str = setting("", Text(), "said when a session starts", section=_MODELS, flag="")
    goodbye: str = setting(
        "I am sorry, I have to end this call now. Goodbye.",
        Text(),
        "said when a call is ended at a limit of its agent; empty for nothing",
        section=_MODELS,
        flag="",
    )
    offline: bool = setting(
        False, Switch(), "use the offline models where neither the agent nor [defaults] names one", section=_MODELS
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveSettings:
    """What is written of calls.

    Args:
        terminal: Whether the log goes to the terminal of a developer, who sees all words where nothing else is set.
    """

    words: str | None = setting(
        None,
        Choice("none", "redacted", "full"),
        "what is written of what people and agents say, of tools' arguments and results, and of errors' texts: "
        "nothing, what the plugins' openrtc_redact leaves, or all; by default nothing, and all in openrtc top and in "
        "the terminal of openrtc dev; see docs/operating.md",
        section=_LOGS,
    )
    terminal: bool = False

    @property
    def words_in_files(self) -> str:
        """Which words files have."""
        return self.words or "none"

    @property
    def words_in_log(self) -> str:
        """Which words the log has."""
        return self.words or ("full" if self.terminal else "none")

    @property
    def words_in_top(self) -> str:
        """Which words ``openrtc top`` shows to the user whose worker it is."""
        return self.words or "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which installed distributions may be used; all names are normalised (PEP 503)."""

    allow: tuple[str, ...] | None = setting(
        None, Names(DISTRIBUTIONS), "use only these distributions", section=_PACKAGES
    )
    deny: tuple[str, ...] = setting(
        (),
        Parts("NAME", "list of distributions, or DISTRIBUTION:NAME"),
        "do not use these distributions, or this agent or plugin of one",
        section=_PACKAGES,
    )
    require: tuple[str, ...] = setting(
        (),
        Requirements(),
        "distributions without which openrtc start ends with exit code 2: each has to be installed, and all of its "
        "agents and plugins to be ready that you have not switched off",
        section=_PACKAGES,
    )
    ignore_requirements: tuple[str, ...] = setting(
        (),
        Parts("REQUIRED", "list of required distributions, or DISTRIBUTION:REQUIRED", names_of=""),
        "required distributions whose absence or version does not matter, to anybody or to one distribution; python "
        "stands for Requires-Python",
        section=_PACKAGES,
    )
    import_seconds: float = setting(
        60,
        Seconds(0, 86_400),
        "time that a package's import may take, and each of its hooks at a start: after it, start and dev begin again "
        "without that distribution, and other commands end; 0 for no limit",
        section=_PACKAGES,
    )
    pick_up: str = setting(
        "tell",
        Choice("tell", "new", "roll"),
        "what openrtc start does about packages that are installed, upgraded or removed while it runs: it tells, it "
        "also lets new ones join (new), or its supervisor replaces one worker after the other (roll); openrtc dev "
        "takes all of them; see docs/operating.md",
        section=_PACKAGES,
    )
    prefer: Mapping[str, str] = setting(
        {},
        Table("NAME=DISTRIBUTION", 'support = "my-agent" below [plugins.prefer]', DistributionName(), DISTRIBUTIONS),
        "which distribution wins an agent's name, resource key or provider scheme that several bring",
        section=_PACKAGES,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings.

    Args:
        worker: How the worker runs.
        routing: How calls are routed.
        defaults: Models and greeting of agents that set none.
        observe: What is written of calls.
        policy: Which distributions may be used; the table ``[plugins]``.
        limits: What single agents are allowed, by the agent's name.
        isolation: Where the calls of single agents run, by the agent's name.
        source: The `openrtc.toml` that was read, if any.
        env_files: What the `.env` files gave, and what was left out.
        origins: Where each setting that is not at its default stands, by its path, and by path and key in a table:
            ``file:line``, a variable or a flag.
        deprecations: A line for each setting in use that goes in some release.
        hung: The distributions that this start leaves out, since their code hung in an earlier attempt.
    """

    worker: WorkerSettings = field(default_factory=WorkerSettings)
    routing: RoutingSettings = field(default_factory=RoutingSettings)
    defaults: SessionDefaults = field(default_factory=SessionDefaults)
    observe: ObserveSettings = field(default_factory=ObserveSettings)
    policy: Policy = field(default_factory=Policy)
    limits: Mapping[str, CallLimits] = setting(
        {},
        LimitTable(),
        "sessions that one agent takes at once; outweighs what its package asks for; in the file also a table, such as "
        "{ sessions = 10, minutes = 30, silent_seconds = 60 }, after which its calls are ended, see docs/operating.md",
        section=_LIMITS,
        flag="--limit",
    )
    # An agent that needs its own process must not run in the shared loop for a slip of the pen.
    isolation: Mapping[str, str] = setting(
        {},
        Table("AGENT=KIND", 'support = "process" below [isolation]', Choice(*ISOLATIONS), AGENTS),
        "isolation of one agent's calls, such as support=process; outweighs what its package asks for",
        section=_APART,
        variable="OPENRTC_ISOLATE",
        flag="--isolate",
        unknown=Unknown.ERROR_IF_NEAR,
    )
    source: Path | None = None
    env_files: EnvFiles = field(default_factory=EnvFiles, compare=False, repr=False)
    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    deprecations: tuple[str, ...] = field(default=(), compare=False, repr=False)
    hung: tuple[HungPackage, ...] = field(default=(), compare=False, repr=False)

    @property
    def mark_secrets(self) -> tuple[str, ...]:
        """The API secrets whose marks on dispatches count."""
        further = (one.strip() for one in self.routing.signing_secrets.split(","))
        return tuple(filter(None, (self.worker.api_secret, *further)))

    def value_of(self, setting: Setting) -> Any:
        """Return the value of a setting."""
        table = getattr(self, TABLES[setting.table])
        return getattr(table, setting.key) if setting.key else table

    def with_worker_defaults(self, origin: str = "", **values: Any) -> Config:
        """Return settings in which ``values`` are the worker's where nothing has been set.

        Args:
            origin: Who sets them, so that further defaults leave them alone; empty for nobody.
            **values: Worker settings.
        """
        usual = WorkerSettings()
        unset = {
            key: value
            for key, value in values.items()
            if f"worker.{key}" not in self.origins and getattr(self.worker, key) == getattr(usual, key)
        }
        origins = {f"worker.{key}": origin for key in unset} if origin else {}
        return replace(self, worker=replace(self.worker, **unset), origins={**self.origins, **origins})


TABLES = {
    "worker": "worker",
    "routing": "routing",
    "defaults": "defaults",
    "observe": "observe",
    "plugins": "policy",
    "limits": "limits",
    "isolation": "isolation",
}
"""The tables of `openrtc.toml`, and the fields of `Config` that hold them."""

SETTINGS: tuple[Setting, ...] = (
    *list_settings(WorkerSettings, "worker"),
    *list_settings(RoutingSettings, "routing"),
    *list_settings(SessionDefaults, "defaults"),
    *list_settings(ObserveSettings, "observe"),
    *list_settings(Policy, "plugins"),
    *list_settings(Config),
)
"""Every setting."""
