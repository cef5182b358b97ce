"""`openrtc doctor`: what is wrong with this machine, its packages and its settings, and how to fix it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from openrtc.cli.setting_options import add_connection_options, configure_by_pool

if TYPE_CHECKING:
    from openrtc.errors import OpenRTCError
    from openrtc.model.check_result import CheckResult
    from openrtc.settings.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_connection_options(parser, "worker.host", "worker.port", "worker.max_sessions", "worker.metrics_jsonl")


def run(args: argparse.Namespace) -> int:
    """Look at everything and say what was found; exit 1 where something does not work."""
    from openrtc.cli.output import json_output, show_progress

    if args.json:
        with json_output() as write:
            results = _examine(args)
            rows = [one.to_json() for one in results]
            write({"schema_version": 1, "verdict": _find_worst(results), "checks": rows})
    else:
        with show_progress("looking at this machine, its packages and the LiveKit server"):
            results = _examine(args)
        _print(results)
    return 1 if _find_worst(results) == "fault" else 0


def _examine(args: argparse.Namespace) -> list[CheckResult]:
    from openrtc.cli.package_commands import find_commands

    try:
        from openrtc.doctor.examination import Machine, examine

        config, errors = _read_settings(args)
        return examine(Machine(configure_by_pool(args, config), errors, find_commands))
    except ImportError as error:  # of what OpenRTC itself requires
        from openrtc.doctor.installation import examine_installation

        return examine_installation(error, os.environ)


def _read_settings(args: argparse.Namespace) -> tuple[Config, Sequence[OpenRTCError]]:
    from openrtc.settings.load import load_config

    errors: list[OpenRTCError] = []

    def refuse(error: OpenRTCError) -> None:
        if (error.origin or "").startswith("--"):  # what is typed here is a mistake of this command's line
            raise error
        errors.append(error)

    config = load_config(args.config, overrides=vars(args), env_files=args.env_file or (), refuse=refuse)
    return config, errors


def _find_worst(results: Sequence[CheckResult]) -> str:
    from openrtc.model.check_result import Verdict

    return str(max((Verdict(one.verdict) for one in results), key=list(Verdict).index, default=Verdict.OK))


def _print(results: Sequence[CheckResult]) -> None:
    from openrtc.cli.output import print_fix_lines
    from openrtc.cli.table import TextTable
    from openrtc.model.check_result import Verdict

    table = TextTable("Check", "State", "What was found")
    for one in results:
        table.add(one.name, one.verdict, _of_distribution(one, one.message))
    table.print()
    found = [one for one in results if one.verdict != Verdict.OK]
    print_fix_lines((_of_distribution(one, one.name), one.fix, one.location) for one in found)
    counts = {verdict: sum(one.verdict == verdict for one in results) for verdict in (Verdict.FAULT, Verdict.WARNING)}
    told = [f"{count} {verdict}{'s' if count > 1 else ''}" for verdict, count in counts.items() if count]
    if found:
        print()
    print(", ".join(told) or "all is well")


def _of_distribution(one: CheckResult, text: str) -> str:
    return f"{one.distribution}: {text}" if one.distribution else text
