"""How long texts are, in characters and in tokens, from measurements where there are any.

A token is taken for `CHARS_PER_TOKEN` characters, and a request for `FRAME` tokens more than its messages. Both are
fitted to the profile where it knows the model, and so that a measured stream, at the lengths it was measured at, is
met exactly. How long a stream's texts are is its own measurement, or else its model's, or else a rule named here.
"""

from __future__ import annotations

from dataclasses import dataclass

from pnyx.compiler.cost.interval import Estimate
from pnyx.compiler.cost.profile import Profile, StreamFacts
from pnyx.compiler.cost.shapes import Length
from pnyx.compiler.operators import Ask, DrawingOperator, Loglik, ModelOperator, Reads

__all__ = ["CHARS_PER_TOKEN", "FILL", "FRAME", "MOST_FRAME", "QUESTION_CHARS", "Lengths", "TokenFit"]

CHARS_PER_TOKEN = 4.0
"""Of English text under a vocabulary of 30,000 to 200,000 entries."""
QUESTION_CHARS = 400.0
ANSWER_CHARS = 8.0
LONGEST_ANSWER = 512.0
"""Tokens; an answer is part of a text, and few are longer."""
FRAME = 8.0
"""Tokens around the messages of a request: the markers of roles and turns."""
MOST_FRAME = 64.0
"""With a default system message or a date that a chat template may put in."""
FILL = {Reads.TEXT: 0.5, Reads.LIST: 0.5}
"""The part of max_tokens that a sample uses, where nothing was measured; a quarter for the readings not named."""
_UNMEASURED = StreamFacts()


@dataclass(frozen=True, slots=True)
class TokenFit:
    """Tokens of a prompt: `per_char` of each character, and `frame` of each request."""

    per_char: float
    frame: float

    def tokens(self, chars: float) -> float:
        return self.per_char * chars + self.frame


@dataclass(frozen=True, slots=True)
class Lengths:
    """Answers out of one profile."""

    profile: Profile

    def question(self) -> Length:
        facts = self.profile.question
        return Length(facts.chars / facts.examples if facts.examples else QUESTION_CHARS, float("inf"))

    def generated(self, operator: ModelOperator, stream: str) -> Estimate:
        """Tokens of one sample."""
        if isinstance(operator, Loglik):
            return Estimate.exactly(0)
        reads = operator.reads if isinstance(operator, Ask) else Reads.TEXT
        if reads is Reads.YES:
            return Estimate.exactly(0)
        limit = operator.sampling.max_tokens
        measured = self._facts(stream).mean_generated
        if measured is None:
            measured = self.profile.model_facts(operator.model).mean_generated
        if measured is None:
            measured = limit * FILL.get(reads, 0.25)
        return Estimate(0, min(max(measured, operator.sampling.min_tokens), limit), limit)

    def text(self, operator: DrawingOperator, stream: str, parts: float = 1.0) -> Length:
        """A text that the node makes; `parts` of them share one sample where it is read as a list."""
        generated = self.generated(operator, stream)
        measured = self._facts(stream).mean_text
        if measured is None:
            measured = generated.expected * CHARS_PER_TOKEN / max(parts, 1.0)
        return Length(measured, generated.most)

    def measured_text(self, stream: str) -> float | None:
        """Characters of a text that the node made, where that was measured."""
        return self._facts(stream).mean_text

    def answer(self, stream: str) -> Length:
        """An answer that is read out of a text."""
        measured = self._facts(stream).mean_text
        return Length(ANSWER_CHARS if measured is None else measured, LONGEST_ANSWER)

    def size(self, stream: str) -> float | None:
        """Candidates that the node gave, where that was measured."""
        return self._facts(stream).mean_size

    def prompts(self, operator: DrawingOperator, stream: str) -> float | None:
        """Prompts each time that the node ran, where that was measured."""
        facts = self._facts(stream)
        return facts.samples / operator.n / facts.results if facts.results else None

    def fit(self, model: str, stream: str) -> TokenFit:
        """Tokens of a prompt of this stream."""
        of_model = self._fit_model(model)
        facts = self._facts(stream)
        if not facts.calls or not facts.prompt_chars:
            return of_model
        per_char = (facts.prompt_tokens - of_model.frame * facts.calls) / facts.prompt_chars
        if per_char <= 0:
            return TokenFit(facts.prompt_tokens / facts.prompt_chars, 0.0)
        return TokenFit(per_char, of_model.frame)

    def _fit_model(self, model: str) -> TokenFit:
        """Least squares over the means of the model's streams, the frame kept within what frames can be."""
        known = [s for s in self.profile.streams.values() if s.model == model and s.calls and s.prompt_chars]
        if not known:
            return TokenFit(1 / CHARS_PER_TOKEN, FRAME)
        calls = sum(s.calls for s in known)
        chars = sum(s.prompt_chars for s in known) / calls
        tokens = sum(s.prompt_tokens for s in known) / calls
        spread = sum(s.calls * (s.prompt_chars / s.calls - chars) ** 2 for s in known)
        frame = FRAME
        if spread > (0.1 * chars) ** 2 * calls:
            shared = sum(
                s.calls * (s.prompt_chars / s.calls - chars) * (s.prompt_tokens / s.calls - tokens) for s in known
            )
            frame = tokens - shared / spread * chars
        frame = min(max(frame, 0.0), MOST_FRAME, tokens / 2)
        return TokenFit((tokens - frame) / chars, frame)

    def _facts(self, stream: str) -> StreamFacts:
        return self.profile.streams.get(stream) or _UNMEASURED
