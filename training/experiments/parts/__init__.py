"""What experiments are made of.

reports   what an experiment found, as data, Markdown and a picture
running   runs of systems in a simulated world, and parts that are kept
local     the same where the model is real and answers on this machine
ways      ways to come to a system, and what each gives at a cost
searching an iterative search as AFlow's: propose, evaluate, keep
chain     what experiments on training share: world, rows, SFT, trees, pairs, CTO of a tiny model
casting   three trained players for the three roles: world, rows, SFT, trees, pairs, CTO
playing   queries played by such a team, one try for each decision
prompting what refined prompts do: rows of a construction, and what a teacher proposed
topology  the graph of a program's steps without names and prompts
python_emission  a model that writes Python in place of the language
"""
