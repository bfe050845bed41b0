"""An inbound webhook of Twilio's as its own documentation answers one, with FastAPI: what the host's webhooks are measured beside.

Proves the signature with Twilio's library, writes a row of SQLite in a transaction, and answers with a stream. Listens on a
free port of this machine and prints its address. Nothing in here knows of Jackfield.
Arguments: the URL that the world knows it by, without a path; the account's token; a file for the database.
Needs the packages `twilio`, `fastapi`, `python-multipart` and `uvicorn`, and takes `httptools` and `uvloop` where they are.
"""

import secrets
import socket
import sqlite3
import sys
import time

import uvicorn
from fastapi import FastAPI, Request, Response
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, VoiceResponse

public_url, token, database = sys.argv[1:]
validator = RequestValidator(token)
calls = sqlite3.connect(database, isolation_level=None)
calls.execute("PRAGMA journal_mode = WAL")
calls.execute("PRAGMA synchronous = NORMAL")
calls.execute(
    "CREATE TABLE calls (id TEXT PRIMARY KEY, status TEXT, from_address TEXT, to_address TEXT,"
    " provider_call_id TEXT UNIQUE, created_at INTEGER)"
)
app = FastAPI()


@app.post("/{path:path}")
async def inbound(request: Request, path: str):
    form = await request.form()
    url = f"{public_url}/{path}"
    if not validator.validate(url, form, request.headers.get("x-twilio-signature", "")):
        return Response("forbidden", status_code=403)
    call = secrets.token_urlsafe(16)
    calls.execute(
        "INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (call, "ringing", form["From"], form["To"], form["CallSid"], int(time.time() * 1000)),
    )
    answer, connect = VoiceResponse(), Connect()
    connect.stream(url=f"{public_url.replace('http', 'ws', 1)}/ws/{call}")
    answer.append(connect)
    return Response(str(answer), media_type="text/xml")


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    # Whoever reads the address may connect, and waits until the server is there.
    listener.listen(128)
    print(":".join(map(str, listener.getsockname())), flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])
