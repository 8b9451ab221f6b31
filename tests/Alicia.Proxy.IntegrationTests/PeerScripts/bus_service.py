"""A service as Alicia's own are on the bus, by paho: connects over MQTT 3.1.1 with a last will, announces itself without an address, says how it is when told to,
and goes or dies.

    bus_service.py BROKER_PORT SERVICE_NAME

Lines on standard input: "healthy", "unhealthy", "announce", "bye". It prints "announced" when the broker has its announcement, and each order when it is done.
"""
import json
import sys
import time
import uuid

import paho.mqtt.client as mqtt

PORT, NAME = int(sys.argv[1]), sys.argv[2]
ROOT = "alicia/system/"


def enveloped(payload):
    return json.dumps({
        "message_id": str(uuid.uuid4()), "timestamp": time.time(), "source": NAME, "destination": "broadcast", "message_type": "event",
        "priority": "normal", "ttl": 300, "payload": payload, "routing": {"hops": 0, "max_hops": 10},
    })


client = mqtt.Client(client_id=NAME, clean_session=True, protocol=mqtt.MQTTv311)
client.will_set(ROOT + "discovery/unregister", enveloped({"service_name": NAME, "reason": "connection_lost", "will": True}), qos=1)


def say(topic, payload):
    client.publish(ROOT + topic, enveloped(payload), qos=1).wait_for_publish(10)


def announce():
    say("discovery/register", {"service_name": NAME, "status": "online", "capabilities": ["speech"], "version": "1.0.0"})


client.connect("127.0.0.1", PORT, keepalive=5)
client.loop_start()
announce()
print("announced", flush=True)
for line in sys.stdin:
    order = line.strip()
    if order == "announce":
        announce()
    elif order == "bye":
        say("discovery/unregister", {"service_name": NAME})
    elif order:
        say("health/" + NAME, {"service_name": NAME, "status": order, "uptime": time.process_time(), "messages_processed": 0, "errors": 0})
    print(order, flush=True)
    if order == "bye":
        break
client.disconnect()
client.loop_stop()
