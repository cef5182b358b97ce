from __future__ import annotations

import json
import logging

from openrtc.observe.logs import CallFields, JsonLines, TextLines, complete_call_fields


def record(**fields: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "my_agent", "levelname": "INFO", "msg": "hello", **fields})


def complete(line: logging.LogRecord, current: str | None = None) -> logging.LogRecord:
    known = {"AJ_1": {"room": "r", "agent": "support", "distribution": "my-support-agent"}}
    CallFields(lambda: current, lambda job: known.get(job, {})).filter(line)
    return line


def test_a_line_with_a_job_gets_the_other_fields_of_the_call() -> None:
    line = json.loads(JsonLines().format(complete(record(job_id="AJ_1"))))
    assert (line["job_id"], line["room"], line["agent"], line["distribution"]) == (
        *("AJ_1", "r", "support"),
        "my-support-agent",
    )


def test_a_line_from_the_code_of_a_call_gets_all_fields_in_text_too() -> None:
    text = TextLines().format(complete(record(), current="AJ_1"))
    assert text.endswith("my_agent: hello  job_id=AJ_1  room=r  agent=support  distribution=my-support-agent")


def test_no_value_of_a_text_makes_a_field_a_line_or_a_command_to_the_terminal() -> None:
    room = 'q7  agent=admin\n12:00:00 ERROR x: forged \x1b[2J\u202eevil"'
    line = record(room=room, msg="said:\n12:00:00 ERROR forged \x1b[31m", note="", stack="frame\n" * 500, agent="ok")
    first, second = TextLines().format(line).split("\n")
    assert first.endswith("my_agent: said:")
    assert second.startswith("    12:00:00 ERROR forged \\x1b[31m  room=")
    assert (
        '  room="q7  agent=admin\\n12:00:00 ERROR x: forged \\u001b[2J\\u202eevil\\""  agent=ok  stack="frame' in second
    )
    assert len(second) < 1000 and second.isprintable()


def test_a_field_that_is_one_word_stands_as_it_is() -> None:
    text = TextLines().format(record(room="büro-1", job_id="AJ_1", seconds=0.5, why="he left"))
    assert text.endswith('my_agent: hello  job_id=AJ_1  room=büro-1  seconds=0.5  why="he left"')


def test_what_a_line_says_itself_is_kept() -> None:
    assert vars(complete(record(job_id="AJ_1", agent="another")))["agent"] == "another"


def test_a_line_of_no_call_gets_no_fields() -> None:
    assert "job_id" not in vars(complete(record()))


def test_the_fields_are_completed_for_the_time_of_the_context_only() -> None:
    seen: list[logging.LogRecord] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    root, handler = logging.getLogger(), Keeping()
    root.addHandler(handler)
    try:
        with complete_call_fields(CallFields(lambda: "AJ_1", lambda _: {"room": "r"})):
            logging.getLogger("x").error("inside")
        logging.getLogger("x").error("outside")
    finally:
        root.removeHandler(handler)
    assert [getattr(one, "room", None) for one in seen] == ["r", None]


def test_secrets_among_the_fields_are_hidden_and_counts_of_tokens_are_not() -> None:
    job = {"id": "AJ_1", "room": {"name": "r", "turnPassword": "hush"}, "list": [{"api_secret": "hush"}]}
    line = record(job=job, token="hush", tokens=3, prompt_tokens=7)
    for text in (JsonLines().format(line), TextLines().format(line)):
        assert "hush" not in text and text.count("(hidden)") == 3
    read = json.loads(JsonLines().format(line))
    assert (read["tokens"], read["prompt_tokens"], read["job"]["room"]["name"]) == (3, 7, "r")
