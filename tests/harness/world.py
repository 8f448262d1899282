"""What agents and tools of generated programs answer: a pure function of who is asked and what."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from tests.harness.reference import StepFailure, World

WORDS = ("math", "code", "other")


def hashed_world(seed: int, failures: int = 12) -> World:
    """Return a world whose answers differ with the inputs; one call in `failures` fails (none where that is 0)."""

    def answer(kind: str, name: str, inputs: dict[str, Any]) -> Any:
        digest = sha256(
            json.dumps([seed, kind, name, inputs], sort_keys=True).encode("utf-8", "surrogatepass")
        ).digest()
        if failures and digest[0] % failures == 0:
            raise StepFailure(name)
        return value_of(name.removeprefix("ask_"), digest)

    return answer


def value_of(kind: str, digest: bytes) -> Any:
    word = digest[1:4].hex()
    match kind:
        case "text" | "look":
            return f"{word} {'x' * (digest[4] % 7)}"
        case "int" | "send":
            return digest[4] - 100
        case "float":
            return digest[4] / 8
        case "bool":
            return digest[4] % 2 == 0
        case "kind":
            return WORDS[digest[4] % 3]
        case "review":
            notes = [digest[5 + at : 7 + at].hex() for at in range(digest[5] % 4)]
            return {"ok": digest[6] % 2 == 0, "score": digest[7], "kind": WORDS[digest[8] % 3], "notes": notes}
        case "texts":
            return [digest[9 + at : 11 + at].hex() for at in range(digest[10] % 5)]
        case "ints":
            return [digest[11 + at] - 50 for at in range(1 + digest[12] % 3)]
        case "maybe":
            return None if digest[13] % 2 else word
    raise AssertionError(kind)
