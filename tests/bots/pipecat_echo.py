"""A Pipecat bot as Pipecat's own examples build one for Twilio, that says what it hears.

Listens on a free port of this machine, prints its address, and runs one pipeline for each call. Nothing in here knows of
Jackfield: it is a peer in tests, and what the host is measured beside.
Needs the packages `pipecat-ai`, `fastapi` and `uvicorn`.
"""

import socket
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger

logger.remove()
logger.add(sys.stderr, level="ERROR")

from pipecat.frames.frames import InputAudioRawFrame, OutputAudioRawFrame  # noqa: E402
from pipecat.pipeline.pipeline import Pipeline  # noqa: E402
from pipecat.pipeline.runner import PipelineRunner  # noqa: E402
from pipecat.pipeline.task import PipelineParams, PipelineTask  # noqa: E402
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor  # noqa: E402
from pipecat.runner.utils import parse_telephony_websocket  # noqa: E402
from pipecat.serializers.twilio import TwilioFrameSerializer  # noqa: E402
from pipecat.transports.websocket.fastapi import (  # noqa: E402
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)

app = FastAPI()


class Echo(FrameProcessor):
    async def process_frame(self, frame, direction: FrameDirection):
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            frame = OutputAudioRawFrame(
                audio=frame.audio, sample_rate=frame.sample_rate, num_channels=frame.num_channels
            )
        await self.push_frame(frame, direction)


@app.websocket("/{path:path}")
async def call(websocket: WebSocket):
    await websocket.accept()
    _, told = await parse_telephony_websocket(websocket)
    serializer = TwilioFrameSerializer(
        stream_sid=told["stream_id"],
        call_sid=told["call_id"],
        params=TwilioFrameSerializer.InputParams(auto_hang_up=False),
    )
    transport = FastAPIWebsocketTransport(
        websocket=websocket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True, audio_out_enabled=True, add_wav_header=False, serializer=serializer
        ),
    )
    task = PipelineTask(
        Pipeline([transport.input(), Echo(), transport.output()]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
    )

    @transport.event_handler("on_client_disconnected")
    async def gone(transport, client):
        await task.cancel()

    await PipelineRunner(handle_sigint=False).run(task)


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    # Whoever reads the address may connect, and waits until the server is there.
    listener.listen(128)
    print(":".join(map(str, listener.getsockname())), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
