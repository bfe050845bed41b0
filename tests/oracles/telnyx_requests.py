"""Telnyx's own Python package as an oracle for signed webhooks and for the bodies of our requests.

Reads one JSON object on stdin:
  sign      {count, seed, connection_id}: makes so many webhooks with a key of its own, signed now
  validate  [{body, timestamp, signature, key}]: judged by client.webhooks.unwrap
  requests  [{method, path, body}]: judged by the types of the parameters that the package would send there
Writes one JSON object: signed [{body, timestamp, signature, key}], genuine [bool], faults [null or what is wrong].
Needs the package `telnyx` with `webhooks`.
"""

import base64
import json
import random
import re
import sys
import time

import typing_extensions as typing
from nacl.signing import SigningKey
from pydantic import TypeAdapter, ValidationError
from telnyx import Telnyx
from telnyx.types import (
    CallControlApplicationUpdateParams,
    CallDialParams,
    ConferenceCreateParams,
    PhoneNumberUpdateParams,
)
from telnyx.types.conferences import ActionJoinParams
from telnyx.types.calls import ActionAnswerParams, ActionHangupParams, ActionRejectParams

WORDS = ["+14155550123", "sip:a@b.example", "café", "\"q\"", "<b>", "", "😀", "a\nb"]
KINDS = ["call.initiated", "call.answered", "call.hangup", "streaming.started"]
PLACES = [
    ("POST", "/v2/calls", CallDialParams),
    ("POST", "/v2/calls/[^/]+/actions/answer", ActionAnswerParams),
    ("POST", "/v2/calls/[^/]+/actions/hangup", ActionHangupParams),
    ("POST", "/v2/calls/[^/]+/actions/reject", ActionRejectParams),
    ("POST", "/v2/conferences", ConferenceCreateParams),
    ("POST", "/v2/conferences/[^/]+/actions/join", ActionJoinParams),
    ("PATCH", "/v2/call_control_applications/[^/]+", CallControlApplicationUpdateParams),
    ("PATCH", "/v2/phone_numbers/[^/]+", PhoneNumberUpdateParams),
]


def signed(dice, sign, key):
    payload = {"connection_id": sign["connection_id"], "call_control_id": f"v3:{dice.random()}"}
    payload |= {dice.choice("abcdef"): dice.choice(WORDS) for _ in range(dice.randrange(6))}
    data = {"record_type": "event", "event_type": dice.choice(KINDS), "id": str(dice.random()), "payload": payload}
    body = json.dumps({"data": data}, ensure_ascii=dice.random() < 0.5)
    timestamp = str(int(time.time()))
    signature = key.sign(f"{timestamp}|{body}".encode()).signature
    return {
        "body": body, "timestamp": timestamp, "signature": base64.b64encode(signature).decode(),
        "key": base64.b64encode(key.verify_key.encode()).decode(),
    }


def genuine(client, case):
    headers = {"telnyx-signature-ed25519": case["signature"], "telnyx-timestamp": case["timestamp"]}
    try:
        client.webhooks.unwrap(case["body"], headers=headers, key=case["key"])
    except ValueError:
        return False
    return True


def fault(request):
    for method, path, params in PLACES:
        if request["method"] == method and re.fullmatch(path, request["path"]):
            # Python's own words have a line behind them there.
            members = {name.rstrip("_"): kind for name, kind in typing.get_type_hints(params).items()}
            unknown = set(request["body"]) - set(members)
            if unknown:
                return f"{params.__name__} has no {sorted(unknown)}"
            # The type without what goes into the path.
            told = {name: members[name] for name in request["body"]}
            try:
                TypeAdapter(typing.TypedDict(params.__name__, told)).validate_python(request["body"])
            except ValidationError as error:
                return str(error)
            return None
    return "there is no such request"


def main():
    question = json.load(sys.stdin)
    sign = question.get("sign", {})
    dice = random.Random(sign.get("seed", 0))
    key = SigningKey(dice.randbytes(32))
    client = Telnyx(api_key="none")
    made = [signed(dice, sign, key) for _ in range(sign.get("count", 0))]
    judged = [genuine(client, case) for case in question.get("validate", [])]
    faults = [fault(request) for request in question.get("requests", [])]
    json.dump({"signed": made, "genuine": judged, "faults": faults}, sys.stdout)


if __name__ == "__main__":
    main()
