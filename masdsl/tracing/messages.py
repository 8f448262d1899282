"""What models were told and said, for spans that have contents."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, TypeAlias

from masdsl.runtime.models.around import ModelAround
from masdsl.runtime.models.base import ChatModel, Reply, Request
from masdsl.tracing import names

Heard: TypeAlias = tuple[str, int]
"""The address of a step, and the number of its attempt."""


class Said(NamedTuple):
    """A request, and the reply to it, if there was one."""

    request: Request
    reply: Reply | None

    def attributes(self, longest: int) -> dict[str, Any]:
        """Return it as attributes of the call's span; texts have at most so many characters."""
        request, reply = self.request, self.reply
        system = [one for one in request.messages if one.role == "system"]
        rest = [one for one in request.messages if one.role != "system"]
        found: dict[str, Any] = {
            names.REQUEST_MAX_TOKENS: request.max_tokens,
            names.INPUT_MESSAGES: _clipped([_message(one.role, one.content) for one in rest], longest),
        }
        if system:
            found[names.SYSTEM_INSTRUCTIONS] = _clipped([_part(one.content) for one in system], longest)
        if request.temperature is not None:
            found[names.REQUEST_TEMPERATURE] = request.temperature
        if request.seed is not None:
            found[names.REQUEST_SEED] = request.seed
        if reply is not None:
            said = _message("assistant", reply.text) | {"finish_reason": reply.finish}
            found |= {
                names.OUTPUT_MESSAGES: _clipped([said], longest),
                names.RESPONSE_MODEL: reply.model,
                names.FINISH_REASONS: (reply.finish,),
            }
        return found


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "parts": [_part(content)]}


def _part(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def _clipped(data: list[dict[str, Any]], longest: int) -> str:
    """Return messages as JSON in which each text has at most its share of the characters."""
    share = max(longest // max(len(data), 1), 1)
    for one in data:
        for part in one.get("parts", [one]):
            if len(part["content"]) > share:
                part["content"] = f"{part['content'][: share - 1]}…"
    return json.dumps(data, ensure_ascii=False)


class TracedModel(ModelAround):
    """A model of which it is kept what it was told and said, until the span of the call is made."""

    def __init__(self, model: ChatModel, said: dict[Heard, Said]) -> None:
        super().__init__(model)
        self._said = said

    async def complete(self, request: Request) -> Reply:
        """Answer one request. Raises ModelError like the model."""
        where = (request.step, request.attempt)
        self._said[where] = Said(request, None)
        reply = await super().complete(request)
        self._said[where] = Said(request, reply)
        return reply
