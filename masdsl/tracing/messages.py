"""What models were told and said, for spans that have contents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from masdsl.runtime.models.around import ModelAround
from masdsl.runtime.models.base import ChatModel, Reply, Request
from masdsl.tracing import names

LONGEST: Final = 20_000
"""Characters of a text that a span has at most: backends refuse spans of megabytes."""
Heard: TypeAlias = tuple[str, int]
"""The address of a step, and the number of its attempt."""


class Said(NamedTuple):
    """A request, and the reply to it, if there was one."""

    request: Request
    reply: Reply | None

    def attributes(self, longest: int = LONGEST) -> dict[str, Any]:
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


def short(text: str, most: int = LONGEST) -> str:
    """Return a text with at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def arguments(inputs: Mapping[str, Any]) -> str:
    """Return the arguments of a tool as JSON in which each has at most its share of the characters."""
    share = max(LONGEST // max(len(inputs), 1), 1)
    told = {
        name: value if len(as_text(value)) <= share else short(as_text(value), share) for name, value in inputs.items()
    }
    return json.dumps(told, ensure_ascii=False)


def as_text(value: Any) -> str:
    """Return JSON data as the text of an attribute; a text as it is."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
