"""The playground: `mas serve prog.mas`, a local page to write, look at and run programs.

See `docs/playground.md`; extra `masdsl[playground]`.

gate     who is answered at all: the token, names, origins, what every answer forbids the browser
desk     the programs that were given, and the one way back to their files
pages    what the browser loads
language the language server, one child process for each connection
app      HTTP: routes and answers
server   the process: it listens, and ends in order
"""
