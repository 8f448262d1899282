"""How like the right answer a value is, by the words of both: the same, an option, a set of items, a bag of words."""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from masdsl.runtime.answers import answer_in, marked_in, middle_cut, normal_answer, option_named
from masdsl.runtime.words import bare, unwrapped

LETTERS: Final = "ABCDE"
"""The letters of options where a sample does not list its options."""
MOST_OPTIONS: Final = 26


def answer_of(value: Any) -> Any:
    """Return what of a value is its answer: the field `answer` of a record that has one, else all of it."""
    return value["answer"] if isinstance(value, dict) and "answer" in value else value


def says(value: Any, answer: Any) -> bool:
    """Whether a value says what an answer does.

    Texts are compared as votes compare them (`std.text`, `normalise`), also by the answer that a longer reply comes to;
    a record by its field `answer`, if the answer is no object; everything else by its value.
    """
    if not isinstance(answer, dict):
        value = answer_of(value)
    if isinstance(value, str) and not isinstance(answer, list | dict):
        wanted = normal_answer(answer if isinstance(answer, str) else json.dumps(answer))
        return wanted in (normal_answer(value), normal_answer(answer_in(value)))
    if isinstance(answer, str) and not isinstance(value, list | dict):
        return normal_answer(json.dumps(value)) == normal_answer(answer)
    if isinstance(value, list) and isinstance(answer, list):
        return len(value) == len(answer) and all(map(says, value, answer))
    if isinstance(value, dict) and isinstance(answer, dict):
        return value.keys() == answer.keys() and all(says(value[name], answer[name]) for name in value)
    return bool(value == answer)


# ---------------------------------------------------------------- multiple choice

_MARK = r"[\[({<\"'*_`\u201c]{0,4}"
_END = r"[\])}>\"'*_`\u201d]{0,4}"
_NOUNS = "answer|option|choice|solution"
_TAIL = r"(?![\w'\u2019-])"
_ALONE: Final = re.compile(r"[\W_]*(?:\\text\s?\{)?([A-Za-z])[\W_]*")
_STATED: Final = re.compile(
    rf"(?:\b(?i:{_NOUNS})\b[*_`]{{0,3}}"
    rf"(?:\s(?i:is|would\sbe|must\sbe|should\sbe)\b)?\s?[:=]?\s?(?:(?i:the\s)?(?i:{_NOUNS}|letter)\s)?"
    r"|\b(?i:choose|chose|pick|select|selected|go\swith)\s(?:(?i:the\s)?(?i:option|answer|choice)\s)?|####\s?)"
    rf"\s?{_MARK}([A-Z]|(?<=[(\[])[a-z](?=[)\]])){_END}{_TAIL}"
)
_RIGHT: Final = re.compile(
    rf"(?<![\w'\u2019-]){_MARK}([A-Z]){_END}\s(?:is|must\sbe|would\sbe)\s(?:the\s)?(?i:correct|right|answer|best)"
)
_OPENING: Final = re.compile(rf"\s*{_MARK}([A-Za-z])(?:[).:\]](?:[\s\"'*_]|\Z)|{_END}\s*\Z)")
_ENCLOSED: Final = re.compile(r"\(([A-Za-z])\)|\[([A-Z])\]|\*\*([A-Z])\*\*")
_LONE: Final = re.compile(rf"(?<![\w'\u2019-])([A-Z]){_TAIL}")
_NOT: Final = re.compile(
    r"(?:\bnot|n['\u2019]t|\bnor|\bneither|\brather\sthan|\binstead\sof|\bexcept|\beliminates?|\bexcludes?)"
    r"(?:\s\w+){0,2}\W*\Z",
    re.IGNORECASE,
)


