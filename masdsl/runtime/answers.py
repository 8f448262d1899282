"""What the words of an answer say: when two answers are the same, and where in a reply the answer stands.

All functions are total, deterministic and never give more text than they take. Long texts are looked at in part
(`LONGEST`), so that nothing here takes long, whatever a model wrote.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Final

from masdsl.fences import fenced_blocks
from masdsl.runtime.words import NumberReader, bare, unwrapped
from masdsl.sizes import LARGEST_TEXT_TOKENS, MOST_CHARACTERS_PER_TOKEN, clip_text, text_tokens

LONGEST: Final = 20_000
"""Characters of a text that are compared or searched; of a longer one the first and the last half of it."""

_ARTICLES = re.compile(r"(?<![\w'])(?:a|an|the)(?![\w'])")
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|boxed)\s?\{([^{}]{0,400})\}")
_LATEX_SPACE = re.compile(r"\\(?:left|right|displaystyle|[,;:! ])|\$")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]{1,40})\}\{([^{}]{1,40})\}")
_NUMBER_IN_TEXT = re.compile(r"(?<![\w.])-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,40})(?:\.[0-9]{1,40})?(?![\w.]|,[0-9])")
_PUNCTUATION = re.compile(r"(?<![0-9])\.(?![0-9])|[!?,;:\"'`*_\u2018\u2019\u201c\u201d]|\.(?=\s|$)")
_BLANKS = re.compile(r"\s+")
_WORD = re.compile(r"[^\W_]+(?:\.[0-9]+)?")
_READER = NumberReader()


def middle_cut(text: str, longest: int = LONGEST) -> str:
    """Return a text of at most so many characters: without its middle, where the answer hardly ever stands."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]}\n{text[-half:]}"


def normal_answer(answer: str) -> str:
    """Return the key by which answers are compared: two texts with one key say the same.

    Case, width and accents written in two ways do not count, nor do blanks, articles, punctuation, quotes, emphasis,
    LaTeX around a value (`\\boxed{}`, `\\text{}`, `$`), and how a number is written: `1,000.50` is `1000.5`, `seven` is
    `7`, `80%` is `80`. An answer that consists of signs alone keeps them.
    """
    text = unicodedata.normalize("NFKC", middle_cut(answer)).replace("\u2212", "-").casefold()
    for _ in range(3):
        text = _LATEX_TEXT.sub(r"\1", text)
    text = _LATEX_FRACTION.sub(r"\1/\2", text)
    text = _LATEX_SPACE.sub(" ", text)
    whole, text = text, bare(text)
    value = _READER.read(text)
    if value is not None:
        return _number_text(value)
    plain = _NUMBER_IN_TEXT.sub(_canonical_number, text)
    plain = _ARTICLES.sub(" ", _PUNCTUATION.sub(" ", plain))
    plain = _BLANKS.sub(" ", plain).strip()
    return plain or _BLANKS.sub(" ", whole).strip()


def _number_text(value: float) -> str:
    whole = isinstance(value, int) or value.is_integer()
    return str(int(value)) if whole and abs(value) < 1e16 else repr(float(value))


def _canonical_number(match: re.Match[str]) -> str:
    digits = match[0].replace(",", "")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def clipped_to(text: str, origin: str) -> str:
    """Return a text made of another one, cut to the size of that one."""
    return clip_text(text, text_tokens(origin))


# ---------------------------------------------------------------- parts of a reply

_NOUNS = "final answer|answer|solution|result|conclusion"
_MARKED = re.compile(
    rf"(?:\b(?:{_NOUNS})\b[*_`]{{0,3}}(?:\s{{1,3}}is\b\s{{0,3}}:?|\s{{0,3}}[:=])|####)[\s*_`]{{0,6}}([^\n]+)",
    re.IGNORECASE,
)
_BOX = re.compile(r"\\boxed\s?\{")


def code_in(reply: str) -> str:
    """Return the code in a reply: the blocks between fences, the longest of them where there are several; else all.

    A fence that is never closed reaches to the end. The language behind a fence is no part of the code.
    """
    blocks = [block.text.strip("\n") for block in fenced_blocks(reply)]
    return max(blocks, key=len) if blocks else unwrapped(reply)


def answer_in(reply: str) -> str:
    """Return the answer that a reply comes to: what it marks as that (`marked_in`), else the last line that is not
    blank. Without emphasis, quotes and a full stop around it.
    """
    found = marked_in(reply)
    if found:
        return found
    lines = [line for line in middle_cut(unwrapped(reply)).split("\n") if line.strip()]
    return bare(lines[-1]) if lines else ""


def marked_in(reply: str) -> str:
    """Return what a reply marks as its answer: in the last `\\boxed{}`, else behind the last `Answer:` or `####`, up to
    the end of the line; empty where it marks nothing. Without emphasis, quotes and a full stop around it.
    """
    text = middle_cut(unwrapped(reply))
    boxes = list(_BOX.finditer(text))
    if boxes:
        inside = _braced(text, boxes[-1].end())
        if inside.strip():
            return bare(inside)
    marked = _MARKED.findall(text)
    return bare(marked[-1]) if marked else ""


