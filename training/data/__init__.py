"""MAS-GPT's consistency-oriented construction of training data: queries and systems in, examples for TRL out.

pools        queries with answers; systems that can take them
scores       the table of what every system scored on every query
grouping     queries that are alike
selection    inter-consistency: one system for each group
refinement   intra-consistency: a teacher fits its prompts, and says why it suits
export       examples as JSON lines, and the data card
plan         what a configuration says
construction all of it, in a folder that can be gone on with (`python -m training.data CONFIG --out DIR`)
"""
