"""The commands, and what each of them is.

To add one, add a line to `COMMANDS` and a module of that name here that is a `Command` (``openrtc list-agents`` is
`openrtc.cli.list_agents`). A module is imported only when its command is used.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from openrtc.settings.config import Config

COMMANDS = {
    "list-agents": "list the installed agents",
    "plugins": "list the installed plugins: routers, resources, providers, observers",
    "route": "explain which agent would answer a call",
    "check": "say what a package does well beside others, and what it does not",
    "demo": "talk to the installed agents: no server, key or account needed",
    "console": "chat with an agent in the terminal",
    "dev": "run a worker while developing: debug logs, local server",
    "start": "run a worker",
    "top": "watch the workers of this machine and their calls",
    "calls": "read calls back: what was said, tools, latencies, cost, why; forget a person's",
    "pause": "let an agent take no new calls, without a restart",
    "resume": "let an agent that is paused take new calls again",
    "end": "end a call, and hang up",
    "drain": "let a worker take no new calls, and end after its live ones",
    "call": "place a test call to an agent on a LiveKit server",
    "dispatch": "send agents to rooms: create, list, get, delete",
    "token": "make a token for a participant, who may bring agents",
    "sip": "let agents answer the telephone: rule create, list, delete",
    "connect": "join one room directly",
    "doctor": "say what is wrong with this machine and how to fix it",
    "download-files": "download the models that the installed plugins need",
    "new": "make a package with an agent, a cast, a router or a plugin",
    "install": "install packages into this environment, and say what changes",
    "upgrade": "upgrade installed packages, and say what changes",
    "uninstall": "take packages out of this environment",
    "completion": "let a shell complete commands, options and names of agents",
}
"""Name and summary of each command, in the order of ``openrtc --help``."""

ALIASES = {"list": "list-agents", "ls": "list-agents", "help": "--help", "version": "--version"}
"""Other words that people type, and the command or option that each of them is."""

EXAMPLES = {
    "list-agents": ("openrtc list-agents", "openrtc list-agents --load --strict"),
    "plugins": ("openrtc plugins",),
    "route": (
        "openrtc route --room support-call-1",
        """openrtc route --room any --metadata '{"agent": "support"}'""",
    ),
    "check": (
        "openrtc check my-agent",
        "openrtc check . --level gold",
        "openrtc check dist/my_agent-1.0-py3-none-any.whl --json",
    ),
    "demo": ("openrtc demo", "openrtc demo --agent support --text"),
    "console": ("openrtc console", "openrtc console support --offline"),
    "dev": (
        "openrtc dev --with-server",
        "openrtc dev --playground",
        "openrtc dev --url wss://my-project.livekit.cloud --log-level debug",
    ),
    "start": (
        "openrtc start --strict --metrics-jsonl events.jsonl",
        "openrtc start --processes auto --limit support=10",
    ),
    "top": ("openrtc top", "openrtc top --once --json"),
    "calls": (
        "openrtc calls --metrics-jsonl events.jsonl",
        "openrtc calls AJ_7yPbQ3kWvN2x",
        "openrtc calls --follow",
        "openrtc calls forget +491701234567",
    ),
    "pause": ("openrtc pause support",),
    "resume": ("openrtc resume support",),
    "end": ("openrtc end support-call-1",),
    "drain": ("openrtc drain", "openrtc drain --worker all"),
    "call": (
        "openrtc call support",
        "openrtc call support --say 'where is order five' --say goodbye",
        "openrtc call --room support-call-1 --wav question.wav --json",
    ),
    "connect": ("openrtc connect --room support-call-1 --agent support",),
    "doctor": ("openrtc doctor", "openrtc doctor --json"),
    "download-files": ("openrtc download-files",),
    "new": ("openrtc new agent flower-shop", "openrtc new router my-router --into packages"),
    "install": (
        "openrtc install my-support-agent",
        "openrtc install -e ./my-agent ./dist/my_router-1.0-py3-none-any.whl",
        "openrtc install 'my-agent @ git+https://example.org/my-agent.git' --yes",
    ),
    "upgrade": ("openrtc upgrade my-support-agent",),
    "uninstall": ("openrtc uninstall my-support-agent",),
    "completion": (
        """openrtc completion bash     # in ~/.bashrc: eval "$(openrtc completion bash)\"""",
        """openrtc completion zsh      # in ~/.zshrc, after compinit: eval "$(openrtc completion zsh)\"""",
        "openrtc completion fish     # in ~/.config/fish/config.fish: openrtc completion fish | source",
    ),
}
"""Examples of each command that has no actions, as ``--help`` shows them."""

COMMANDS_THAT_MEND = ("doctor", "install", "upgrade", "uninstall")
"""Those that work with whatever is installed, since they are asked what is wrong with it."""


class Command(Protocol):
    """The module of a command."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own options, or its actions."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it and return the exit code; ``args.pool`` is the `Pool` that runs the command, if any."""


class Pool(Protocol):
    """What commands use of an `AgentPool`, which itself imports this package."""

    def configure(self, config: Config) -> Config:
        """Return the settings with what was given to the pool."""

    def list_agents(self) -> Sequence[str]:
        """Return the names of its agents."""

    @property
    def runtime_arguments(self) -> Mapping[str, Any]:
        """Further arguments of ``build_runtime``."""


class Action(NamedTuple):
    """What one action of a command is and takes, and what it does unless it has actions of its own.

    Args:
        summary: What it does, for the help.
        add_arguments: Adds its options, or its actions.
        run: Does it.
        examples: Command lines that the help shows.
    """

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int] | None = None
    examples: tuple[str, ...] = ()
