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
  the schema, where one is sent. Its reply counts at most `max_tokens`.
- After a reply that does not fit, the next attempt also counts two messages: the reply, cut to the size `max_tokens`,
  and what is wrong with it, `CORRECTION_TOKENS` at most. A use of a tool adds two to every later turn: the reply, cut
  in the same way, and the result, with `RESULT_TOKENS` at most around it.
- A step without `timeout` takes at most `MODEL_SECONDS` for each call of a model, `TOOL_SECONDS` for a tool; every step
  has a deadline that follows from that (`agent_seconds`).
"""

from __future__ import annotations

from typing import Final

MOST_CHARACTERS_PER_TOKEN: Final = 6
"""At most so many characters (code points) of text fit a size of 1: a text of size n has at most n times as many."""
MOST_COUNTED_PER_CHARACTER: Final = 4
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

INT_COUNTED: Final = 21
"""Counted tokens of a whole number of 64 bits as text, at most."""
FLOAT_COUNTED: Final = 27
"""Counted tokens of a number in double precision as text, at most."""
BOOL_COUNTED: Final = 3
"""Counted tokens of `true` or `false` as text, at most."""

REQUEST_TOKENS: Final = 64
"""What a request counts besides its messages and its schema: what chat templates put in front (a system message of
their own, the date) and behind (the opening of the reply)."""
MESSAGE_TOKENS: Final = 12
"""What a message counts besides its text: its role and its marks."""
CORRECTION_TOKENS: Final = 256
"""What the message that tells a model why its reply does not fit counts at most: longer ones are cut."""
RESULT_TOKENS: Final = 256
"""What the message with a tool's result counts at most besides the result: the words around it, or a failure's."""

MODEL_SECONDS: Final = 120.0
"""Longest call of a model, where the agent declares no `timeout`."""
TOOL_SECONDS: Final = 60.0
"""Longest call of a tool, where it declares no `timeout`."""
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 8.0
"""Seconds before another attempt after a fault of the connection: doubled each time, up to the longest."""


# ---------------------------------------------------------------- the count of a text

_LETTER, _CAPITAL, _DIGIT, _SPACE, _MARK, _CONTROL = b"aA0 .!"
_TWO, _THREE, _IDEOGRAPH, _FOUR, _INNER = b"234#-"  # the first byte of a longer character in UTF-8, and the others


def _class(byte: int) -> int:
    if byte < 0x80:
        character = chr(byte)
        if character.isalpha():
            return _LETTER if character.islower() else _CAPITAL
        if character.isdigit():
            return _DIGIT
        if character in " ":
            return _SPACE
        return _MARK if character in "\t\n\r" or (character.isprintable()) else _CONTROL
    if byte < 0xC0:
        return _INNER
    if byte < 0xE0:
        return _TWO
    if byte < 0xF0:
        return _IDEOGRAPH if 0xE3 <= byte <= 0xED else _THREE
    return _FOUR


_CLASSES: Final = bytes(map(_class, range(256)))
_WEIGHTS: Final = (
    (bytes([_LETTER]), 1),
    (bytes([_CAPITAL]), 2),
    (bytes([_DIGIT]), 3),
    (bytes([_SPACE]), 1),
    (bytes([_MARK]), 3),
    (bytes([_CONTROL]), 12),
)
_LONGER: Final = (
    (bytes([_TWO]), 4),
    (bytes([_THREE]), 9),
    (bytes([_IDEOGRAPH]), 7),
    (bytes([_FOUR]), 12),
)
_WORDS: Final = bytes(_LETTER if kind in (_LETTER, _CAPITAL) else _SPACE for kind in range(256))
_NUMBERS: Final = bytes(_DIGIT if kind == _DIGIT else _SPACE for kind in range(256))


def counted_thirds(text: str) -> int:
    """Return the exact count of a text in thirds of a token, for whoever adds parts up before rounding.

    It is a sum over the characters, the words (runs of ASCII letters) and the numbers (runs of ASCII digits), so two
    texts in a row count as much as each alone, less 2 where they join a word and 3 where they join a number. Taking
    characters out of a text never raises its count.
    """
    plain = text.isascii()
    kinds = text.encode("utf-8", "surrogatepass").translate(_CLASSES)
    thirds = sum(weight * kinds.count(kind) for kind, weight in _WEIGHTS)
    if not plain:
        thirds += sum(weight * kinds.count(kind) for kind, weight in _LONGER)
    words, numbers = kinds.translate(_WORDS), kinds.translate(_NUMBERS)
    thirds += 2 * (words.count(b" a") + words.startswith(b"a"))
    thirds += 3 * (numbers.count(b" 0") + numbers.startswith(b"0"))
    return thirds


def counted_tokens(text: str) -> int:
    """Return how many tokens a text counts: at least what the common tokenizers make of a real text.

    For all texts a and b: the count of a + b is at most the sum of theirs, and at least that of a, and of any part.
    Quoted as JSON, not escaping what is not ASCII, a text counts at most twice as much and 2. Indenting its lines by
    two blanks at most doubles its count.
    """
    return -(-counted_thirds(text) // 3)


def text_tokens(text: str) -> int:
    """Return the size of a text: half its counted tokens, rounded up."""
    return -(-counted_thirds(text) // 6)


def clip_text(text: str, tokens: int) -> str:
    """Return the longest beginning of `text` of at most the size `tokens`."""
    return clip_counted(text, 2 * tokens)


def clip_counted(text: str, tokens: int) -> str:
    """Return the longest beginning of `text` of at most so many counted tokens."""
    room = 3 * max(tokens, 0)
    text = text[:room]  # a character takes at least a third
    if counted_thirds(text) <= room:
        return text
    low, high, taken = 0, len(text), 0  # text[:low] takes `taken`, text[:high] does not fit
    while high - low > 1:
        middle = (low + high) // 2
        before = text[low - 1] if low else ""
        more = taken + counted_thirds(before + text[low:middle]) - counted_thirds(before)
        if more <= room:
            low, taken = middle, more
        else:
            high = middle
    return text[:low]


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
