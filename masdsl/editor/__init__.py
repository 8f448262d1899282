"""What editors ask about a program, answered from the compiler's own stages: plain functions over a checked document.

Nothing here knows a protocol; `masdsl.lsp` speaks the Language Server Protocol around it. Places are offsets and spans
of the normalised text; `positions` translates them into those of a client.
"""
