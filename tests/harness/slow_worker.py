"""A worker of the playground that never answers one kind of job, dies of another, and answers the rest."""

import json
import os
import sys
import time

for line in sys.stdin:
    job = json.loads(line)
    if job["job"] == "hang":
        time.sleep(3600)
    if job["job"] == "die":
        os._exit(3)
    data = json.dumps({"done": {"pid": os.getpid(), "tiers": job["tiers"]}})
    print(len(data))
    print(data, end="", flush=True)
