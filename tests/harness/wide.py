"""Programs that are hard to lay out: long names, long texts, wide characters, deep conditions, deep types."""

from __future__ import annotations

from random import Random

WORDS = ("alpha", "beta", "gamma", "verylongnameindeed", "x", "q")
TEXTS = (
    '"a"',
    '"some words"',
    '"é✓ 漢字 한국어 😀"',
    '"it is a rather long text with many words in it so that it does not fit on the rest of a line"',
    f'"{"x" * 90}"',
    '"quote \\"q\\" and \\\\ back"',
    '"two\\nlines of text, the second of which is long enough to be broken somewhere, or even two times"',
)


class _Writer:
    def __init__(self, random: Random) -> None:
        self._random = random
        self.texts = [self._name(f"v{number}_", 5) for number in range(8)]
        self.ints = [self._name(f"n{number}_", 4) for number in range(4)]
        self.lists = [self._name(f"l{number}_", 4) for number in range(3)]
        self.words = [self._name(f"word_{number}_", 3) for number in range(8)]

    def _name(self, prefix: str, most: int) -> str:
        parts = (self._random.choice(WORDS) for _ in range(1 + self._random.randrange(most)))
        return (prefix + "_".join(parts))[:60]

    def text(self, depth: int) -> str:
        choice = self._random.random()
        if depth <= 0 or choice < 0.3:
            return self._random.choice(self.texts)
        if choice < 0.45:
            return self._random.choice(TEXTS)
        if choice < 0.6:
            return f"upper({self.text(depth - 1)})"
        if choice < 0.8:
            return f"{self.text(depth - 1)} + {self.text(depth - 1)}"
        if choice < 0.9:
            return f"join({self._random.choice(self.lists)}, {self.text(depth - 1)})"
        return f"text({self.number(depth - 1)})"

    def number(self, depth: int) -> str:
        if depth <= 0 or self._random.random() < 0.4:
            return self._random.choice([*self.ints, "1", "9999999999"])
        return f"({self.number(depth - 1)} {self._random.choice('+-*')} {self.number(depth - 1)})"

    def condition(self, depth: int) -> str:
        choice = self._random.random()
        if depth <= 0 or choice < 0.25:
            return f"{self._random.choice(self.texts)} == {self.text(1)}"
        if choice < 0.35:
            return f"contains({self.text(depth - 1)}, {self.text(depth - 1)})"
        if choice < 0.45:
            return f"{self._random.choice(self.ints)} < {self.number(depth)}"
        if choice < 0.6:
            return f"not ({self.condition(depth - 1)})"
        operands = (f"({self.condition(depth - 1)})" for _ in range(2 + self._random.randrange(3)))
        return self._random.choice([" and ", " or "]).join(operands)

    def statement(self, number: int) -> str:
        text, choice, first = self.text, self._random.randrange(6), self.texts[0]
        if choice == 0:
            fallback = f" else ask({text(1)}, {text(1)}, {text(1)})" if self._random.random() < 0.3 else ""
            return f"s{number} = ask({text(2)}, {text(2)}, {text(1)}){fallback}"
        if choice == 1:
            return f"s{number} = {text(4)}\n  if s{number} == {text(1)} {{ return {text(1)} }}"
        if choice == 2:
            return f'b{number} = {self.condition(3)}\n  if b{number} {{ u{number} = ask("a", "b", "c") }}'
        if choice == 3:
            return f"if {self.condition(3)} {{ return {text(3)} }}"
        if choice == 4:
            fields = ", ".join(f"{name}: {text(2)}" for name in self.texts[:4])
            return f"w{number} = Rec({fields})\n  if w{number}.{first} == {text(1)} {{ return {text(1)} }}"
        condition = self.condition(2).replace(first, f"item{number}")
        items = self._random.choice(self.lists)
        each = f"each item{number} in {items} where {condition}: ask(item{number}, {text(1)}, {text(1)})"
        return f"e{number} = {each}\n  if len(e{number}) > 2 {{ return {text(1)} }}"

    def program(self) -> str:
        params = [
            *(f"{name}: text(100)" for name in self.texts),
            *(f"{name}: int = {at}" for at, name in enumerate(self.ints)),
        ]
        deep = "[7][8][9]" if self._random.random() < 0.3 else ""
        lines = [
            "mas 1",
            f"type Kind = {' | '.join(self.words)}",
            f"type Rec {{ {', '.join(f'{name}: text(40)' for name in self.texts[:4])} }}",
            f"agent ask({', '.join(f'{name}: text(100)' for name in self.texts[:3])},",
            f"  ns: text(20)[3][4]{deep}?) -> text(400)",
            f'  "{"Go on. " * self._random.randrange(1, 40)}"',
            'agent kind(q) -> Kind "K"',
            f"## {'word ' * self._random.randrange(1, 60)}",
            f"flow main({', '.join(params)}) -> text(900) {{",
            *(f"  {name} = [{', '.join(self._random.choices(self.texts, k=2))}]" for name in self.lists),
            *(f"  {self.statement(number)}" for number in range(12)),
            f"  k = kind({self.text(1)})",
            "  match k {",
            f"    {' | '.join(self.words[:5])} {{ return {self.text(2)} }}",
            "    else { other = k }",
            "  }",
            f"  if other == Kind.{self.words[6]} {{ return {self.text(1)} }}",
            f"  return {self.text(3)}\n}}",
        ]
        return "\n".join(lines) + "\n"


def wide_program(random: Random) -> str:
    """Return the text of a program that checks without errors and fits no line."""
    return _Writer(random).program()
