"""Worlds to learn in: folders with models, prices, tools and queries, made by `python -m training.worlds`.

simulated   a simulator, plainly labelled: its models are rules, and what they say is no claim about any real model
arithmetic  a real model (SmolLM2) and Python in the sandbox, on sums and word problems (`training.worlds.arithmetic`)
files       a world's folder, written whole or not at all
problems    sums and word problems, with their answers by construction
unseen      queries of law and medicine, and rows of paraphrases

Of the simulator:

simulator   its models: rules that answer requests
tasks       what its models know of a query when they meet its words
country     tasks about a country that does not exist
reading     what a model sees in a request
mind        what it believes
saying      what it says: a value for any schema
methods     words of method, that help tasks of their family
teacher     rules that propose patches of prompts
tools       tools that fail for a share of the requests
chance      repeatable chance
words       lists of words
"""
