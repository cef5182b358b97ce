"""`openrtc check`: what a package does well beside others, and what it does not: a score card."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from openrtc.cli.setting_options import read_settings

if TYPE_CHECKING:
    from openrtc.check.card import ScoreCard
    from openrtc.check.rules import Level

CHECK_LEVELS = ("bronze", "silver", "gold")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "package", metavar="PACKAGE|PATH|WHEEL", help="an installed package, a project's folder, a wheel"
    )
    parser.add_argument(
        "--level",
        default=CHECK_LEVELS[0],
        choices=CHECK_LEVELS,
        help="exit 1 where this level is not reached (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Check a package; exit 1 where it has not reached the level."""
    from openrtc.check.check import IMPORT_SECONDS, check_package
    from openrtc.check.rules import Level
    from openrtc.cli.output import print_json, show_progress

    level = Level(args.level)
    seconds = read_settings(args).policy.import_seconds or IMPORT_SECONDS  # one without an end would have no verdict
    with show_progress(f"checking {args.package}"):
        card = check_package(args.package, seconds)
    if args.json:
        print_json(**card.to_json(), asked=level, reached=card.reaches(level))
    else:
        _print(card, level)
    return 0 if card.reaches(level) else 1


def _print(card: ScoreCard, asked: Level) -> None:
    from openrtc.check.card import LEVELS as ORDER
    from openrtc.check.card import RuleVerdict
    from openrtc.cli.table import BOLD, TextTable, style

    table = TextTable("Rule", "Level", "State", "What was found")
    for one in card.outcomes:
        table.add(one.rule.name, one.rule.level, one.verdict, one.what)
    table.print()
    _print_fixes(card)
    if card.note:
        print(f"Note: {card.note}")
    following = next((level for level in ORDER if not card.reaches(level)), None)
    print(f"{card.distribution} {card.version}: {style(card.level or 'no level', BOLD)}")
    if following:
        for verdict in (RuleVerdict.FAILED, RuleVerdict.NOT_CHECKED):
            names = [one.rule.name for one in card.list_missing(following) if one.verdict is verdict]
            if names:
                print(f"  {following} is missing: {verdict}: {', '.join(names)}")
    if asked is not following and not card.reaches(asked):
        names = [one.rule.name for one in card.list_missing(asked)]
        print(f"  {asked} was asked for, which also needs: {', '.join(names)}")


def _print_fixes(card: ScoreCard) -> None:
    from openrtc.check.card import RuleVerdict
    from openrtc.cli.table import BOLD, DIM, style
    from openrtc.errors import one_line

    failed = [one for one in card.outcomes if one.verdict is RuleVerdict.FAILED]
    if failed:
        print("How to fix:")
    for one in failed:
        print(f"  {style(one.rule.name, BOLD)}: {style(one_line(one.rule.why), DIM)}")
        for fix, location in dict.fromkeys((finding.fix, finding.location) for finding in one.telling):
            if fix or location:
                print(f"      {one_line(fix or 'see')}")
            if location:
                print(style(f"        {one_line(location)}", DIM))
    missing = [finding for one in card.outcomes if one.verdict is RuleVerdict.NOT_CHECKED for finding in one.telling]
    if told := [finding for finding in missing if finding.fix]:
        print("To check what was not:")
        for text in dict.fromkeys(f"  {one_line(finding.what)}: {one_line(finding.fix)}" for finding in told):
            print(text)
    if failed or told:
        print()
