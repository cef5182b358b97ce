"""What findings come to: the verdict of each rule, and the level of the package."""

from __future__ import annotations

from openrtc.check.card import Finding, RuleVerdict, build_card, read_finding
from openrtc.check.rules import CHECK_RULES, Level

ALL = [Finding(rule.name, RuleVerdict.PASSED, "good") for rule in CHECK_RULES]


def without(name: str, *others: Finding) -> list[Finding]:
    """Return what is found of all rules, but of one only these."""
    return [*(one for one in ALL if one.rule != name), *others]


def test_a_package_of_which_all_rules_hold_or_do_not_apply_is_gold() -> None:
    card = build_card("pkg", "1.0", without("hooks", Finding("hooks", RuleVerdict.NOTHING)))
    assert card.level is Level.GOLD
    assert not card.list_missing(Level.GOLD)


def test_a_rule_that_fails_keeps_its_level_and_those_above_away() -> None:
    card = build_card("pkg", "1.0", without("marks", Finding("marks", RuleVerdict.FAILED, "it moves")))
    assert card.level is Level.BRONZE
    assert [one.rule.name for one in card.list_missing(Level.GOLD)] == ["marks"]
    assert not card.reaches(Level.SILVER)


def test_a_rule_that_was_not_checked_keeps_its_level_away_too_and_is_not_failed() -> None:
    card = build_card("pkg", "1.0", without("builds"))
    assert card.level is None
    assert [one.verdict for one in card.list_missing(Level.GOLD)] == [RuleVerdict.NOT_CHECKED]


def test_the_worst_that_is_found_of_a_rule_counts_and_is_told_once() -> None:
    bad = Finding("builds", RuleVerdict.FAILED, "one agent for all", location="a.py:1")
    good = Finding("builds", RuleVerdict.PASSED, "good")
    card = build_card(
        "pkg", "1.0", without("builds", good, bad, bad, Finding("builds", RuleVerdict.NOT_CHECKED, "away"))
    )
    (builds,) = [one for one in card.outcomes if one.rule.name == "builds"]
    assert (builds.verdict, builds.what) == (RuleVerdict.FAILED, "one agent for all")
    (row,) = [row for row in card.to_json()["rules"] if row["name"] == "builds"]
    assert row["findings"][1]["location"] == "a.py:1"


def test_a_finding_comes_back_from_its_json() -> None:
    finding = Finding("marks", RuleVerdict.FAILED, "it moves", "stay", "a.py:1")
    assert read_finding(finding.to_json()) == finding


def test_names_of_rules_are_given_once_and_each_level_has_some() -> None:
    assert len({rule.name for rule in CHECK_RULES}) == len(CHECK_RULES)
    assert {rule.level for rule in CHECK_RULES} == set(Level)
