"""LoRA adapters for llama.cpp: what PEFT writes becomes what llama.cpp reads, byte for byte; what is wrong is told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from masdsl.config import DEFAULT, ModelConfig
from masdsl.runtime.models import store
from masdsl.runtime.models.base import Message, ModelError, Request
from masdsl.runtime.models.engine import close_engines
from masdsl.runtime.models.lora import WEIGHTS, AdapterFault, adapter_for
from masdsl.runtime.models.registry import Models, embedded

PREFIX = "base_model.model.model.layers.{}.{}.lora_{}.weight"
CONFIG = {"peft_type": "LORA", "r": 1, "lora_alpha": 2, "bias": "none"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    if "local_model" not in request.keywords:
        monkeypatch.setenv("MASDSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def text(said: str) -> bytes:
    return struct.pack("<Q", len(said)) + said.encode()


def base_in(folder: Path, kind: str = "llama", heads: int = 2, kv: int = 1) -> str:
    """Write the beginning of weights: as far as it is read."""
    entries = [
        text("general.architecture") + struct.pack("<I", 8) + text(kind),
        text("some.list") + struct.pack("<IIQ2i", 9, 5, 2, 7, 8),
        text("llama.attention.head_count") + struct.pack("<II", 4, heads),
        text("llama.attention.head_count_kv") + struct.pack("<II", 4, kv),
        text("tokenizer.ggml.tokens") + b"never read",
    ]
    path = folder / "base.gguf"
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, len(entries)) + b"".join(entries))
    return str(path)


def adapter_in(folder: Path, tensors: dict[str, tuple[str, list[int], bytes]], **config: Any) -> str:
    place = folder / "adapter"
    place.mkdir(exist_ok=True)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (kind, shape, body) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(body)]}
        data += body
    written = json.dumps(header).encode()
    (place / WEIGHTS).write_bytes(struct.pack("<Q", len(written)) + written + data)
    (place / "adapter_config.json").write_text(json.dumps(CONFIG | config), encoding="utf-8")
    return str(place)


def plain(folder: Path, **config: Any) -> str:
    rows = struct.pack("<8f", *range(8))
    return adapter_in(
        folder,
        {
            PREFIX.format(0, "self_attn.q_proj", "A"): ("F32", [1, 3], struct.pack("<3f", 1, 2, 3)),
            PREFIX.format(0, "self_attn.q_proj", "B"): ("F32", [8, 1], rows),
            PREFIX.format(0, "mlp.up_proj", "B"): ("F16", [8, 1], struct.pack("<8e", *range(8))),
        },
        **config,
    )


def read(path: str) -> tuple[dict[str, Any], dict[str, tuple[list[int], bytes]]]:
    """Read an adapter as ggml's description of the format has it."""
    data = Path(path).read_bytes()
    magic, version, count, keys = struct.unpack_from("<4sIQQ", data)
    assert (magic, version) == (b"GGUF", 3)
    at = 24

    def said() -> str:
        nonlocal at
        (size,) = struct.unpack_from("<Q", data, at)
        at += 8 + size
        return data[at - size : at].decode()

    facts: dict[str, Any] = {}
    for _ in range(keys):
        name, (kind,) = said(), struct.unpack_from("<I", data, at)
        at += 4
        facts[name] = said() if kind == 8 else struct.unpack_from("<f", data, at)[0]
        at += 0 if kind == 8 else 4
    infos = []
    for _ in range(count):
        name = said()
        dimensions, first, second, kind, offset = struct.unpack_from("<IQQIQ", data, at)
        at += 32
        assert dimensions == 2 and offset % 32 == 0
        infos.append((name, [first, second], {0: 4, 1: 2}[kind], offset))
    start = -(-at // 32) * 32
    return facts, {
        name: (shape, data[start + offset : start + offset + shape[0] * shape[1] * size])
        for name, shape, size, offset in infos
    }


def test_an_adapter_becomes_llama_cpps(tmp_path: Path) -> None:
    facts, tensors = read(adapter_for(plain(tmp_path), base_in(tmp_path)))
    assert facts == {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 2.0,
    }
    assert set(tensors) == {"blk.0.attn_q.weight.lora_a", "blk.0.attn_q.weight.lora_b", "blk.0.ffn_up.weight.lora_b"}
    assert tensors["blk.0.attn_q.weight.lora_a"] == ([3, 1], struct.pack("<3f", 1, 2, 3))
    turned = struct.pack("<8f", 0, 2, 1, 3, 4, 6, 5, 7)  # two heads of four rows: their halves in turns
    assert tensors["blk.0.attn_q.weight.lora_b"] == ([1, 8], turned)
    assert tensors["blk.0.ffn_up.weight.lora_b"] == ([1, 8], struct.pack("<8e", *range(8)))


def test_it_is_made_once_and_scaled_by_its_rank(tmp_path: Path) -> None:
    base = base_in(tmp_path)
    first = adapter_for(plain(tmp_path), base)
    stamp = Path(first).stat().st_mtime_ns
    assert adapter_for(plain(tmp_path), base) == first and Path(first).stat().st_mtime_ns == stamp
    other = adapter_for(plain(tmp_path, use_rslora=True, r=4), base)
    assert other != first and read(other)[0]["adapter.lora.alpha"] == 4.0, "alpha / sqrt(4) = (alpha * 2) / 4"
    assert [one.name for one in Path(first).parent.iterdir() if one.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"peft_type": "IA3"}, "only plain LoRA adapters can be used here, and this one has 'IA3'"),
        ({"use_dora": True}, "this one has use_dora"),
        ({"bias": "all"}, "this one has bias"),
        ({"r": 0}, "no `r` and `lora_alpha`"),
    ],
)
def test_other_kinds_are_refused(config: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(AdapterFault, match=told):
        adapter_for(plain(tmp_path, **config), base_in(tmp_path))


def test_what_is_damaged_or_for_another_base_is_refused(tmp_path: Path) -> None:
    folder, base = plain(tmp_path), base_in(tmp_path)
    weights = Path(folder) / WEIGHTS
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    facts = {"base": "other", "base_sha256": "ab" * 32, "sha256": digest}
    (Path(folder) / "masdsl.json").write_text(json.dumps(facts), encoding="utf-8")
    assert adapter_for(folder, base, sha256=digest), "of a base whose hash is not known nothing is said"
    with pytest.raises(AdapterFault, match=r"trained on another base \(`other`, SHA-256 abababababab"):
        adapter_for(folder, base, base_sha256="cd" * 32)
    with pytest.raises(AdapterFault, match="is damaged: its SHA-256 is"):
        adapter_for(folder, base, sha256="00" * 32)
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(AdapterFault, match="is damaged: its SHA-256 is"):
        adapter_for(folder, base)


@pytest.mark.parametrize(
    ("tensors", "told"),
    [
        ({"base_model.model.lm_head.lora_A.weight": ("F32", [1, 1], b"1234")}, "no part of a LoRA adapter"),
        ({PREFIX.format(0, "mlp.up_proj", "A"): ("I64", [1, 1], b"12345678")}, "kind I64"),
        ({PREFIX.format(0, "mlp.up_proj", "A"): ("F32", [2, 1], b"1234")}, "or damaged"),
        ({PREFIX.format(0, "self_attn.q_proj", "B"): ("F32", [3, 1], bytes(12))}, "does not belong to a base"),
        ({PREFIX.format(0, "mlp.up_proj", "A"): ("F32", [1], b"1234")}, "no file of safetensors"),
    ],
)
def test_other_tensors_are_refused(tensors: dict[str, Any], told: str, tmp_path: Path, cache: Path) -> None:
    with pytest.raises(AdapterFault, match=told):
        adapter_for(adapter_in(tmp_path, tensors), base_in(tmp_path))
    assert not list((cache / "models").iterdir()), "nothing half made is left"


def test_files_that_are_no_adapter_and_no_base(tmp_path: Path) -> None:
    folder, base = plain(tmp_path), base_in(tmp_path)
    with pytest.raises(AdapterFault, match=r"adapters go onto models of the kind 'llama' here"):
        adapter_for(folder, base_in(tmp_path, kind="qwen2"))
    Path(base).write_bytes(b"GGML and more that is no metadata")
    with pytest.raises(AdapterFault, match="cannot be read as weights in the format GGUF"):
        adapter_for(folder, base)
    (Path(folder) / WEIGHTS).write_bytes(b"\0" * 4)
    with pytest.raises(AdapterFault, match="no file of safetensors"):
        adapter_for(folder, base_in(tmp_path))
    with pytest.raises(AdapterFault, match="an adapter is a folder with"):
        adapter_for(str(tmp_path / "nothing"), base)


def test_a_configuration_names_an_adapter(tmp_path: Path) -> None:
    entry = ModelConfig("mine", "gguf", path=str(tmp_path / "base.gguf"), adapter=str(tmp_path / "none"))
    base_in(tmp_path)
    with pytest.raises(ModelError, match="there is no folder .* with an adapter"):
        Models(DEFAULT._replace(models={"mine": entry}))("mine", tier=False)


# ---------------------------------------------------------------- the real model

missing = (
    "xllamacpp is not installed (extra `local`)"
    if util.find_spec("xllamacpp") is None
    else "the weights are not on this machine (mas models pull smollm2)"
    if store.where("smollm2") is None
    else ""
)


@pytest.mark.local_model
@pytest.mark.skipif(bool(missing), reason=missing)
def test_the_engine_puts_it_onto_the_weights(tmp_path: Path) -> None:
    """An adapter of zeros changes nothing; one that pushes the last layer about does."""

    def reply(folder: str) -> str:
        model = embedded(adapter=folder, called="mine") if folder else embedded()
        asked = (Message("user", "Say hello."),)
        done = asyncio.run(model.complete(Request(asked, max_tokens=8, temperature=0.0, timeout=60.0)))
        return done.text

    def adapter(name: str, value: float) -> str:
        (tmp_path / name).mkdir()
        ones = struct.pack("<576f", *[value] * 576)
        return adapter_in(
            tmp_path / name,
            {
                PREFIX.format(29, "self_attn.o_proj", "A"): ("F32", [1, 576], ones),
                PREFIX.format(29, "self_attn.o_proj", "B"): ("F32", [576, 1], ones[::-1] if value < 0 else ones),
            },
        )

    try:
        zero, pushed = reply(adapter("zero", 0.0)), reply(adapter("pushed", 40.0))
    finally:
        close_engines()
    assert zero and pushed != zero
