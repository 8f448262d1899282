"""Experiments on what the papers leave open: `python -m training.experiments NAME --out DIR`.

Each is a module of this folder with `run(size, out, tell) -> Report`; `__main__` says what each asks, and `parts` has
what they are made of. What it found goes to `DIR/results.json` (with the raw numbers of every seed), `DIR/table.md` and
`DIR/plot.png`; what is in DIR already is not made again. `docs/experiments.md` has the results.
"""
