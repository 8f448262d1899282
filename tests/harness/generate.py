"""Random well-typed programs, in the manner of Csmith: every choice is made among what the types allow.

`program(random)` returns a text that checks without errors. It draws from a `random.Random`, so that hypothesis can
shrink it (`strategies.randoms(use_true_random=False)`) and a seed can repeat it.
"""

from __future__ import annotations

from random import Random

HEADER = """mas 1
type Kind = math | code | other
type Review { ok: bool, score: int, kind: Kind, notes: text(20)[3] }
"""

LIBRARY = """use std.text: final_answer, normalise, same, similarity
use std.vote: agreement, best, ranked, vote
"""
"""Functions of the standard library in the generator's expressions."""

LEAVES: dict[str, str] = {
    "text": "text(40)",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "Kind": "Kind",
    "Review": "Review",
    "texts": "text(20)[4]",
    "ints": "int[3]+",
    "maybe": "text(40)?",
}
"""What the agents of a generated program return, by the name of the type in the generator."""

DEFAULTS: dict[str, str] = {
    "text": '"nothing"',
    "int": "7",
    "float": "0.5",
    "bool": "false",
    "Kind": "Kind.other",
    "Review": 'Review(ok: true, score: 1, kind: Kind.math, notes: ["n"])',
    "texts": '["x"]',
    "ints": "[3]",
    "maybe": "none",
}


