"""A service that knows nothing of the proxy: it answers HTTP and announces itself on the bus, without saying where it lives.

SERVICE_NAME, PORT, MQTT_BROKER, MQTT_PORT, MQTT_USERNAME (the service's name when left out) and MQTT_PASSWORD come from the environment.
"""
import json
import os
import signal
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import paho.mqtt.client as mqtt

NAME = os.environ["SERVICE_NAME"]
REGISTER = "alicia/system/discovery/register"
UNREGISTER = "alicia/system/discovery/unregister"
HEALTH = "alicia/system/health/" + NAME


def enveloped(payload):
    return json.dumps({
        "message_id": str(uuid.uuid4()), "timestamp": time.time(), "source": NAME, "destination": "broadcast", "message_type": "event",
        "priority": "normal", "ttl": 300, "payload": payload, "routing": {"hops": 0, "max_hops": 10},
    })


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps({"status": "healthy"} if self.path == "/health" else {"service": NAME, "path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def client():
    # paho 2 wants to be told which callbacks are meant; paho 1 does not know the word.
    version = getattr(mqtt, "CallbackAPIVersion", None)
    return mqtt.Client(version.VERSION1, client_id=NAME) if version else mqtt.Client(client_id=NAME)


def main():
    server = ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    bus = client()
    if "MQTT_PASSWORD" in os.environ:
        bus.username_pw_set(os.environ.get("MQTT_USERNAME", NAME), os.environ["MQTT_PASSWORD"])
    # Said by the broker when it loses this client. It carries the time of now, and holds whenever it is said.
    bus.will_set(UNREGISTER, enveloped({"service_name": NAME, "will": True}), qos=1)

    def on_connect(*_):
        bus.publish(REGISTER, enveloped({"service_name": NAME, "status": "online", "capabilities": ["example"], "version": "1.0.0"}), qos=1)
        print("announced", flush=True)

    bus.on_connect = on_connect
    bus.connect_async(os.environ["MQTT_BROKER"], int(os.environ.get("MQTT_PORT", "1883")), keepalive=15)
    bus.loop_start()

    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    while not stopping.wait(30):
        bus.publish(HEALTH, enveloped({"service_name": NAME, "status": "healthy"}), qos=0)

    bus.publish(UNREGISTER, enveloped({"service_name": NAME}), qos=1).wait_for_publish(2)
    bus.disconnect()
    bus.loop_stop()
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
