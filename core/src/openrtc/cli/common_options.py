"""Options that every command has: which settings file, and which packages."""

from __future__ import annotations

from typing import Any

COMMON_OPTIONS: dict[str, dict[str, Any]] = {
    "--config": {"metavar": "FILE", "help": "settings file (default: openrtc.toml; OPENRTC_CONFIG)"},
    "--allow": {"metavar": "NAMES", "action": "append", "help": "use only these distributions (OPENRTC_ALLOW)"},
    "--deny": {"metavar": "NAMES", "action": "append", "help": "do not use these distributions (OPENRTC_DENY)"},
    "--prefer": {
        "metavar": "NAME=DISTRIBUTION",
        "action": "append",
        "help": "who wins a name that several distributions bring (OPENRTC_PREFER)",
    },
}


def add_common_options(parser: Any, **more: Any) -> None:
    """Add the options.

    Args:
        parser: A parser, or a group of one.
        **more: Further arguments for each option.
    """
    for flag, options in COMMON_OPTIONS.items():
        parser.add_argument(flag, **options, **more)