class Scope:
    """Names by type, as they are known at a point of a body. `here` are those bound in the block itself."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        self.names = {kind: list(bound) for kind, bound in names.items()}

    def add(self, kind: str, name: str) -> None:
        self.names.setdefault(kind, []).append(name)

    def of(self, kind: str) -> list[str]:
        return self.names.get(kind, [])

    def copy(self) -> Scope:
        return Scope(self.names)


class Generator:
    """Writes one program."""

    def __init__(self, random: Random, size: int = 8) -> None:
        self.random = random
        self.size = size
        self.count = 0
        self.flows: list[tuple[str, list[str], str]] = []

    def pick(self, *options: str) -> str:
        return options[self.random.randrange(len(options))]

    def chance(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def fresh(self, prefix: str = "v") -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def program(self) -> str:
        """Return the text of a program whose entry is `main(q) -> text`."""
        parts = [HEADER, LIBRARY]
        if self.chance(30):
            parts.append("budget calls 1000\n")
        for kind, written in LEAVES.items():
            default = f" else {DEFAULTS[kind]}" if self.chance(40) and kind != "maybe" else ""
            retry = " retry 1" if self.chance(30) else ""
            extra = f", extra: {LEAVES[kind]}" if self.chance(30) and kind != "maybe" else ""
            needed = f" = {DEFAULTS[kind]}" if extra else ""
            parts.append(f'agent ask_{kind.lower()}(q{extra}{needed}) -> {written}{default}{retry} "Go."\n')
        parts.append('tool look(q) -> text(40) else "no" from "look"\n')
        parts.append('tool send(q) -> int from "send" effect\n')
        for _ in range(self.random.randrange(3)):
            parts.append(self.flow(self.fresh("flow_"), self.pick("text", "int", "texts", "bool", "Review")))
        parts.append(self.flow("main", "text", main=True))
        return "".join(parts)

    def flow(self, name: str, returns: str, *, main: bool = False) -> str:
        scope = Scope({})
        kinds = (
            ["text"]
            if main
            else [self.pick("text", "int", "bool", "Kind", "texts") for _ in range(1 + self.random.randrange(2))]
        )
        params = ["q"] if main else [self.fresh("p") for _ in kinds]
        for param, kind in zip(params, kinds, strict=True):
            scope.add(kind, param)
        written = ", ".join(f"{param}: {LEAVES[kind]}" for param, kind in zip(params, kinds, strict=True))
        default = f" else {DEFAULTS[returns]}" if self.chance(20) and not main else ""
        body = self.block(scope, self.size, 1)
        result = self.expr(returns, scope, 2)
        text = f"flow {name}({written}) -> {LEAVES[returns]}{default} {{\n{body}  return {result}\n}}\n"
        self.flows.append((name, kinds, returns))
        return text

    # ------------------------------------------------------------ statements

    def block(self, scope: Scope, size: int, depth: int, loops: int = 0) -> str:
        lines: list[str] = []
        fixed = {kind: list(names) for kind, names in scope.names.items()}
        for _ in range(1 + self.random.randrange(max(1, size))):
            lines.append(self.statement(scope, fixed, size // 2, depth, loops))
        return "".join("  " * depth + line for line in lines)

    def statement(self, scope: Scope, outer: dict[str, list[str]], size: int, depth: int, loops: int) -> str:
        choice = self.random.randrange(100)
        nested = depth < 4
        if choice < 40 or not nested:
            kind = self.pick(*LEAVES)
            name = self.fresh()
            line = f"{name} = {self.step(kind, scope)}\n"
            scope.add(kind, name)
            return line
        if choice < 50:
            kind = self.pick("text", "int", "float", "bool", "Kind", "Review")
            name = self.fresh()
            line = f"{name} = {self.expr(kind, scope, 3)}\n"
            scope.add(kind, name)
            return line
        if choice < 58:
            return self.collection(scope)
        pad = "  " * depth
        if choice < 74:
            return self.loop(scope, size, depth, loops)
        if choice < 88:
            merged = [(self.pick("text", "int", "bool"), self.fresh()) for _ in range(self.random.randrange(3))]
            text = f"if {self.expr('bool', scope, 2)} {{\n" + self.branch(scope, merged, size, depth, loops) + pad + "}"
            if self.chance(30):
                text += (
                    f" else if {self.expr('bool', scope, 2)} {{\n"
                    + self.branch(scope, merged, size, depth, loops)
                    + pad
                    + "}"
                )
            if merged or self.chance(50):
                text += " else {\n" + self.branch(scope, merged, size, depth, loops) + pad + "}"
            for kind, name in merged:
                scope.add(kind, name)
            return text + "\n"
        if choice < 95:
            merged = [(self.pick("text", "int"), self.fresh())]
            arms = [("math",), ("code", "other")] if self.chance(50) else [("math", "code")]
            text = f"match {self.expr('Kind', scope, 1)} {{\n"
            for words in arms:
                text += (
                    f"{pad}  {' | '.join(words)} {{\n"
                    + self.branch(scope, merged, size, depth + 1, loops)
                    + f"{pad}  }}\n"
                )
            text += pad + "}"
            if len(arms) == 1:
                text = text[: -len(pad) - 1] + f"{pad}  else {{\n" + self.branch(scope, merged, size, depth + 1, loops)
                text += f"{pad}  }}\n{pad}}}"
            for kind, name in merged:
                scope.add(kind, name)
            return text + "\n"
        inner = self.block(scope, size, depth + 1, loops)
        return f"within calls 500 {{\n{inner}{pad}}}\n"

    def branch(self, scope: Scope, merged: list[tuple[str, str]], size: int, depth: int, loops: int) -> str:
        inner = scope.copy()
        body = self.block(inner, size, depth + 1, loops) if self.chance(60) else ""
        pad = "  " * (depth + 1)
        for kind, name in merged:
            body += f"{pad}{name} = {self.step(kind, inner) if self.chance(40) else self.expr(kind, inner, 2)}\n"
        if not body:
            body = f"{pad}{self.fresh()} = {self.step('text', inner)}\n"
        return body

    def loop(self, scope: Scope, size: int, depth: int, loops: int) -> str:
        pad, inner_pad = "  " * depth, "  " * (depth + 1)
        inner = scope.copy()
        carried = [
            (kind, name) for kind in ("text", "int") for name in scope.of(kind) if not name.startswith(("p", "q"))
        ]
        label = f"{self.fresh('l')}: " if self.chance(30) else ""
        if self.chance(60):
            head = f"{label}loop {1 + self.random.randrange(3)}"
        else:
            var = self.fresh("i")
            head = f"{label}for {var} in {self.expr('texts', scope, 1)}"
            inner.add("text", var)
        body = self.block(inner, size, depth + 1, loops + 1)
        if self.chance(50):
            body += f"{inner_pad}until {self.expr('bool', inner, 2)}\n"
        if carried and self.chance(80):
            kind, name = carried[self.random.randrange(len(carried))]
            value = self.step(kind, inner) if self.chance(60) else self.expr(kind, inner, 2)
            body += f"{inner_pad}{name} = {value}\n"
        if self.chance(30):
            body += f"{inner_pad}{self.fresh()} = {self.step('text', inner)}\n"
        return f"{head} {{\n{body}{pad}}}\n"

    def collection(self, scope: Scope) -> str:
        name = self.fresh()
        if self.chance(50):
            step = f"{self.call('text', scope)}{self.otherwise('text', scope)}"
            line = f"{name} = {2 + self.random.randrange(3)} of {step}\n"
        else:
            var = self.fresh("i")
            inner = scope.copy()
            inner.add("text", var)
            where = f" where {self.expr('bool', inner, 1)}" if self.chance(40) else ""
            body = self.call("text", inner) + self.otherwise("text", inner)
            line = f"{name} = each {var} in {self.expr('texts', scope, 1)}{where}: {body}\n"
        scope.add("texts", name)
        return line

    def otherwise(self, kind: str, scope: Scope) -> str:
        if not self.chance(35):
            return ""
        return f" else {self.call(kind, scope) if self.chance(40) else self.expr(kind, scope, 1)}"

    def step(self, kind: str, scope: Scope) -> str:
        return self.call(kind, scope) + self.otherwise(kind, scope)

    def call(self, kind: str, scope: Scope) -> str:
        flows = [(name, params) for name, params, returns in self.flows if returns == kind]
        if flows and self.chance(30):
            name, params = flows[self.random.randrange(len(flows))]
            return f"{name}({', '.join(self.expr(param, scope, 1) for param in params)})"
        if kind == "text" and self.chance(15):
            return f"look({self.expr('text', scope, 1)})"
        if kind == "int" and self.chance(20):
            return f"send({self.expr('text', scope, 1)})"
        return f"ask_{kind.lower()}({self.expr('text', scope, 2)})"

    # ------------------------------------------------------------ expressions

    def expr(self, kind: str, scope: Scope, depth: int) -> str:
        names = scope.of(kind)
        if names and (depth <= 0 or self.chance(55)):
            return names[self.random.randrange(len(names))]
        if depth <= 0:
            return self.literal(kind)
        return self.pick(*self.forms(kind, scope, depth - 1), *self.library(kind, scope, depth - 1))

    def literal(self, kind: str) -> str:
        match kind:
            case "text":
                return self.pick('"a"', '"two words"', '""', '"\\"q\\" \\\\ {x}"', '"é✓"')
            case "int":
                return self.pick("0", "1", "2", "-3", "9999999999")
            case "float":
                return self.pick("0.0", "1.5", "-2.25")
            case "bool":
                return self.pick("true", "false")
            case "Kind":
                return self.pick("Kind.math", "Kind.code", "Kind.other")
            case _:
                return DEFAULTS[kind]

    def library(self, kind: str, scope: Scope, depth: int) -> list[str]:
        """Return calls of functions of the standard library."""

        def e(inner: str) -> str:
            return self.expr(inner, scope, depth)

        match kind:
            case "text":
                text = e("text")
                return [f"normalise({text})", f"final_answer({text})", f"vote([{text}, {e('text')}, {e('text')}])"]
            case "int":
                return [f"vote({e('ints')})", f"best({e('ints')}, [{e('float')}, {e('float')}])"]
            case "float":
                return [f"similarity({e('text')}, {e('text')})", f"agreement([{e('Review')}, {e('Review')}])"]
            case "bool":
                return [f"same({e('text')}, {e('text')})"]
            case "texts":
                return [f"ranked({e('texts')}, [{e('float')}])"]
            case _:
                return []

    def forms(self, kind: str, scope: Scope, depth: int) -> list[str]:
        def e(inner: str) -> str:
            return self.expr(inner, scope, depth)

        literal = self.literal(kind)
        match kind:
            case "text":
                reviews = [f'join({name}.notes, "-")' for name in scope.of("Review")]
                return [literal, f"{e('text')} + {e('text')}", f"upper({e('text')})", f"text({e('int')})", *reviews]
            case "int":
                reviews = [f"{name}.score" for name in scope.of("Review")]
                return [
                    literal,
                    f"({e('int')} + {e('int')})",
                    f"({e('int')} * {e('int')})",
                    f"({e('int')} - {e('int')})",
                    f"len({e('text')})",
                    f"mod({e('int')}, {e('int')})",
                    f"sum({e('ints')})",
                    f"max({e('ints')})",
                    *reviews,
                ]
            case "float":
                return [literal, f"({e('int')} / {e('int')})", f"abs({e('float')})"]
            case "bool":
                maybe = [f'({name} != none and {name} != "a")' for name in scope.of("maybe")]
                reviews = [f"{name}.ok" for name in scope.of("Review")]
                return [
                    literal,
                    f"not {e('bool')}",
                    f"({e('bool')} and {e('bool')})",
                    f"({e('bool')} or {e('bool')})",
                    f"{e('int')} < {e('int')}",
                    f"{e('text')} == {e('text')}",
                    f"{e('Kind')} == {self.literal('Kind')}",
                    f"contains({e('text')}, {e('text')})",
                    *maybe,
                    *reviews,
                ]
            case "Kind":
                return [literal, *(f"{name}.kind" for name in scope.of("Review"))]
            case "Review":
                record = f"Review(ok: {e('bool')}, score: {e('int')}, kind: {e('Kind')}, notes: [{e('text')}])"
                return [literal, record]
            case "texts":
                return [literal, f"[{e('text')}, {e('text')}]", f"lines({e('text')})", f"unique({e('texts')})"]
            case "ints":
                return [literal, f"[{e('int')}, {e('int')}]"]
            case _:
                return [literal, e("text")]


def program(random: Random, size: int = 8) -> str:
    """Return the text of a random well-typed program with an entry `main(q) -> text`."""
    return Generator(random, size).program()
