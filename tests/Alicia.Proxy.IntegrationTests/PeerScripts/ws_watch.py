"""WebSocket clients that stay until somebody closes them. Prints "open COUNT" when all are connected and have had an echo, "echo" for each
line of input when all have had one more, and at the end one line of JSON: how many saw which close code.

    ws_watch.py URL COUNT
"""
import asyncio
import json
import sys
from collections import Counter

import websockets


async def echo(socket, text):
    await socket.send(text)
    assert await asyncio.wait_for(socket.recv(), 20) == text


async def main(url, count):
    sockets = await asyncio.gather(*(websockets.connect(url, ping_interval=None, open_timeout=20) for _ in range(count)))
    await asyncio.gather(*(echo(socket, "first") for socket in sockets))
    print("open %d" % count, flush=True)

    async def echo_again():
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            await asyncio.gather(*(echo(socket, "again") for socket in sockets))
            print("echo", flush=True)

    again = asyncio.ensure_future(echo_again())
    await asyncio.gather(*(socket.wait_closed() for socket in sockets))
    again.cancel()
    print(json.dumps(Counter(str(socket.close_code) for socket in sockets)), flush=True)
    # The reader of the input would hold the interpreter.
    sys.stdout.flush()
    import os
    os._exit(0)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
