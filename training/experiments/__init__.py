"""Experiments on what the papers leave open: `python -m training.experiments NAME --out DIR`.

Each is a module of this folder with `run(size, out, tell) -> Report`; `__main__` lists them. What it found goes to
`DIR/results.json` (with the raw numbers of every seed), `DIR/table.md` and `DIR/plot.png`; what is in DIR already is
not made again. `docs/experiments.md` has the results.

reports   what an experiment found, as data, Markdown and a picture
running   runs of systems in a simulated world, and parts that are kept
chain     what experiments on training share: world, rows, SFT, trees, pairs, CTO of a tiny model
casting   three trained players for the three roles: world, rows, SFT, trees, pairs, CTO
playing   queries played by such a team, one try for each decision
topology  the graph of a program's steps without names and prompts
python_emission  a model that writes Python in place of the language
"""
