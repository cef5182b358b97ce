"""What an agent is about, in words."""

from __future__ import annotations

from openrtc_offline.recognition.sentences import build_sentences
from openrtc_offline.recognition.vocabulary import Vocabulary, build_vocabulary, normalize_words
from openrtc_offline.toolbox import Parameter, ToolView

SECRET = ToolView("secret_word", "Tell the secret word of the day.")
ORDER = ToolView(
    "order_status", "Tell where an order is.", (Parameter("order_number"), Parameter("speed", choices=("express",)))
)


def test_text_is_written_as_the_recogniser_writes_it() -> None:
    assert normalize_words("What's 21 + my “Order”?") == "what's twenty one my order"


def test_the_phrases_come_from_names_docstrings_choices_and_examples() -> None:
    found = build_vocabulary([SECRET, ORDER], ["Where is my box?"], ["my-shop"])
    assert found.examples == ("where is my box",)
    assert {"secret word", "tell the secret word of the day"} <= set(found.actions)
    assert {"the secret word of the day", "my shop"} <= set(found.things)
    assert found.values == ("express",) and found.numbered == ("order number",)


def test_a_question_that_nobody_wrote_down_is_among_the_sentences() -> None:
    said = {sentence for sentence, _ in build_sentences(build_vocabulary([SECRET]))}
    assert "what is the secret word of the day" in said
    assert "can you tell me the secret word of the day" in said
    assert {"hello", "goodbye", "yes please"} <= said


def test_a_vocabulary_crosses_to_another_process_unchanged() -> None:
    found = build_vocabulary([SECRET, ORDER])
    assert Vocabulary.from_json(found.to_json()) == found
    assert found.key != build_vocabulary([SECRET]).key
