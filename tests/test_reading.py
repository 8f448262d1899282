"""Bytes become text in one way, and what could deceive a reader is refused with its place."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from masdsl import limits
from masdsl.diagnostics.base import Findings
from masdsl.reading import decode, hidden_pattern, read_source
from masdsl.source import Source
from masdsl.syntax.parse import parse_program


def read(data: bytes) -> tuple[Source, list[tuple[str, int, int]]]:
    findings = Findings()
    source = decode("x.mas", data, findings)
    places = [(found.diagnostic, found.source.position(found.diagnostic.span.start)) for found in findings.sorted()]
    return source, [(diagnostic.code, *position) for diagnostic, position in places]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"mas 1\n", "mas 1\n"),
        (b"\xef\xbb\xbfmas 1\n", "mas 1\n"),
        (b"mas 1\r\n# a\r\n", "mas 1\n# a\n"),
        ("# é 日本 😀 ⚠️\n".encode(), "# é 日本 😀 ⚠️\n"),
        (b"\tx\n", "\tx\n"),
    ],
)
def test_sound_text_is_normalised(data: bytes, text: str) -> None:
    source, faults = read(data)
    assert (source.text, faults) == (text, [])


@pytest.mark.parametrize(
    ("data", "faults"),
    [
        (b"ab\xff\n", [("MAS001", 1, 3)]),
        (b"\xef\xbb\xbfa\r\nb\xe9\n", [("MAS001", 2, 2)]),
        (b"a\xe2\x82", [("MAS001", 1, 2)]),
        (b"\xed\xa0\x80", [("MAS001", 1, 1)]),
        (b"\xc0\x80", [("MAS001", 1, 1)]),
        (b"a\rb\rc", [("MAS002", 1, 2)]),
        (b"a\0b", [("MAS002", 1, 2)]),
        (b"a\x00\x00\x00b\x00", [("MAS002", 1, 2), ("MAS002", 1, 6)]),
        (b"x\x1b[31m", [("MAS002", 1, 2)]),
        ("a\n # \u202e\n".encode(), [("MAS002", 2, 4)]),
        ("a\ufeffb".encode(), [("MAS002", 1, 2)]),
        ("\ufeff\ufeffb".encode(), [("MAS002", 1, 1)]),
        ("a\u200bb\u200d".encode(), [("MAS002", 1, 2), ("MAS002", 1, 4)]),
        ("a\u2028b\x85".encode(), [("MAS002", 1, 2), ("MAS002", 1, 4)]),
    ],
)
def test_what_deceives_is_refused_at_its_place(data: bytes, faults: list[tuple[str, int, int]]) -> None:
    assert read(data)[1] == faults


def test_hidden_characters_are_all_controls_and_formats() -> None:
    pattern = hidden_pattern(False)
    shown_formats = {
        *range(0x600, 0x606),
        0x6DD,
        0x70F,
        0x890,
        0x891,
        0x8E2,
        0x110BD,
        0x110CD,
        *range(0x13430, 0x13440),
    }
    for code in range(0x110000):
        letter = chr(code)
        hidden = unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") and letter not in "\t\n"
        if hidden and code not in shown_formats:
            assert pattern.match(letter), hex(code)
        elif (
            not hidden
            and unicodedata.category(letter) != "Cn"
            and "VARIATION SELECTOR" not in unicodedata.name(letter, "")
        ):
            assert not pattern.match(letter), hex(code)
    assert [bool(pattern.match(letter)) for letter in "\ufe00\ufe0f\U000e0100"] == [True, False, True]
    assert all(bool(hidden_pattern(True).match(chr(code))) == bool(pattern.match(chr(code))) for code in range(128))


def test_every_character_as_name_string_and_comment_is_taken_or_refused() -> None:
    for code in [*range(0x300), *range(0x300, 0x110000, 1021), 0x430, 0x3BF, 0x212A, 0x661, 0xFF10, 0xFE0F, 0xE0041]:
        letter = chr(code)
        text = f'mas 1\nagent a{letter}b(x) -> text "{letter}"\n# {letter}\n'
        findings = Findings()
        source = decode("x", text.encode("utf-8", "surrogatepass"), findings)
        parsed = parse_program(source, findings)
        if not letter.isascii():
            assert not parsed.ok and not findings.ok, hex(code)


def test_the_size_limit_is_exact() -> None:
    assert read(b"#" * limits.SOURCE_BYTES)[1] == []
    source, faults = read(b"#" * (limits.SOURCE_BYTES + 1))
    assert [code for code, _, _ in faults] == ["MAS009"]
    assert len(source.text) == limits.SOURCE_BYTES
    findings = Findings()
    assert not parse_program(decode("x", b"# \n" * limits.SOURCE_BYTES, findings), findings).ok
    assert [found.diagnostic.code for found in findings.sorted()] == ["MAS009"]


def test_a_text_that_was_never_bytes_has_the_same_limits() -> None:
    findings = Findings()
    parsed = parse_program(Source("x", "mas 1\n#" + "é" * limits.SOURCE_BYTES), findings)
    assert not parsed.ok and [found.diagnostic.code for found in findings.sorted()] == ["MAS009"]
    findings = Findings()
    parsed = parse_program(Source("x", 'mas 1\nagent a() -> text "\u202e"'), findings)
    assert not parsed.ok and [found.diagnostic.code for found in findings.sorted()] == ["MAS002"]


# ---------------------------------------------------------------- files


def refused(path: str) -> str:
    findings = Findings()
    assert read_source(path, findings) is None
    [found] = findings.sorted()
    assert found.diagnostic.code == "MAS004" and found.source.name == path
    return f"{found.diagnostic.title()}; {found.diagnostic.help()}"


def test_a_file_is_read_under_the_name_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "x.mas").write_bytes(b"\xef\xbb\xbfmas 1\r\n")
    findings = Findings()
    assert read_source(str(tmp_path / "x.mas"), findings) == Source(str(tmp_path / "x.mas"), "mas 1\n")
    assert findings.ok


def test_files_that_cannot_be_read_are_findings(tmp_path: Path) -> None:
    (tmp_path / "debate.mas").write_text("mas 1\n")
    assert "no such file" in refused(str(tmp_path / "nothing.mas"))
    assert f"did you mean `{tmp_path / 'debate.mas'}`?" in refused(str(tmp_path / "debatte.mas"))
    assert f"did you mean `{tmp_path / 'debate.mas'}`?" in refused(str(tmp_path / "debate"))
    assert "it is a folder" in refused(str(tmp_path))
    assert "no path" in refused("a\0b")
    assert "cannot read" in refused("x" * 10_000)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "cannot read" in refused(str(tmp_path / "loop"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes by name")
@pytest.mark.timeout(10)
def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mas")
    assert "not a regular file" in refused(str(tmp_path / "pipe.mas"))
    assert "not a regular file" in refused("/dev/zero")


# ---------------------------------------------------------------- positions


def test_positions_are_as_an_editor_counts_them() -> None:
    source = Source("x", "ab\n\n😀c\n")
    assert [source.position(offset) for offset in (0, 2, 3, 4, 5, 6, 7)] == [
        (1, 1), (1, 3), (2, 1), (3, 1), (3, 2), (3, 3), (4, 1)
    ]  # fmt: skip
    assert [source.line(number) for number in (1, 2, 3, 4)] == ["ab", "", "😀c", ""]
    assert source.line_count == 4
    assert Source("x", "").line_count == 1
