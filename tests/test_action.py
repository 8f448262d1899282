"""What others run in their continuous integration: the GitHub action and the hooks for pre-commit.

The steps of the action run here as a runner runs them: each script by bash, in a folder of its own, with the variables
and files that GitHub gives it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from masdsl.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent
ACTION_FOLDER = ROOT / ".github" / "actions" / "mas"
ACTION: dict[str, Any] = yaml.safe_load((ACTION_FOLDER / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))

GOOD = """mas 1

agent writer(topic) -> text
  "Write about {{ topic }}."

flow main(topic) -> text {
  draft = writer(topic)
  return draft
}
"""
TESTED = GOOD + '\ntest "it writes" {\n  given writer = "x"\n  out = main("a")\n  expect out == "x"\n}\n'

PYTHON = """#!/bin/bash
# A Python that installs nothing: it makes the environment that the action asks for, with this checkout's `mas` in it.
if [ "$1" = -c ]; then exit 0; fi
if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$(dirname "$0")/mas" "$3/bin/mas"; exit 0; fi
echo "$@" >> "$RUNNER_TEMP/pip.txt"
"""


class Runner:
    """A runner for the action, in `folder`; `outputs` are those of the steps, by their ids."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.temporary = folder / "temp"
        self.outputs: dict[str, dict[str, str]] = {}
        self.log = ""
        self.summary = ""
        self._files = {name: self.temporary / name for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
        self._path = os.pathsep.join([str(folder), os.environ["PATH"]])
        self.work.mkdir()
        self.temporary.mkdir()
        self._script(folder / "fake_python", PYTHON)
        start = "import sys; from masdsl.cli import main; sys.exit(main(sys.argv[1:]))"
        self._script(folder / "mas", f"#!/bin/bash\nexec '{sys.executable}' -c '{start}' \"$@\"\n")
        self._python = str(folder / "fake_python")

    def run(self, **inputs: str) -> int:
        """Run the steps in order, as long as none fails, and return the exit code of the last one."""
        given = {name: one["default"] for name, one in ACTION["inputs"].items()} | {"python": self._python} | inputs
        for step in STEPS:
            if not self._is_wanted(step, given) or "uses" in step:
                continue
            code = self._step(step, given)
            if code:
                return code
        return 0

    def _step(self, step: dict[str, Any], given: dict[str, str]) -> int:
        for file in self._files.values():
            file.write_text("")
        environment = {
            "PATH": self._path,
            "HOME": os.environ.get("HOME", "/"),
            "PYTHONPATH": str(ROOT),
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_ACTION_PATH": str(ACTION_FOLDER),
            **{name: str(file) for name, file in self._files.items()},
            **{name: self._value(value, given) for name, value in step.get("env", {}).items()},
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(command, cwd=self.work, env=environment, capture_output=True, text=True, check=False)
        self.log += done.stdout + done.stderr
        self.summary += self._files["GITHUB_STEP_SUMMARY"].read_text()
        added = self._files["GITHUB_PATH"].read_text().split()
        self._path = os.pathsep.join([*added, self._path])
        if "id" in step:
            lines = self._files["GITHUB_OUTPUT"].read_text().splitlines()
            self.outputs[step["id"]] = dict(line.split("=", 1) for line in lines)
        return done.returncode

    def _is_wanted(self, step: dict[str, Any], given: dict[str, str]) -> bool:
        found = re.fullmatch(r"inputs\.([\w-]+) == '(\w+)'", step.get("if", "inputs.cost == 'true'"))
        assert found is not None
        return "if" not in step or given[found[1]] == found[2]

    def _value(self, text: str, given: dict[str, str]) -> str:
        def value(found: re.Match[str]) -> str:
            path = found[1].split(".")
            return given[path[1]] if path[0] == "inputs" else self.outputs.get(path[1], {}).get(path[3], "")

        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", value, text)

    def _script(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


# ---------------------------------------------------------------- the action


def test_it_is_a_composite_action_that_says_what_it_takes() -> None:
    assert ACTION["runs"]["using"] == "composite"
    assert all(one["description"] and isinstance(one["default"], str) for one in ACTION["inputs"].values())
    assert all(step["shell"] == "bash" and step["name"] for step in STEPS if "run" in step)
    used = set(re.findall(r"inputs\.([\w-]+)", (ACTION_FOLDER / "action.yml").read_text(encoding="utf-8")))
    assert used == set(ACTION["inputs"])


def test_no_input_becomes_part_of_a_script() -> None:
    assert not [step["name"] for step in STEPS if "${{" in step.get("run", "")]


def test_programs_without_faults_pass_and_their_cost_is_in_the_summary(runner: Runner) -> None:
    (runner.work / "a.mas").write_text(TESTED)
    assert runner.run() == 0, runner.log
    assert "| a.mas | main | 1 |" in runner.summary
    assert "::error" not in runner.log and "::warning" not in runner.log
    installed = (runner.temporary / "pip.txt").read_text()
    target = Path(installed.split()[-1])
    assert installed.startswith("-m pip install ") and target.resolve() == ROOT


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("return draft", "return drafts"), "::error file=a.mas,line=8,"),
        (GOOD.replace("  return", "    return"), "title=MAS023"),
        (TESTED.replace('== "x"', '== "y"'), "title=MAS910"),
    ],
)
def test_faults_are_shown_and_fail_the_job_at_its_end(text: str, told: str, runner: Runner) -> None:
    (runner.work / "a.mas").write_text(text)
    (runner.work / "b.mas").write_text(GOOD)
    assert runner.run() == 1
    assert told in runner.log
    assert "| b.mas | main | 1 |" in runner.summary


