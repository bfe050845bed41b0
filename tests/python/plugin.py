"""Twilio's wire in Python: enough of it for a call to come in and be heard."""

import base64
import json
from urllib.parse import parse_qsl
from xml.sax.saxutils import quoteattr

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import manifest, media, webhooks
from wit_world.imports import types

ULAW = types.MediaFormat(types.Codec_Pcmu(), 8000)


class Manifest(exports.Manifest):
    def describe(self):
        def field(name, secret):
            kind = manifest.FieldKind_Password() if secret else manifest.FieldKind_Text()
            return manifest.Field(name, name, kind, secret, False, True, "", "", [], None)

        return manifest.Provider(
            name="twilio-py",
            display_name="Twilio, in Python",
            version="0.1.0",
            docs_url="",
            fields=[field("account_sid", False), field("auth_token", True)],
            identifying_field="account_sid",
            abilities=[manifest.Ability.ANSWER_BY_REPLY, manifest.Ability.MEDIA],
            hosts=[],
            media=ULAW,
            sign_in=None,
            extra=[],
        )

    def check(self, account):
        return []


def form(request):
    return parse_qsl(request.body.decode(), keep_blank_values=True)


class Webhooks(exports.Webhooks):
    def identify(self, request):
        if not any(name == "x-twilio-signature" for name, _ in request.headers):
            return None
        said = dict(form(request))
        return webhooks.Identity(said.get("AccountSid"), said.get("To"))

    def authenticate(self, account, request, now):
        signature = dict(request.headers).get("x-twilio-signature")
        if signature is None:
            raise Err(webhooks.Disproof_Unsigned())
        message = request.url + "".join(name + value for name, value in sorted(form(request)))
        digest = base64.b64decode(signature)
        check = webhooks.HmacCheck("auth_token", webhooks.Hash.SHA1, message.encode(), digest)
        return webhooks.Proof([webhooks.Check_Hmac(check)], None, None)

    def read(self, account, request, hook):
        said = dict(form(request))
        if hook == "status":
            ended = said["CallStatus"] == "completed"
            status = types.CallStatus_Completed() if ended else types.CallStatus_Other(said["CallStatus"])
            update = types.StatusUpdate(
                said["CallSid"], status, said["CallStatus"], None, None, None, None, None, None, []
            )
            return [types.Event_Status(update)]
        return [types.Event_Incoming(types.Incoming(said["CallSid"], said["From"], said["To"], "", "", "", b"", []))]

    def reply(self, account, call, action):
        match action:
            case types.Action_Stream(stream):
                status = quoteattr(stream.hooks.replace("{hook}", "status"))
                verb = f"<Connect><Stream url={quoteattr(stream.url)} statusCallback={status}/></Connect>"
            case types.Action_Say(say):
                verb = f"<Say>{say.text}</Say><Hangup/>"
            case _:
                verb = "<Hangup/>"
        body = f'<?xml version="1.0" encoding="UTF-8"?><Response>{verb}</Response>'
        return types.Response(200, [("content-type", "text/xml")], body.encode())


class Media(exports.Media):
    stream = ""

    def open(self, account, call):
        return media.StreamSetup(ULAW, ULAW, 20, 100, None)

    def decode(self, message):
        said = json.loads(message.value)
        match said["event"]:
            case "start":
                Media.stream = said["start"]["streamSid"]
                started = media.Started(Media.stream, said["start"]["callSid"], ULAW, ULAW, [])
                return [media.MediaEvent_Started(started)]
            case "media":
                payload = base64.b64decode(said["media"]["payload"])
                return [media.MediaEvent_Audio(media.Audio(payload, int(said["media"]["timestamp"]), None))]
            case "mark":
                return [media.MediaEvent_Mark(said["mark"]["name"])]
            case "stop":
                return [media.MediaEvent_Stopped()]
            case other:
                return [media.MediaEvent_Ignored(other)]

    def encode(self, command):
        match command:
            case media.MediaCommand_Audio(payload):
                said = {"event": "media", "media": {"payload": base64.b64encode(payload).decode()}}
            case media.MediaCommand_Mark(name):
                said = {"event": "mark", "mark": {"name": name}}
            case media.MediaCommand_Clear():
                said = {"event": "clear"}
            case _:
                return []
        return [media.Message_Text(json.dumps(said | {"streamSid": Media.stream}))]
