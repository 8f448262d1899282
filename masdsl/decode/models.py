"""Chat models that keep to grammars, as what fills in the pieces of a draft."""

from __future__ import annotations

from masdsl.decode.pieces import PieceGrammar
from masdsl.decode.write import Piece
from masdsl.runtime.models.base import ChatModel, Message, ModelError, Request, grammars_of


class NoGrammar(ValueError):
    """A model that cannot be held to a grammar."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} takes no grammars; let it write plain text, or use a model that runs here")


class GrammarModel:
    """A chat model that is asked for one piece after the other: it goes on with what is written, within a grammar.

    `messages` are what it is asked, before the text; `opening` is how its reply begins, in front of the text. Raises
    NoGrammar for a model that cannot be held to one. What it took is in `calls`, `tokens_in` and `tokens_out`; counts
    that a model does not tell are 0.
    """

    def __init__(
        self,
        model: ChatModel,
        messages: tuple[Message, ...],
        *,
        temperature: float | None = None,
        timeout: float | None = None,
        piece_tokens: int = 256,
        opening: str = "",
    ) -> None:
        self._target = grammars_of(model)
        if not self._target:
            raise NoGrammar(model.name)
        self._model = model
        self._messages = messages
        self._temperature = temperature
        self._timeout = timeout
        self._piece_tokens = piece_tokens
        self._opening = opening
        self.calls = self.tokens_in = self.tokens_out = 0

    async def piece(self, prefix: str, grammar: PieceGrammar, *, most: int, seed: int) -> Piece:
        """Return the next piece. Raises ModelError."""
        request = Request(
            messages=(*self._messages, Message("assistant", self._opening + prefix)),
            max_tokens=min(most, self._piece_tokens),
            temperature=self._temperature,
            timeout=self._timeout,
            seed=seed,
            grammar=grammar.written(self._target),
        )
        self.calls += 1
        reply = await self._model.complete(request)
        if reply.finish == "other":
            raise ModelError(
                "connection", f"{self._model.name} ended a piece of a grammar without a reason", billed=True
            )
        tokens = reply.output_tokens or 0
        self.tokens_in += reply.input_tokens or 0
        self.tokens_out += tokens
        return Piece(reply.text, reply.finish == "stop" and reply.text.endswith("\n"), tokens)
