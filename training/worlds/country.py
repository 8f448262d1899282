"""Tasks of the simulated world about a country that does not exist: its facts, its customs and its races.

All names are made up, so that no model can know anything of it but what the simulator gives it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Final

from training.worlds.problems import problems, value_of
from training.worlds.tasks import Task
from training.worlds.words import words

_BEGIN: Final = words("Ar Bel Cor Dun El Fen Gor Hal Ir Jal Kel Lor Mir Nor Os Pel Quen Ros Sel Tor Ul Vel Wen Yor Zan")
_MIDDLE: Final = words("a e i o u ai ea io an en in or ul ar is")
_END: Final = words("bar dor fin gan hel kin lan mor nis pha rak sin tel vor wick zor mund brin cas dell")
_BUILDINGS: Final = words("bridge tower mill harbour library gate theatre market hospital lighthouse")
_EVENTS: Final = (
    ("opened", "In which year was the {thing} of {place} opened?", "The {thing} of {place} was opened in {year}."),
    ("rebuilt", "In which year was the {thing} of {place} rebuilt?", "The {thing} of {place} was rebuilt in {year}."),
    ("sold", "In which year was the {thing} of {place} sold?", "The {thing} of {place} was sold in {year}."),
)
_EVENT_WORDINGS: Final = (
    "When (which year) was it that the {thing} of {place} was {event}?",
    "Name the year in which somebody {event} the {thing} of {place}.",
    "The {thing} of {place} was {event} one day. What was the year?",
)
_CUSTOMS: Final = (
    ("Which guild keeps the trade in {good} in the town of {place}?", "guild"),
    ("Which river carries the {good} of the town of {place} to the sea?", "river"),
    ("Which family taxes {good} in the town of {place}?", "family"),
    ("Which festival of the town of {place} begins with a gift of {good}?", "festival"),
)
_CUSTOM_WORDINGS: Final = (
    "It is about {good} in the town of {place}: which {what} does one name there?",
    "Name the {what} that goes with {good} in the town of {place}.",
    "Of which {what} does one speak in the town of {place} when it is about {good}?",
)
_GOODS: Final = words("salt amber wool cedar copper honey silk tin indigo barley pearls leather")
_PLACES: Final = ("first", "second", "third", "fourth", "fifth")
_RACE_WORDINGS: Final = (
    "{who} ran a race without ties. {clues} Who came {place}?",
    "Who came {place} in the race of {who}, in which there were no ties? {clues}",
    "{clues} There were no ties, and {who} were all that ran. Name the one who came {place}.",
    "In a race of {who} nobody tied with anybody. {clues} Which of them came {place}?",
)


class Namer:
    """Makes names that are not there yet."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._given: set[str] = set()

    def __call__(self) -> str:
        """Return a new name."""
        while True:
            parts = (_BEGIN, _MIDDLE, _END)
            name = "".join(self._random.choice(one) for one in parts)
            if self._random.random() < 0.5:
                name = self._random.choice(_BEGIN) + self._random.choice(_MIDDLE) + name.lower()
            if name not in self._given:
                self._given.add(name)
                return name


def sums(random: Random, count: int) -> Iterator[Task]:
    """Yield word problems; their difficulty grows with the number of operations."""
    for number, one in enumerate(problems(random, count, scale=2)):
        yield Task(
            f"sums/{number}",
            "sums",
            one.wordings,
            str(one.answer),
            tuple(str(int(value_of(mistake))) for mistake in one.mistakes),
            round(one.steps - 1.5 + random.uniform(-0.8, 0.8), 3),
            one.expression,
            one.mistakes,
        )


def choice(random: Random, count: int, name: Namer) -> Iterator[Task]:
    """Yield multiple-choice questions about customs: either known or not, whatever one thinks."""
    for number in range(count):
        question, what = random.choice(_CUSTOMS)
        said = {"place": name(), "good": random.choice(_GOODS), "what": what}
        options = tuple(name() for _ in range(4))
        listed = "; ".join(f"{letter}) {option}" for letter, option in zip("ABCD", options, strict=True))
        texts = (question, *_CUSTOM_WORDINGS)
        right, *wrong = random.sample(options, 4)
        yield Task(
            f"choice/{number}",
            "choice",
            tuple(f"{text.format(**said)} Options: {listed}" for text in texts),
            right,
            tuple(wrong),
            round(random.uniform(-1.5, 1.5), 3),
            options=options,
        )


def facts(random: Random, count: int, name: Namer) -> Iterator[Task]:
    """Yield questions for a year that stands in a document; without it hardly anybody knows."""
    for number in range(count):
        event, question, evidence = random.choice(_EVENTS)
        years = random.sample(range(1210, 1890), 4)
        said = {"thing": random.choice(_BUILDINGS), "place": name(), "event": event}
        yield Task(
            f"facts/{number}",
            "facts",
            tuple(text.format(**said) for text in (question, *_EVENT_WORDINGS)),
            str(years[0]),
            tuple(map(str, years[1:])),
            round(random.uniform(2.5, 4.5), 3),
            evidence=evidence.format(year=years[0], **said),
        )


def puzzles(random: Random, count: int, name: Namer) -> Iterator[Task]:
    """Yield races, told by clues that leave one order."""
    for number in range(count):
        order = [name() for _ in range(random.choice((4, 5)))]
        clues = [f"{after} came right behind {before}." for before, after in pairwise(order)]
        random.shuffle(clues)
        at = random.randrange(len(order))
        shown = sorted(order)
        said = {"who": f"{', '.join(shown[:-1])} and {shown[-1]}", "clues": " ".join(clues), "place": _PLACES[at]}
        wrong = [one for one in order if one != order[at]]
        yield Task(
            f"puzzles/{number}",
            "puzzles",
            tuple(text.format(**said) for text in _RACE_WORDINGS),
            order[at],
            tuple(random.sample(wrong, 3)),
            round(random.uniform(-0.2, 1.6) + 0.3 * (len(order) - 4), 3),
        )
