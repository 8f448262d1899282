"""The canonical printer: one text for every tree, and every comment kept."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from masdsl.diagnostics.base import Findings
from masdsl.node import Node
from masdsl.source import Source
from masdsl.syntax import ast
from masdsl.syntax.parse import Parsed, parse_binding, parse_patch, parse_program
from masdsl.syntax.print import (
    FormatRefused,
    format_document,
    print_document,
    print_edit,
    print_expr,
    print_item,
    print_program,
    print_rhs,
    print_statement,
    print_type,
)
from tests.harness import trees

PARSERS = {"mas": parse_program, "bind": parse_binding, "patch": parse_patch}


def parse(text: str) -> Parsed:
    """Parse a text without errors; its first word that is not in a comment tells what it is."""
    kind = next(line.split()[0] for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#"))
    findings = Findings()
    parsed = PARSERS[kind](Source("case.mas", text), findings)
    assert parsed.ok, (findings.sorted(), text)
    return parsed


def formatted(text: str) -> str:
    """Format, and hold the laws of formatting on the way."""
    parsed = parse(text)
    result = format_document(parsed)
    again = parse(result)
    assert again.document == parsed.document, result
    assert [comment.text.rstrip() for comment in parsed.comments] == [comment.text for comment in again.comments], result
    assert format_document(again) == result
    assert result.endswith("\n")
    assert not result.endswith("\n\n")
    assert "\r" not in result
    return result


# ---------------------------------------------------------------- laws


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(trees.documents)
def test_a_tree_that_is_printed_and_parsed_is_the_same_tree(document: ast.Document) -> None:
    text = print_document(document)
    assert parse(text).document == document, text
    assert format_document(parse(text)) == text


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(trees.documents, st.data())
def test_comments_survive_wherever_they_stand(document: ast.Document, data: st.DataObject) -> None:
    text = data.draw(trees.relaid(print_document(document)))
    parsed = parse(text)
    assert parsed.document == document
    formatted(text)
