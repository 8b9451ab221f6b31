"""A WebSocket server: echoes, and does what the path says. Prints "listening PORT", then how each connection closed.

    /close?CODE&REASON  closes at once
    /parts              answers each message in three fragments
    /ping               pings, and sends "pong" when the answer has come
    anything else       echo
"""
import asyncio
import sys
from urllib.parse import unquote, urlsplit

import websockets


def say(text):
    print(text, flush=True)


async def serve(socket):
    url = urlsplit(socket.path)
    try:
        if url.path == "/close":
            code, reason = url.query.split("&")
            await socket.close(int(code), unquote(reason))
            return
        if url.path == "/ping":
            await asyncio.wait_for(await socket.ping(b"there?"), 10)
            await socket.send("pong")
        async for message in socket:
            if url.path == "/parts":
                third = len(message) // 3
                await socket.send([message[:third], message[third:2 * third], message[2 * third:]])
            else:
                await socket.send(message)
    finally:
        await socket.wait_closed()
        say("closed %s %s" % (socket.close_code, socket.close_reason))


async def main():
    async with websockets.serve(serve, "127.0.0.1", 0, max_size=None, ping_interval=None, subprotocols=["chat.v2", "chat.v1"]) as server:
        say("listening %d" % server.sockets[0].getsockname()[1])
        # The input ends with whoever started this.
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
