"""Pictures of programs: one graph of a checked program, and plain functions that draw it.

    Program --make--> Graph --overlay, difference--> Graph --mermaid, dot, svg, data--> text

A vertex is a step, something that decides (`if`, `until`), an input or a result; a cluster is what holds vertices
together (a loop, a branch, a slice of the budget, a flow that is called); an edge says which value goes where, or what
decides about what. Expressions are no vertices: what they are made of goes straight to where they are read.
"""
