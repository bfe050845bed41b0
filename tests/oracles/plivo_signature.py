"""Plivo's own Python SDK as an oracle for webhook signatures.

Reads one JSON object on stdin:
  sign      {count, seed, token}: makes so many requests and signs them with Plivo's code
  validate  [{method, url, params: [[name, value]], nonce, signature, token}]: judged by Plivo's validator
Writes one JSON object: signed [{method, url, params, nonce, signature}], genuine [bool].
Needs the package `plivo`.
"""

import json
import random
import sys
import urllib.parse

from plivo.utils import signature_v3

TEXTS = ["", "1", "+14155550123", "a b", "café & té", "<Hangup/>", "\"q\" 't'", "a=b&c=%2B", "😀", "Zz", "10"]
NAMES = ["CallUUID", "callUUID", "From", "To", "A", "a", "É", "b"]
# The SDK reads a query's bytes as Latin-1, so that only ASCII means the same to everyone there.
PLAIN = ["", "1", "+1", "a b", "a=b", "&", "x/y", "~"]


def by_name(pairs):
    params = {}
    for name, value in pairs:
        params.setdefault(name, []).append(value)
    return params


def signature(method, url, pairs, nonce, token):
    params = by_name(pairs) if method == "POST" else {}
    build = signature_v3.construct_post_url if method == "POST" else signature_v3.construct_get_url
    base = build(url, params).decode("utf-8")
    return signature_v3.get_signature_v3(token.encode(), base, nonce.encode()).decode()


def request(dice, token):
    method = dice.choice(["GET", "POST"])
    path = dice.choice(["/", "/hook", "/hook/", "/a%20b/c", "/api/v1/telephony/inbound/run"])
    query = [(dice.choice(["x", "y", "Y", "z"]), dice.choice(PLAIN)) for _ in range(dice.randrange(4))]
    url = "https://gw.example.net" + dice.choice(["", ":8443"]) + path
    url += "?" + urllib.parse.urlencode(query) if query else ""
    pairs = [(dice.choice(NAMES), dice.choice(TEXTS)) for _ in range(dice.randrange(7))] if method == "POST" else []
    nonce = str(dice.randrange(10**20)).zfill(20)
    made = {"method": method, "url": url, "params": pairs, "nonce": nonce}
    return {**made, "signature": signature(method, url, pairs, nonce, token)}


def validate(case):
    params = by_name(case["params"]) if case["method"] == "POST" else {}
    return bool(signature_v3.validate_v3_signature(
        case["method"], case["url"], case["nonce"], case["token"], case["signature"], params))


def main():
    question = json.load(sys.stdin)
    sign = question.get("sign", {})
    dice = random.Random(sign.get("seed", 0))
    signed = [request(dice, sign["token"]) for _ in range(sign.get("count", 0))]
    genuine = [validate(case) for case in question.get("validate", [])]
    json.dump({"signed": signed, "genuine": genuine}, sys.stdout)


main()
