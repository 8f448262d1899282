"""The shipped generator: its queries, its short systems, its rows of training data, and what was measured of them.

queries.toml  queries of open kinds, written by hand, with phrasings and fillings that training never meets
drawing       queries by kind: those, and arithmetic from templates of its own
systems       one short system for each kind of query, type, tools and number of calls, with why it suits
candidates/   the systems that were measured where there is a gold answer, and the queries for that
settings      what the rows are made of, in TOML
ship          an adapter taken out of a run, as it is shipped
rows          rows for SFT and held-out queries (`python -m training.generator --out DIR`), with a data card
"""
