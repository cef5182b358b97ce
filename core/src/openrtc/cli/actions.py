"""Commands that have actions: ``openrtc dispatch create``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import NamedTuple

from openrtc.cli.common_options import add_common_options


class Action(NamedTuple):
    """What one action is and takes, and what it does unless it has actions of its own."""

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int] | None = None


def add_actions(parser: argparse.ArgumentParser, actions: Mapping[str, Action]) -> None:
    """Add the actions of a command; the chosen one is ``args.action``.

    Args:
        parser: The command's parser.
        actions: What the actions do, by their names.
    """
    chosen = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, action in actions.items():
        described = f"{action.summary[0].upper()}{action.summary[1:]}."
        one = chosen.add_parser(name, help=action.summary, description=described, allow_abbrev=False)
        action.add_arguments(one)
        # Suppressed, so that what stands before the action is not overwritten with nothing.
        add_common_options(one.add_argument_group("packages"), default=argparse.SUPPRESS)
        if action.run:
            one.set_defaults(action=action.run)
