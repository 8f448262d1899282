"""Worlds to learn in: folders with models, prices, tools and queries, made by `python -m training.worlds`.

simulated   a simulator, plainly labelled: its models are rules (`training.worlds.simulator`), and what they say is no
            claim about any real model
arithmetic  a real model (SmolLM2) and Python in the sandbox, on sums and word problems (`training.worlds.arithmetic`)
"""
