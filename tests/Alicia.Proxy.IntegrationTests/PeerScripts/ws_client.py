"""A WebSocket client that tries everything once and prints what came back as one line of JSON.

    ws_client.py URL
"""
import asyncio
import json
import sys

import websockets


async def main(url):
    result = {}
    async with websockets.connect(url + "/echo", max_size=None, ping_interval=None, subprotocols=["chat.v1", "chat.v2"]) as socket:
        result["subprotocol"] = socket.subprotocol
        result["extensions"] = [extension.name for extension in socket.extensions]
        result["server"] = socket.response_headers.get("Server")
        await socket.send("höchst")
        result["text"] = await socket.recv()
        await socket.send(b"\x00\xff\x80")
        result["binary"] = (await socket.recv()).hex()
        await socket.send(["one ", "two ", "three"])
        result["fragments"] = await socket.recv()
        await socket.send("")
        result["empty"] = await socket.recv()
        await asyncio.wait_for(await socket.ping(b"there?"), 10)
        result["ping"] = True
        large = bytes(range(256)) * 32768
        await socket.send(large)
        result["large"] = await socket.recv() == large
        await socket.close(4321, "enough")
        result["closed"] = [socket.close_code, socket.close_reason]
    async with websockets.connect(url + "/echo", compression=None, max_size=None) as socket:
        result["uncompressed"] = [extension.name for extension in socket.extensions]
        await socket.send("x" * 100000)
        result["plain"] = len(await socket.recv())
    print(json.dumps(result), flush=True)


asyncio.run(main(sys.argv[1]))
