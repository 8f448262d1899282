"""How big values are: the one rule that counts the tokens of a text, and the default and greatest sizes.

Checker, bounds and runtime all use these numbers.

- **Counted tokens** (`counted_tokens`) are at least what the common tokenizers make of real text, in any language and
  of any kind. Bounds and accounts are in this unit. The numbers of a provider replace it after a call.
- The **size** of a value is half of that, rounded up (`text_tokens`): `text(800)` holds a text of at most 1600 counted
  tokens. The count overestimates English about twofold, so a model that is allowed 800 tokens writes a text of about
  size 800. The same value has the same size everywhere.

What a step costs at worst follows from the same constants:

- A call is a call of a model; calls of tools count as none. An agent with `retry r` makes at most `1 + r` calls; one
  with tools and `steps s` asks its model at most `s + 1` times, each time with its retries: `(1 + r) * (s + 1)`.
- A request counts `REQUEST_TOKENS`, for each message `MESSAGE_TOKENS` and the counted tokens of its text, and those of
  the schema, where one is sent. Its reply counts at most `max_tokens`. Tools by a provider's own protocol count
  `TOOLS_TOKENS` and the counted tokens of their descriptions, and each call of one `CALL_TOKENS` in later requests.
- After a reply that does not fit, the next attempt also counts two messages: the reply, cut to the size `max_tokens`,
  and what is wrong with it, `CORRECTION_TOKENS` at most. A use of a tool adds two to every later turn: the reply, cut
  in the same way, and the result, with `RESULT_TOKENS` at most around it.
- A step without `timeout` takes at most `MODEL_SECONDS` for each call of a model, `TOOL_SECONDS` for a tool; every step
  has a deadline that follows from that (`agent_seconds`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final
from zlib import adler32

MOST_CHARACTERS_PER_TOKEN: Final = 6
"""At most so many characters (code points) of text fit a size of 1: a text of size n has at most n times as many."""
MOST_COUNTED_PER_CHARACTER: Final = 5
"""A character (code point) adds at most so many counted tokens to a text, wherever it stands."""
DEFAULT_TEXT_TOKENS: Final = 800
"""Size of a `text` without one, where no configuration says otherwise; a bare `str` in compiled programs."""
LARGEST_TEXT_TOKENS: Final = 32_000
"""No text is longer, whatever was joined to make it."""
LARGEST_LIST: Final = 10_000
"""No list has more items."""

INT_TOKENS: Final = 8
"""A whole number of 64 bits in a reply."""
FLOAT_TOKENS: Final = 12
"""A number in a reply."""
WORD_TOKENS: Final = 4
"""true, false, null, quotes and the like."""
FIELD_TOKENS: Final = 8
"""Name, quotes, colon and comma of a field in a reply; for names above 16 characters see `field_tokens`."""
REPLY_SLACK_TOKENS: Final = 64
"""What a reply of a type other than text may hold besides the value: a code fence, a polite sentence."""

INT_COUNTED: Final = 20
"""Counted tokens of a whole number of 64 bits as text (`runtime.text.scalar_text`), at most."""
FLOAT_COUNTED: Final = 24
"""Counted tokens of a number in double precision as text, at most."""
BOOL_COUNTED: Final = 3
"""Counted tokens of `true` or `false` as text, at most."""

REQUEST_TOKENS: Final = 64
"""What a request counts besides its messages and its schema: what chat templates put in front (a system message of
their own, the date) and behind (the opening of the reply). SmolLM2's takes 26; the longest in use is that of gpt-oss,
about 65."""
MESSAGE_TOKENS: Final = 12
"""What a message counts besides its text: its role and its marks. SmolLM2's template takes 5."""
TOOLS_TOKENS: Final = 640
"""What a request with tools by the provider's own protocol counts besides their descriptions: what chat templates say
about the use of tools. Claude's takes at most 530, by its documentation; those of Qwen and Llama about 150."""
CALL_TOKENS: Final = 64
"""What a call of a tool by a provider's own protocol counts besides its arguments: its name, its id, the signs around.
Where that is more, the call is shortened before the model is reminded of it."""
CORRECTION_TOKENS: Final = 256
"""What the message that tells a model why its reply does not fit counts at most: longer ones are cut."""
RESULT_TOKENS: Final = 256
"""What the message with a tool's result counts at most besides the result: the words around it, or a failure's."""

LEAST_SHARE: Final = 8
"""A provider's count of a text is taken from an eighth of ours on: a token of its holds at most so many of ours."""