def test_it_fails_on_what_it_is_told(runner: Runner) -> None:
    (runner.work / "a.mas").write_text(GOOD.replace("main(topic)", "main(topic, style)"))
    assert runner.run() == 0
    assert runner.run(**{"fail-on": "warning"}) == 1
    (runner.work / "a.mas").write_text(GOOD.replace("return draft", "return drafts"))
    assert runner.run(**{"fail-on": "never"}) == 0
    assert "::error" in runner.log


def test_parts_can_be_left_out(runner: Runner) -> None:
    (runner.work / "a.mas").write_text(TESTED.replace('== "x"', '== "y"').replace("  return", "    return"))
    assert runner.run(**{"format-check": "false", "test": "false", "cost": "false"}) == 0
    assert not runner.summary


def test_findings_go_to_code_scanning_when_asked_for(runner: Runner) -> None:
    (runner.work / "a.mas").write_text(GOOD.replace("return draft", "return drafts"))
    assert runner.run(sarif="true") == 1
    log = json.loads(Path(runner.outputs["sarif"]["file"]).read_text(encoding="utf-8"))
    assert [result["ruleId"] for result in log["runs"][0]["results"]] == ["MAS101"]


def test_paths_stand_one_a_line_and_are_never_commands(runner: Runner) -> None:
    for name in ("a b.mas", "$(touch gone).mas", "--strict.mas", "other.mas"):
        (runner.work / name).write_text(GOOD if name != "other.mas" else "mas")
    assert runner.run(paths="a b.mas\n$(touch gone).mas\n--strict.mas\n") == 0, runner.log
    assert not (runner.work / "gone").exists()
    assert runner.run(paths="missing.mas") == 2


def test_an_old_python_is_refused(runner: Runner) -> None:
    old = runner.temporary / "old_python"
    old.write_text('#!/bin/bash\nif [ "$1" = -c ]; then exit 1; fi\n')
    old.chmod(0o755)
    assert runner.run(python=str(old)) == 1
    assert "::error title=mas::masdsl needs Python 3.11 or newer" in runner.log


# ---------------------------------------------------------------- hooks


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hooks_run_commands_on_programs(
    hook: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *arguments = hook["entry"].split()
    assert program == "mas" and arguments[0] in COMMANDS and hook["language"] == "python"
    assert re.search(hook["files"], "deep/a.mas") and not re.search(hook["files"], "a.mas.txt")
    path = tmp_path / "a.mas"
    path.write_text(GOOD)
    assert main([*arguments, str(path)]) == 0
    path.write_text("mas 1\nflow {")
    assert main([*arguments, str(path)]) == 1
    capsys.readouterr()


def test_there_is_a_hook_for_faults_and_one_for_layout() -> None:
    assert [hook["id"] for hook in HOOKS] == ["mas-check", "mas-fmt"]


# ---------------------------------------------------------------- README.md


def _examples_of_the_readme() -> list[Any]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [yaml.safe_load(block) for block in re.findall(r"(?ms)^```yaml\n(.*?)^```$", text)]


def test_the_readme_shows_the_action_and_the_hooks_as_they_are() -> None:
    workflow, hooks = _examples_of_the_readme()
    (job,) = workflow["jobs"].values()
    step = job["steps"][-1]
    assert step["uses"].split("@")[0].endswith("/masdsl/.github/actions/mas")
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert [hook["id"] for hook in hooks["repos"][0]["hooks"]] == [hook["id"] for hook in HOOKS]
