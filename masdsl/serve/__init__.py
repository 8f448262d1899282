"""Programs as an HTTP service: `mas serve --api prog.mas`. See `docs/serve.md`; extra `masdsl[serve]`.

settings   what the operator decides        keys      who may call, and how much
endpoints  flows as operations              inputs    a JSON body as the inputs of a flow
service    runs: begin, attach, resume      ledger    runs and money, durable
app        HTTP: routes and answers         guard     what holds for every request
"""
