"""The recogniser itself: one acoustic model, and for each vocabulary a language model of its own."""

from __future__ import annotations

import math
import re
import tempfile
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pocketsphinx import Decoder

from openrtc_offline.recognition.audio import SAMPLE_RATE, normalize_speech
from openrtc_offline.recognition.dictionary import Dictionary
from openrtc_offline.recognition.everyday import EverydayEnglish
from openrtc_offline.recognition.language_model import TrigramModel
from openrtc_offline.recognition.sentences import build_sentences
from openrtc_offline.recognition.vocabulary import Vocabulary

KEPT_VOCABULARIES = 32
"""Language models that one child keeps loaded; more would let its memory grow with every agent and set of tools."""

# Wider beams and a lighter language model than usual: with an agent's own vocabulary the search stays small, and
# synthetic voices sound unlike the acoustic model's speakers.
SEARCH = {"beam": 1e-60, "wbeam": 1e-40, "pbeam": 1e-60, "lw": 5.5}
PACES = (1.0, 0.94, 0.88)
"""How fast the speech is played to the recogniser, in the order of trying: slower speech has lower formants too, which
brings high voices nearer to the acoustic model's speakers."""
SETTLED_CONFIDENCE = 0.5
"""Confidence at which no other pace is tried."""
DOUBTFUL_CONFIDENCE = 0.25
SURE_PROBABILITY = 0.3
UNCLEAR = "[unclear]"
"""Stands for several words none of which is sure: the agent can ask to repeat, rather than guess or be silent."""
FILLERS = {"hmm", "mm", "mhm", "uh", "um", "uh-huh", "huh", "ah", "oh"}


@dataclass(frozen=True, slots=True)
class RecognizedSpeech:
    """What was recognised.

    Args:
        text: The words; empty when nothing was understood.
        confidence: From 0 to 1.
    """

    text: str
    confidence: float


class Recognizer:
    """Recognises speech with the language model of the vocabulary that is asked for. Blocking; one call at a time."""

    def __init__(self) -> None:
        self._dictionary = Dictionary()
        self._everyday = EverydayEnglish(self._dictionary)
        with tempfile.TemporaryDirectory(prefix="openrtc-") as folder:
            path = Path(folder, "words.dict")
            self._dictionary.write(path, self._everyday.words)
            self._decoder = Decoder(samprate=SAMPLE_RATE, lm=None, dict=str(path), loglevel="FATAL", **SEARCH)
        self._loaded: OrderedDict[str, None] = OrderedDict()

    def has_vocabulary(self, key: str) -> bool:
        """Whether the language model of this vocabulary is loaded."""
        return key in self._loaded

    def load_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Load the language model of a vocabulary; the one used longest ago makes room."""
        spoken = self._pronounce_vocabulary(vocabulary)
        model = TrigramModel(
            spoken, self._everyday.build_background({word for said, _ in spoken for word in said.split()})
        )
        with tempfile.TemporaryDirectory(prefix="openrtc-") as folder:
            path = Path(folder, "caller.arpa")
            path.write_text(model.to_arpa(), encoding="ascii")
            self._decoder.add_lm_file(vocabulary.key, str(path))
        self._loaded[vocabulary.key] = None
        if len(self._loaded) > KEPT_VOCABULARIES:
            self._decoder.remove_search(self._loaded.popitem(last=False)[0])

    def recognize(self, pcm: bytes, key: str) -> RecognizedSpeech:
        """Return what is said in 16 kHz mono PCM16."""
        self._loaded.move_to_end(key)
        self._decoder.activate_search(key)
        surest = RecognizedSpeech("", 0.0)
        for pace in PACES:
            heard = self._decode(normalize_speech(pcm, pace).tobytes())
            if heard.confidence > surest.confidence:
                surest = heard
            if surest.confidence >= SETTLED_CONFIDENCE:
                break
        return surest

    def _decode(self, pcm: bytes) -> RecognizedSpeech:
        # Forgets the noise and loudness of the caller before: one child serves many.
        self._decoder.start_stream()
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        return select_sure_words([(_strip_marks(s.word), s.prob) for s in self._decoder.seg() or ()])

    def _pronounce_vocabulary(self, vocabulary: Vocabulary) -> list[tuple[str, float]]:
        spoken = list(build_sentences(vocabulary))
        for word in {word for sentence, _ in spoken for word in sentence.split()}:
            if self._decoder.lookup_word(word) is None:
                for name, phones in self._dictionary.find_pronunciations(word):
                    self._decoder.add_word(name, phones, False)
        return spoken


def select_sure_words(hypothesis: Iterable[tuple[str, float]]) -> RecognizedSpeech:
    """Return what of a hypothesis can be relied on: of a doubtful one, only the words that are sure.

    Args:
        hypothesis: Each word with its posterior probability; an empty word is silence or noise.
    """
    words = [(word, max(probability, 1e-12)) for word, probability in hypothesis if word]
    if not {word for word, _ in words} - FILLERS:
        return RecognizedSpeech("", 0.0)
    confidence = math.exp(sum(math.log(probability) for _, probability in words) / len(words))
    if confidence >= DOUBTFUL_CONFIDENCE:
        return RecognizedSpeech(" ".join(word for word, _ in words), confidence)
    sure = [word for word, probability in words if probability >= SURE_PROBABILITY]
    if sure or len(words) == 1:
        return RecognizedSpeech(" ".join(sure), confidence)
    return RecognizedSpeech(UNCLEAR, confidence)


def _strip_marks(word: str) -> str:
    return "" if word[0] in "<[+" else re.sub(r"\(\d+\)$", "", word)
