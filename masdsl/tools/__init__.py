"""What a host grants to programs (`[tools]` of its configuration): built-in tools, Python functions, MCP servers.

    base.py          what a program declares, what may differ, how a tool fails
    signatures.py    what the built-in tools take and give, held against declarations without loading them
    granting.py      from a grant to the function that the runtime calls

Each kind has a module of its own, which is loaded when a program that is run has a tool of that kind.
"""
