"""Writes the metadata of GGUF files, well-formed ones and others."""

from __future__ import annotations

import struct
from typing import Any

STRING, ARRAY, UINT32 = 8, 9, 4


def text(value: str | bytes) -> bytes:
    """Return a string as GGUF has it."""
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key: str, value: Any) -> bytes:
    """Return a key with its value: a text, a whole number, or a list of either (or of lists)."""
    kind, data = _value(value)
    return text(key) + struct.pack("<I", kind) + data


def _value(value: Any) -> tuple[int, bytes]:
    if isinstance(value, str):
        return STRING, text(value)
    if isinstance(value, int):
        return UINT32, struct.pack("<I", value)
    items = [_value(item) for item in value]
    kind = items[0][0] if items else STRING
    return ARRAY, struct.pack("<IQ", kind, len(items)) + b"".join(data for _, data in items)


def metadata(entries: dict[str, Any], *, version: int = 3, count: int | None = None) -> bytes:
    """Return a file's beginning with these entries; `count` says another number of them."""
    head = b"GGUF" + struct.pack("<IQQ", version, 0, len(entries) if count is None else count)
    return head + b"".join(entry(key, value) for key, value in entries.items())


def byte_letters() -> list[str]:
    """Return the letter that stands for each byte in vocabularies of GPT-2's kind."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (number for number in range(256) if number not in plain)
    letters = {number: chr(number) for number in plain} | {number: chr(256 + at) for at, number in enumerate(others)}
    return [letters[number] for number in range(256)]


def tokenizer(pre: str = "smollm", merges: tuple[str, ...] = ("a b", "ab c", "1 2"), **more: Any) -> dict[str, Any]:
    """Return the entries of a small tokenizer: all bytes, and what the merges make."""
    tokens = [*byte_letters(), *(merge.replace(" ", "") for merge in merges)]
    return {
        "general.architecture": "llama",
        "general.name": "Small",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * len(tokens),
        "tokenizer.ggml.merges": list(merges),
        **more,
    }
