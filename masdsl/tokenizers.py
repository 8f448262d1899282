"""A model's own tokenizer, where its file is on this machine: it counts what the model really reads.

Two kinds of files have one: weights in the format GGUF (`counter_from_gguf`), and the `tokenizer.json` of Hugging Face
(`counter_from_json`). Texts are counted as plain text: what looks like a mark of a chat template in them is spelled
out, so that a count is never lower than what the text costs. What the template adds is not counted here.

A file is read with care: nothing in it is believed before it fits the file's length, and whatever is wrong with it is a
`TokenizerError` with a reason on one line.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MOST_METADATA_BYTES: Final = 256 * 1024 * 1024
"""No more of a file of weights is read, and no `tokenizer.json` is larger: the largest in use have 35 MB."""
MOST_VALUES: Final = 8_000_000
"""Values in a file's metadata; the largest vocabularies have a quarter of a million of tokens and twice the merges."""


class TokenizerError(Exception):
    """A tokenizer cannot be read. The text says why, on one line, without the path."""


class Counter:
    """Counts a text's tokens as one model does.

    `name` is for people; `digest` is the SHA-256 of what the counts follow from, so that what was computed with a
    tokenizer can be told from what was computed with another.
    """

    def __init__(self, name: str, digest: str, tokenizer: Tokenizer) -> None:
        self.name = name
        self.digest = digest
        self._tokenizer = tokenizer

    def count(self, text: str) -> int:
        """Return how many tokens the text has, without any that a model's template puts around it."""
        if not text.isascii():
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


# ---------------------------------------------------------------- files that a configuration names


def counter_of(path: str) -> Counter | None:
    """Return the counter of a tokenizer's file; None where weights have one of a kind that is not known here.

    Raises TokenizerError for a file that cannot be used. One that stays the same is read once.
    """
    try:
        changed = os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        changed = 0
    return _counter(path, changed)


@lru_cache(maxsize=16)
def _counter(path: str, changed: int) -> Counter | None:
    return counter_from_gguf(path) if path.endswith(".gguf") else counter_from_json(path)


# ---------------------------------------------------------------- tokenizer.json


def counter_from_json(path: str | Path) -> Counter:
    """Return the counter of a Hugging Face `tokenizer.json`; raise TokenizerError where it cannot be read."""
    path = Path(path)
    data = _content(path)
    if not data.lstrip().startswith(b"{"):
        raise TokenizerError("it is no tokenizer.json: it does not begin with `{`")

    def load() -> Tokenizer:
        from tokenizers import Tokenizer

        return Tokenizer.from_buffer(data)

    tokenizer = _guarded(load)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return _tried(Counter(path.name, _digest(data), tokenizer))


def _content(path: Path) -> bytes:
    with _opened(path) as file:
        data = file.read(MOST_METADATA_BYTES + 1)
    if len(data) > MOST_METADATA_BYTES:
        raise TokenizerError(f"it is larger than {MOST_METADATA_BYTES // 2**20} MiB")
    return data


def _opened(path: Path) -> BinaryIO:
    try:
        if not path.is_file():
            raise TokenizerError("it is a folder or a device" if path.exists() else "there is no such file")
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise TokenizerError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _guarded(load: Callable[[], Tokenizer]) -> Tokenizer:
    """Return what the library makes of the data; what it dislikes, and its panics, become TokenizerError."""
    try:
        return load()
    except ImportError:
        raise TokenizerError("the package tokenizers is missing: pip install tokenizers") from None
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic of the library is no Exception
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise TokenizerError(f"the package tokenizers cannot use it: {reason}") from None


def _tried(counter: Counter) -> Counter:
    """Return the counter if it can count; a vocabulary without the bytes it needs shows only then."""

    def load() -> Tokenizer:
        counter.count("Aa 1.\n\u00e9\u4e2d\U0001f600")
        return counter._tokenizer

    _guarded(load)
    return counter


def _digest(*parts: bytes) -> str:
    from hashlib import sha256

    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


# ---------------------------------------------------------------- GGUF

_SCALARS: Final = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_DEEPEST = 4

_CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
_GPT2 = rf"{_CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+"
_GPT4 = (
    rf"(?i:{_CONTRACTIONS})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}NUMBER| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class _Splitting(NamedTuple):
    """How a text is cut before tokens are formed: by each pattern in turn; `whole` takes a piece that is a token."""

    patterns: tuple[str, ...]
    whole: bool = False


_PLAIN = _Splitting((_GPT2,))
_DIGITS_APART = _Splitting((r"\p{N}", _GPT2))
_THREE_DIGITS = _Splitting((_GPT4.replace("NUMBER", "{1,3}"),), whole=True)
_ONE_DIGIT = _Splitting((_GPT4.replace("NUMBER", ""),))

# By llama.cpp's names. For every other one there is no counter: a count by the wrong pattern would be wrong.
SPLITTINGS: Final = {
    "gpt-2": _PLAIN,
    "phi-2": _PLAIN,
    "smollm": _DIGITS_APART,
    "starcoder": _DIGITS_APART,
    "refact": _DIGITS_APART,
    "command-r": _DIGITS_APART,
    "llama3": _THREE_DIGITS,
    "llama-v3": _THREE_DIGITS,
    "llama-bpe": _THREE_DIGITS,
    "qwen2": _ONE_DIGIT,
    "deepseek-r1-qwen": _ONE_DIGIT,
}


def counter_from_gguf(path: str | Path) -> Counter | None:
    """Return the counter of a file of weights, or None where its tokenizer is of a kind that is not known here.

    Raises TokenizerError where the file cannot be read, is damaged, or holds no tokenizer.
    """
    path = Path(path)
    with _opened(path) as file:
        found = _Reader(file, path.stat().st_size).metadata()
    kind = found.get("tokenizer.ggml.model")
    if kind is None:
        raise TokenizerError("it holds no tokenizer")
    pre = found.get("tokenizer.ggml.pre", "")
    splitting = SPLITTINGS.get(pre) if isinstance(pre, str) else None
    if kind != "gpt2" or splitting is None:
        return None
    tokens, merges = (_texts(found, name) for name in ("tokens", "merges"))
    digest = _digest(pre.encode(), *("\n".join(part).encode("utf-8", "replace") for part in (tokens, merges)))
    vocabulary = {token: number for number, token in enumerate(tokens)}
    pairs = [_pair(merge, vocabulary) for merge in merges]
    name = found.get("general.name")
    counter = Counter(
        name if isinstance(name, str) and name.strip() else path.name,
        digest,
        _guarded(lambda: _built(vocabulary, pairs, splitting)),
    )
    return _tried(counter)


def _texts(found: dict[str, Any], name: str) -> list[str]:
    texts = found.get(f"tokenizer.ggml.{name}")
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise TokenizerError(f"its tokenizer has no list of {name}")
    return texts


def _pair(merge: str, vocabulary: dict[str, int]) -> tuple[str, str]:
    first, _, second = merge.partition(" ")
    if not (first in vocabulary and second in vocabulary and first + second in vocabulary):
        raise TokenizerError("its tokenizer merges tokens that it does not have")
    return first, second


def _built(vocabulary: dict[str, int], merges: list[tuple[str, str]], splitting: _Splitting) -> Tokenizer:
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    tokenizer = Tokenizer(BPE(vocabulary, merges, ignore_merges=splitting.whole))
    splits = [Split(Regex(pattern), "isolated") for pattern in splitting.patterns]
    tokenizer.pre_tokenizer = Sequence([*splits, ByteLevel(add_prefix_space=False, use_regex=False)])
    return tokenizer


class _Reader:
    """Reads the metadata at the beginning of a GGUF file, and keeps what a tokenizer needs.

    Every length is compared with what is left of the file before anything is read.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = min(size, MOST_METADATA_BYTES)
        self._values = 0

    def metadata(self) -> dict[str, Any]:
        """Return the values of `general.name` and of all `tokenizer.ggml` keys; raise TokenizerError."""
        if self._left < 4 or self._bytes(4) != b"GGUF":
            raise TokenizerError("it is no file of weights in the format GGUF")
        version = self._scalar("I")
        if version not in (2, 3):
            raise TokenizerError(f"it is in version {version} of GGUF; 2 and 3 are known")
        self._scalar("Q")  # how many tensors there are
        found: dict[str, Any] = {}
        for _ in range(self._length(12)):
            key = self._text()
            kind = self._scalar("I")
            value = self._value(kind, key == "general.name" or key.startswith("tokenizer.ggml."))
            if value is not None:
                found[key] = value
        return found

    def _value(self, kind: int, wanted: bool, depth: int = 0) -> Any:
        """Return a value, or None for one that is not wanted, which is skipped where its length is known."""
        if kind == _STRING:
            return self._text() if wanted else self._skip(self._length(1))
        if kind in _SCALARS:
            return self._scalar(_SCALARS[kind])
        if kind != _ARRAY or depth > _DEEPEST:
            raise TokenizerError("it is damaged: a value is of no known kind")
        inner = self._scalar("I")
        if inner in _SCALARS:
            width = struct.calcsize(f"<{_SCALARS[inner]}")
            return self._skip(self._length(width) * width)  # numbers tell nothing about how a text is cut
        length = self._length(8)
        self._values += length
        if self._values > MOST_VALUES:
            raise TokenizerError("it is damaged: it holds too many values")
        values = [self._value(inner, wanted, depth + 1) for _ in range(length)]
        return values if wanted else None

    def _text(self) -> str:
        return self._bytes(self._length(1)).decode("utf-8", "replace")

    def _length(self, least: int) -> int:
        """Return how many parts follow, each of `least` bytes or more."""
        length: int = self._scalar("Q")
        if length * least > self._left:
            raise TokenizerError("it is damaged: it ends too early")
        return length

    def _scalar(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self._bytes(struct.calcsize(f"<{form}")))[0]

    def _bytes(self, count: int) -> bytes:
        self._left -= count
        data = self._file.read(count) if self._left >= 0 else b""
        if len(data) != count:
            raise TokenizerError("it is damaged: it ends too early")
        return data

    def _skip(self, count: int) -> None:
        self._left -= count
        self._file.seek(count, 1)
