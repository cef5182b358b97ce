from __future__ import annotations

import pytest

from openrtc.dispatch.server_probe import Problem, ServerAnswer
from openrtc.doctor.server import judge_server, looks_swapped

URL = "wss://me:password@rtc.example:7443"


def judge(answer: ServerAnswer, **given: bool) -> dict[str, tuple[str, str, str]]:
    found = judge_server(answer, URL, origin=".env", **given)
    return {one.name: (one.verdict, one.message, one.fix) for one in found}


def test_a_server_that_answers_is_told_with_its_version_and_without_its_login() -> None:
    found = judge(ServerAnswer(ms=12.4, ahead=0.2, version="1.13.5"))
    assert found["server"] == ("ok", "wss://rtc.example:7443: LiveKit 1.13.5, answers in 12 ms", "")
    assert found["clock"][0] == "ok"


@pytest.mark.parametrize("problem", Problem)
def test_each_problem_is_a_fault_with_its_own_words_and_a_fix(problem: Problem) -> None:
    verdict, message, fix = judge(ServerAnswer(problem=problem, detail="why"))["server"]
    assert verdict == "fault" and fix
    assert message.startswith("wss://rtc.example:7443 ")
    others = [judge(ServerAnswer(problem=one, detail="why"))["server"][1] for one in Problem if one is not problem]
    assert message not in others


@pytest.mark.parametrize(
    ("ahead", "verdict", "said"),
    [
        (29.0, "ok", "29 s off"),
        (45.0, "warning", "45 s ahead of the server's"),
        (-45.0, "warning", "45 s behind the server's"),
        (600.0, "fault", "10 minutes ahead of"),
        (-90_000.0, "fault", "25 hours behind"),
    ],
)
def test_a_clock_is_told_from_30_seconds_on(ahead: float, verdict: str, said: str) -> None:
    found = judge(ServerAnswer(ahead=ahead))["clock"]
    assert found[0] == verdict and said in found[1]


def test_a_key_and_a_secret_that_look_swapped_are_told_where_they_are_refused() -> None:
    assert looks_swapped("a-long-secret", "APIaBcDeF") and not looks_swapped("APIaBcDeF", "APIsecret")
    assert judge(ServerAnswer(problem=Problem.KEY), looks_swapped=True)["server"][2].startswith(
        "LIVEKIT_API_KEY and LIVEKIT_API_SECRET look swapped"
    )
    assert "swapped" not in judge(ServerAnswer(), looks_swapped=True)["server"][2]