def _braced(text: str, start: int) -> str:
    """Return what stands up to the brace that closes the one in front of `start`."""
    depth = 1
    for at in range(start, min(len(text), start + 2_000)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    return text[start:].partition("\n")[0]


def inside_tag(reply: str, tag: str) -> str | None:
    """Return what stands between `<tag>` and `</tag>`, trimmed: the last such place; None where there is none."""
    name = tag.strip().strip("<>/").casefold()
    folded = reply.lower() if len(reply.lower()) == len(reply) else reply
    opening, closing = f"<{name}>", f"</{name}>"
    start = folded.rfind(opening)
    if start < 0 or not name:
        return None
    start += len(opening)
    end = folded.find(closing, start)
    return reply[start : end if end >= 0 else len(reply)].strip()


def put_in_place(text: str, old: str, new: str) -> str:
    """Return a text with `new` wherever it has `old`, with at most as many characters as a text may have."""
    if not old or old not in text:
        return text
    most = LARGEST_TEXT_TOKENS * MOST_CHARACTERS_PER_TOKEN
    grown = max(1, len(new) - len(old))
    return text.replace(old, new, most // grown)[:most]


# ---------------------------------------------------------------- options

_LEADING = re.compile(
    r"\A(?:(?:the\s)?(?:best\s)?(?:option|choice|answer|candidate|solution|number)\s?(?:is)?\s?[:#]?\s?)?"
    r"[\[({<\"'*_]{0,3}([A-Za-z]|[0-9]{1,4})[\])}>\"'*_]{0,3}(?=[\s.,:;)]|\Z)",
    re.IGNORECASE,
)


def option_named(reply: str, options: Sequence[str]) -> int | None:
    """Return the index of the option that a reply names, None where that is not plain.

    In this order: the answer in the reply is one of the options; it begins with the number of one (from 1) or with its
    letter (from A); exactly one option, and no longer one around it, is mentioned in it.
    """
    keys = [normal_answer(option) for option in options]
    for text in (reply, answer_in(reply)):
        key = normal_answer(text)
        if keys.count(key) == 1:
            return keys.index(key)
    stated = answer_in(reply)
    match = _LEADING.match(stated)
    if match:
        mark = match[1]
        index = int(mark) - 1 if mark.isdigit() else ord(mark.upper()) - ord("A")
        is_word = mark in ("a", "A", "i", "I") and len(stated) > match.end() and stated[match.end()] == " "
        if 0 <= index < len(options) and not is_word:
            return index
    words = f" {normal_answer(stated)} "
    named = [index for index, key in enumerate(keys) if key and f" {key} " in words]
    longest = [one for one in named if not any(one != two and keys[one] in keys[two] for two in named)]
    return longest[0] if len(longest) == 1 else None


# ---------------------------------------------------------------- likeness

_COMMON_WORDS = """
    a an the of in on at to for from by with and or but not no is are was were be been being it its this that these
    those as if then than so do does did has have had will would can could should may might must i you he she we they
    them his her their our your my me us what which who whom whose when where why how there here about into over under
"""
_COMMON = frozenset(_COMMON_WORDS.split())


def words_of(text: str) -> list[str]:
    """Return the words and numbers of a text, without case, in order."""
    return _WORD.findall(unicodedata.normalize("NFKC", middle_cut(text)).casefold())


def content_words(text: str) -> list[str]:
    """Return the words that say what a text is about, each once; all of them where none does."""
    words = list(dict.fromkeys(words_of(text)))
    return [word for word in words if word not in _COMMON] or words


def likeness(a: str, b: str) -> float:
    """Return how much two texts have in common, from 0 to 1: the share of words and of groups of three letters that
    both have (Dice's coefficient over both). 1 for texts with the same words, 0 where they share nothing.
    """
    left, right = _features(a), _features(b)
    total = left.total() + right.total()
    if not total:
        return float(normal_answer(a) == normal_answer(b))
    return 2 * (left & right).total() / total


def _features(text: str) -> Counter[str]:
    words = words_of(text)
    parts = Counter(f"={word}" for word in words)
    for word in words:
        padded = f" {word} "
        parts.update(padded[at : at + 3] for at in range(len(padded) - 2))
    return parts


def stem(word: str) -> str:
    """Return a word without the commonest English endings, so that `banks` and `bank` are one."""
    for ending in ("ing", "edly", "ed", "es", "ly", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def covered(query: str, passage: str) -> float:
    """Return the share of a text's content words that another one has, from 0 to 1; 0 of a text without words."""
    wanted = {stem(word) for word in content_words(query)}
    there = {stem(word) for word in words_of(passage)}
    return len(wanted & there) / len(wanted) if wanted else 0.0
