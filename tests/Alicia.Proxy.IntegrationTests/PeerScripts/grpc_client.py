"""A gRPC client that makes one call and prints what came of it as one line of JSON.

    grpc_client.py HOST:PORT AUTHORITY SCENARIO [ARGUMENT]

AUTHORITY is the Host that the proxy routes by.
"""
import json
import sys
import time

import grpc

target, authority, scenario, *rest = sys.argv[1:]
argument = rest[0] if rest else ""
channel = grpc.insecure_channel(target, options=(
    ("grpc.default_authority", authority), ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)))


def method(name, kind):
    return getattr(channel, kind)("/peer.Echo/" + name)


def pairs(metadata):
    return {key: value.hex() if isinstance(value, bytes) else value for key, value in metadata or ()}


def unary():
    return {"answer": method("Unary", "unary_unary")(argument.encode(), timeout=20).decode()}


def large():
    body = bytes(range(256)) * (int(argument) // 256)
    return {"same": method("Unary", "unary_unary")(body, timeout=20) == body}


def meta():
    answer, call = method("Meta", "unary_unary").with_call(b"", timeout=20, metadata=(("x-sent", "there"), ("x-sent-bin", b"\x00\x80\xff")))
    return {"seen": answer.decode(), "initial": pairs(call.initial_metadata()), "trailing": pairs(call.trailing_metadata())}


def fail():
    return method("Fail", "unary_unary")(argument.encode(), timeout=20)


def missing():
    return method("Nobody", "unary_unary")(b"", timeout=20)


def fail_late():
    got = []
    try:
        for message in method("FailLate", "unary_stream")(b"", timeout=20):
            got.append(message.decode())
    except grpc.RpcError as error:
        return {"got": got, "code": error.code().name, "details": error.details()}
    return {"got": got, "code": "OK"}


def down():
    return {"answer": [m.decode() for m in method("Down", "unary_stream")(argument.encode(), timeout=20)] == [str(n) for n in range(int(argument))]}


def up():
    return {"answer": method("Up", "stream_unary")((b"x" * n for n in range(int(argument))), timeout=20).decode()}


def chat():
    """Each message is made only when the answer to the one before has come: neither side may wait for the other's end."""
    answers = []

    def questions():
        for number in range(int(argument)):
            while len(answers) < number:
                time.sleep(0.001)
            yield b"%d" % number

    for answer in method("Chat", "stream_stream")(questions(), timeout=20):
        answers.append(answer.decode())
    return {"answers": len(answers), "last": answers[-1]}


def cancel():
    call = method("Endless", "unary_stream")(b"", timeout=20)
    first = next(call).decode()
    print(json.dumps({"first": first}), flush=True)
    call.cancel()
    # Stays, with its connection, until it is told to end: only the stream ends the call.
    sys.stdin.read()
    return {"cancelled": call.cancelled()}


def deadline():
    return method("Slow", "unary_unary")(b"", timeout=float(argument))


def endless():
    got = []
    try:
        for message in method("Endless", "unary_stream")(b"", timeout=20):
            got.append(message.decode())
            print(json.dumps({"first": got[0]}), flush=True)
    except grpc.RpcError as error:
        return {"got": got, "code": error.code().name, "details": error.details()}
    return {"got": got, "code": "OK"}


def many():
    """Calls at once over one connection, each with its own message."""
    unary = method("Unary", "unary_unary")
    calls = [unary.future(b"%d" % n, timeout=20) for n in range(int(argument))]
    return {"right": sum(call.result() == b"%d" % n for n, call in enumerate(calls))}


try:
    result = globals()[scenario]()
    result = result if isinstance(result, dict) else {"code": "OK"}
except grpc.RpcError as error:
    result = {"code": error.code().name, "number": error.code().value[0], "details": error.details(), "trailing": pairs(error.trailing_metadata())}
print(json.dumps(result), flush=True)
channel.close()
