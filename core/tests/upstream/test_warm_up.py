"""livekit-agents' one-time work is done before the first call, in a process that has only imported it."""

from __future__ import annotations

import json
import os

import pytest

from e2e.worker_template import worker_template

pytestmark = pytest.mark.process

CODE = """
import json, os, sys
import livekit.local_inference as local_inference
from openrtc.upstream.warm_up import warm_up
loaded = []
local_inference.init_eot = lambda: loaded.append("end of turn")
warm_up(**json.loads(sys.argv[1]))
print(json.dumps([loaded, "openai.resources" in sys.modules, os.environ.get("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE")]))
"""


def warmed_up(variable: str | None = None, **options: bool) -> list[object]:
    name = "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE"
    env = {**_environment(), **({} if variable is None else {name: variable})}
    done = worker_template().run(["-c", CODE, json.dumps(options)], environ=env)
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if name != "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE"}


def test_what_nobody_uses_is_not_loaded() -> None:
    assert warmed_up(end_of_turn=False, openai=False) == [[], False, "0"]


@pytest.mark.parametrize(("variable", "loaded"), [(None, ["end of turn"]), ("no", []), ("1", ["end of turn"])])
def test_the_end_of_turn_weights_are_loaded_unless_the_variable_says_otherwise(
    variable: str | None, loaded: list[str]
) -> None:
    assert warmed_up(variable, end_of_turn=True, openai=False)[0] == loaded
