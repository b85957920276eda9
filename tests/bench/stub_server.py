"""A tiny HTTP/1.1 server with planted misbehaviour: python stub_server.py '{"stall_at": 0.5,
"stall_for": 0.3}'.

Writes its port to standard output. `stall_at`/`stall_for`: seconds after the first request at which
everything stands still, and how long.
`delay_ms`: added to every answer. `refuse_after`: answers 429 after so many requests.
`close_every`: closes the connection after every so many answers. `silent_every`: breaks the
connection instead of answering. Bodies are echoed.
"""

import asyncio
import json
import sys
import time


class Stub:
    def __init__(self, plan: dict[str, float]) -> None:
        self.plan, self.count, self.first = plan, 0, 0.0
        self.stalled = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self.answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = dict(
            line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line
        )
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.count += 1
        self.stall()
        if self.plan.get("delay_ms"):
            await asyncio.sleep(self.plan["delay_ms"] / 1000)
        if self.hits("silent_every"):
            return False
        refused = self.plan.get("refuse_after") and self.count > self.plan["refuse_after"]
        text = body or b"{}"
        last = self.hits("close_every")
        writer.write(
            b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n%s%sContent-Length: %d\r\n\r\n%s"
            % (
                b"429 Too Many Requests" if refused else b"200 OK",
                b"Retry-After: 60\r\n" if refused else b"",
                b"Connection: close\r\n" if last else b"",
                len(text),
                text,
            )
        )
        await writer.drain()
        return not last

    def hits(self, name: str) -> bool:
        return bool(self.plan.get(name)) and self.count % self.plan[name] == 0

    def stall(self) -> None:
        now = time.monotonic()
        self.first = self.first or now
        if (
            "stall_at" in self.plan
            and not self.stalled
            and now - self.first > self.plan["stall_at"]
        ):
            self.stalled = True
            time.sleep(self.plan["stall_for"])  # the point: the whole server stands still


async def main() -> None:
    stub = Stub(json.loads(sys.argv[1]))
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


asyncio.run(main())
