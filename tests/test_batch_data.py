"""Data sets of batches: every form of them gives the same samples, damaged rows are told at their line."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masdsl.batch.base import Sample
from masdsl.batch.data import Frozen, Wanted, freeze, read_samples, wanted_by
from masdsl.batch.reading import Samples
from masdsl.batch.rows import DataFault
from masdsl.config import DEFAULT
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.pipeline import check_source
from masdsl.source import Source


def wanted(head: str = "query") -> Wanted:
    """Return what a flow with these parameters takes."""
    text = f'mas 1\n\nflow main({head}) -> text(5) {{\n  return "x"\n}}\n'
    findings = Findings()
    program = check_source(Source("<flow>", text), DEFAULT, findings)
    assert program is not None, render_short(findings.sorted())
    return wanted_by(program.flows[0])


def read(path: Path | str, takes: Wanted, **options: Any) -> tuple[list[Sample], str]:
    findings = Findings()
    samples = list(read_samples(str(path), takes, findings, **options))
    return samples, render_short(findings.sorted())


# ---------------------------------------------------------------- one data set in every form

ROWS: list[dict[str, Any]] = [
    {"id": "a/1", "question": "What is 6 * 7?", "level": 3, "answer": "42", "options": ["41", "42"]},
    {"id": "a/2", "question": 'Naïve, 你好; "quoted"\nin two lines', "level": -1, "answer": "x", "options": []},
]
TAKES = "question, level: int"
SAMPLES = [
    Sample(
        number,
        {"question": row["question"], "level": row["level"]},
        row["answer"],
        {"id": row["id"], "options": row["options"]},
    )
    for number, row in enumerate(ROWS)
]


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def packed(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()))


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    import csv

    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if ".tsv" in path.name else ",")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: json.dumps(one) if isinstance(one, list) else one for name, one in row.items()})


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, of masdsl[eval]")
    from pyarrow import parquet as files

    files.write_table(arrow.Table.from_pylist(rows), path, row_group_size=1)


def saved(path: Path, rows: list[dict[str, Any]]) -> None:
    datasets = pytest.importorskip("datasets", reason="this form needs `datasets`, of masdsl[datasets]")
    datasets.Dataset.from_list(rows).save_to_disk(str(path))


FORMS: list[tuple[str, Callable[[Path, list[dict[str, Any]]], None]]] = [
    ("d.jsonl", lines),
    ("d.data", lines),
    ("d.jsonl.gz", packed),
    ("packed_without_saying_so", packed),
    ("d.csv", table),
    ("d.TSV", table),
    ("d.parquet", parquet),
    ("saved", saved),
]


@pytest.mark.parametrize(("name", "write"), FORMS, ids=[name for name, _ in FORMS])
def test_every_form_gives_the_same_samples(
    tmp_path: Path, name: str, write: Callable[[Path, list[dict[str, Any]]], None]
) -> None:
    if name == "d.TSV":
        name = "d.tsv"
    write(tmp_path / name, ROWS)
    samples, told = read(tmp_path / name, wanted(TAKES))
    assert (samples, told) == (SAMPLES, "")
    assert read(tmp_path / name, wanted(TAKES), limit=1)[0] == SAMPLES[:1]


def test_a_split_of_a_saved_data_set(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="this form needs `datasets`, of masdsl[datasets]")
    both = datasets.DatasetDict({name: datasets.Dataset.from_list(ROWS) for name in ("train", "test")})
    both.save_to_disk(str(tmp_path / "both"))
    assert read(f"{tmp_path}/both:test", wanted(TAKES))[0] == SAMPLES
    with pytest.raises(DataFault, match="has several splits; name one of them: .*both:train"):
        read(tmp_path / "both", wanted(TAKES))


# ---------------------------------------------------------------- columns

COLUMNS: list[tuple[str, str, dict[str, Any], Mapping[str, str], dict[str, Any], Any]] = [
    ("query", "query", {"query": "q", "answer": "a"}, {}, {"query": "q"}, "a"),
    ("the one that is needed", "task, size: int = 3", {"query": "q", "answer": 1}, {}, {"task": "q"}, 1),
    ("its own name first", "question", {"query": "x", "question": "q"}, {}, {"question": "q"}, None),
    ("inputs", "a, b: int", {"inputs": {"a": "x", "b": 1}, "answer": [1]}, {}, {"a": "x", "b": 1}, [1]),
    ("inputs and query", "query, b: int", {"inputs": {"b": 1}, "query": "q"}, {}, {"query": "q", "b": 1}, None),
    ("renamed", "question", {"P": "q", "Gold": "a"}, {"question": "P", "answer": "Gold"}, {"question": "q"}, "a"),
    ("swapped", "a, b", {"a": "1", "b": "2"}, {"a": "b", "b": "a"}, {"a": "2", "b": "1"}, None),
    ("an optional one", "a, b: int = 2", {"a": "x", "b": 7}, {}, {"a": "x", "b": 7}, None),
    ("called answer", "answer", {"inputs": {"answer": "x"}, "answer": "gold"}, {}, {"answer": "x"}, "gold"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("takes", "row", "renamed", "inputs", "answer"), [one[1:] for one in COLUMNS], ids=[one[0] for one in COLUMNS]
)
def test_which_column_is_which_input(
    tmp_path: Path, takes: str, row: dict[str, Any], renamed: Mapping[str, str], inputs: dict[str, Any], answer: Any
) -> None:
    lines(tmp_path / "d.jsonl", [row])
    [sample], told = read(tmp_path / "d.jsonl", wanted(takes), renamed=renamed)
    assert (sample.inputs, sample.answer, told) == (inputs, answer, "")


CELLS = [
    ("a: int", "a,answer\n3,x\n", {"a": 3}),
    ("a", "a,answer\n3,x\n", {"a": "3"}),
    ("a: float, b: bool", "a,b\n0.5,true\n", {"a": 0.5, "b": True}),
    ("a: int[3]", 'a\n"[1, 2]"\n', {"a": [1, 2]}),
    ("a, b: int = 4", "a,b\nx,\n", {"a": "x"}),
    ("a, b", "a,b\n,\n", {"a": "", "b": ""}),
    ("a: int", 'inputs\n"{""a"": 1}"\n', {"a": 1}),
    ("a", 'a\n"two\nlines"\n', {"a": "two\nlines"}),
]


@pytest.mark.parametrize(("takes", "text", "inputs"), CELLS)
def test_cells_of_a_csv_file_are_what_the_flow_takes(
    tmp_path: Path, takes: str, text: str, inputs: dict[str, Any]
) -> None:
    (tmp_path / "d.csv").write_text(text, encoding="utf-8")
    [sample], told = read(tmp_path / "d.csv", wanted(takes))
    assert (sample.inputs, told) == (inputs, "")


# ---------------------------------------------------------------- what is wrong

FINE = '{"query": "?", "answer": "!"}'
BAD = [
    ("query", "{", "d.jsonl:3:1", "it is no JSON"),
    ("query", "[1]", "d.jsonl:3:1", "it is no object"),
    ("query", "[" * 50_000, "d.jsonl:3:1", "it is no JSON"),
    ("query", '{"query": NaN}', "d.jsonl:3:1", "NaN is no number of JSON"),
    ("query", '{"query": "?", "answer": 1e400}', "d.jsonl:3:1", "beyond the range"),
    (
        "query",
        '{"query": "?", "anser": 1}',
        "d.jsonl:3:1",
        "did you mean its column `anser`? Then add --map answer=anser",
    ),
    ("query", '{"qeury": "?", "answer": 1}', "d.jsonl:3:1", "--map query=qeury"),
    ("query", '{"text": "?", "answer": 1}', "d.jsonl:3:1", "its columns are text; --map query=COLUMN"),
    ("query", '{"inputs": 3, "answer": 1}', "d.jsonl:3:1", "`inputs` is no object"),
    ("query", '{"inputs": {"querry": "?"}, "answer": 1}', "d.jsonl:3:1", "the flow takes no `querry`"),
]


@pytest.mark.parametrize(("takes", "line", "where", "why"), BAD)
def test_a_damaged_line_is_told_where_it_is(tmp_path: Path, takes: str, line: str, where: str, why: str) -> None:
    (tmp_path / "d.jsonl").write_text(f"{FINE}\n\n{line}\n{FINE}\n", encoding="utf-8")
    findings = Findings()
    samples = list(read_samples(str(tmp_path / "d.jsonl"), wanted(takes), findings, answered=True))
    [finding] = findings.sorted()
    assert [one.number for one in samples] == [0, 1]
    assert where in render_short([finding]) and "MAS967" in render_short([finding])
    assert why in f"{finding.diagnostic.title()} {finding.diagnostic.help()}"


def test_no_utf_8_is_told_at_its_byte(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_bytes(b'{"query": "\xff"}\n')
    assert "d.jsonl:1:1" in read(tmp_path / "d.jsonl", wanted())[1]
    assert "byte 0xff at column 12" in read(tmp_path / "d.jsonl", wanted())[1]


def test_only_so_many_damaged_rows_are_told(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(FINE + "\n" + "{\n" * 1_000 + FINE + "\n", encoding="utf-8")
    samples, told = read(tmp_path / "d.jsonl", wanted())
    assert len(samples) == 1 and 20 <= len(told.splitlines()) <= 52


def test_a_fault_of_every_row_is_told_a_few_times(tmp_path: Path) -> None:
    lines(tmp_path / "d.jsonl", [{"question": number} for number in range(1_000)])
    samples, told = read(tmp_path / "d.jsonl", wanted())
    assert samples == [] and told.count("MAS967") == 3


TABLES = [
    ("a,b\n1\n", "d.csv:2:1", "it has 1 cells, and there are 2 columns"),
    ("a,b\n\nx,y,z\n", "d.csv:3:1", "it has 3 cells"),
]


@pytest.mark.parametrize(("text", "where", "why"), TABLES)
def test_a_damaged_row_of_a_table_is_told_where_it_is(tmp_path: Path, text: str, where: str, why: str) -> None:
    (tmp_path / "d.csv").write_text(text, encoding="utf-8")
    told = read(tmp_path / "d.csv", wanted("a, b"))[1]
    assert where in told and why in told


def test_a_column_that_is_not_there_to_be_renamed(tmp_path: Path) -> None:
    lines(tmp_path / "d.jsonl", [{"question": "?", "answer": 1}])
    findings = Findings()
    assert list(read_samples(str(tmp_path / "d.jsonl"), wanted(), findings, renamed={"query": "Question"})) == []
    [finding] = findings.sorted()
    assert finding.diagnostic.title().endswith("no column `Question`")
    assert finding.diagnostic.help() == "did you mean `question`?"


UNREADABLE: list[tuple[str, bytes | None, str]] = [
    ("nowhere.jsonl", None, "there is no data set"),
    ("nowhere.parquet", None, "there is no data set"),
    ("nowhere.csv", None, "there is no data set"),
    ("d.parquet", b"no parquet at all", "no Parquet file that can be read"),
    ("d.jsonl.gz", gzip.compress(b'{"a": "x", "b": "y"}\n' * 9_999)[:60], "the file is damaged after line"),
    ("d.csv", b"a,a\n1,2\n", "no name of its own"),
    ("d.csv", b'a,b\n"x\n', "this is no CSV"),
    ("d.csv", b"a,b\n\xff,1\n", "it is no UTF-8"),
    ("hf:squad", None, "names no data set and split"),
    ("hf:a/b/c/d:test", None, "names no data set and split"),
    ("d\0.jsonl", None, "no path of a file"),
]


@pytest.mark.parametrize(("name", "data", "why"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_data_set_that_cannot_be_read(tmp_path: Path, name: str, data: bytes | None, why: str) -> None:
    if ".parquet" in name:
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, of masdsl[eval]")
    place = name if name.startswith("hf:") else f"{tmp_path}/{name}"
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataFault, match=why):
        read(place, wanted("a, b"))


def test_a_line_without_an_end_is_refused_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masdsl.batch.rows.LONGEST_LINE", 1_000)
    (tmp_path / "d.jsonl").write_text(FINE + "\n" + "x" * 5_000, encoding="utf-8")
    with pytest.raises(DataFault, match="d.jsonl:2: the line is longer"):
        read(tmp_path / "d.jsonl", wanted())


@pytest.mark.parametrize(
    ("module", "place", "extra"), [("pyarrow", "d.parquet", "eval"), ("datasets", "hf:x:y", "datasets")]
)
def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch, module: str, place: str, extra: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataFault, match=rf"pip install 'masdsl\[{extra}\]'"):
        read(place, wanted())


# ---------------------------------------------------------------- frozen samples


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.dictionaries(st.text(max_size=5), JSON, max_size=3), JSON), min_size=1, max_size=4))
@settings(max_examples=12, deadline=None)
def test_workers_read_the_samples_that_were_frozen(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[dict[str, Any], Any]]
) -> None:
    path = tmp_path_factory.mktemp("frozen") / "samples.jsonl"
    samples = [Sample(number, inputs, answer, {"id": number}) for number, (inputs, answer) in enumerate(rows)]
    frozen = freeze(iter(samples), str(path))
    found = Samples(str(path), frozen.sha256, frozen.samples)
    try:
        assert [found[number] for number in range(len(found))] == samples
    finally:
        found.close()
    assert freeze(reversed(samples), str(path)).samples == frozen.samples
    assert [path.name] == os.listdir(path.parent)


def test_a_data_set_is_frozen_to_the_same_bytes_whatever_its_form(tmp_path: Path) -> None:
    found = set[Frozen]()
    for name, write in (("d.jsonl", lines), ("d.csv", table), ("d.jsonl.gz", packed)):
        write(tmp_path / name, ROWS)
        found.add(freeze(read_samples(str(tmp_path / name), wanted(TAKES), Findings()), str(tmp_path / "s.jsonl")))
    assert len(found) == 1


def test_samples_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataFault, match="cannot be written"):
        freeze(SAMPLES, str(tmp_path / "file" / "samples.jsonl"))

    def broken() -> Any:
        yield SAMPLES[0]
        raise DataFault("the end")

    with pytest.raises(DataFault, match="the end"):
        freeze(broken(), str(tmp_path / "samples.jsonl"))
    assert os.listdir(tmp_path) == ["file"]


STREAM = """
import resource, sys
from masdsl.batch.data import Wanted, freeze, read_samples
from masdsl.diagnostics.base import Findings
from masdsl.types import Text
takes = Wanted({"query": Text(100)}, ("query",), "query")
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
freeze(read_samples(sys.argv[1], takes, Findings(), limit=1_000), sys.argv[2])
before = peak()
print(freeze(read_samples(sys.argv[1], takes, Findings()), sys.argv[2]).samples, peak() - before)
"""


def test_a_large_data_set_is_streamed(tmp_path: Path) -> None:
    rows = 50_000
    with (tmp_path / "d.jsonl").open("w") as file:
        for number in range(rows):
            file.write(f'{{"id": {number}, "query": "What is {number} + 1?", "answer": "?", "pad": "{"x" * 200}"}}\n')
    paths = [str(tmp_path / name) for name in ("d.jsonl", "s.jsonl")]
    done = subprocess.run([sys.executable, "-c", STREAM, *paths], capture_output=True, text=True, check=True)
    count, grown = map(int, done.stdout.split())
    assert count == rows and grown < 8, f"{grown} MiB more for {rows} rows of 300 bytes"
