"""``python -m tests.bench.client PORT KEY``: a gateway's client in a process of its own.

Reads lines of file names; says "ready" when it has them, and sends each file as a body, over one connection a
line, once it is told to go. Says "done" when all were accepted.
"""

from __future__ import annotations

import json
import sys
from http.client import HTTPConnection
from pathlib import Path


def main() -> None:
    port, key = sys.argv[1:]
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
    for line in sys.stdin:
        bodies = [Path(name).read_bytes() for name in line.split()]
        print("ready", flush=True)  # noqa: T201
        if not sys.stdin.readline():
            return
        connection = HTTPConnection("127.0.0.1", int(port), timeout=60)
        for body in bodies:
            connection.request("POST", "/api/v1/usage", body, headers)
            answer = connection.getresponse()
            outcome = json.loads(answer.read())
            if answer.status != 200 or outcome["rejected"]:
                raise RuntimeError(f"The console refused a record: {outcome}")
            if outcome["duplicates"]:
                raise RuntimeError(f"{outcome['duplicates']} records were there already: they tell no speed.")
        connection.close()
        print("done", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
