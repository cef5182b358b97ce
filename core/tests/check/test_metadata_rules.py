"""What the METADATA of a distribution comes to."""

from __future__ import annotations

import pytest

from openrtc.check.card import RuleVerdict
from openrtc.check.metadata_rules import judge_metadata

HEAD = "Metadata-Version: 2.4\nName: pkg\nVersion: 1.0\nSummary: Answers.\n"
PASSED, FAILED = RuleVerdict.PASSED, RuleVerdict.FAILED


@pytest.mark.parametrize(
    ("text", "rule", "verdict", "what"),
    [
        (HEAD, "metadata", PASSED, "Answers."),
        ("Name: pkg\nVersion: 1.0\n", "metadata", FAILED, "it has no Summary"),
        ("Name: pkg\nVersion: 1.0\nSummary: UNKNOWN\n", "metadata", FAILED, "it has no Summary"),
        (HEAD.replace("1.0", "spring"), "metadata", FAILED, "'spring' is no version"),
        (HEAD, "licence", FAILED, "its metadata names none"),
        (HEAD + "License: UNKNOWN\n", "licence", FAILED, "its metadata names none"),
        (HEAD + "License-Expression: MIT\n", "licence", PASSED, "MIT"),
        (HEAD + "License: The MIT licence\n", "licence", PASSED, "The MIT licence"),
        (HEAD + "License-File: COPYING\n", "licence", PASSED, "the file COPYING"),
        (HEAD + "Classifier: Private :: Do Not Upload\n", "licence", PASSED, "Private :: Do Not Upload"),
        (
            HEAD + "Classifier: License :: OSI Approved :: MIT License\n",
            "licence",
            PASSED,
            "License :: OSI Approved :: MIT License",
        ),
        (HEAD, "described", FAILED, "it has no long description and no Requires-Python"),
        (HEAD + "Requires-Python: >=3.11\n\nHow it is used.\n", "described", PASSED, "Python >=3.11"),
        (HEAD + "Description: Used so.\nRequires-Python: >=3.11\n", "described", PASSED, "Python >=3.11"),
    ],
)
def test_each_field_is_found_where_it_stands(text: str, rule: str, verdict: RuleVerdict, what: str) -> None:
    (finding,) = [one for one in judge_metadata(text) if one.rule == rule]
    assert (finding.verdict, finding.what) == (verdict, what)
    assert bool(finding.fix) == (verdict is FAILED)