MICROSECONDS: Final = 1_000_000
"""In a second: bounds on time are whole numbers of microseconds."""
MODEL_SECONDS: Final = 120.0
"""Longest call of a model, where the agent declares no `timeout`."""
TOOL_SECONDS: Final = 60.0
"""Longest call of a tool, where it declares no `timeout`."""
DESIGN_SECONDS: Final = 600.0
"""Longest use of a tool that designs a system and runs it, where it declares no `timeout`."""
DESIGN_TOKENS: Final = 4_000
"""What a model that designs is given at least, in one call: the guide to the language, and room for a program."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 8.0
"""Seconds before another attempt after a fault of the connection: doubled each time, up to the longest."""


# ---------------------------------------------------------------- the count of a text

_THIRDS: Final = 3  # the rule counts in thirds of a token
_SELDOM: Final = "jkquwxyz"
_FIRST_BYTES: Final = (
    # What a character outside ASCII adds, in thirds, by the first byte of its UTF-8, up to and with the one given.
    (0xC2, 6),  # signs of Latin-1
    (0xC3, 5),  # letters of Latin-1
    (0xC5, 7),  # letters of Central Europe, Turkey, the Baltic
    (0xCD, 8),  # letters of Africa and Vietnam, phonetic letters, combining accents
    (0xD1, 6),  # Greek, Cyrillic
    (0xD5, 7),  # more Cyrillic, Armenian
    (0xD7, 5),  # Hebrew
    (0xDB, 6),  # Arabic
    (0xDF, 7),  # Syriac, Thaana, N'Ko
    (0xE0, 10),  # the scripts of India, Thai, Lao
    (0xE1, 11),  # Tibetan, Burmese, Georgian, Ethiopic, Khmer, Cherokee
    (0xE2, 9),  # typographic and mathematical signs
    (0xE3, 5),  # kana, signs of East Asia
    (0xE9, 8),  # ideographs
    (0xED, 11),  # Hangul
    (0xEF, 9),  # wide and compatibility forms, private use
    (0xFF, 15),  # emoji, old scripts, rare ideographs
)


def _weight(byte: int) -> int:
    """Return what a byte of UTF-8 adds wherever it stands, in thirds."""
    if byte >= 0xC0:
        return next(weight for last, weight in _FIRST_BYTES if byte <= last)
    character = chr(byte)
    if byte >= 0x80:
        return 0  # the first byte of the character has it all
    if character.isalpha():
        return 3 if character.lower() in _SELDOM else 1 if character.islower() else 2
    if character == " ":
        return 1
    return 3 if character.isprintable() or character in "\t\n\r" else 12  # JSON writes it in six characters


def _kind(byte: int) -> str:
    character = chr(byte)
    if byte >= 0x80:
        return "-"
    return "a" if character.isalpha() else "0" if character.isdigit() else " " if character == " " else "."


def _dearer(before: str, kind: str) -> int:
    """Return what a character of a kind adds besides, behind another one or at the beginning (`^`)."""
    if kind == "a":
        return 0 if before == "a" else 1 if before in " -" else 2
    if kind == "0":
        return 3 if before in " ^" else 1 if before == "a" else 0
    return 0


# Weight and kind of a byte are its class. There are 16 of them, so two neighbours make a byte again, which a table
# turns into what the second of them adds; the sum is a checksum of zlib. So all that is linear is done in C.
_CLASSES: Final = sorted({(_weight(byte), _kind(byte)) for byte in range(256)})  # the first: (0, "-")
_CLASS_OF: Final = bytes(_CLASSES.index((_weight(byte), _kind(byte))) for byte in range(256))
_PAIRS: Final = bytes(weight + _dearer(before, kind) for _, before in _CLASSES for weight, kind in _CLASSES)
_FIRST: Final = bytes(_dearer("^", _kind(byte)) - _dearer("-", _kind(byte)) for byte in range(256))
_SUMMED: Final = 4096  # bytes at once: the sums of Adler-32 are modulo 65,521, and no character adds more than 15


def counted_thirds(text: str) -> int:
    """Return what a text counts in thirds of a token, not rounded: for whoever adds up parts.

    It is a sum over the characters, and over the pairs of neighbours: a first letter or digit is dearer than one inside
    a row. So two texts in a row count at most as much as each alone, and at least as much as the first one and
    `least_thirds` of the second. Taking characters out of a text never raises its count.
    """
    return _kept_count(text) if len(text) <= _KEPT else _count(text)


def _count(text: str) -> int:
    data = text.encode("utf-8", "surrogatepass")
    if not data:
        return 0
    classes = int.from_bytes(data.translate(_CLASS_OF), "little")
    pairs = (classes | classes << 12).to_bytes(len(data) + 1, "little")  # the class of each byte, and the one before
    added = pairs.translate(_PAIRS)
    if len(added) <= _SUMMED:
        total = adler32(added, 0) & 0xFFFF
    else:
        total = sum(adler32(added[at : at + _SUMMED], 0) & 0xFFFF for at in range(0, len(added), _SUMMED))
    return total + _FIRST[data[0]]


# A value is counted where it comes from and wherever it goes: as a reply, as a text of the step's type, as an input of
# the next step, and of the one after that.
_KEPT: Final = 2048
_kept_count = lru_cache(maxsize=1024)(_count)


def least_thirds(text: str) -> int:
    """Return what a text adds at least to one that it is put behind, in thirds of a token."""
    first = text[:1]
    dearer = 0 if not first.isascii() else 3 if first.isdigit() else 2 if first.isalpha() else 0
    return counted_thirds(text) - dearer


def counted_tokens(text: str) -> int:
    """Return how many tokens a text counts: at least what the common tokenizers make of real text.

    It is a sum in thirds of a token, rounded up. A small letter adds 1, a capital 2, but the letters that English
    seldom uses (j k q u w x y z) 3 each; the first of a row of letters 2 more, or 1 more behind a blank or a character
    outside ASCII. A digit adds 3, one behind a letter 4, the first of a text and one behind a blank 6. A blank adds 1;
    a punctuation mark, a tab and the end of a line 3; a control character 12. A character outside ASCII adds from 5
    (Hebrew, kana) to 15 (emoji), by the first byte of its UTF-8.

    Where the weights come from: of 993 whole texts (the Universal Declaration of Human Rights in 532 languages and
    scripts; code, prose, logs, tables of numbers, base64) none has more tokens than this by any of 13 tokenizers (three
    of OpenAI's, Claude's, those of Llama 2 and 3, Gemma 3, Qwen 2 and 3.6, DeepSeek, Mistral, SmolLM2, MiniLM). Of
    129,000 single lines and pairs of lines of them 46 have, by a few tokens: lines of base64, rare words alone. What it
    says is more than the true count so many times:

    | text | o200k | cl100k | Claude | SmolLM2 | Llama 2 |
    | --- | ---: | ---: | ---: | ---: | ---: |
    | questions in English | 2.0 | 1.9 | 1.9 | 1.8 | 1.7 |
    | a treaty in English | 2.4 | 2.4 | 2.3 | 2.3 | 2.1 |
    | Python | 2.2 | 2.3 | 2.1 | 2.0 | 1.8 |
    | JSON | 2.1 | 2.1 | 1.9 | 1.8 | 1.6 |
    | German | 2.3 | 1.8 | 1.6 | 1.3 | 1.6 |
    | Chinese | 3.2 | 2.2 | 2.3 | 1.5 | 2.3 |
    | tables of numbers | 1.7 | 1.7 | 2.0 | 1.1 | 1.1 |
    | base64 | 1.3 | 1.2 | 1.2 | 1.1 | 1.1 |

    For all texts a and b: the count of a + b is at most the sum of theirs, and at least that of any part of it. As JSON
    that keeps what is not ASCII, a text counts at most twice as much and 2 for the quotes. Two blanks behind each end
    of a line at most double the count.
    """
    return -(-counted_thirds(text) // _THIRDS)


def text_tokens(text: str) -> int:
    """Return the size of a text: half of its counted tokens, rounded up."""
    return -(-counted_thirds(text) // (2 * _THIRDS))


def fits(text: str, tokens: int) -> bool:
    """Say whether a text is at most of the size `tokens`."""
    room = 2 * _THIRDS * tokens
    return len(text) <= room and counted_thirds(text) <= room  # no character adds less than a third


def clip_text(text: str, tokens: int) -> str:
    """Return the longest beginning of `text` of at most the size `tokens`."""
    return clip_counted(text, 2 * tokens)


def clip_counted(text: str, tokens: int) -> str:
    """Return the longest beginning of `text` of at most so many counted tokens."""
    room = _THIRDS * max(tokens, 0)
    text = text[:room]  # no character adds less than a third
    if counted_thirds(text) <= room:
        return text
    low, high, taken = 0, len(text), 0  # text[:low] fits and takes `taken`, text[:high] does not fit
    while high - low > 1:
        middle = (low + high) // 2
        before = text[max(low - 1, 0) : low]
        more = taken + counted_thirds(before + text[low:middle]) - counted_thirds(before)
        if more <= room:
            low, taken = middle, more
        else:
            high = middle
    return text[:low]


def capitals_tokens(tokens: int) -> int:
    """Return the greatest size of a text of the size `tokens` in capitals."""
    return min(2 * tokens, LARGEST_TEXT_TOKENS)


def saved_tokens(texts: Iterable[str], count: Callable[[str], int]) -> int:
    """Return how many tokens fewer texts have by a model's own tokenizer (`count`) than they count.

    What every request of an agent says counts by that tokenizer, where it is on the machine: bounds and ledger take
    this off the count of the whole request.
    """
    return sum(max(counted_tokens(text) - count(text), 0) for text in texts)


def field_tokens(name: str) -> int:
    """Return what a field called `name` adds to a reply besides its value."""
    return max(FIELD_TOKENS, text_tokens(name) + 4)


# ---------------------------------------------------------------- the time of a step


def agent_seconds(timeout: float | None, retries: int = 0, steps: int = 0, tool_seconds: float = 0.0) -> float:
    """Return how long a step of an agent may take in all: its deadline, in seconds from its beginning.

    That is its `timeout`. Without one, it is the time of all its calls and of the pauses between them, and of the uses
    of tools: at most `steps`, each of at most `tool_seconds`, the longest `timeout` of its tools.
    """
    if timeout is not None:
        return timeout
    turns = steps + 1
    return (1 + retries) * turns * MODEL_SECONDS + retries * turns * LONGEST_PAUSE + steps * tool_seconds
