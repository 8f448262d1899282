"""Trees of Collaborative Tree Optimization, grown from real sessions: `python -m training.trees CONFIG --out DIR`.

tree        the form of a tree: decisions, options, trajectories, and its file of JSON lines
values      C_norm(tau), R(tau) and V(v) of a tree, as exact fractions
plan        what a configuration says
players     who samples templates, bindings and patches: a model, or rules
asking      a meta-agent's model whose replies are kept
instances   runs of systems, and forks of them at the states s_t where A_R fires
growing     the tree of one query
worker      what a worker process of an engine does: a tree is an item
command     queries in, files out
card        what the trees have come to, in counts

Source: MAS² (arXiv:2509.24323), sections 3.2 and 4.1. The form of a tree, and what the paper leaves open:
`training.trees.tree`.
"""