def options_of(extra: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options of a sample, from its column `options` or `choices`: a list, or an object by letters.

    A beginning such as `A)` is no part of an option. An object with a list `text` (as ARC has) is that list.
    """
    found = extra.get("options", extra.get("choices"))
    if isinstance(found, Mapping) and isinstance(found.get("text"), list):
        found = found["text"]
    elif isinstance(found, Mapping):
        found = [found[letter] for letter in sorted(found)]
    if not isinstance(found, list):
        return ()
    texts = [one if isinstance(one, str) else json.dumps(one) for one in found[:MOST_OPTIONS]]
    begin = [re.match(r"\s*\(?([A-Z])[).:]\s*", text) for text in texts]
    lettered = all(match and match[1] == chr(65 + at) for at, match in enumerate(begin))
    return tuple(text[match.end() :] if lettered and match else text for text, match in zip(texts, begin, strict=True))


def option_in(value: Any, options: Sequence[str]) -> str | None:
    """Return the letter of the option that a reply chooses, None where that is not plain.

    The first of these that names a letter of an option decides, the last one there where it names several; what stands
    behind a `not` names none:

    1. the reply is a letter, with brackets, quotes, emphasis or a full stop: `(B).`
    2. the text of an option, and nothing else
    3. what it marks as its answer (`\\boxed{}`, `Answer:`, `####`) is one of these
    4. words that choose: `the answer is B`, `option (B)`, `I choose B`, `B is correct`
    5. what it marks as its answer, or the last line that is not blank, begins with a letter and a sign: `B) 12`
    6. a letter in brackets or in bold: `(B)`
    7. the text of exactly one option (`option_named` of `masdsl.runtime.answers`)
    8. a capital letter that stands alone, other than `A` and `I` in front of a word
    """
    value = answer_of(value)
    if not isinstance(value, str):
        return _by_text(json.dumps(value), options) if value is not None else None
    letters = _letters(options)
    text = middle_cut(unwrapped(value)).replace("\u00a0", " ")
    found = _alone(text, letters) or _by_text(text, options)
    marked = marked_in(text)
    if found is None and marked:
        found = _alone(marked, letters) or _by_text(marked, options)
    if found is None:
        stated: list[re.Match[str]] = [*_STATED.finditer(text), *_RIGHT.finditer(text)]
        stated.sort(key=lambda match: match.start(1))
        found = _last(stated, letters)
    if found is None and marked:
        found = _last([_OPENING.match(marked)], letters)
    lines = [line for line in text.split("\n") if line.strip()]
    if found is None and lines:
        found = _last([_OPENING.match(lines[-1])], letters)
    if found is None:
        found = _last(_ENCLOSED.finditer(text), letters)
    if found is None and options:
        index = option_named(text, options)
        found = None if index is None else letters[index]
    if found is None:
        lone = [match for match in _LONE.finditer(text) if not _is_word(match)]
        found = _last(lone, letters)
    return found


def right_option(answer: Any, options: Sequence[str]) -> str | None:
    """Return the letter of the right option; None where an answer names none.

    An answer is the option's text, its letter, its number from 0 (a JSON number), or its number from 1 (a text).
    """
    letters = _letters(options)
    if isinstance(answer, int) and not isinstance(answer, bool) and not _by_text(str(answer), options):
        return letters[answer] if 0 <= answer < len(letters) else None
    text = answer if isinstance(answer, str) else json.dumps(answer)
    found = _by_text(text, options) or _alone(text, letters) or _last([_OPENING.match(text)], letters)
    number = bare(text)
    if found is None and number.isascii() and number.isdigit() and 1 <= int(number[:4]) <= len(letters):
        return letters[int(number[:4]) - 1]
    return found


def _letters(options: Sequence[str]) -> str:
    return string.ascii_uppercase[: len(options)] if options else LETTERS


def _alone(text: str, letters: str) -> str | None:
    match = _ALONE.fullmatch(text) if len(text) < 60 else None
    return match[1].upper() if match and match[1].upper() in letters else None


def _by_text(text: str, options: Sequence[str]) -> str | None:
    keys = [normal_answer(option) for option in options]
    key = normal_answer(text)
    return string.ascii_uppercase[keys.index(key)] if keys.count(key) == 1 else None


def _last(matches: Iterable[re.Match[str] | None], letters: str) -> str | None:
    """Return the last letter of an option that is named without a `not` before it."""
    found = None
    for match in matches:
        if match is None or not match.lastindex:  # the one group that took part
            continue
        at, letter = match.start(match.lastindex), match[match.lastindex]
        if letter.upper() in letters and not _NOT.search(match.string[max(0, at - 40) : at]):
            found = letter.upper()
    return found


def _is_word(match: re.Match[str]) -> bool:
    return match[1] in "AI" and re.match(r"\s\w", match.string[match.end() :]) is not None


# ---------------------------------------------------------------- F1

_BULLET: Final = re.compile(r"\s*(?:[-*\u2022]\s|[0-9]{1,3}[.)]\s|\([0-9a-z]\)\s)")
_COMMA: Final = re.compile(r"[;\n]|,(?!(?<=[0-9],)[0-9]{3}(?![0-9]))")
_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_SQUAD_ARTICLES: Final = re.compile(r"\b(a|an|the)\b")


def items_of(value: Any) -> tuple[str, ...]:
    """Return the items of a list, or of a text that lists them: JSON, lines, or parts between commas or semicolons.

    Items are compared as `exact` compares texts (`normal_answer`); empty ones are none, and each counts once. In a text
    the answer that it comes to is split, if it has no line of its own for each item.
    """
    value = answer_of(value)
    if isinstance(value, str):
        value = _listed(value)
    if value is None:
        return ()
    texts = [
        one if isinstance(one, str) else json.dumps(one) for one in (value if isinstance(value, list) else [value])
    ]
    return tuple(dict.fromkeys(filter(None, (normal_answer(bare(text)) for text in texts))))


def _listed(text: str) -> list[Any]:
    text = middle_cut(unwrapped(text))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list):
        return found
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and all(_BULLET.match(line) for line in lines[-2:]):
        return [_BULLET.sub("", line, count=1) for line in lines if _BULLET.match(line)]
    stated = marked_in(text) or (text if len(lines) != 1 else bare(text))
    parts = [_BULLET.sub("", part, count=1) for part in _COMMA.split(stated)]
    return [re.sub(r"\A\s*and\s", "", part) for part in parts]


def set_f1(value: Any, answer: Any) -> float:
    """Return the F1 of two sets of items: 2 * common / (items of both); 1 where both are empty."""
    return _f1(Counter(items_of(value)), Counter(items_of(answer)))


def squad_tokens(text: str) -> list[str]:
    """Return the words of a text as the official script of SQuAD does: small letters, no punctuation, no articles."""
    return _SQUAD_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def token_f1(value: Any, answer: Any) -> float:
    """Return the F1 of the words of two texts, as SQuAD 2.0 counts it (Rajpurkar et al., 2018): the best over answers.

    An answer may be a list of texts, any of which is right, or an object with such a list `text` (SQuAD's own form);
    where it is none, empty, or has no words, only a value without words is right.
    """
    value = answer_of(value)
    said = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(answer, dict) and "text" in answer:
        answer = answer["text"]
    wanted = answer if isinstance(answer, list) else [answer]
    texts = ["" if one is None else one if isinstance(one, str) else json.dumps(one) for one in wanted] or [""]
    words = Counter(squad_tokens(said))
    return max(_f1(words, Counter(squad_tokens(text))) for text in texts)


def _f1(found: Counter[str], wanted: Counter[str]) -> float:
    if not found and not wanted:
        return 1.0
    common = sum(min(count, wanted[item]) for item, count in found.items())
    return 2 * common / (found.total() + wanted.total())
