"""The tree-sitter grammar, made from `grammar/mas.lark`: rule by rule, names of rules and aliases kept.

Lark's `?rule` is a hidden rule (`_rule`); where it repeats something behind a first part, as in `a ("or" a)*`, the
repetition is a node of the rule's name and a single `a` is none. Roles of names (`callee`, `binder`, ...) stay nodes,
for queries to tell them apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from lark import Tree
from lark.grammar import NonTerminal, Terminal
from lark.load_grammar import load_grammar

from masdsl.editor.words import CONSTANT, LOGICAL
from masdsl.syntax.grammar import grammar_text

Rule = dict[str, Any]
START = "source_file"
_LEFT_OUT = frozenset(("chunk",))
_KINDS = ("program", "binding", "patch")


def grammar() -> Rule:
    """Return the grammar in tree-sitter's JSON."""
    load: Any = load_grammar  # lark has no types for it
    read, _ = load(grammar_text(), "mas.lark", None, False)
    maker = _Maker(read)
    rules: dict[str, Rule] = {START: {"type": "CHOICE", "members": [maker.symbol(kind) for kind in _KINDS]}}
    rules |= maker.run()
    return {
        "name": "mas",
        "word": "NAME",
        "rules": rules,
        "extras": [{"type": "PATTERN", "value": "[ \\t\\r\\n]"}, {"type": "SYMBOL", "name": "COMMENT"}],
        "conflicts": [],
        "precedences": [],
        "externals": [],
        "inline": [],
        "supertypes": [],
    }


def text() -> str:
    """Return the grammar as the text of `grammar.json`."""
    return json.dumps(grammar(), indent=2, ensure_ascii=False) + "\n"


_ROLES = (
    ("callee", "function.call"),
    ("type_binder", "type.definition"),
    ("type_ref", "type"),
    ("primitive_ref", "type.builtin"),
    ("field_ref", "property"),
    ("field_binder", "property"),
    ("word_binder", "constant"),
    ("word_ref", "constant"),
    ("literal_word_ref", "constant"),
    ("var_ref", "variable"),
    ("param_ref", "variable.parameter"),
    ("size_ref", "variable.parameter"),
    ("size_binder", "variable.parameter"),
    ("label_binder", "label"),
    ("module_ref", "module"),
    ("model_ref", "constant.builtin"),
    ("agent_ref", "function"),
    ("tool_ref", "function"),
    ("path_part", "variable.member"),
)
_NUMBERS = ("INT", "FLOAT", "SCALED", "PERCENT")


def words() -> list[str]:
    """Return the words of the grammar's rules, in order."""
    return sorted({text for text in strings(grammar()) if text.isalpha()})


def strings(rule: Any) -> Iterator[str]:
    """Yield the texts of a grammar, however deep."""
    if isinstance(rule, dict):
        if rule.get("type") == "STRING":
            yield rule["value"]
        rule = list(rule.values())
    if isinstance(rule, list):
        for part in rule:
            yield from strings(part)


def highlights() -> str:
    """Return the query for highlighting; where several patterns match, the last one counts."""
    alone = [name for name, rule in grammar()["rules"].items() if rule["type"] == "STRING"]  # such a node is its word
    keywords = [word for word in words() if word not in (*CONSTANT, *LOGICAL, *alone)]
    lines = ["; Made from the grammar by `python -m tests.regen`; do not edit.", ""]
    lines += [
        "(COMMENT) @comment",
        '((COMMENT) @comment.documentation (#match? @comment.documentation "^##"))',
        "(STRING) @string",
        f"[{' '.join(f'({name})' for name in _NUMBERS)}] @number",
        "",
        f"[{_quoted(keywords)}] @keyword",
        *(f"({name}) @keyword" for name in alone),
        f"[{_quoted(LOGICAL)}] @keyword.operator",
        f"[{_quoted(CONSTANT)}] @constant.builtin",
        f"[{_quoted(('->', '=', '+=', '==', '!=', '<=', '>=', '<', '>', '+', '-', '*', '/', '|', '?'))}] @operator",
        f"[{_quoted(('(', ')', '[', ']', '{', '}'))}] @punctuation.bracket",
        f"[{_quoted((',', ':', '.'))}] @punctuation.delimiter",
        "",
        *(f"({role}) @{capture}" for role, capture in _ROLES),
        "",
        "(bind (binder) @variable)",
        "(param (binder) @variable.parameter)",
        "(agent (binder) @function)",
        "(variant (binder) @function)",
        "(tool (binder) @function)",
        "(extern (binder) @function)",
        "(flow_head (binder) @function)",
    ]
    return "\n".join([*lines, ""])


def _quoted(texts: Iterable[str]) -> str:
    return " ".join(json.dumps(text) for text in texts)


