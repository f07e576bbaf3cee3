"""WebSocket by the `websockets` library: `serve` echoes, `call ADDRESS` checks the echo through whatever stands
between: text, bytes, large messages, pings, the closing handshake."""

import asyncio
import sys

import websockets


async def echo(connection):
    try:
        async for message in connection:
            await connection.send(message)
    except websockets.ConnectionClosed:
        pass  # with another code than 1000, as the client does


async def serve():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def call(address):
    async with websockets.connect(f"ws://{address}/socket", max_size=None) as connection:
        for message in ["text", "", "\u00e4\u6f22", b"", bytes(range(256)), b"x" * (4 << 20)]:
            await connection.send(message)
            assert await connection.recv() == message
        await (await connection.ping())
        # A message in fragments arrives as one.
        await connection.send(["one ", "two ", "three"])
        assert await connection.recv() == "one two three"
        await connection.close(code=4000, reason="enough")
        assert connection.close_code == 4000, connection.close_code


if __name__ == "__main__":
    asyncio.run({"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:]))
