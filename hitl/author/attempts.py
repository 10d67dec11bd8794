"""Asking again, while the data type's own validators refuse the answers. Each time is a question of its own."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from hitl.author.asking import AskedQuestion, ask_again
from hitl.core.question import Question
from hitl.errors import EventUnusable
from hitl.records.evidence import Piece


@dataclass(frozen=True)
class Attempts:
    """How often a question may still be asked.

    Args:
        question: The question, as the author asks it.
        key: The author's name for it, if any.
        pieces: What is shown beside it.
        left: How often it may still be asked again.
        number: How often it was asked.
    """

    question: Question
    key: str | None
    pieces: tuple[Piece, ...]
    left: int
    number: int = 1

    async def ask_again(self, asked: AskedQuestion, unusable: EventUnusable) -> tuple[AskedQuestion, Attempts]:
        """Ask once more: the form holds the refused answer, and says what is wrong with it.

        A task that was restarted comes to the same question, as the answer before is recorded.

        Args:
            asked: The question whose answer is refused.
            unusable: The refusal.

        Raises:
            RequestMismatch: another question is stored under the key.
            StorageError: the question cannot be stored.
        """
        question = self.question.with_refused(unusable.outcome.value, unusable.details)
        number = self.number + 1
        key = None if self.key is None else f"{self.key}#{number}"
        again = await ask_again(asked, question, key=key, pieces=self.pieces)
        return again, dataclasses.replace(self, left=self.left - 1, number=number)
