"""OpenAI's own types as an oracle: is every event of ours, and of the server that our tests play, one of the API?

Reads one JSON object on stdin:
  client  [event]   events that the host wrote
  server  [event]   events that the tests' server wrote
Writes one JSON object: client and server, for each event null or what is wrong with it. A member that the types do not
know is wrong too.
Needs the package `openai`.
"""

import json
import sys

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter, ValidationError


def unknown(value, path=""):
    """The path of the first member that no type knows."""
    if isinstance(value, BaseModel):
        extra = next(iter(value.model_extra or {}), None)
        if extra is not None:
            return f"{path}.{extra} is unknown to {type(value).__name__}"
        members = ((name, getattr(value, name)) for name in value.model_fields_set)
    elif isinstance(value, list):
        members = enumerate(value)
    else:
        return None
    found = (unknown(member, f"{path}.{name}") for name, member in members)
    return next((fault for fault in found if fault), None)


def judge(adapter, event):
    try:
        return unknown(adapter.validate_python(event))
    except ValidationError as error:
        return str(error)


def main():
    asked = json.load(sys.stdin)
    adapters = {"client": TypeAdapter(RealtimeClientEvent), "server": TypeAdapter(RealtimeServerEvent)}
    answer = {side: [judge(adapter, event) for event in asked[side]] for side, adapter in adapters.items()}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
