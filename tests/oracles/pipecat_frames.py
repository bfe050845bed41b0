"""Pipecat's own serializers as an oracle: are our frames its frames, and does it take us for Twilio?

Reads one JSON object on stdin:
  frames    [hex]     binary messages that the host wrote, read by Pipecat's protobuf serializer
  twilio    [text]    the messages of a stream that the host wrote as Twilio, read as a Pipecat bot reads them
Writes one JSON object:
  frames    [{kind, ...}]           what Pipecat understood
  said      {name: hex}             frames that Pipecat wrote: audio, interruption, text, transcription, message
  detected  {transport, stream, call, from, body}
  heard     [{kind, ...}]           what its Twilio serializer understood
  answers   {name: text}            what it says to Twilio: audio, interruption
Needs the package `pipecat-ai`.
"""

import asyncio
import json
import sys
from types import SimpleNamespace

from loguru import logger

# Its log would stand among our answers.
logger.remove()

from pipecat.frames.frames import (  # noqa: E402
    InputAudioRawFrame,
    InputDTMFFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    TextFrame,
    TranscriptionFrame,
)
from pipecat.processors.frameworks.rtvi import models as rtvi  # noqa: E402
from pipecat.runner.utils import parse_telephony_websocket  # noqa: E402
from pipecat.serializers.protobuf import ProtobufFrameSerializer  # noqa: E402
from pipecat.serializers.twilio import TwilioFrameSerializer  # noqa: E402

PCM = bytes(range(32)) * 10


def rtvi_fault(message):
    """Why Pipecat's RTVI processor would not take a message; None when it would."""
    kinds = {"client-ready": rtvi.ClientReadyData, "dtmf": rtvi.DTMFInputData}
    try:
        parsed = rtvi.Message.model_validate(message)
        if parsed.type in kinds:
            kinds[parsed.type].model_validate(parsed.data)
    except ValueError as error:
        return str(error)
    return None


def describe(frame):
    if isinstance(frame, InputAudioRawFrame):
        return {
            "kind": "audio",
            "audio": frame.audio.hex(),
            "rate": frame.sample_rate,
            "channels": frame.num_channels,
        }
    if isinstance(frame, InputTransportMessageFrame):
        message = frame.message
        fault = rtvi_fault(message) if message.get("label") == "rtvi-ai" else None
        return {"kind": "message", "message": message, "fault": fault}
    if isinstance(frame, InputDTMFFrame):
        return {"kind": "dtmf", "digit": frame.button.value}
    return {"kind": type(frame).__name__}


async def protobuf(messages):
    serializer = ProtobufFrameSerializer()
    frames = [describe(await serializer.deserialize(bytes.fromhex(message))) for message in messages]
    out = {
        "audio": OutputAudioRawFrame(audio=PCM, sample_rate=24000, num_channels=1),
        "interruption": InterruptionFrame(),
        "text": TextFrame("good day"),
        "transcription": TranscriptionFrame("hello", "caller", "2026-11-01T12:00:00Z"),
        "message": OutputTransportMessageFrame(
            message={"label": "rtvi-ai", "type": "error", "data": {"error": "no voice", "fatal": False}}
        ),
    }
    return frames, {name: (await serializer.serialize(frame)).hex() for name, frame in out.items()}


class Socket:
    """What Pipecat's runner needs of a web framework's socket."""

    def __init__(self, texts):
        self.texts = iter(texts)

    async def iter_text(self):
        for text in self.texts:
            yield text


async def twilio(messages):
    socket = Socket(messages)
    transport, call = await parse_telephony_websocket(socket)
    serializer = TwilioFrameSerializer(
        call["stream_id"], params=TwilioFrameSerializer.InputParams(auto_hang_up=False)
    )
    await serializer.setup(SimpleNamespace(audio_in_sample_rate=8000))
    heard = [describe(await serializer.deserialize(text)) for text in socket.texts]
    out = {
        "audio": OutputAudioRawFrame(audio=bytes(320), sample_rate=8000, num_channels=1),
        "interruption": InterruptionFrame(),
    }
    answers = {name: await serializer.serialize(frame) for name, frame in out.items()}
    detected = {
        "transport": transport,
        "stream": call["stream_id"],
        "call": call["call_id"],
        "from": call.from_number,
        "body": call["body"],
    }
    return detected, heard, answers


async def main():
    asked = json.load(sys.stdin)
    frames, said = await protobuf(asked["frames"])
    detected, heard, answers = await twilio(asked["twilio"])
    json.dump(
        {"frames": frames, "said": said, "detected": detected, "heard": heard, "answers": answers}, sys.stdout
    )


if __name__ == "__main__":
    asyncio.run(main())
