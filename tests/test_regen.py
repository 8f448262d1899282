"""Generated parts of files are up to date; if not, the message is the difference and the command."""

from __future__ import annotations

import pytest

from tests import regen


def test_generated_parts_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    code = regen.main(["--check"])
    assert code == 0, capsys.readouterr().out
