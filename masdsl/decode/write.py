"""Writes a text piece by piece: a model fills each piece in within its grammar, the checker takes or refuses it.

What is written is a program, a binding or a patch (`Growing`); `write` is for programs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from masdsl.decode.draft import Draft, Refused, closed, fed
from masdsl.decode.pieces import PieceGrammar, next_piece

TRIES: Final = 4
"""How often a model may try one piece before the draft is closed."""

D = TypeVar("D")


class Piece(NamedTuple):
    """What a model wrote: a whole piece, unless `whole` is false because it ran out of tokens. `tokens` were sampled or
    forced by the grammar, `forced` are those of them that were forced, where that is known."""

    text: str
    whole: bool
    tokens: int
    forced: int = 0


class CutOff(Exception):
    """A piece that the model did not bring to its end."""

    def __str__(self) -> str:
        return "it has no end within the tokens of a piece"


class PieceModel(Protocol):
    """A model that goes on with a text and keeps to a grammar."""

    async def piece(self, prefix: str, grammar: PieceGrammar, *, most: int, seed: int) -> Piece:
        """Return the next piece of a text that begins with `prefix`, in at most `most` tokens. Raises ModelError."""
        ...


class Growing(NamedTuple, Generic[D]):
    """What a draft of some kind can do: all functions are pure.

    `shown` is what stands so far, `next_piece` the grammar of what may follow (None: nothing but the end), `fed` the
    draft with one more piece (raises Refused), `done` whether it is whole, `closed` the shortest whole text from here,
    `retreat` the draft to go on with after a piece was refused: what it takes away counts as nothing achieved.
    """

    shown: Callable[[D], str]
    next_piece: Callable[[D], PieceGrammar | None]
    fed: Callable[[D, str], D]
    done: Callable[[D], bool]
    closed: Callable[[D], str]
    retreat: Callable[[D], D]


class Written(NamedTuple):
    """A text that was written: sound, and within its budget whatever the model did.

    `finished` says that the model itself came to the end; otherwise the draft was closed for it, because of `reason`.
    `refused` are the pieces that the checker refused, with why. Tokens are those of the model.
    """

    text: str
    finished: bool
    reason: str
    pieces: int
    tokens: int
    forced: int
    refused: tuple[tuple[str, str], ...]


async def write(draft: Draft, model: PieceModel, *, tokens: int, seed: int = 0, tries: int = TRIES) -> Written:
    """Let a model write a program's draft to its end, in at most `tokens` tokens. Raises ModelError as the model does.

    A piece that the checker refuses is asked for again, with another seed; after `tries` of one place the draft is
    closed there, as it is when the tokens run out.
    """
    return await grown(PROGRAM, draft, model, tokens=tokens, seed=seed, tries=tries)


async def grown(
    kind: Growing[D], draft: D, model: PieceModel, *, tokens: int, seed: int = 0, tries: int = TRIES
) -> Written:
    """Do what `write` does, for a draft of any kind. Raises ModelError as the model does."""
    used = forced = pieces = failed = asked = 0
    refused: list[tuple[str, str]] = []
    reason = ""
    while not kind.done(draft) and not reason:
        grammar = kind.next_piece(draft)
        if grammar is None:
            reason = "nothing else fits"
        elif used >= tokens:
            reason = f"the limit of {tokens} tokens was reached"
        else:
            piece = await model.piece(kind.shown(draft), grammar, most=tokens - used, seed=seed * 1_000 + asked)
            asked += 1
            used += piece.tokens
            forced += piece.forced
            try:
                if not piece.whole:
                    raise CutOff
                draft = kind.fed(draft, piece.text)
                pieces += 1
                if kind.retreat(draft) == draft:
                    failed = 0
            except (CutOff, Refused) as error:
                refused.append((piece.text, str(error)))
                failed += 1
                draft = kind.retreat(draft)
                if failed >= tries:
                    reason = f"{tries} pieces in a row were refused, the last because {error}"
    return Written(kind.closed(draft), not reason, reason, pieces, used, forced, tuple(refused))


PROGRAM: Final = Growing[Draft](
    shown=lambda draft: draft.text + draft.head,
    next_piece=next_piece,
    fed=fed,
    done=lambda draft: draft.done,
    closed=lambda draft: draft.text if draft.done else closed(draft),
    retreat=lambda draft: draft,
)
