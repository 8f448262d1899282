"""What coding agents may ask of masdsl, as a server of the Model Context Protocol: `mas mcp`. See `docs/mcp.md`.

answers   the answers, as plain functions of a program's text: nothing is run, written or sent anywhere
server    the tools and resources of the protocol; needs the extra `masdsl[mcp]`
"""
