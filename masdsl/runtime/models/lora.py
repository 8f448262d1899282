"""LoRA adapters of PEFT's for llama.cpp: safetensors in, an adapter in the format GGUF out, in plain Python.

An adapter is a folder: `adapter_config.json`, `adapter_model.safetensors`, and, as `python -m training.sft` writes it,
`masdsl.json` with the SHA-256 of the weights and of the base that they were trained on. Both are compared. What
llama.cpp reads is made once and kept in the cache. Rows of the query and key matrices change places on the way: the two
formats pair the numbers that rotary embeddings turn in different ways.

Sources: the formats GGUF (ggml, docs/gguf.md) and safetensors; `convert_lora_to_gguf.py` of llama.cpp.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final, NamedTuple

from masdsl.resources import cache_directory

WEIGHTS: Final = "adapter_model.safetensors"
_CONFIG: Final = "adapter_config.json"
_FACTS: Final = "masdsl.json"
_LARGEST: Final = 4 << 30
_LONGEST_HEADER: Final = 64 << 20
_TYPES: Final[Mapping[str, tuple[int, int]]] = {"F32": (0, 4), "F16": (1, 2), "BF16": (30, 2)}
"""Types of numbers: what GGUF calls them, and their bytes."""
_NAMES: Final[Mapping[str, str]] = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_ALIGNMENT: Final = 32
_FIXED: Final[Mapping[int, str]] = dict(enumerate(("B", "b", "H", "h", "I", "i", "f", "?"))) | {
    10: "Q",
    11: "q",
    12: "d",
}
"""Types of metadata in GGUF that have one size, as `struct` calls them; 8 is a text, 9 a list."""


class AdapterFault(Exception):
    """An adapter that cannot be used. The text says which, why, and what to do next."""


class _Tensor(NamedTuple):
    name: str
    type: str
    shape: tuple[int, int]
    begin: int
    end: int


def adapter_for(folder: str, base: str, *, base_sha256: str = "", sha256: str = "") -> str:
    """Return the path of an adapter as llama.cpp reads it; it is made where it is not in the cache yet.

    Args:
        folder: the adapter as PEFT writes it.
        base: the file of weights that it goes onto, in the format GGUF.
        base_sha256: that file's SHA-256 where it is known; an adapter that says another one is refused.
        sha256: what the adapter's weights have to be, where somebody else than the folder says so.

    Raises AdapterFault for what is missing, damaged, for another base or of another kind.
    """
    weights = os.path.join(folder, WEIGHTS)
    found = _digest(weights)
    facts = _facts(folder)
    expected = sha256 or facts.get("sha256", "")
    if expected and found != expected:
        raise AdapterFault(f"{weights} is damaged: its SHA-256 is {found}, not {expected}; copy or install it again")
    if base_sha256 and facts.get("base_sha256", base_sha256) != base_sha256:
        raise AdapterFault(
            f"the adapter in {folder} was trained on another base (`{facts.get('base', 'unknown')}`, SHA-256"
            f" {facts['base_sha256'][:12]}..) than {base}; name that one as `path`"
        )
    heads = _heads(base)
    root = cache_directory()
    if root is None:
        raise AdapterFault("there is no cache folder: set MASDSL_CACHE to a folder of yours")
    alpha = _alpha(folder)
    name = hashlib.sha256(f"{found} {heads} {alpha}".encode()).hexdigest()[:16]
    place = os.path.join(os.path.abspath(root), "models", f"adapter-{name}.gguf")
    if not os.path.isfile(place):
        try:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            handle, made = tempfile.mkstemp(prefix=".adapter-", dir=os.path.dirname(place))
            try:
                with open(weights, "rb") as source, open(handle, "wb") as target:
                    _convert(weights, source, target, heads, alpha)
                os.replace(made, place)
            finally:
                if os.path.exists(made):
                    os.remove(made)
        except OSError as error:
            raise AdapterFault(
                f"{place} cannot be written: {_reason(error)}; make room or rights there, or set MASDSL_CACHE to"
                " another folder"
            ) from None
    return place


# ---------------------------------------------------------------- what an adapter says of itself


def _digest(path: str) -> str:
    try:
        if os.path.getsize(path) > _LARGEST:
            raise AdapterFault(f"{path} has more than {_LARGEST >> 30} GB: that is no adapter")
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AdapterFault(
            f"{path} cannot be read: {_reason(error)}; an adapter is a folder with {_CONFIG} and {WEIGHTS}"
        ) from None


def _json(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except OSError as error:
        raise AdapterFault(f"{path} cannot be read: {_reason(error)}; copy the adapter again") from None
    except ValueError as error:
        raise AdapterFault(f"{path} is no JSON: {error}; copy the adapter again") from None
    if not isinstance(found, dict):
        raise AdapterFault(f"{path} is no object in JSON; copy the adapter again")
    return found


def _facts(folder: str) -> dict[str, str]:
    path = os.path.join(folder, _FACTS)
    if not os.path.exists(path):
        return {}
    return {name: value for name, value in _json(path).items() if isinstance(value, str)}


def _alpha(folder: str) -> float:
    """Return alpha as llama.cpp takes it: an adapter is scaled by alpha over its rank."""
    path = os.path.join(folder, _CONFIG)
    config = _json(path)
    unknown = [key for key in ("use_dora", "modules_to_save", "alpha_pattern", "rank_pattern") if config.get(key)]
    if config.get("peft_type") != "LORA" or unknown or config.get("bias", "none") != "none":
        what = ", ".join(unknown) or ("bias" if config.get("peft_type") == "LORA" else repr(config.get("peft_type")))
        raise AdapterFault(f"{path}: only plain LoRA adapters can be used here, and this one has {what}")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or rank < 1 or not isinstance(alpha, int | float):
        raise AdapterFault(f"{path} has no `r` and `lora_alpha`; copy the adapter again")
    return alpha * math.sqrt(rank) if config.get("use_rslora") else float(alpha)


# ---------------------------------------------------------------- the base


def _heads(path: str) -> tuple[int, int]:
    """Return how many heads queries and keys of a base have. Raises AdapterFault for one that is no llama."""
    try:
        with open(path, "rb") as file:
            found = _metadata(file)
    except (OSError, struct.error, UnicodeDecodeError, MemoryError, OverflowError, KeyError) as error:
        raise AdapterFault(f"{path} cannot be read as weights in the format GGUF: {error}") from None
    kind = found.get("general.architecture")
    if kind != "llama":
        raise AdapterFault(f"{path} is of the kind {kind!r}; adapters go onto models of the kind 'llama' here")
    queries = found.get("llama.attention.head_count", 0)
    return queries, found.get("llama.attention.head_count_kv", queries)


def _metadata(file: BinaryIO) -> dict[str, Any]:
    magic, _version, _tensors, count = struct.unpack("<4sIQQ", file.read(24))
    if magic != b"GGUF":
        raise struct.error("it does not begin as GGUF does")
    found: dict[str, Any] = {}
    for _ in range(count):
        key = _text(file)
        if key.startswith("tokenizer."):
            break  # they come last, and are long
        (kind,) = struct.unpack("<I", file.read(4))
        found[key] = _value(file, kind)
    return found


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == 8:
        return _text(file)
    if kind == 9:
        inner, count = struct.unpack("<IQ", file.read(12))
        return [_value(file, inner) for _ in range(count)]
    form = "<" + _FIXED[kind]
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _text(file: BinaryIO) -> str:
    (size,) = struct.unpack("<Q", file.read(8))
    if size > _LONGEST_HEADER:
        raise struct.error("a text in it is too long")
    return file.read(size).decode("utf-8")


# ---------------------------------------------------------------- safetensors to GGUF


def _convert(path: str, source: BinaryIO, target: BinaryIO, heads: tuple[int, int], alpha: float) -> None:
    tensors, start = _tensors(path, source)
    entries = [
        (b"general.architecture", 8, _packed("llama")),
        (b"general.type", 8, _packed("adapter")),
        (b"adapter.type", 8, _packed("lora")),
        (b"adapter.lora.alpha", 6, struct.pack("<f", alpha)),
    ]
    head = [struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(entries))]
    head += [struct.pack("<Q", len(key)) + key + struct.pack("<I", kind) + value for key, kind, value in entries]
    offset = 0
    for one in tensors:
        rows, columns = one.shape
        head.append(
            _packed(_renamed(path, one.name))
            + struct.pack("<IQQIQ", 2, columns, rows, _TYPES[one.type][0], offset)  # GGUF has the fastest one first
        )
        offset += _padded(one.end - one.begin)
    written = b"".join(head)
    target.write(written + bytes(_padded(len(written)) - len(written)))
    for one in tensors:
        source.seek(start + one.begin)
        data = source.read(one.end - one.begin)
        if len(data) != one.end - one.begin:
            raise AdapterFault(f"{path} is cut off; copy it again")
        if one.name.endswith("q_proj.lora_B.weight"):
            data = b"".join(_turned(data, one.shape[0], heads[0]))
        elif one.name.endswith("k_proj.lora_B.weight"):
            data = b"".join(_turned(data, one.shape[0], heads[1]))
        target.write(data + bytes(_padded(len(data)) - len(data)))


def _tensors(path: str, file: BinaryIO) -> tuple[list[_Tensor], int]:
    """Return the tensors of a file of safetensors, by name, and where their data begins."""
    try:
        (size,) = struct.unpack("<Q", file.read(8))
        if size > _LONGEST_HEADER:
            raise ValueError("its header is too long")
        header = json.loads(file.read(size))
        found = []
        for name, entry in sorted(header.items()):
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                rows, columns = entry["shape"]
                found.append(_Tensor(name, entry["dtype"], (rows, columns), begin, end))
    except (ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise AdapterFault(f"{path} is no file of safetensors ({error}); copy it again") from None
    for one in found:
        if one.type not in _TYPES or one.end - one.begin != one.shape[0] * one.shape[1] * _TYPES[one.type][1]:
            raise AdapterFault(f"{path}: `{one.name}` is of the kind {one.type}, which cannot be used, or damaged")
    return found, 8 + size


def _renamed(path: str, name: str) -> str:
    """Return what llama.cpp calls a matrix of PEFT's."""
    parts = name.split(".")
    try:
        at = parts.index("layers")
        layer, module, half = int(parts[at + 1]), _NAMES[".".join(parts[at + 2 : -2])], parts[-2]
        return f"blk.{layer}.{module}.weight.{ {'lora_A': 'lora_a', 'lora_B': 'lora_b'}[half] }"
    except (ValueError, KeyError, IndexError):
        raise AdapterFault(
            f"{path}: `{name}` is no part of a LoRA adapter for linear layers of a llama; train one with"
            ' targets = ["all-linear"]'
        ) from None


def _turned(data: bytes, rows: int, heads: int) -> Iterator[bytes]:
    """Yield the rows of a matrix in llama.cpp's order: of each head, the two halves in turns."""
    if not heads or rows % (2 * heads):
        raise AdapterFault(f"a matrix with {rows} rows does not belong to a base with {heads} heads; name its own base")
    width, size = len(data) // rows, rows // heads
    for head in range(heads):
        for at in range(size // 2):
            for half in (0, 1):
                row = head * size + half * (size // 2) + at
                yield data[row * width : (row + 1) * width]


def _packed(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
