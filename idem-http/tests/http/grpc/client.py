"""A client on grpcio that runs a scenario, and prints one line of JSON for each call.

client.py ADDRESS SCENARIO
"""

import json
import sys
import time

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

PAY = "/pay.Pay/Pay"
# Refused calls are sent again: after 50 ms, unless the server says when. (With a pause of 1 ms grpcio 1.85 may hang, with
# its own server, too.)
RETRYING = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "pay.Pay"}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.05s",
                    "backoffMultiplier": 1,
                    "retryableStatusCodes": ["UNAVAILABLE", "ABORTED"],
                },
            }
        ]
    }
)
# In seconds. The longest call of a test that passes takes a few.
LONGEST = 60


def channel(address, retrying=False):
    options = [("grpc.service_config", RETRYING)] if retrying else [("grpc.enable_retries", 0)]
    return grpc.insecure_channel(address, options)


def key(text):
    return () if text is None else (("idempotency-key", text),)


def fields(metadata):
    return sorted([name, value.hex() if isinstance(value, bytes) else value] for name, value in metadata)


def details(error):
    """The google.rpc.Status of a refusal. grpc_status checks it against the status and the message."""
    status = rpc_status.from_call(error)
    found = {}
    for detail in status.details if status else ():
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo):
            if detail.Is(kind.DESCRIPTOR):
                message = kind()
                detail.Unpack(message)
                found[kind.DESCRIPTOR.name] = message
    info, retry = found.get("ErrorInfo"), found.get("RetryInfo")
    return {
        "reason": info.reason if info else None,
        "domain": info.domain if info else None,
        "retry_ms": retry.retry_delay.ToMilliseconds() if retry else None,
    }


def pay(on, key_text, message):
    begun = time.monotonic()
    told = {"key": key_text}
    try:
        answer, call = on.unary_unary(PAY).with_call(message, metadata=key(key_text), timeout=LONGEST)
        told.update(code=call.code().name, message=call.details(), body=answer.decode())
        told.update(headers=fields(call.initial_metadata()), trailers=fields(call.trailing_metadata()))
    except grpc.RpcError as error:
        told.update(code=error.code().name, message=error.details())
        told.update(headers=fields(error.initial_metadata()), trailers=fields(error.trailing_metadata()))
        told.update(details(error))
    told["ms"] = int((time.monotonic() - begun) * 1000)
    print(json.dumps(told), flush=True)


def calls(address, *sent):
    """Makes calls one after the other, each `KEY=MESSAGE`, or `MESSAGE` without a key."""
    with channel(address) as on:
        for call in sent:
            key_text, _, message = call.rpartition("=")
            pay(on, key_text or None, message.encode())


def retried(address, key_text, message):
    """Makes one call, which grpcio retries by itself."""
    with channel(address, retrying=True) as on:
        pay(on, key_text, message.encode())


def streams(address):
    """Makes a call of each kind of stream, twice with the same key."""
    with channel(address) as on:
        for _ in range(2):
            told = {"spell": [], "talk": []}
            for letter in on.unary_stream("/pay.Pay/Spell")(b"abc", metadata=key("k"), timeout=LONGEST):
                told["spell"].append(letter.decode())
            joined = on.stream_unary("/pay.Pay/Join")(iter([b"a", b"b"]), metadata=key("k"), timeout=LONGEST)
            told["join"] = joined.decode()
            told["talk"] = talk(on)
            print(json.dumps(told), flush=True)


def talk(on):
    """Sends each message after the answer to the one before."""
    answers = []

    def messages():
        for number in range(3):
            while len(answers) < number:
                time.sleep(0.001)
            yield str(number).encode()

    for answer in on.stream_stream("/pay.Pay/Talk")(messages(), metadata=key("k"), timeout=LONGEST):
        answers.append(answer.decode())
    return answers


SCENARIOS = {"calls": calls, "retried": retried, "streams": streams}
SCENARIOS[sys.argv[2]](sys.argv[1], *sys.argv[3:])
