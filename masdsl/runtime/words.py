"""Scalars in the words of a reply: numbers, truth values and the words of an enum.

Models asked for one value often wrap it: `The answer is **seven**.` Where it stands decides what is meant, so the
places are tried in order of how plainly they point at a value, and the first that has one counts:

1. the whole reply, without emphasis and full stop;
2. behind a marker: `Answer: 7`, `the answer is seven`, `#### 7`, `\\boxed{7}`;
3. emphasised on its own: `**7**`;
4. a first or last line of its own; for words, also the beginning of the reply up to a stop: `Yes, because ...`;
5. anywhere, if the reply has only this one.

Two different values at the same kind of place are never guessed between: that is a fault, which the model is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

Scalar: TypeAlias = "str | bool | int | float"

LONGEST = 100_000
"""Characters of a reply that are searched for a value: the first and the last half of it."""
_DIFFERENT = 8
_LONGEST_BARE = 1_000


class Hit(NamedTuple):
    """The value of a reply; `whole` is whether the reply says nothing else."""

    value: Scalar
    whole: bool


class Several(NamedTuple):
    """A place has different values; these are some of them."""

    values: tuple[Scalar, ...]


class ScalarReader(Protocol):
    """Reads values of one type."""

    def read(self, text: str) -> Scalar | None:
        """Return the value that a text is, None where it is not exactly one."""
        ...

    def search(self, text: str) -> Sequence[Scalar]:
        """Return all values in a text."""
        ...

    def opening(self, text: str) -> str:
        """Return the beginning of a text up to the first stop, empty where that means nothing for this type."""
        ...


def find_value(text: str, reader: ScalarReader) -> Hit | Several | None:
    """Return the value that a reply states, Several if it states more than one, None if it states none."""
    text = _middle_cut(unwrapped(text))
    value = reader.read(bare(text)) if len(text) <= _LONGEST_BARE else None
    if value is not None:
        return Hit(value, True)
    places: tuple[Callable[[str, ScalarReader], Iterable[Scalar | None]], ...] = (_marked, _emphasised, _set_apart)
    for place in places:
        values = _different(place(text, reader))
        if values:
            return Hit(values[0], False) if len(values) == 1 else Several(tuple(values))
    values = _different(reader.search(text))
    if len(values) == 1:
        return Hit(values[0], False)
    return Several(tuple(values)) if values else None


def unwrapped(text: str) -> str:
    """Return a reply without the reasoning that some models begin with, and without one fence around it all."""
    text = _THINKING.sub("", text, count=1).strip()
    if text.startswith("```") and text.endswith("```") and text.count("```") == 2 and "\n" in text:
        text = text[text.index("\n") : -3].strip()
    return text


def bare(text: str) -> str:
    """Return a text without emphasis, quotes, brackets, list and heading signs or a full stop around it."""
    if len(text) > _LONGEST_BARE:
        return text.strip()
    before = None
    while text != before:
        before = text
        text = text.strip().strip("*_`\"'\u201c\u201d\u2018\u2019").strip()
        for ending in (".", "!", ","):
            text = text.removesuffix(ending)
        for beginning in (": ", "- ", "# ", "= "):
            text = text.removeprefix(beginning)
        for opening, closing in (("(", ")"), ("[", "]"), ("{", "}"), ("$", "$"), ("<", ">")):
            if len(text) > 2 and text[0] == opening and text[-1] == closing:
                text = text[1:-1]
        if text.endswith(")") and "(" not in text:
            text = text[:-1]
    return text


def _middle_cut(text: str) -> str:
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]}\n{text[-half:]}"


def _different(values: Iterable[Scalar | None]) -> list[Scalar]:
    seen: list[Scalar] = []
    for value in values:
        if value is not None and value not in seen:
            seen.append(value)
            if len(seen) == _DIFFERENT:
                break
    return seen


# ---------------------------------------------------------------- places

_THINKING = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_NOUNS = "answer|result|value|verdict|rating|score|grade|category|label|class|decision|output|total"
_MARKER = re.compile(
    rf"(?:\b(?:{_NOUNS})\b[*_`]{{0,3}}(?:\s{{1,3}}(?:is|are|(?:would|should|must|will)\sbe)\b|\s{{0,3}}[:=])|####)"
    r"[\s:=*_`]{0,6}([^\n]{1,200})",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\boxed\{([^{}\n]{1,80})\}")
_EMPHASIS = re.compile(r"\*\*([^*\n]{1,80})\*\*|__([^_\n]{1,80})__|`([^`\n]{1,80})`")
_STOP = re.compile(
    r"[.!?;](?:\s|$)|,\s|\s[(\u2013\u2014-]|\s(?:because|since|as|for|so|but|and|which)\s", re.IGNORECASE
)
_OPENING = re.compile(
    r"\A[*_`\"']{0,3}([^,.:;!?\n(]{1,60}?)[*_`\"']{0,3}(?:[.;!?](?=\s|$)|\n|\s[\u2013\u2014-]\s|\s\()"
)
_TRUTH_OPENING = re.compile(
    r"\A[*_`\"']{0,3}(yes|no|true|false)[*_`\"']{0,3}\s?(?:[,.:;!?\n\u2013\u2014(-])", re.IGNORECASE
)


def _marked(text: str, reader: ScalarReader) -> Iterable[Scalar | None]:
    for match in _MARKER.finditer(text):
        rest = match.group(1)
        stop = _STOP.search(rest)
        clause = rest[: stop.start()] if stop else rest
        value = reader.read(bare(rest))
        value = reader.read(bare(clause)) if value is None else value
        if value is None and "=" in rest:
            value = reader.read(bare(rest.rpartition("=")[2]))
        if value is not None:
            yield value
        else:
            yield from reader.search(clause)
    for match in _BOXED.finditer(text):
        yield reader.read(bare(match.group(1)))


def _emphasised(text: str, reader: ScalarReader) -> Iterable[Scalar | None]:
    for match in _EMPHASIS.finditer(text):
        yield reader.read(bare(next(part for part in match.groups() if part)))


def _set_apart(text: str, reader: ScalarReader) -> Iterable[Scalar | None]:
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    for line in lines[:1] + lines[-1:] if len(lines) > 1 else []:
        if len(line) <= 80:
            yield reader.read(bare(line))
    yield reader.read(bare(reader.opening(text)))


# ---------------------------------------------------------------- numbers

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_UNIT = r"(?:%|kg|g|mg|km|cm|mm|m|ms|s|h|l|ml|\u00b0C|\u00b0F|\u00b0|\u20ac|\u00a3|\$)"
_NUMBER = re.compile(rf"([+-])?\s?[$\u20ac\u00a3]?\s?([+-])?({_DIGITS})([eE][+-]?\d{{1,3}})?\s?{_UNIT}?", re.ASCII)
_IN_TEXT = re.compile(
    rf"(?<![\w.,)])([+-])?[$\u20ac\u00a3]?({_DIGITS})([eE][+-]?\d{{1,3}})?(?!\d|[.,]\d)(?:{_UNIT}(?!\w)|(?![A-Za-z_]))",
    re.ASCII,
)
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: value for value, word in enumerate(_SMALL)} | {word: 10 * n for n, word in enumerate(_TENS, 2)}
_SCALES = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_ANY_WORD = "|".join(sorted([*_WORDS, *_SCALES, "hundred"], key=len, reverse=True))
_NUMBER_WORDS = re.compile(rf"(?<!\w)(?:{_ANY_WORD})(?:(?:[\s-]|\sand\s)(?:{_ANY_WORD}))*(?!\w)", re.IGNORECASE)


class NumberReader:
    """Reads numbers: `3,000`, `$12.50`, `80%` (which is 80), `1e3`, `twenty-one`. Whole ones are ints."""

    def read(self, text: str) -> float | None:
        """Return the number that a text is."""
        text = text.replace("\u2212", "-")
        match = _NUMBER.fullmatch(text)
        if match is None:
            return _words_number(text)
        return _number(f"{'-' if '-' in match.group(1, 2) else ''}{match[3]}{match[4] or ''}")

    def search(self, text: str) -> list[float]:
        """Return the numbers in a text; those in words only where there are no digits, and never the word `one`."""
        text = text.replace("\u2212", "-")
        if re.search(r"\d", text):
            digits = [f"{'-' if m[1] == '-' else ''}{m[2]}{m[3] or ''}" for m in _IN_TEXT.finditer(text)]
            numbers = [_number(number) for number in digits]
        else:
            words = [match.group() for match in _NUMBER_WORDS.finditer(text)]
            numbers = [_words_number(number) for number in words if number.lower() != "one"]
        return [number for number in numbers if number is not None]

    def opening(self, text: str) -> str:
        """Return nothing: a number at the beginning of a sentence may be any number."""
        return ""


def _number(digits: str) -> float | None:
    """Return a number, as an int where it has neither fraction nor exponent; None beyond the range of floats."""
    digits = digits.replace(",", "")
    if len(digits) > 400:
        return None
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        return None
    return value if any(sign in digits for sign in ".eE") else int(digits)


def _words_number(text: str) -> int | None:
    """Return the value of English number words: `twenty-one`, `three hundred and five`."""
    if len(text) > 200:
        return None
    words = [word for word in re.split(r"[\s-]+", text.lower()) if word and word != "and"]
    minus = len(words) > 1 and words[0] in ("minus", "negative")
    if not words[minus:]:
        return None
    total, group, below = 0, 0, 1_000
    for word in words[minus:]:
        value = _WORDS.get(word)
        if value is not None and value < below:
            group, below = group + value, 10 if value >= 20 else 0
        elif word == "hundred" and 0 < group < 10:
            group, below = group * 100, 100
        elif word in _SCALES and group:
            total, group, below = total + group * _SCALES[word], 0, 1_000
        else:
            return None
    return -(total + group) if minus else total + group


# ---------------------------------------------------------------- truth values and words

_TRUE = frozenset(("true", "yes", "y", "1", "correct"))
_FALSE = frozenset(("false", "no", "n", "0", "incorrect"))
_TRUTH_WORD = re.compile(r"(?<!\w)(true|false|yes|no(?=[.,;:!?\n]|$))(?!\w)", re.IGNORECASE)
_NEGATION = re.compile(
    r"(?:\bnot|n['\u2019]t|\bnever|\bneither|\bnor|\bno|\bcannot|\bwithout|\brather\sthan|\binstead\sof|\bunlikely)"
    r"(?:\s(?:a|an|the|be|it|is|really|just|any|either|about|of|to|exactly|quite))*\s[\"'`*]*$",
    re.IGNORECASE,
)


def _is_negated(text: str, at: int) -> bool:
    return _NEGATION.search(" ".join(text[max(0, at - 40) : at].split()) + " ") is not None


class TruthReader:
    """Reads truth values."""

    def read(self, text: str) -> bool | None:
        """Return the truth value that a text is."""
        word = text.lower()
        return True if word in _TRUE else False if word in _FALSE else None

    def search(self, text: str) -> list[bool]:
        """Return the truth values in a text; a negated one counts as both, so that it decides nothing."""
        found: list[bool] = []
        for match in _TRUTH_WORD.finditer(text):
            value = match.group(1).lower() in _TRUE
            found += [value, not value] if _is_negated(text, match.start()) else [value]
        return found

    def opening(self, text: str) -> str:
        """Return `yes`, `no`, `true` or `false` at the beginning, in front of a stop."""
        match = _TRUTH_OPENING.match(text)
        return match.group(1) if match else ""


def normal(word: str) -> str:
    """Return a name without case, blanks, hyphens, underscores and other signs: `Needs work` is `needswork`."""
    return "".join(letter for letter in word.casefold() if letter.isalnum())


class WordReader:
    """Reads the words of one enum."""

    def __init__(self, words: Sequence[str]) -> None:
        self._exact = frozenset(words)
        self._normal = {normal(word): word for word in words}
        if len(self._normal) < len(words):  # words that differ in signs only are told apart by these
            self._normal = {word: word for word in words}
        parts = [
            r"[\s_-]?".join(map(re.escape, filter(None, word.split("_"))))
            for word in sorted(words, key=len, reverse=True)
            if len(word) > 1  # a single letter in a sentence is most likely a word of the sentence
        ]
        self._pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(parts)})(?![\w-])", re.IGNORECASE) if parts else None
        self._truths = TruthReader() if {"yes", "no"} <= self._exact else None

    def read(self, text: str) -> str | None:
        """Return the word that a text is, in any case, with blanks or hyphens for underscores."""
        if text in self._exact:
            return text
        if len(text) > 200:
            return None
        found = self._normal.get(normal(text)) or self._normal.get(normal(_OPTION.sub("", text)))
        if found is None and self._truths is not None:
            truth = self._truths.read(text)
            found = None if truth is None else "yes" if truth else "no"
        return found

    def search(self, text: str) -> list[str]:
        """Return the words that stand in a text and are not negated there.

        If all are negated, it returns them with an empty word, so that nobody takes one for the answer.
        """
        stated: list[str] = []
        negated: list[str] = []
        for match in self._pattern.finditer(text) if self._pattern else ():
            word = self.read(match.group())
            if word is not None:
                (negated if _is_negated(text, match.start()) else stated).append(word)
        return stated if stated or not negated else [*negated, ""]

    def opening(self, text: str) -> str:
        """Return the beginning of a text up to the first stop."""
        match = _OPENING.match(text)
        return match.group(1) if match else ""


_OPTION = re.compile(r"\A(?:option|choice|answer)\s+", re.IGNORECASE)
