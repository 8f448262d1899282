"""What makes a finished step worth keeping: hashes of its inputs and of its declaration, and of what a model is asked.

Whether a row of a journal answers a step is a matter of two hashes besides its address: `args` of the inputs after
they were fitted to their types, `decl` of the declaration as far as it says what will happen. Names of agents and of
types, an agent's doc, and defaults are no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from masdsl.journal.codec import canonical, canonical_texts
from masdsl.runtime.agent import Agent
from masdsl.runtime.models.base import Request
from masdsl.runtime.shapes import (
    BoolShape,
    EnumShape,
    FloatShape,
    IntShape,
    ListShape,
    OptionalShape,
    RecordShape,
    Shape,
    TextShape,
    plain,
)
from masdsl.runtime.tool import Tool

EDITION: Final = 1
"""The language's edition: what a declaration means is part of what it says."""


def digest(*parts: bytes) -> bytes:
    """Return 16 bytes that differ where the parts do, wherever one ends and the next begins."""
    pieces = []
    for part in parts:
        pieces.append(len(part).to_bytes(8, "big"))
        pieces.append(part)
    return blake2b(b"".join(pieces), digest_size=16).digest()


def args_hash(values: Mapping[str, Any]) -> bytes:
    """Return the hash of a step's fitted inputs."""
    for value in values.values():
        if type(value) is not str:
            return digest(canonical({name: plain(value) for name, value in values.items()}))
    return digest(canonical_texts(values))


def agent_hash(agent: Agent[Any], model: str) -> bytes:
    """Return the hash of an agent's declaration, with the name of the model that its tier stands for."""
    found = agent.hashes.get(model)
    if found is None:
        declaration = {
            "prompt": agent.prompt.text,
            "role": agent.role,
            "inputs": _inputs(agent),
            "returns": described(agent.returns),
            "temperature": agent.temperature,
            "max": agent.max_tokens,
            "retries": agent.retries,
            "timeout": agent.timeout,
            "tools": [[tool.name, tool.doc, tool_hash(tool).hex()] for tool in agent.tools],
            "steps": agent.steps,
        }
        found = agent.hashes[model] = digest(b"agent", str(EDITION).encode(), canonical(declaration), canonical(model))
    return found


def tool_hash(tool: Tool[Any]) -> bytes:
    """Return the hash of a tool's declaration: what it is granted as, its types, and whether it changes the world."""
    if tool.hash is None:
        declaration = {
            "granted": tool.granted_as,
            "effect": tool.effect,
            "inputs": _inputs(tool),
            "returns": described(tool.returns),
        }
        tool.hash = digest(b"tool", str(EDITION).encode(), canonical(declaration))
    return tool.hash


def request_hash(request: Request) -> str:
    """Return the hash of the messages of a request; all else that a model is asked follows from the declaration."""
    return digest(*[part.encode("utf-8", "surrogatepass") for message in request.messages for part in message]).hex()


def idempotency_key(run: str, path: str, indices: tuple[int, ...], generation: int) -> str:
    """Return the key of one use of a tool with an effect.

    It is the same however often the run is resumed; `generation` counts the uses that were finished at this address
    before.
    """
    return digest(run.encode(), path.encode(), canonical(list(indices)), str(generation).encode()).hex()


def _inputs(owner: Agent[Any] | Tool[Any]) -> list[list[Any]]:
    return [[name, described(shape)] for name, shape in owner.parameters.shapes.items()]


def described(shape: Shape) -> Any:
    """Return a type as JSON, by what values it has."""
    match shape:
        case TextShape(cap):
            return ["text", cap]
        case IntShape():
            return "int"
        case FloatShape():
            return "float"
        case BoolShape():
            return "bool"
        case EnumShape(_, words):
            return ["enum", *words]
        case ListShape(element, low, high):
            return ["list", described(element), low, high]
        case OptionalShape(inner):
            return ["optional", described(inner)]
        case RecordShape(_, fields):
            return ["record", *([field.name, described(field.shape)] for field in fields)]
