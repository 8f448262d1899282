"""Sums and word problems by templates: every problem in several wordings, with its answer by construction.

A template has a row of phrasings that ask the same, the expression that answers it, and expressions that people mistake
for it. All answers are whole numbers. `draw` is repeatable: the same random state gives the same problems.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Final, NamedTuple

from training.worlds.words import words


class Template(NamedTuple):
    """A kind of problem: `steps` is how many operations it takes, `ranges` what its numbers may be."""

    kind: str
    steps: int
    phrasings: tuple[str, ...]
    expression: str
    mistakes: tuple[str, ...]
    ranges: Mapping[str, tuple[int, int]]


class Problem(NamedTuple):
    """A problem: its wordings (the first is the query), its answer, and what it is easily taken for.

    `mistakes` are wrong expressions, whose values differ from the answer and from each other.
    """

    kind: str
    steps: int
    wordings: tuple[str, ...]
    expression: str
    answer: int
    mistakes: tuple[str, ...]


NAMES: Final = words(
    "Aisha Bruno Carmen Dmitri Elena Farid Greta Hugo Ines Jonas Keiko Lars Mina Noor Olga Pedro Qadir Rosa Samir "
    "Tessa Umar Vera Wanda Yusuf Zoe"
)
THINGS: Final = words("marbles stickers shells stamps pencils cards beads buttons postcards badges coins ribbons")
GOODS: Final = words("notebooks lamps mugs kettles scarves chairs brushes baskets clocks plates")

TEMPLATES: Final = (
    Template(
        "sum",
        1,
        ("What is {a} + {b}?", "Add {a} and {b}.", "Work out the sum of {a} and {b}.", "{a} plus {b} is how much?"),
        "{a} + {b}",
        ("{a} + {b} + 10", "{a} + {b} - 10", "{a} - {b} + 100"),
        {"a": (23, 480), "b": (17, 390)},
    ),
    Template(
        "difference",
        1,
        (
            "What is {a} - {b}?",
            "Subtract {b} from {a}.",
            "Work out the difference of {a} and {b}.",
            "{a} minus {b} is how much?",
        ),
        "{a} - {b}",
        ("{a} + {b}", "{a} - {b} + 10", "{a} - {b} - 10"),
        {"a": (120, 690), "b": (21, 110)},
    ),
    Template(
        "product",
        1,
        (
            "What is {a} * {b}?",
            "Multiply {a} by {b}.",
            "Work out the product of {a} and {b}.",
            "{a} times {b} is how much?",
        ),
        "{a} * {b}",
        ("{a} + {b}", "{a} * {b} + {b}", "{a} * {b} - 10"),
        {"a": (12, 48), "b": (3, 19)},
    ),
    Template(
        "collection",
        1,
        (
            "{name} has {a} {things} and finds {b} more. How many {things} does {name} have now?",
            "After finding {b} {things}, how many does {name} have, who had {a} before?",
            "There are {a} {things} in the box of {name}. Now {name} adds {b}. How many {things} are in it?",
            "{name} owned {a} {things}. Then {b} further ones came in. Count the {things} that {name} owns now.",
        ),
        "{a} + {b}",
        ("{a} - {b}", "{a} + {b} + {b}", "{a} + {b} - 10"),
        {"a": (34, 180), "b": (12, 33)},
    ),
    Template(
        "left over",
        1,
        (
            "{name} had {a} {things} and gave {b} of them away. How many {things} are left?",
            "Of {a} {things}, {name} gives away {b}. How many remain?",
            "How many {things} does {name} keep, who had {a} and has given away {b}?",
            "{name} starts with {a} {things}. A friend gets {b} of them. What number of {things} stays with {name}?",
        ),
        "{a} - {b}",
        ("{a} + {b}", "{a} - {b} - {b}", "{a} - {b} + 10"),
        {"a": (90, 260), "b": (12, 38)},
    ),
    Template(
        "unit price",
        1,
        (
            "A shop sells {goods} at {a} dollars each. How many dollars do {b} {goods} cost?",
            "What do {b} {goods} cost in dollars, if one costs {a} dollars?",
            "{name} buys {b} {goods}. Each is {a} dollars. How many dollars does {name} pay?",
            "At a price of {a} dollars a piece, how many dollars must {name} pay for {b} {goods}?",
        ),
        "{a} * {b}",
        ("{a} + {b}", "{a} * ({b} - 1)", "{a} * ({b} + 1)"),
        {"a": (7, 36), "b": (6, 24)},
    ),
    Template(
        "sharing",
        1,
        (
            "{name} shares {a} {things} equally among {b} children. How many {things} does each child get?",
            "{b} children share {a} {things} equally. What is the share of each?",
            "How many {things} does each of {b} children get, if {name} hands out {a} in equal parts?",
            "Divide {a} {things} fairly among {b} children. How many are there for each?",
        ),
        "{a} / {b}",
        ("{a} / {b} + {b}", "{a} - {b}", "{a} / {b} + 1"),
        {"a": (96, 600), "b": (4, 12)},
    ),
    Template(
        "coming and going",
        2,
        (
            "{name} has {a} {things}, gets {b} more and gives {c} away. How many {things} does {name} have in the end?",
            "A drawer holds {a} {things}. {name} puts {b} in and takes {c} out. How many {things} stay?",
            "First {name} had {a} {things}, then {b} came in and {c} went out. What is the number of {things} now?",
            "{name} gave away {c} {things} after {b} had been added to the {a} of before. How many {things} are left?",
        ),
        "{a} + {b} - {c}",
        ("{a} + {b} + {c}", "{a} - {b} - {c}", "{a} + {b}"),
        {"a": (110, 240), "b": (31, 60), "c": (12, 28)},
    ),
    Template(
        "bill with a discount",
        2,
        (
            "{name} buys {b} {goods} at {a} dollars each with a coupon of {c} dollars. How many dollars is that?",
            "One of the {goods} costs {a} dollars. What do {b} cost in dollars, less a coupon of {c} dollars?",
            "{name} takes {b} {goods} for {a} dollars a piece; {c} dollars come off. What is to be paid?",
            "With {c} dollars off the whole bill, how many dollars do {b} {goods} at {a} dollars each cost?",
        ),
        "{a} * {b} - {c}",
        ("{a} * {b}", "{a} * {b} + {c}", "({a} - {c}) * {b}"),
        {"a": (14, 32), "b": (6, 15), "c": (5, 12)},
    ),
    Template(
        "boxes and singles",
        2,
        (
            "{name} has {a} boxes with {b} {things} each, and {c} single {things}. How many {things} is that in all?",
            (
                "There are {b} {things} in each of {a} boxes, and {c} lie beside them. How many {things} are there "
                "altogether?"
            ),
            "How many {things} does {name} own: {a} boxes of {b} and {c} loose ones?",
            (
                "{name} fills {a} boxes with {b} {things} each and has {c} {things} left over. What number of "
                "{things} is that?"
            ),
        ),
        "{a} * {b} + {c}",
        ("{a} + {b} + {c}", "{a} * ({b} + {c})", "{a} * {b}"),
        {"a": (6, 14), "b": (8, 24), "c": (3, 40)},
    ),
    Template(
        "ages",
        2,
        (
            "{name} is {a} years old. {other} is {b} years older than {name}. How old will {other} be in {c} years?",
            (
                "In {c} years, how old will {other} be, who is {b} years older than {name}, if {name} is {a} years "
                "old today?"
            ),
            "{other} was born {b} years before {name}, who is {a} now. What is the age of {other} in {c} years?",
            "Today {name} is {a}, and {other} is {b} years older. Give the age of {other} when {c} years have passed.",
        ),
        "{a} + {b} + {c}",
        ("{a} + {b}", "{a} + {b} - {c}", "{a} + {c}"),
        {"a": (11, 45), "b": (12, 20), "c": (3, 9)},
    ),
    Template(
        "percentage",
        2,
        (
            "{p} percent of the {a} seats of a hall are taken. How many seats are taken?",
            "A hall has {a} seats, and {p} % of them are taken. What number of seats is taken?",
            "How many of {a} seats are taken, if {p} percent of them are?",
            "Of {a} seats, {p} in each hundred are taken. How many is that?",
        ),
        "{a} * {p} / 100",
        ("{a} - {p}", "{a} - {a} * {p} / 100", "{a} / 100 + {p}"),
        {"a": (120, 900), "p": (15, 85)},
    ),
    Template(
        "price after a rise",
        3,
        (
            "A bicycle costs {a} dollars. Its price rises by {p} percent. How many dollars does it cost then?",
            "What is the new price in dollars of a bicycle of {a} dollars, after a rise of {p} percent?",
            "{name} wanted a bicycle for {a} dollars, but now it is {p} % dearer. How many dollars is it now?",
            "By {p} percent the price of a bicycle goes up, from {a} dollars to how many dollars?",
        ),
        "{a} + {a} * {p} / 100",
        ("{a} + {p}", "{a} - {a} * {p} / 100", "{a} * {p} / 100"),
        {"a": (140, 800), "p": (15, 60)},
    ),
    Template(
        "money left",
        3,
        (
            (
                "{name} has {m} dollars and buys {b} {goods} at {a} dollars and a book for {c} dollars. How many "
                "dollars remain?"
            ),
            "How many dollars of {m} are left after {b} {goods} at {a} dollars each and a book of {c} dollars?",
            (
                "{name} goes out with {m} dollars. {b} {goods} cost {a} dollars each, a book costs {c}. What does "
                "{name} bring back?"
            ),
            (
                "From {m} dollars {name} pays {c} dollars for a book and {a} dollars for each of {b} {goods}. What "
                "is left?"
            ),
        ),
        "{m} - {a} * {b} - {c}",
        ("{m} - {a} - {b} - {c}", "{m} - {a} * {b}", "{m} - {a} * {b} + {c}"),
        {"m": (400, 700), "a": (11, 24), "b": (5, 12), "c": (13, 39)},
    ),
    Template(
        "two workers",
        3,
        (
            (
                "{name} packs {a} parcels an hour and {other} packs {b}. How many parcels do both pack in {c} hours, "
                "if {d} are sent back?"
            ),
            (
                "In {c} hours, {name} packs {a} parcels in each and {other} {b}; {d} of them come back. How many "
                "parcels stay packed?"
            ),
            (
                "{d} parcels come back of all that {name} ({a} an hour) and {other} ({b} an hour) pack in {c} hours. "
                "How many do not come back?"
            ),
            (
                "Two people pack parcels for {c} hours: {name} {a} an hour, {other} {b} an hour. If {d} are "
                "returned, how many are not?"
            ),
        ),
        "({a} + {b}) * {c} - {d}",
        ("{a} + {b} * {c} - {d}", "({a} + {b}) * {c}", "({a} + {b}) * {c} + {d}"),
        {"a": (13, 30), "b": (11, 29), "c": (4, 9), "d": (6, 25)},
    ),
    Template(
        "shared bill",
        3,
        (
            (
                "{k} friends share a bill of {a} dollars for food and {b} dollars for drinks, and each adds {c} "
                "dollars as a tip. How many dollars does each pay?"
            ),
            "Food was {a} dollars, drinks {b}. {k} friends split that, and each tips {c} dollars. What does each pay?",
            (
                "How many dollars does each of {k} friends pay who split {a} dollars for food and {b} dollars for "
                "drinks, and give {c} dollars each on top?"
            ),
            "{a} dollars of food, {b} of drinks, {k} payers, and {c} dollars of tip from each: what does one pay?",
        ),
        "({a} + {b}) / {k} + {c}",
        ("{a} / {k} + {b} + {c}", "({a} + {b}) / {k}", "({a} + {b} + {c}) / {k} + 10"),
        {"a": (90, 240), "b": (30, 120), "k": (3, 8), "c": (4, 12)},
    ),
)
"""Kinds of one, two and three operations."""


def draw(random: Random, template: Template, *, scale: int = 1, small: bool = False, wider: int = 0) -> Problem:
    """Return a problem of a template.

    `scale` multiplies the largest numbers of its ranges, but no percentages. `small` ones have numbers of a tenth, such
    that also an answer may be less than 10. `wider` is added to the largest numbers.
    """
    least = 2 if small else 10
    while True:
        numbers = {}
        for name, (low, high) in template.ranges.items():
            if name != "p":
                low, high = (max(low // 10, 2), max(high // 10, 9)) if small else (low, high * scale)
                high += wider
            numbers[name] = random.randint(low, high)
        name, other = random.sample(NAMES, 2)
        said = {"name": name, "other": other, "things": random.choice(THINGS), "goods": random.choice(GOODS)}
        expression = template.expression.format(**numbers)
        answer = value_of(expression)
        if answer.denominator != 1 or answer < least or answer in numbers.values():
            continue
        mistakes: dict[Fraction, str] = {}
        for mistake in template.mistakes:
            text = mistake.format(**numbers)
            value = value_of(text)
            if value.denominator == 1 and value >= least and value != answer and value not in numbers.values():
                mistakes.setdefault(value, text)
        if len(mistakes) < 2:
            continue
        first = random.randrange(len(template.phrasings))
        order = (*template.phrasings[first:], *template.phrasings[:first])
        wordings = tuple(one.format(**numbers, **said) for one in order)
        return Problem(template.kind, template.steps, wordings, expression, int(answer), tuple(mistakes.values()))


def problems(
    random: Random, count: int, *, templates: Sequence[Template] = TEMPLATES, scale: int = 1, small: bool = False
) -> list[Problem]:
    """Return so many problems without a wording that is there twice, the kinds in turn (see `draw`).

    Where hardly any new ones are left, numbers get larger: so there are as many as are asked for.
    """
    found: list[Problem] = []
    seen: set[str] = set()
    wider = [0] * len(templates)
    while len(found) < count:
        kind = len(found) % len(templates)
        one = draw(random, templates[kind], scale=scale, small=small, wider=wider[kind])
        if seen.isdisjoint(one.wordings):
            seen.update(one.wordings)
            found.append(one)
        else:
            wider[kind] += 1
    return found


_OPERATORS: Final[Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def value_of(expression: str) -> Fraction:
    """Return the exact value of an expression of whole numbers and `+ - * / ( )`.

    Raises ValueError for anything else, ZeroDivisionError for a division by nothing.
    """

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return Fraction(node.value)
        raise ValueError(f"{expression!r} is no expression of whole numbers")

    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError:
        raise ValueError(f"{expression!r} is no expression of whole numbers") from None
    return value(tree.body)
