"""The rules of ``openrtc check``, as data: the name of each, its level, and why there is one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """What a package can reach; each level holds the rules of those before it."""

    BRONZE = "bronze"
    """It is found, loads, and its agents can be built."""
    SILVER = "silver"
    """Its calls do no harm to others in the same process."""
    GOLD = "gold"
    """Others can use it, and a model its tools."""


@dataclass(frozen=True, slots=True)
class CheckRule:
    """One thing that is checked.

    Args:
        name: Its name.
        level: The level that it belongs to.
        asks: What has to hold.
        why: Why, in one sentence.
        of_agents: Whether it says something of agents, so that it does not apply where a package brings none.
    """

    name: str
    level: Level
    asks: str
    why: str
    of_agents: bool = False


SLOWEST_IMPORT = 2.0
"""Seconds that the import of a package may take, livekit-agents' own not counted."""
LARGEST_IMPORT = 200
"""Megabytes of memory that the import of a package may take, livekit-agents' own not counted."""
LONGEST_BLOCK = 0.5
"""Seconds for which a call may hold the event loop."""
BREAK_SECONDS = 5
"""After so long, code that blocks the event loop is broken off, as a worker does somewhat later."""

CHECK_RULES = (
    CheckRule(
        "metadata",
        Level.BRONZE,
        "name, version and a summary of one line",
        "This is what `pip`, `list-agents` and whoever looks for a package see of it.",
    ),
    CheckRule(
        "entry-points",
        Level.BRONZE,
        "at least one entry point in a group of OpenRTC's, all of them readable",
        "An agent or a plugin is found by its entry point alone.",
    ),
    CheckRule(
        "requirements",
        Level.BRONZE,
        "requirements that can be read, name no path, and can be met beside this OpenRTC",
        "A worker leaves out a package that needs other versions than are installed.",
    ),
    CheckRule(
        "imports",
        Level.BRONZE,
        "an import that ends, without an error and without an exit",
        "A package that cannot be imported has no agents, and one that hangs holds back the start of all others.",
    ),
    CheckRule(
        "agents",
        Level.BRONZE,
        "entry points that point at what a worker can run",
        "A worker builds agents of classes, factories, `AgentSpec`, `Cast` and of livekit-agents' own workers.",
    ),
    CheckRule(
        "hooks",
        Level.BRONZE,
        "hooks that exist, with arguments that they have",
        "A plugin with a wrong hook is left out as a whole.",
    ),
    CheckRule(
        "builds",
        Level.BRONZE,
        "a new agent for each call",
        "Two calls with one agent hear each other's words.",
        of_agents=True,
    ),
    CheckRule(
        "licence",
        Level.SILVER,
        "a licence in the metadata",
        "Without one, nobody else may install the package.",
    ),
    CheckRule(
        "import-time",
        Level.SILVER,
        f"an import of less than {SLOWEST_IMPORT:g} s, livekit-agents' own not counted",
        "A worker imports all packages before it takes its first call.",
    ),
    CheckRule(
        "import-memory",
        Level.SILVER,
        f"an import of less than {LARGEST_IMPORT} MB, livekit-agents' own not counted",
        "Each worker process pays for what all packages import.",
    ),
    CheckRule(
        "marks",
        Level.SILVER,
        "an import that changes nothing of the process, and starts no thread",
        "Signals, logging, the current folder and standard output belong to all packages; a process with threads "
        "cannot be copied.",
    ),
    CheckRule(
        "shared-state",
        Level.SILVER,
        "calls that write nothing into modules",
        "All calls of a worker share its modules, so that one caller would get what another one has left there.",
        of_agents=True,
    ),
    CheckRule(
        "ends",
        Level.SILVER,
        "no loop that tries for ever and without a pause what fails once the caller has gone",
        "Such a loop never lets go of the event loop, and all calls of the process stand still.",
        of_agents=True,
    ),
    CheckRule(
        "answers",
        Level.SILVER,
        "an answer to a scripted caller, in text and with a scripted model",
        "An agent that fails without a network or a key fails in its own code.",
        of_agents=True,
    ),
    CheckRule(
        "blocks-nothing",
        Level.SILVER,
        f"a call that never holds the event loop for longer than {LONGEST_BLOCK:g} s",
        "While code blocks the loop, all callers of the process hear nothing.",
        of_agents=True,
    ),
    CheckRule(
        "cancels",
        Level.SILVER,
        "a call that ends when it is ended",
        "A task that goes on when it is cancelled holds a slot of the worker.",
        of_agents=True,
    ),
    CheckRule(
        "leaves-nothing",
        Level.SILVER,
        "no task, thread or file left after a call",
        "What each call leaves behind adds up over thousands of them.",
        of_agents=True,
    ),
    CheckRule(
        "described",
        Level.GOLD,
        "a long description and the versions of Python that it is for",
        "Others see there how it is used, and installers what it runs on.",
    ),
    CheckRule(
        "typed-tools",
        Level.GOLD,
        "a type for each argument of a tool, and a description of each tool",
        "A model is told nothing else of a tool; without types it guesses what to hand over.",
        of_agents=True,
    ),
    CheckRule(
        "examples",
        Level.GOLD,
        "sentences that a caller may say: `examples` of the `AgentSpec`, or tools whose description gives some",
        "The demo, the offline models and whoever tries the agent need something to say.",
        of_agents=True,
    ),
)
