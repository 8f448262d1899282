"""Configurations of the commands of training: what is read, and what is told of mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as File
from typing import Annotated, Any, Literal, NamedTuple

import pytest

from training.stage.settings import (
    Count,
    Path,
    Place,
    Positive,
    Range,
    SettingsFault,
    read_settings,
    settings_json,
)


class Data(NamedTuple):
    paths: tuple[Path, ...]
    limit: Positive | None = None
    columns: Mapping[str, str] = {}


class Step(NamedTuple):
    name: str
    weight: float = 1.0


class Training(NamedTuple):
    learning_rate: Annotated[float, Range(above=0, most=1)] = 2e-4
    schedule: Literal["cosine", "linear"] = "cosine"
    seed: Count = 0
    bf16: bool = False
    first: int = 0
    last: int = 9
    base: Annotated[str, Place(("tiny",))] = "tiny"

    def contradiction(self) -> tuple[str, str] | None:
        return ("last", f"{self.last} is before first = {self.first}") if self.last < self.first else None


class Watch(NamedTuple):
    every: Positive


class Settings(NamedTuple):
    data: Data
    training: Training = Training()
    watch: Watch | None = None
    steps: tuple[Step, ...] = ()


def read(folder: File, text: str) -> Settings:
    (folder / "c.toml").write_text(text, encoding="utf-8")
    return read_settings(str(folder / "c.toml"), Settings)


def test_what_is_there_is_read_and_the_rest_has_its_default(tmp_path: File) -> None:
    settings = read(
        tmp_path,
        """[data]
paths = ["a.jsonl", "../b.jsonl", "hf:owner/name:train", "/c.jsonl"]
columns = { query = "question" }
[training]
learning_rate = 1
base = "tiny"
[watch]
every = 5
[[steps]]
name = "one"
""",
    )
    here = str(tmp_path)
    assert settings.data.paths == (f"{here}/a.jsonl", f"{tmp_path.parent}/b.jsonl", "hf:owner/name:train", "/c.jsonl")
    assert settings.data.columns == {"query": "question"} and settings.data.limit is None
    assert settings.training == Training(learning_rate=1.0) and type(settings.training.learning_rate) is float
    assert settings.watch == Watch(5) and settings.steps == (Step("one"),)
    assert settings_json(settings)["watch"] == {"every": 5}
    assert read(tmp_path, "[data]\npaths = []").watch is None
    assert read(tmp_path, '[data]\npaths=[]\n[training]\nbase="x"').training.base == f"{here}/x"


WRONG: list[tuple[str, int, str]] = [
    ("", 1, '[data] needs `paths`; write paths = ["a/path"]'),
    ("[training]\nseed = 1", 1, "[data] needs `paths`"),
    ("[data]\nlimit = 1", 1, "[data] needs `paths`"),
    ("[data]\npaths = []\n[trainng]", 3, "there is no table [trainng]; did you mean `training`?"),
    ("[data]\npaths = []\npath = 1", 3, "[data] has no key `path`; did you mean `paths`?"),
    ("[data]\npaths = []\nzebra = 1", 3, "[data] has no key `zebra`; there are paths, limit, columns"),
    ("seed = 1\n[data]\npaths = []", 1, "there is no table [seed]"),
    ("data = 1", 1, "[data] = 1: what is needed is a table"),
    ('[data]\npaths = "a"', 2, 'paths = "a": what is needed is a list'),
    ("[data]\npaths = [1]", 2, "paths = 1: what is needed is a text"),
    ('[data]\npaths = [""]', 2, "paths is empty"),
    ("[data]\npaths = []\nlimit = 0", 3, "limit = 0: it is at least 1"),
    ("[data]\npaths = []\nlimit = true", 3, "limit = true: what is needed is a whole number"),
    ("[data]\npaths = []\ncolumns = { query = 1 }", 3, "query = 1: what is needed is a text"),
    ("[data]\npaths = []\n[training]\nlearning_rate = 0", 4, "it is more than 0"),
    ("[data]\npaths = []\n[training]\nlearning_rate = 2.0", 4, "it is at most 1"),
    ("[data]\npaths = []\n[training]\nlearning_rate = nan", 4, "what is needed is a number"),
    ("[data]\npaths = []\n[training]\nlearning_rate = inf", 4, "what is needed is a number"),
    ('[data]\npaths = []\n[training]\n\nschedule = "cosin"', 5, "it is one of cosine, linear; did you mean 'cosine'?"),
    ("[data]\npaths = []\n[training]\nbf16 = 1", 4, "what is needed is true or false"),
    ("[data]\npaths = []\n[training]\nfirst = 5\nlast = 2", 5, "2 is before first = 5"),
    ("[data]\npaths = []\n[watch]", 3, "[watch] needs `every`; write every = 1"),
    ("[data]\npaths = []\n[[steps]]\nweight = 2", 3, "[steps] needs `name`"),
    ("[data\npaths = []", 1, "no TOML"),
    ("[data]\npaths = []\nx = " + "[" * 10_000, 0, "nested too deeply"),
]


@pytest.mark.parametrize(("text", "line", "told"), WRONG)
def test_a_mistake_is_told_with_its_line(tmp_path: File, text: str, line: int, told: str) -> None:
    with pytest.raises(SettingsFault) as fault:
        read(tmp_path, text)
    assert told in str(fault.value)
    if line:
        assert str(fault.value).startswith(f"{tmp_path}/c.toml:{line}: ")


def test_all_mistakes_are_told_in_the_order_of_lines(tmp_path: File) -> None:
    with pytest.raises(SettingsFault) as fault:
        read(tmp_path, '[training]\nseed = -1\nschedul = "x"\n[data]\nlimit = "x"\n')
    assert [line.split("c.toml:")[1].split(":")[0] for line in str(fault.value).split("\n")] == ["2", "3", "4", "5"]


@pytest.mark.parametrize("name", ["missing.toml", ".", "\0", "latin.toml"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: File, name: str) -> None:
    (tmp_path / "latin.toml").write_bytes(b'[data]\npaths = ["\xff"]')
    kind: Any = Settings
    with pytest.raises(SettingsFault, match="cannot be read"):
        read_settings(str(tmp_path / name), kind)
