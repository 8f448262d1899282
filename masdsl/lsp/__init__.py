"""The language server: `masdsl.editor` under the Language Server Protocol 3.17, by pygls (extra `lsp`).

Nothing is decided here. Handlers find the document, ask a function of `masdsl.editor`, and put its answer into the
protocol's words.
"""
