"""What an HTTP client costs: processor time for each chat request to a server that answers at once, on loopback.

Measures the clients that are installed, and a bare socket as the least there can be. The engine `openai` uses aiohttp.

    python benchmarks/http_client.py [REQUESTS]
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import multiprocessing
import socket
import sys
import time
from collections.abc import Awaitable, Callable

AT_ONCE = 64
BODY = json.dumps({"choices": [{"message": {"content": "hello " * 60}}], "usage": {"prompt_tokens": 50}}).encode()
REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
ASKED = {"model": "m", "messages": [{"role": "user", "content": "word " * 200}], "max_tokens": 64, "seed": 1}

Ask = Callable[[], Awaitable[object]]


class Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, _, rest = self.data.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            if len(rest) < length:
                return
            self.data = rest[length:]
            self.transport.write(REPLY)


def serve(port: int) -> None:
    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(forever())


async def measure(name: str, ask: Ask, requests: int) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with room:
            await ask()

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
    began, worked = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one() for _ in range(requests)))
    worked, took = time.process_time() - worked, time.perf_counter() - began
    print(
        f"{name:12} {1000 * worked / requests:6.2f} ms of processor a request, {requests / took:8.0f} requests a second"
    )


async def main(url: str, port: int, requests: int) -> None:
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def bare() -> object:
        reader, writer = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
        body = json.dumps(ASKED).encode()
        writer.write(b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
        said = json.loads(await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])))
        free.append((reader, writer))
        return said

    await measure("bare socket", bare, requests)
    if importlib.util.find_spec("aiohttp"):
        import aiohttp

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

            async def by_aiohttp() -> object:
                async with session.post(url, data=json.dumps(ASKED).encode()) as reply:
                    return json.loads(await reply.read())

            await measure("aiohttp", by_aiohttp, requests)
    if importlib.util.find_spec("httpx"):
        import httpx

        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        async with httpx.AsyncClient(limits=limits) as client:

            async def by_httpx() -> object:
                return (await client.post(url, json=ASKED)).json()

            await measure("httpx", by_httpx, requests)


if __name__ == "__main__":
    with socket.socket() as free_port:
        free_port.bind(("127.0.0.1", 0))
        port = free_port.getsockname()[1]
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    time.sleep(1)
    try:
        asyncio.run(main(f"http://127.0.0.1:{port}/v1", port, int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
    finally:
        server.terminate()
