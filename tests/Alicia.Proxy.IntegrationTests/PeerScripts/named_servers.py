"""An HTTP server on one port of several addresses, which answers with the address that was asked.

    named_servers.py ADDRESS…

Prints "listening PORT". Commands on standard input, each answered by "done": "stop ADDRESS" closes an address and its connections, "start ADDRESS"
opens it again, "swallow ADDRESS" lets it take connections into a full queue, so that nobody answers them.
"""
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections.append(self.connection)

    def do_GET(self):
        body = self.server.server_address[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def __init__(self, address, port):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.connections = []
        super().__init__((address, port), Handler)

    def handle_error(self, *_):
        pass


servers, full = {}, []


def start(address, port):
    servers[address] = server = Server(address, port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


def stop(address):
    server = servers.pop(address)
    server.shutdown()
    server.server_close()
    for connection in server.connections:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def swallow(address, port):
    """A listener whose queue is full leaves further connections unanswered, as a host that is off does."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(0)
    full.append(listener)
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex((address, port))
        full.append(filler)


addresses = sys.argv[1:]
for attempt in range(50):
    try:
        start(addresses[0], 0)
        port = servers[addresses[0]].server_address[1]
        for address in addresses[1:]:
            start(address, port)
        break
    except OSError:
        # Free on one address, taken on another.
        for address in list(servers):
            stop(address)
print("listening %d" % port, flush=True)
for line in sys.stdin:
    command, address = line.split()
    if command == "stop":
        stop(address)
    elif command == "start":
        start(address, port)
    elif command == "swallow":
        swallow(address, port)
    print("done", flush=True)
