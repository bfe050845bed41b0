"""Vonage's own Python package as an oracle for signed webhooks.

Reads one JSON object on stdin:
  sign      {count, seed, secret, api_key, application_id}: makes so many tokens over random bodies
  validate  [{token, secret}]: judged by vonage_jwt.verify_signature
Writes one JSON object: signed [{token, body}], genuine [bool].
Needs the package `vonage-jwt`; the tokens are made by the library that it decodes with.
"""

import hashlib
import json
import random
import sys

import jwt
from vonage_jwt import verify_signature

WORDS = ["14155550123", "12065550188", "café", "\"q\"", "<b>", "", "😀", "a\nb"]


def signed(dice, sign):
    body = ""
    if dice.random() < 0.9:
        body = json.dumps({dice.choice("abcdef"): dice.choice(WORDS) for _ in range(dice.randrange(1, 6))})
    # In the past: the library refuses a token of the future, which for us is the host's to say.
    claims = {"iat": dice.randrange(1_700_000_000), "jti": str(dice.random()), "iss": "Vonage", "api_key": sign["api_key"]}
    if dice.random() < 0.8:
        claims["application_id"] = sign["application_id"]
    if body:
        claims["payload_hash"] = hashlib.sha256(body.encode()).hexdigest()
    return {"token": jwt.encode(claims, sign["secret"], algorithm="HS256"), "body": body}


def main():
    question = json.load(sys.stdin)
    sign = question.get("sign", {})
    dice = random.Random(sign.get("seed", 0))
    made = [signed(dice, sign) for _ in range(sign.get("count", 0))]
    genuine = [verify_signature(case["token"], case["secret"]) for case in question.get("validate", [])]
    json.dump({"signed": made, "genuine": genuine}, sys.stdout)


main()
