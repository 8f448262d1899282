"""Tokenizers from files: exact where the file is good, a reason on one line where it is not."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masdsl import tokenizers as module
from masdsl.runtime.models.base import Message, Request
from masdsl.runtime.models.engine import close_engines
from masdsl.runtime.models.registry import embedded
from masdsl.runtime.models.store import where
from masdsl.tokenizers import SPLITTINGS, Counter, TokenizerError, counter_from_gguf, counter_from_json
from tests.harness.counting import litellm_folder, texts
from tests.harness.gguf import entry, metadata, text, tokenizer

ANTHROPIC = litellm_folder() / "anthropic_tokenizer.json"
GOOD = metadata(tokenizer())


def gguf(path: Path, data: bytes) -> Path:
    file = path / "weights.gguf"
    file.write_bytes(data)
    return file


def reason(path: Path) -> str:
    """Return what is wrong with a file of either kind: a short text on one line."""
    read = counter_from_json if path.suffix == ".json" else counter_from_gguf
    with pytest.raises(TokenizerError) as caught:
        read(path)
    said = str(caught.value)
    assert said and "\n" not in said and len(said) < 300
    return said


# ---------------------------------------------------------------- GGUF


@pytest.mark.parametrize(
    ("pre", "said", "tokens"),
    [
        ("smollm", "", 0),
        ("smollm", "abc", 1),
        ("smollm", "abcab", 2),
        ("smollm", "ab c", 3),  # a blank goes with what follows
        ("smollm", "1212", 4),  # each digit apart, whatever merges there are
        ("gpt-2", "1212", 2),
        ("llama-bpe", "12121", 4),  # three digits at a time: 12 1, 2 1
        ("qwen2", "1212", 4),
        ("smollm", "é", 2),
        ("smollm", "\ud800", 3),  # nobody can send a lone surrogate; what stands for it is counted
        ("smollm", "a\n\n\nb", 5),
    ],
)
def test_texts_are_cut_as_the_weights_say(tmp_path: Path, pre: str, said: str, tokens: int) -> None:
    counter = counter_from_gguf(gguf(tmp_path, metadata(tokenizer(pre))))
    assert counter is not None
    assert counter.count(said) == tokens


def test_a_counter_has_a_name_and_a_digest_of_what_it_counts_by(tmp_path: Path) -> None:
    def digest(**entries: Any) -> str:
        counter = counter_from_gguf(gguf(tmp_path, metadata(tokenizer(**entries))))
        assert counter is not None
        return counter.digest

    counter = counter_from_gguf(gguf(tmp_path, GOOD))
    assert counter is not None and counter.name == "Small"
    assert counter.digest == digest() == digest(**{"llama.block_count": 30})
    assert len({digest(), digest(pre="gpt-2"), digest(merges=("a b", "1 2"))}) == 3
    assert all(len(bytes.fromhex(made)) == 32 for made in (counter.digest, digest()))


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenizer.ggml.pre": "some-new-kind"},
        {"tokenizer.ggml.pre": 7},
        {"tokenizer.ggml.model": "llama"},
        {"tokenizer.ggml.model": "bert"},
    ],
)
def test_kinds_that_are_not_known_have_no_counter(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert counter_from_gguf(gguf(tmp_path, metadata(tokenizer() | changes))) is None


@pytest.mark.parametrize("pre", SPLITTINGS)
def test_every_known_kind_can_be_built(tmp_path: Path, pre: str) -> None:
    counter = counter_from_gguf(gguf(tmp_path, metadata(tokenizer(pre))))
    assert counter is not None
    assert counter.count("Isn't it 12:30?\r\n\tYes 😀") >= 20


HUGE = 2**63


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is no file of weights in the format GGUF"),
        (b"GGML" + GOOD[4:], "it is no file of weights in the format GGUF"),
        (b"GGUF\0\0\0\3" + GOOD[8:], "it is in version 50331648 of GGUF; 2 and 3 are known"),
        (metadata(tokenizer(), version=1), "it is in version 1 of GGUF; 2 and 3 are known"),
        (metadata({"general.name": "x"}), "it holds no tokenizer"),
        (metadata({}, count=HUGE), "it is damaged: it ends too early"),
        (metadata(tokenizer(), count=99), "it is damaged: it ends too early"),
        (metadata({}, count=1) + struct.pack("<Q", HUGE) + b"x" * 50, "it is damaged: it ends too early"),
        (metadata({}, count=1) + text("a") + struct.pack("<IQ", 8, HUGE), "it is damaged: it ends too early"),
        (metadata({}, count=1) + text("a") + struct.pack("<IIQ", 9, 8, HUGE), "it is damaged: it ends too early"),
        (metadata({}, count=1) + text("a") + struct.pack("<IIQ", 9, 12, HUGE), "it is damaged: it ends too early"),
        (metadata({}, count=1) + text("a") + struct.pack("<I", 99), "it is damaged: a value is of no known kind"),
        (metadata({"x": [[[[[[[1]]]]]]]}), "it is damaged: a value is of no known kind"),
        (metadata(tokenizer() | {"tokenizer.ggml.tokens": "abc"}), "its tokenizer has no list of tokens"),
        (metadata(tokenizer() | {"tokenizer.ggml.merges": [1]}), "its tokenizer has no list of merges"),
        (metadata(tokenizer(merges=("a b",)) | {"tokenizer.ggml.merges": ["a q"]}), "merges tokens that it does not"),
        (
            metadata(tokenizer() | {"tokenizer.ggml.merges": ["ab"]}),
            "its tokenizer merges tokens that it does not have",
        ),
    ],
)
def test_damaged_weights(tmp_path: Path, data: bytes, said: str) -> None:
    assert said in reason(gguf(tmp_path, data))


def test_too_many_values_are_refused_before_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_VALUES", 200)
    assert reason(gguf(tmp_path, GOOD)) == "it is damaged: it holds too many values"


def test_weights_that_end_anywhere(tmp_path: Path) -> None:
    for end in range(0, len(GOOD), 7):
        reason(gguf(tmp_path, GOOD[:end]))
    assert counter_from_gguf(gguf(tmp_path, GOOD + b"\xff" * 99)) is not None, "tensors follow"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(4, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_weights_with_other_bytes(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, byte in changes:
        data[at] = byte
    try:
        counter = counter_from_gguf(gguf(tmp_path, bytes(data)))
    except TokenizerError as error:
        assert "\n" not in str(error)
    else:
        assert counter is None or counter.count("abc 12") >= 1


def test_entries_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    more = {"a.texts": ["x", "y"], "b.rows": [[1, 2], [3]], "c.scores": [1, 2, 3], "d": "é" * 99}
    plain = counter_from_gguf(gguf(tmp_path, GOOD))
    counter = counter_from_gguf(gguf(tmp_path, metadata(more | tokenizer() | {"z": entry("q", 1).hex()})))
    assert plain is not None and counter is not None and counter.digest == plain.digest


# ---------------------------------------------------------------- tokenizer.json


def test_the_counts_are_those_of_hugging_faces_library() -> None:
    from tokenizers import Tokenizer

    counter, theirs = counter_from_json(ANTHROPIC), Tokenizer.from_file(str(ANTHROPIC))
    assert (counter.name, counter.digest) == ("anthropic_tokenizer.json", counter_from_json(str(ANTHROPIC)).digest)
    assert counter.digest != sha256(b"").hexdigest()
    for said in texts().values():
        assert counter.count(said) == len(theirs.encode(said, add_special_tokens=False).ids)


def test_marks_of_a_template_count_as_what_they_spell() -> None:
    assert counter_from_json(ANTHROPIC).count("<EOT><META_START>") > 5


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is no tokenizer.json: it does not begin with `{`"),
        (b"\x80\x81", "it is no tokenizer.json: it does not begin with `{`"),
        (b"{", "the package tokenizers cannot use it: "),
        (b'{"version": "1.0"}', "the package tokenizers cannot use it: "),
        (b'{"a":' * 100_000, "the package tokenizers cannot use it: "),
        (ANTHROPIC.read_bytes()[:90_000], "the package tokenizers cannot use it: "),
    ],
)
def test_damaged_json(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_bytes(data)
    assert reason(file).startswith(said)


def test_padding_and_truncation_do_not_change_the_count(tmp_path: Path) -> None:
    data = json.loads(ANTHROPIC.read_bytes())
    data["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    assert counter_from_json(file).count("one two three four five six") == 6


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("name", ["weights.gguf", "tokenizer.json"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / name
    assert reason(file) == "there is no such file"
    file.mkdir()
    assert reason(file) == "it is a folder or a device"
    assert reason(Path(f"/dev/full.{file.suffix}")) == "there is no such file"
    other = tmp_path / f"large{file.suffix}"
    other.write_bytes(GOOD if file.suffix == ".gguf" else b"{}")
    monkeypatch.setattr(module, "MOST_METADATA_BYTES", 1)
    assert "larger than" in reason(other) or "GGUF" in reason(other)


# ---------------------------------------------------------------- the local model


@pytest.fixture
def weights() -> Iterator[Counter]:
    path = where("smollm2")
    assert path is not None
    counter = counter_from_gguf(path)
    assert counter is not None
    yield counter
    close_engines()


@pytest.mark.slow
@pytest.mark.local_model
def test_the_local_models_texts_are_counted_exactly(weights: Counter) -> None:
    """Beside what the engine itself reports for the beginnings of all texts, less what its template takes."""

    async def counts() -> list[tuple[str, int, int]]:
        model = embedded()

        async def asked(said: str) -> int:
            request = Request((Message("user", said),), max_tokens=8, temperature=0.0, seed=1, timeout=120.0)
            reply = await model.complete(request)
            assert reply.input_tokens is not None
            return reply.input_tokens

        frame = await asked("a") - weights.count("a")
        starts = [said.strip()[:60] for said in texts().values()]
        found = []
        for at in range(0, len(starts), 8):  # every token of a prompt takes some milliseconds
            said = "\n".join(starts[at : at + 8]).strip()
            found.append((said, await asked(said) - frame, weights.count(said)))
        return found

    for said, theirs, ours in asyncio.run(counts()):
        assert ours == theirs, said
