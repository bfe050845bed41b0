"""Twilio's own Python SDK as an oracle: is a request genuine, and does a document say what it should?

Reads one JSON object on stdin:
  signatures  [{name, token, url, signed_url, params: [[name, value]], body?, tamper?}]
              signed by Twilio's code over signed_url and then validated by it for url
  documents   [{name, xml, action}]
              compared, element by element, with what Twilio's VoiceResponse builds for the action
Writes one JSON object: signatures {name: {signature, genuine}}, documents {name: null or the first difference}.
Needs the package `twilio`.
"""

import json
import sys
import xml.etree.ElementTree as ElementTree

from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, Dial, VoiceResponse


class Params(dict):
    """Parameters with repeated names, as the web frameworks hand them to the validator."""

    def __init__(self, pairs):
        super().__init__()
        for name, value in pairs:
            self.setdefault(name, []).append(value)

    def getall(self, name):
        return self[name]


def judge(case):
    validator = RequestValidator(case["token"])
    body = case.get("body")
    params = {} if body is not None else Params(case["params"])
    signature = validator.compute_signature(case["signed_url"], params)
    genuine = validator.validate(case["url"], params if body is None else body, signature)
    return {"signature": signature, "genuine": bool(genuine)}


def build(action):
    response = VoiceResponse()
    kind, value = action["kind"], action
    if kind == "stream":
        connect = Connect()
        stream = connect.stream(
            url=value["url"], status_callback=value["status_callback"], status_callback_method="POST"
        )
        for name, parameter in value["parameters"]:
            stream.parameter(name=name, value=parameter)
        response.append(connect)
    elif kind == "say":
        language = {"language": value["language"]} if value["language"] else {}
        response.say(value["text"], voice="alice", **language)
        response.hangup()
    elif kind == "hang-up":
        response.hangup()
    elif kind == "reject":
        response.reject(reason=value["reason"])
    elif kind == "conference":
        if value["announcement"]:
            response.say(value["announcement"])
        dial = Dial()
        dial.conference(
            value["name"],
            start_conference_on_enter=True,
            end_conference_on_exit=value["end_on_exit"],
            beep="false",
        )
        response.append(dial)
    else:
        raise ValueError(kind)
    return response.xml()


def difference(ours, theirs, path=""):
    path = f"{path}/{theirs.tag}"
    if ours.tag != theirs.tag:
        return f"{path}: the element is {ours.tag}"
    if ours.attrib != theirs.attrib:
        return f"{path}: attributes {ours.attrib!r}, not {theirs.attrib!r}"
    if (ours.text or "") != (theirs.text or ""):
        return f"{path}: text {ours.text!r}, not {theirs.text!r}"
    if len(ours) != len(theirs):
        return f"{path}: {len(ours)} children, not {len(theirs)}"
    pairs = (difference(a, b, path) for a, b in zip(ours, theirs))
    return next((found for found in pairs if found), None)


def compare(case):
    try:
        ours = ElementTree.fromstring(case["xml"].encode())
    except ElementTree.ParseError as error:
        return f"not XML: {error}"
    return difference(ours, build(case["action"]))


def main():
    asked = json.load(sys.stdin)
    answers = {
        "signatures": {case["name"]: judge(case) for case in asked.get("signatures", [])},
        "documents": {case["name"]: compare(case) for case in asked.get("documents", [])},
    }
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
