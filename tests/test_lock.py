"""`mas.lock`: what is written is read again, nothing else is taken for a lock, and the command keeps it fitting."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masdsl.cli import main
from masdsl.config import DEFAULT, ModelConfig
from masdsl.diagnostics.base import Findings
from masdsl.diagnostics.render import render_short
from masdsl.money import MOST_PER_MILLION, TokenPrice
from masdsl.pipeline import check_file
from masdsl.pricing import NoPrice
from masdsl.pricing import table as pricing_table
from masdsl.pricing.lock import (
    LOCK_BYTES,
    NAME_LENGTH,
    Lock,
    LockFault,
    content_hash,
    parse_lock,
    read_lock,
    render_lock,
)
from masdsl.pricing.table import installed_table
from masdsl.runtime.models.base import ModelError, Price
from masdsl.runtime.models.registry import Models, resolver

PRICES = st.integers(0, MOST_PER_MILLION * 1_000_000)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LOCKS = st.builds(
    Lock,
    TEXTS,
    TEXTS,
    st.dictionaries(TEXTS.filter(bool), st.builds(TokenPrice, PRICES, PRICES), max_size=4),
)


@given(LOCKS)
def test_what_is_written_is_read_again(lock: Lock) -> None:
    text = render_lock(lock)
    assert parse_lock(text.encode()) == lock
    assert render_lock(parse_lock(text.encode())) == text


@given(LOCKS)
def test_the_text_does_not_depend_on_an_order(lock: Lock) -> None:
    turned = lock._replace(prices=dict(reversed(list(lock.prices.items()))))
    assert render_lock(turned) == render_lock(lock)


@given(LOCKS.filter(lambda lock: bool(lock.prices)), st.data())
def test_every_edit_of_a_price_is_noticed(lock: Lock, data: st.DataObject) -> None:
    content = json.loads(render_lock(lock))
    name = data.draw(st.sampled_from(sorted(content["models"])))
    key = data.draw(st.sampled_from(["input_price", "output_price"]))
    before = content["models"][name][key]
    content["models"][name][key] = data.draw(TEXTS.filter(lambda text: text != before))
    with pytest.raises(LockFault, match="it was changed by hand"):
        parse_lock(json.dumps(content).encode())


@given(st.binary(max_size=200))
def test_no_bytes_give_anything_but_a_fault(data: bytes) -> None:
    with pytest.raises(LockFault):
        parse_lock(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries(dict.fromkeys(("from", "models"), JSON)), st.sampled_from([1, 2, None]))
def test_no_sealed_content_gives_anything_but_a_fault_or_a_lock(content: dict[str, Any], version: Any) -> None:
    content |= {"format": version, "unit": "USD per million tokens"}
    try:
        content["hash"] = content_hash(content)
        parse_lock(json.dumps(content).encode())
    except LockFault:
        return
    assert isinstance(content["models"], dict) and version == 1


LOCK = Lock("1.0", "ab", {"openai/m": TokenPrice(150_000, 600_000)})


def sealed(**changes: Any) -> bytes:
    """A lock whose hash fits whatever else it holds."""
    content = {**json.loads(render_lock(LOCK)), **changes}
    content["hash"] = content_hash(content)
    return json.dumps(content).encode()


def one_model(**entry: Any) -> bytes:
    return sealed(models={"m": entry})


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is not JSON"),
    "binary": (bytes(range(256)) * 40, "it is not JSON"),
    "utf-16": ("{}".encode("utf-16"), "it is not a table|it has no known format"),
    "10 MB": (b" " * 10_000_000, "it is larger than 1,048,576 bytes"),
    "deep": (b"[" * 500_000, "it is not JSON"),
    "huge number": (b'{"format": ' + b"9" * 5000 + b"}", "it is not JSON"),
    "a list": (b"[]", "it is not a table"),
    "a merge": (b'{\n<<<<<<< ours\n"format": 1\n=======\n}', "a merge in it is not finished"),
    "no format": (b"{}", "it has no known format, and this masdsl reads format 1"),
    "a later format": (sealed(format=2), "it has 2 format, and this masdsl reads format 1"),
    "a format that is a text": (sealed(format="1"), "it has no known format"),
    "a format that is true": (sealed(format=True), "it has no known format"),
    "another key": (sealed(more=1), "it has other keys than a lock has"),
    "a key less": (b'{"format": 1}', "it has other keys than a lock has"),
    "hash of another type": (render_lock(LOCK).encode().replace(b'"hash": "', b'"hash": [], "x": "'), "other keys"),
    "edited": (render_lock(LOCK).encode().replace(b"0.15", b"0.10"), "it was changed by hand: its hash does not fit"),
    "another unit": (sealed(unit="EUR per million tokens"), "its unit is not USD per million tokens"),
    "twice": (b'{"format": 1, "format": 1}', "it contradicts itself: `format` stands in it twice"),
    "a model twice": (
        render_lock(LOCK).encode().replace(b'"models": {', b'"models": {"openai/m": {}, '),
        "it contradicts itself: `openai/m` stands in it twice",
    ),
    "no source": (sealed(**{"from": None}), "it does not say which price table it is from"),
    "another source": (sealed(**{"from": {"package": "x", "sha256": "", "version": ""}}), "which price table"),
    "a list of models": (sealed(models=[]), "its `models` is not a table"),
    "no model": (sealed(models={"m": 3}), "its entry `m` is not that of a model"),
    "no name": (sealed(models={"": {"input_price": "1", "output_price": "1"}}), "its entry `` is not that of a model"),
    "a long name": (sealed(models={"m" * (NAME_LENGTH + 1): {"input_price": "1", "output_price": "1"}}), "its entry"),
    "half a price": (one_model(input_price="1"), "its entry `m` is not that of a model"),
    "a number": (one_model(input_price=1, output_price="1"), "the `input_price` of `m` is not a decimal number"),
    "negative": (one_model(input_price="-1", output_price="1"), "the `input_price` of `m` is negative"),
    "nan": (one_model(input_price="1", output_price="NaN"), "the `output_price` of `m` is not a finite number"),
    "10^9": (one_model(input_price="1000000000", output_price="1"), "the `input_price` of `m` is absurd"),
    "1e3": (one_model(input_price="1e3", output_price="1"), "the `input_price` of `m` is not an exact decimal number"),
    "too fine": (one_model(input_price="0.0000001", output_price="1"), "is not an exact decimal number"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_lock(case: str) -> None:
    data, reason = BAD[case]
    with pytest.raises(LockFault, match=reason):
        parse_lock(data)


def test_a_lock_that_is_just_small_enough() -> None:
    text = render_lock(LOCK).encode()
    assert parse_lock(text + b" " * (LOCK_BYTES - len(text))) == LOCK


def test_a_lock_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mas.lock"
    assert read_lock(str(path)) is None
    path.write_text(render_lock(LOCK))
    assert read_lock(str(path)) == LOCK
    path.write_text(render_lock(LOCK._replace(version="1.0.1")))
    found = read_lock(str(path))
    assert found is not None and found.version == "1.0.1", "a changed file is read again"


@pytest.mark.parametrize("kind", ["folder", "pipe", "nul"])
def test_what_is_no_file_is_a_fault_and_no_hang(kind: str, tmp_path: Path) -> None:
    path = str(tmp_path / "mas.lock") + ("\x00" if kind == "nul" else "")
    if kind == "folder":
        os.mkdir(path)
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(LockFault, match="it is not a regular file|it cannot be read"):
        read_lock(path)


# ---------------------------------------------------------------- checking and running under a lock

CHEAP = {"input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07, "litellm_provider": "openai"}
PROGRAM = 'mas 1\nagent a(x) -> text on "openai/m" "Say {{ x }}."\nflow main(x) -> text { return a(x) }\n'


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The entries of the installed table; `save` puts changes in force."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pricing_table, "table_path", lambda: str(tmp_path / ".table.json"))
    monkeypatch.setattr("masdsl.cli.lock.litellm_version", lambda: "9.9")
    entries: dict[str, Any] = {"m": dict(CHEAP), "n": dict(CHEAP)}
    save(entries)
    yield entries
    installed_table.cache_clear()


def save(entries: dict[str, Any]) -> None:
    Path(".table.json").write_text(json.dumps(entries))
    installed_table.cache_clear()


def found(path: str) -> list[str]:
    findings = Findings()
    check_file(path, findings)
    return [f"{line.split(' ')[0]} {line.partition(' ')[2]}" for line in render_short(findings.sorted()).splitlines()]


def test_under_a_lock_its_prices_count(table: dict[str, Any]) -> None:
    Path("x.mas").write_text(PROGRAM)
    assert found("x.mas") == []
    Path("mas.lock").write_text(render_lock(LOCK._replace(prices={})))
    (line,) = found("x.mas")
    assert line.startswith("x.mas:2:23: MAS507 mas.lock pins no price for the model `openai/m`; run `mas lock`, which")
    Path("mas.lock").write_text(render_lock(LOCK))
    table.clear()
    save(table)
    assert found("x.mas") == [], "the table is not asked"


@pytest.mark.parametrize("case", ["binary", "10 MB", "edited", "a later format", "10^9", "a model twice"])
def test_a_lock_that_cannot_be_used_is_one_finding_at_the_lock(table: dict[str, Any], case: str) -> None:
    Path("x.mas").write_text(PROGRAM.replace("flow", 'agent b(x) -> text on "openai/n" "Say {{ x }}."\nflow'))
    Path("mas.lock").write_bytes(BAD[case][0])
    (line,) = [one for one in found("x.mas") if "MAS508" in one]
    assert line.startswith("mas.lock:1:1: MAS508 the lock of prices cannot be used: ") and "run `mas lock`" in line


def test_a_run_counts_with_the_lock_as_well(table: dict[str, Any]) -> None:
    Path("mas.lock").write_text(render_lock(LOCK._replace(prices={"openai/m": TokenPrice(7_000_000, 8)})))
    assert resolver(folder=".")("openai/m", tier=False).price == Price(7.0, 0.000008)
    with pytest.raises(ModelError, match="`openai/n` has no price: mas.lock does not pin it; run: mas lock"):
        resolver(folder=".")("openai/n", tier=False)
    Path("mas.lock").write_text("{}")
    with pytest.raises(ModelError, match="mas.lock cannot be used: it has no known format, .*; run: mas lock"):
        resolver(folder=".")("openai/m", tier=False)
    own = ModelConfig("openai/n", "litellm", model="openai/n", input_price=1.0, output_price=2.0)
    config = DEFAULT._replace(models={"openai/n": own})
    assert Models(config, ".")("openai/n", tier=False).price == Price(1.0, 2.0), "the configuration comes first"


def test_a_loaded_program_finds_the_lock_beside_it(table: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    import masdsl
    from masdsl.runtime import RunFailed

    os.mkdir("below")
    Path("below/x.mas").write_text(PROGRAM)
    Path("below/mas.lock").write_text(render_lock(LOCK))
    program = masdsl.load("below/x.mas")
    Path("below/mas.lock").write_text("{}")
    with pytest.raises(RunFailed, match="below/mas.lock cannot be used"):
        program.main.sync("x")


# ---------------------------------------------------------------- the command


def mas(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = main(["lock", *arguments])
    out, err = capsys.readouterr()
    assert err == ""
    return code, out.splitlines()


MINI = "0.15 in, 0.6 out (USD per million tokens)"


def test_a_lock_is_written_checked_and_written_again(table: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.mas").write_text(PROGRAM)
    missing = ["mas.lock is missing: 1 model to be pinned", f"  openai/m: not pinned yet -> {MINI}"]
    assert mas(capsys, "--check") == (1, [*missing, "write it with: mas lock"])
    assert not Path("mas.lock").exists()
    written = ["mas.lock written: 1 model, prices of litellm 9.9", f"  openai/m: not pinned yet -> {MINI}"]
    assert mas(capsys) == (0, written)
    text = Path("mas.lock").read_text()
    assert parse_lock(text.encode()).prices == LOCK.prices
    assert mas(capsys) == (0, ["mas.lock is up to date: 1 model"])
    assert mas(capsys, "--check") == (0, ["mas.lock fits: 1 model"])
    assert Path("mas.lock").read_text() == text


def test_each_price_that_changed_is_listed(table: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.mas").write_text(PROGRAM)
    assert mas(capsys)[0] == 0
    table["m"]["input_cost_per_token"] = 2e-07
    save(table)
    change = f"  openai/m: {MINI} -> 0.2 in, 0.6 out (USD per million tokens)"
    title = "mas.lock does not fit the programs and litellm 9.9"
    assert mas(capsys, "--check") == (1, [title, change, "write it with: mas lock"])
    assert found("x.mas") == [], "a lock holds where the table has moved on"
    assert mas(capsys) == (0, ["mas.lock written: 1 model, prices of litellm 9.9", change])


def test_a_table_with_equal_prices_is_no_reason_to_fail(
    table: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x.mas").write_text(PROGRAM)
    mas(capsys)
    table["else"] = dict(CHEAP)
    save(table)
    fits = "mas.lock fits: 1 model (written from litellm 9.9, with equal prices)"
    assert mas(capsys, "--check") == (0, [fits])


def test_models_come_and_go(table: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.mas").write_text(PROGRAM)
    Path("y.mas").write_text(PROGRAM.replace("openai/m", "openai/n"))
    assert mas(capsys)[1][0] == "mas.lock written: 2 models, prices of litellm 9.9"
    assert mas(capsys, "x.mas") == (0, ["mas.lock is up to date: 2 models"]), "what others use stays"
    os.unlink("y.mas")
    gone = f"  openai/n: {MINI} -> not used any more"
    title = "mas.lock does not fit the programs and litellm 9.9"
    assert mas(capsys, "--check", ".") == (1, [title, gone, "write it with: mas lock"])
    assert mas(capsys, ".") == (0, ["mas.lock written: 1 model, prices of litellm 9.9", gone])


def test_a_damaged_lock_is_written_again(table: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.mas").write_text(PROGRAM)
    Path("mas.lock").write_bytes(BAD["binary"][0])
    code, lines = mas(capsys, "--check")
    assert (code, lines[0]) == (1, "mas.lock cannot be used: it is not JSON")
    assert mas(capsys)[0] == 0
    assert found("x.mas") == []


def test_locks_lie_beside_the_configurations(table: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("one/deep", "two"):
        os.makedirs(folder)
        Path(folder, "x.mas").write_text(PROGRAM)
    Path("one/mas.toml").write_text("[sizes]\ntext = 100\n")
    code, lines = mas(capsys)
    assert code == 0
    assert [line for line in lines if "written" in line] == [
        "one/mas.lock written: 1 model, prices of litellm 9.9",
        "two/mas.lock written: 1 model, prices of litellm 9.9",
    ]


def test_local_and_configured_models_are_not_pinned(table: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.mas").write_text(PROGRAM.replace('on "openai/m" ', ""))
    nothing = "nothing to pin: no program is on a model with a price in litellm's table"
    assert mas(capsys) == mas(capsys, "--check") == (0, [nothing])
    Path("x.mas").write_text(PROGRAM)
    own = '[models."openai/m"]\nkind = "litellm"\nmodel = "openai/m"\ninput_price = 1\noutput_price = 2\n'
    Path("mas.toml").write_text(own)
    assert mas(capsys) == (0, [nothing])
    assert sorted(os.listdir()) == [".table.json", "mas.toml", "x.mas"]


@pytest.mark.parametrize("text", ["mas 2\n", PROGRAM.replace("openai/m", "openai/unlisted"), PROGRAM + "flow"])
def test_a_program_with_errors_changes_nothing(
    text: str, table: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x.mas").write_text(text)
    Path("y.mas").write_text(PROGRAM)
    code, lines = mas(capsys)
    assert code == 1 and lines[0].startswith("error[MAS")
    assert not Path("mas.lock").exists()


def test_a_file_that_is_not_there(table: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = mas(capsys, "nowhere.mas")
    assert code == 2 and "MAS004" in lines[0]


def test_without_litellm_the_command_says_so(
    table: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("x.mas").write_text(PROGRAM)

    def missing() -> str:
        raise NoPrice("litellm, whose price table would be used, is not installed")

    monkeypatch.setattr(pricing_table, "table_path", missing)
    installed_table.cache_clear()
    code, lines = mas(capsys)
    assert code == 1 and any("litellm, whose price table would be used, is not" in line for line in lines)