class _Maker:
    def __init__(self, read: Any) -> None:
        self._definitions = {str(name): (tree, options) for name, _, tree, options in read.rule_defs}
        self._terminals = {str(name): tree for name, (tree, _) in read.term_defs}
        self._ignored = {str(name) for name in read.ignore}
        self._rules: dict[str, Rule] = {}

    def run(self) -> dict[str, Rule]:
        for name, (tree, options) in self._definitions.items():
            if name not in _LEFT_OUT:
                self._define(name, tree, hidden=options.expand1)
        for name in self._terminals:
            pattern = self._pattern(name)
            if pattern is not None and (name not in self._ignored or name == "COMMENT"):
                self._rules[name] = {"type": "PATTERN", "value": pattern}
        return self._rules

    def symbol(self, name: str) -> Rule:
        hidden = self._definitions[name][1].expand1 and not self._is_role(name)
        return {"type": "SYMBOL", "name": f"_{name}" if hidden else name}

    def _is_role(self, name: str) -> bool:
        """Whether a rule is a name in a role: it stays a node, though it has one child alone."""
        tree = self._definitions[name][0]
        parts = list(tree.find_data("value"))
        return all(isinstance(part.children[0], Terminal) for part in parts) and not list(tree.find_data("alias"))

    def _define(self, name: str, tree: Any, hidden: bool) -> None:
        hidden = hidden and not self._is_role(name)
        members = []
        for alternative in tree.children:
            if alternative.data == "alias":
                content, alias = alternative.children
                own = str(alias.name) if hasattr(alias, "name") else str(alias)
                members.append(self._aliased(name, own, self._rule(content)))
            elif hidden and (parts := self._repeated(alternative)) is not None:
                members += [parts[0], self._aliased(name, name, parts[1])]
            else:
                members.append(self._rule(alternative))
        made = members[0] if len(members) == 1 else {"type": "CHOICE", "members": members}
        self._rules[f"_{name}" if hidden else name] = made

    def _aliased(self, rule: str, alias: str, content: Rule) -> Rule:
        """Return a node called `alias`, whose content is a rule of its own; some aliases have several contents."""
        own = alias if alias not in self._rules and alias not in self._definitions else f"{rule}_{alias}"
        if rule == alias:
            own = alias
        self._rules[own] = content
        symbol = {"type": "SYMBOL", "name": own}
        return symbol if own == alias else {"type": "ALIAS", "content": symbol, "named": True, "value": alias}

    def _repeated(self, tree: Any) -> tuple[Rule, Rule] | None:
        """Return `a` and `a b+` for `a b*`, or `a` and `a b` for `a b?`; None for anything else."""
        if len(tree.children) != 2 or tree.children[1].data != "expr":
            return None
        first = self._rule(tree.children[0])
        inner, operator = tree.children[1].children[:2]
        rest = self._rule(inner)
        if str(operator) == "*":
            rest = {"type": "REPEAT1", "content": rest}
        return first, {"type": "SEQ", "members": [first, rest]}

    def _rule(self, tree: Any) -> Rule:
        match tree.data:
            case "expansions":
                members = [self._rule(child) for child in tree.children]
                return members[0] if len(members) == 1 else {"type": "CHOICE", "members": members}
            case "expansion":
                members = [self._rule(child) for child in tree.children]
                return members[0] if len(members) == 1 else {"type": "SEQ", "members": members}
            case "expr":
                content = self._rule(tree.children[0])
                match str(tree.children[1]):
                    case "*":
                        return {"type": "REPEAT", "content": content}
                    case "+":
                        return {"type": "REPEAT1", "content": content}
                    case _:
                        return {"type": "CHOICE", "members": [content, {"type": "BLANK"}]}
            case "value":
                return self._value(tree.children[0])
        raise AssertionError(f"no such thing in the grammar: {tree.data}")

    def _value(self, value: Any) -> Rule:
        if isinstance(value, NonTerminal):
            return self.symbol(str(value.name))
        if isinstance(value, Terminal):
            name = str(value.name)
            if self._pattern(name) is not None:
                return {"type": "SYMBOL", "name": name}
            texts = self._texts(self._terminals[name])
            members = [{"type": "STRING", "value": one} for one in texts]
            return members[0] if len(members) == 1 else {"type": "CHOICE", "members": members}
        assert isinstance(value, Tree) and value.data == "literal"
        return {"type": "STRING", "value": json.loads(str(value.children[0]))}

    def _pattern(self, name: str) -> str | None:
        """Return the regular expression of a terminal; None where it is one or several texts."""
        for literal in self._terminals[name].find_data("literal"):
            token = literal.children[0]
            if token.type == "REGEXP":
                return str(token)[1:-1].replace(r"[\s\S]", r"(.|\n)")  # tree-sitter reads a class of both as none
        return None

    def _texts(self, tree: Any) -> list[str]:
        return [json.loads(str(literal.children[0])) for literal in tree.find_data("literal")]
