"""A gRPC server of raw bytes: service peer.Echo, one method for each kind of call. Prints "listening PORT", then what it is told by its calls. A number on its input is what its
health service answers from then on: 1 SERVING, which it begins with, 2 NOT_SERVING.

    grpc_server.py [CERTIFICATE KEY]
"""
import sys
import time
from concurrent import futures

import grpc


def say(text):
    print(text, flush=True)


def unary(request, context):
    return request


def meta(request, context):
    context.send_initial_metadata((("x-initial", "head"), ("x-initial-bin", b"\x00\xff\x01")))
    context.set_trailing_metadata((("x-trailing", "tail"), ("x-trailing-bin", b"\xfe\x00")))
    got = dict(context.invocation_metadata())
    return repr((got.get("x-sent"), got.get("x-sent-bin"), got.get("te"))).encode()


def fail(request, context):
    context.set_trailing_metadata((("x-reason-bin", b"\x01\x02"),))
    context.abort(grpc.StatusCode(tuple(c.value for c in grpc.StatusCode if c.value[0] == int(request))[0]), "it is so: höchst, 100 %")


def fail_late(request, context):
    yield b"one"
    yield b"two"
    context.abort(grpc.StatusCode.DATA_LOSS, "after two")


def down(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def up(requests, context):
    total = count = 0
    for request in requests:
        total, count = total + len(request), count + 1
    return b"%d %d" % (count, total)


def chat(requests, context):
    for request in requests:
        yield b"re:" + request


def endless(request, context):
    context.add_callback(lambda: say("ended endless"))
    yield b"first"
    while context.is_active():
        time.sleep(0.01)


def slow(request, context):
    say("deadline %s" % ("yes" if context.time_remaining() is not None and context.time_remaining() < 60 else "no"))
    context.add_callback(lambda: say("ended slow"))
    while context.is_active():
        time.sleep(0.01)
    return b""


serving = 1


def check(request, context):
    return bytes((8, serving))


class Handlers(grpc.GenericRpcHandler):
    METHODS = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Meta": grpc.unary_unary_rpc_method_handler(meta),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
        "Down": grpc.unary_stream_rpc_method_handler(down),
        "Up": grpc.stream_unary_rpc_method_handler(up),
        "Chat": grpc.stream_stream_rpc_method_handler(chat),
        "Endless": grpc.unary_stream_rpc_method_handler(endless),
        "Slow": grpc.unary_unary_rpc_method_handler(slow),
    }

    def service(self, details):
        package, _, method = details.method.lstrip("/").partition("/")
        if details.method == "/grpc.health.v1.Health/Check":
            return grpc.unary_unary_rpc_method_handler(check)
        return self.METHODS.get(method) if package == "peer.Echo" else None


server = grpc.server(
    futures.ThreadPoolExecutor(max_workers=32), handlers=(Handlers(),),
    options=(("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)))
if len(sys.argv) > 1:
    with open(sys.argv[1], "rb") as certificate, open(sys.argv[2], "rb") as key:
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(((key.read(), certificate.read()),)))
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
say("listening %d" % port)
# The input ends with whoever started this.
for line in sys.stdin:
    serving = int(line)
server.stop(0)
