"""What `mas fmt` takes: programs, bindings and patches, told apart by their first word."""

from __future__ import annotations

import pytest

from masdsl.diagnostics.base import Findings
from masdsl.source import Source
from masdsl.syntax.format import format_source

DOCUMENTS = [
    ("mas 1 flow main(x:text)->text{return x}", "mas 1\n\nflow main(x) -> text {\n  return x\n}\n"),
    ('# roles\nbind 1 coder=smart reviewer="a/b"', '# roles\nbind 1\ncoder = smart\nreviewer = "a/b"\n'),
    ('patch 1 on "3f" set a.b=2 redo main.if.x', 'patch 1 on "3f"\nset a.b = 2\nredo main.if.x\n'),
]


@pytest.mark.parametrize(("text", "expected"), DOCUMENTS)
def test_each_kind_of_document_has_its_layout(text: str, expected: str) -> None:
    findings = Findings()
    assert format_source(Source("x.mas", text), findings) == expected
    assert findings.ok
    assert format_source(Source("x.mas", expected), findings) == expected


@pytest.mark.parametrize("text", ["patch 1 set", "bind 1", "", "patches 1"])
def test_faults_are_reported_and_nothing_is_written(text: str) -> None:
    findings = Findings()
    assert format_source(Source("x.mas", text), findings) is None
    assert not findings.ok
