"""A starter project: one program with a test, and a configuration that explains itself."""

from __future__ import annotations

import os

PROGRAM = '''\
# An agent is a typed function whose body is a prompt; a flow says how agents work together.
mas 1

budget calls 4

type Verdict { good: bool, advice: text(60) }

agent writer(topic, advice: text(60)?) -> text(120) on smart
  """
  Write one sentence about {{ topic }}.
  {% if advice %}Mind this: {{ advice }}{% endif %}
  """

agent critic(sentence: text(120)) -> Verdict else Verdict(good: true, advice: "") on fast temp 0
  "Is this sentence clear? If not, say in a few words what to change."

flow main(topic = "the sea") -> text(120) {
  sentence = writer(topic)
  verdict = critic(sentence)
  if not verdict.good {
    sentence = writer(topic, verdict.advice)
  }
  return sentence
}

test "a good sentence stays as it is" {
  given writer = "The sea is wide."
  given critic = Verdict(good: true, advice: "")
  out = main("the sea")
  expect out == "The sea is wide."
  expect calls == 2
}

test "a bad sentence is written again, once" {
  given writer = "Sea."
  given writer = "The sea is wide."
  given critic = Verdict(good: false, advice: "Write a whole sentence.")
  out = main("the sea")
  expect out == "The sea is wide."
  expect calls == 3
}
'''

CONFIG = """\
# Which model is behind a tier (`on fast`). `smollm2` is a small model that runs on this machine, without a key:
# `mas models pull smollm2` fetches it. Any model of a provider will do as well, such as "openai/gpt-4o-mini".
[tiers]
default = "smollm2"

# A server that speaks OpenAI's protocol. The key is read from the environment variable that `key_env` names.
# [models.mine]
# kind = "openai"
# url = "http://127.0.0.1:8000/v1"
# model = "name"
# key_env = "MY_KEY"

# What programs may use, by the names that they write behind `from`: Python functions, built-in tools, tools of MCP
# servers. `mas tools --check` tries them.
# [tools]
# "math.plus" = "my_tools:plus"
# "math.calculate" = "calculator"
# "docs.search" = { kind = "search", path = "docs" }
# "docs.read" = { kind = "read", path = "docs" }
"""

FILES = {"main.mas": PROGRAM, "mas.toml": CONFIG}


def create(folder: str) -> list[str]:
    """Write the starter project into `folder`, which is made if need be, and return the paths of its files.

    Nothing is overwritten: raises FileExistsError, before anything is written, if one of the files is there already.
    Raises OSError where the folder cannot be written.
    """
    paths = {os.path.join(folder, name): text for name, text in FILES.items()}
    for path in paths:
        if os.path.lexists(path):
            raise FileExistsError(17, "it is there already, and nothing is overwritten", path)
    os.makedirs(folder or os.curdir, exist_ok=True)
    for path, text in paths.items():
        with open(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    return list(paths)
