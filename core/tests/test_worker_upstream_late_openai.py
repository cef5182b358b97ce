"""The SDK of OpenAI is imported when it is first used, and is then as if it had been there from the start."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

BEGIN = """
import json, sys, logging
logging.basicConfig(format="%(message)s", stream=sys.stderr)
from openrtc.worker.upstream.late_openai import import_openai_late, import_openai_now
import_openai_late()
"""
IMPORT = BEGIN + "import livekit.agents.inference.llm as llm\n"
LATE = """
def late():
    return sorted(name for name, value in vars(llm).items() if type(value).__name__.startswith("_Late"))
def loaded():
    return [name for name in sys.modules if name.split(".")[0] == "openai"]
"""


def run(code: str) -> tuple[Any, str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_importing_livekit_agents_leaves_it_for_later() -> None:
    (names, modules), told = run(IMPORT + LATE + "import livekit.agents; print(json.dumps([late(), loaded()]))")
    assert "openai" in names and len(names) > 5
    assert modules == [] and told == ""


def test_after_the_first_use_every_name_is_what_it_is_without_us() -> None:
    names = """
print(json.dumps({name: str(value) for name, value in vars(llm).items()
    if getattr(value, "__module__", "").startswith("openai") or getattr(value, "__name__", "").startswith("openai")}))
"""
    plain, _ = run("import json\nimport livekit.agents.inference.llm as llm\n" + names)
    late, _ = run(IMPORT + LATE + "llm.openai.AsyncClient; assert late() == [], late()" + names)
    assert late == plain and len(plain) > 3


def test_it_can_be_imported_before_anybody_uses_it() -> None:
    (names, modules), told = run(IMPORT + LATE + "import_openai_now(); print(json.dumps([late(), loaded()]))")
    assert names == [] and "openai" in modules and told == ""


def test_others_import_the_real_one() -> None:
    code = IMPORT + "import openai\nfrom openai.types.chat import ChatCompletionChunk\n"
    code += "print(json.dumps([openai.AsyncClient.__name__, str(llm.ChatCompletionChunk.model_fields.keys())]))"
    (client, fields), _ = run(code)
    assert client == "AsyncOpenAI" and "choices" in fields


def test_a_language_model_is_made_with_it_and_calls_are_told_to_have_waited() -> None:
    code = """
import asyncio
async def main():
    llm.LLM("openai/gpt-4.1", api_key="k", api_secret="s" * 40)
asyncio.run(main())
"""
    (names, modules), told = run(IMPORT + LATE + code + "print(json.dumps([late(), loaded()]))")
    assert names == [] and "openai" in modules
    assert told.count("\n") == 1 and "inference.LLM" in told and "imports" in told


def test_the_module_looks_like_any_other() -> None:
    code = "import inspect; print(json.dumps([llm.__loader__ is llm.__spec__.loader, len(inspect.getsource(llm.LLM))]))"
    (same, length), _ = run(IMPORT + code)
    assert same and length > 100


def test_where_it_is_there_already_nothing_is_changed() -> None:
    code = "import openai\n" + IMPORT + LATE + "print(json.dumps([late(), len(sys.meta_path)]))"
    (names, finders), _ = run(code)
    assert names == []
    assert finders == run("import json, sys, openai\nprint(json.dumps(len(sys.meta_path)))")[0]


def test_a_stand_in_does_whatever_a_class_does() -> None:
    code = """
chunk = llm.ChatCompletionChunk
class Own(chunk): pass
real = llm.ChatCompletionChunk
print(json.dumps([type(chunk).__name__, chunk == real, hash(chunk) == hash(real), issubclass(Own, real),
    isinstance(Own.model_construct(), chunk), issubclass(real, chunk), str(chunk | None) == str(real | None),
    str(None | chunk) == str(None | real), type(chunk.model_construct()) is real, chunk.__mro__ == real.__mro__,
    str(list[chunk]).startswith("list")]))
"""
    found, _ = run(IMPORT + code)
    assert found == ["_LateName", *[True] * 10]
