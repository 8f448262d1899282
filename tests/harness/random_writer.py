"""A model that knows nothing: it goes on with any byte that a grammar allows. What it writes shows what a grammar lets
through."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import llguidance

from masdsl.decode.pieces import PieceGrammar
from masdsl.decode.write import Piece
from masdsl.runtime.models.base import Price, Reply, Request

_ENDS = '"(\n :'
"""Bytes that end something: they are preferred now and then, so that names and texts stay short."""


@cache
def _bytes() -> Any:
    return llguidance.LLTokenizer("byte")


class RandomWriter:
    """Samples bytes evenly under the mask; a token is a byte."""

    def __init__(self, ends: float = 0.15) -> None:
        self.ends = ends

    async def piece(self, prefix: str, grammar: PieceGrammar, *, most: int, seed: int) -> Piece:
        """Return a random piece of the grammar."""
        return self.sample(grammar.written("llguidance"), most, seed)

    def sample(self, grammar: str, most: int, seed: int) -> Piece:
        """Return a random text of a grammar in llguidance's notation, cut after `most` bytes."""
        choice = random.Random(seed)
        matcher = llguidance.LLMatcher(_bytes(), llguidance.LLMatcher.grammar_from_lark(grammar), log_level=0)
        assert not matcher.is_error(), matcher.get_error()
        out: list[int] = []
        forced = 0
        while not matcher.is_stopped() and len(out) <= most:
            fixed = matcher.compute_ff_tokens()
            if fixed:
                matcher.consume_tokens(fixed)
                out += fixed
                forced += len(fixed)
                continue
            mask = matcher.compute_bitmask()
            allowed = [one for one in range(256) if mask[one // 8] >> (one % 8) & 1]
            if not allowed:
                break
            ends = [one for one in allowed if chr(one) in _ENDS]
            out.append(choice.choice(ends if ends and choice.random() < self.ends else allowed))
            assert matcher.consume_token(out[-1])
        text = bytes(one for one in out if one < 256).decode(errors="replace")
        return Piece(text, len(out) <= most, min(len(out), most), forced)


class RandomChat:
    """The same as a chat model: the last message is what it goes on with."""

    name = "random"
    price = Price(0.0, 0.0)
    grammars = "llguidance"

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def complete(self, request: Request) -> Reply:
        """Answer a request that has a grammar."""
        self.requests.append(request)
        piece = RandomWriter().sample(request.grammar, request.max_tokens, request.seed or 0)
        return Reply(piece.text, 7, piece.tokens, finish="stop" if piece.whole else "length")

    async def close(self) -> None:
        """Do nothing."""
