//! The native protocol: plain PCM with JSON control, as jambonz' `listen` speaks it.
//!
//! Differences from jambonz, on purpose: audio from the app is taken by default; marks are kept beside the audio, not as
//! magic samples in it; a message that makes no sense is answered with what is wrong with it. Our additions are announced
//! under `protocol` in the first message.

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jackfield_media::{Codec, Format};
use serde_json::{Value, json};

use crate::connector::{AgentError, Beginning, Start};
use crate::contract::{Action, AgentAudio, FromAgent, Message, Protocol, ToAgent, TransferWish};
use crate::engine::MOST_MARKS;
use crate::secret::{Proof, Secret, sign_sha256};
use crate::settings::Settings;
use crate::wav;

/// Subprotocols offered; a server may choose either or none.
pub(crate) const SUBPROTOCOLS: &str = "audio.jambonz.org, audio.drachtio.org";
/// Version of our additions to the protocol.
const VERSION: &str = "0.2";
/// Names longer than this would make a provider's mark too long.
const LONGEST_NAME: usize = 256;

/// How an app wants its audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    codec: Codec,
    /// Samples a second; the provider's, when it is not set.
    rate: Option<u32>,
}

impl Options {
    pub(crate) fn parse(settings: Settings<'_>) -> Result<Self, AgentError> {
        let codecs = [("l16", Codec::L16), ("pcmu", Codec::Pcmu), ("pcma", Codec::Pcma)];
        let codec = settings.choice("codec", &codecs)?.unwrap_or(Codec::L16);
        match (codec, settings.rate("rate")?) {
            (Codec::Pcmu | Codec::Pcma, Some(rate)) if rate != 8_000 => {
                Err(AgentError::Invalid("the setting `rate` of G.711 is 8000".to_owned()))
            }
            (Codec::Pcmu | Codec::Pcma, _) => Ok(Self { codec, rate: Some(8_000) }),
            (_, rate) => Ok(Self { codec, rate }),
        }
    }

    pub(crate) fn audio(self, wire: Format) -> AgentAudio {
        AgentAudio::both(Format { codec: self.codec, rate: self.rate.unwrap_or(wire.rate) })
    }
}

/// One call with one app.
#[derive(Debug)]
pub(crate) struct Listen {
    hello: String,
    format: Format,
    /// Half a sample, when a message ended in the middle of one.
    odd: Option<u8>,
    /// Marks that were set and not answered; true when the app wants no answer any more.
    marks: VecDeque<(String, bool)>,
}

impl Listen {
    pub(crate) fn new(beginning: &Beginning<'_>) -> Self {
        Self { hello: hello(beginning), format: beginning.audio.from_agent, odd: None, marks: VecDeque::new() }
    }

    /// Audio, cut at whole samples.
    fn binary(&mut self, bytes: Vec<u8>) -> FromAgent {
        if is_control(&bytes) {
            return FromAgent::Problem("control messages are text, and this one came as binary".to_owned());
        }
        if self.format.width() == 1 || (self.odd.is_none() && bytes.len().is_multiple_of(2)) {
            return FromAgent::Audio(bytes);
        }
        let mut audio: Vec<u8> = self.odd.take().into_iter().chain(bytes).collect();
        if !audio.len().is_multiple_of(2) {
            self.odd = audio.pop();
        }
        FromAgent::Audio(audio)
    }

    fn text(&mut self, text: &str) -> Result<Option<FromAgent>, String> {
        let message: Value = serde_json::from_str(text)
            .map_err(|_| "a text message is one JSON object; audio goes in binary messages".to_owned())?;
        let data = &message["data"];
        let kind = message["type"].as_str().ok_or_else(|| "a message needs a `type`".to_owned())?;
        Ok(Some(match kind {
            "killAudio" => {
                self.odd = None;
                FromAgent::Clear
            }
            "mark" => FromAgent::Mark(self.mark(data)?),
            "disconnect" => FromAgent::HangUp { after_playout: false },
            "hangup" => FromAgent::HangUp { after_playout: data["after_playout"].as_bool().unwrap_or(true) },
            "transfer" => FromAgent::Transfer(wish(data)?),
            "sendDtmf" => FromAgent::Dtmf(digits(&data["digits"])?),
            "playAudio" => FromAgent::Audio(self.play(data)?),
            "clearMarks" => {
                self.marks.iter_mut().for_each(|(_, forgotten)| *forgotten = true);
                return Ok(None);
            }
            // Apps built for jambonz say more than we act on.
            "transcription" | "json" | "error" => return Ok(None),
            other => return Err(format!("there is no message of type `{other}`")),
        }))
    }

    fn mark(&mut self, data: &Value) -> Result<String, String> {
        let name = data["name"].as_str().filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME);
        let name = name.ok_or_else(|| format!("a mark needs a `name` of 1 to {LONGEST_NAME} bytes"))?;
        if !data["event"].is_null() {
            let known = self.marks.iter().any(|(set, _)| set == name);
            return Err(match known {
                true => format!("the mark `{name}` is the host's to report"),
                false => format!("no mark `{name}` was set, and marks are the host's to report"),
            });
        }
        if self.marks.len() >= MOST_MARKS {
            return Err(format!("{MOST_MARKS} marks wait already; the mark `{name}` was not set"));
        }
        self.marks.push_back((name.to_owned(), false));
        Ok(name.to_owned())
    }

    fn play(&self, data: &Value) -> Result<Vec<u8>, String> {
        let wrong = |rate: u64| format!("the rate of playAudio is {rate} and must be {}", self.format.rate);
        let content = data["audioContent"].as_str().unwrap_or_default();
        let bytes = STANDARD.decode(content).map_err(|_| "`audioContent` is not base64".to_owned())?;
        match data["audioContentType"].as_str() {
            Some("wav") => {
                let clip = wav::read(&bytes).map_err(|what| format!("the WAV of playAudio: {what}"))?;
                let fits = clip.rate == self.format.rate;
                if fits { Ok(self.format.encode(&clip.samples)) } else { Err(wrong(clip.rate.into())) }
            }
            Some("raw") | None => {
                let rate = data["sampleRate"].as_u64().or_else(|| data["sampleRate"].as_str()?.parse().ok());
                match rate {
                    Some(rate) if rate != u64::from(self.format.rate) => Err(wrong(rate)),
                    _ => Ok(bytes),
                }
            }
            Some(_) => Err("`audioContentType` is `raw` or `wav`".to_owned()),
        }
    }

    /// Was that mark still of interest to the app?
    fn answered(&mut self, name: &str) -> bool {
        let index = self.marks.iter().position(|(set, _)| set == name);
        index.and_then(|index| self.marks.remove(index)).is_some_and(|(_, forgotten)| !forgotten)
    }
}

impl Protocol for Listen {
    fn open(&mut self, _now: Duration) -> Vec<Action> {
        vec![Action::Write(Message::Text(std::mem::take(&mut self.hello))), Action::Ready]
    }

    fn read(&mut self, _now: Duration, message: Message) -> Vec<Action> {
        let said = match message {
            Message::Binary(bytes) => Some(self.binary(bytes)),
            Message::Text(text) => self.text(&text).unwrap_or_else(|what| Some(FromAgent::Problem(what))),
        };
        said.map(Action::Say).into_iter().collect()
    }

    fn tell(&mut self, _now: Duration, message: ToAgent) -> Vec<Action> {
        let value = match message {
            ToAgent::Audio(bytes) => return vec![Action::WriteAudio(Message::Binary(bytes))],
            ToAgent::Dtmf(digit) => json!({ "event": "dtmf", "dtmf": digit, "duration": "1600" }),
            ToAgent::Mark { name, .. } if !self.answered(&name) => return Vec::new(),
            ToAgent::Mark { name, cleared, .. } => {
                let event = if cleared { "cleared" } else { "playout" };
                json!({ "type": "mark", "data": { "name": name, "event": event } })
            }
            ToAgent::Cleared { .. } => return Vec::new(),
            ToAgent::Transfer { state, reason } => {
                json!({ "type": "transfer", "data": { "state": state, "reason": reason } })
            }
            ToAgent::BargeIn { heard_ms } => json!({ "type": "bargeIn", "data": { "heardMs": heard_ms } }),
            ToAgent::Stop { reason } => json!({ "type": "stop", "data": { "reason": reason } }),
        };
        vec![Action::Write(Message::Text(value.to_string()))]
    }

    fn complaint(&self, what: &str) -> Option<Message> {
        Some(Message::Text(json!({ "type": "error", "data": { "message": what } }).to_string()))
    }
}

/// The first message of a call.
fn hello(beginning: &Beginning<'_>) -> String {
    let Beginning { start, audio, proof, unix_time } = beginning;
    let mut hello = json!({
        "callSid": start.call_id, "callId": start.call_id, "from": start.from, "to": start.to,
        "direction": start.direction, "sampleRate": audio.to_agent.rate, "mixType": "mono",
        "provider": start.provider, "agent": start.agent_name, "codec": codec_name(audio.to_agent.codec),
        "protocol": { "name": "jackfield", "version": VERSION },
    });
    if let Proof::Signed(secret) = proof {
        hello["signature"] = signature(secret, start, *unix_time);
    }
    hello.to_string()
}

fn codec_name(codec: Codec) -> &'static str {
    match codec {
        Codec::Pcmu => "pcmu",
        Codec::Pcma => "pcma",
        Codec::L16 | Codec::L16Be => "l16",
    }
}

/// Signs who calls whom and when: HMAC-SHA256 over the fields in this order, each behind its length in bytes and a colon,
/// so that no two starts are written alike.
fn signature(secret: &Secret, start: &Start, unix_time: u64) -> Value {
    let timestamp = unix_time.to_string();
    let fields = ["jackfield-start-1", &timestamp, &start.call_id, &start.from, &start.to, &start.direction];
    let signed: String = fields.iter().map(|field| format!("{}:{field}", field.len())).collect();
    json!({ "algorithm": "hmac-sha256", "timestamp": timestamp, "value": sign_sha256(secret, &signed) })
}

/// JSON with a `type`, sent as the wrong kind of message.
fn is_control(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{') && serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value["type"].is_string())
}

/// `{"to", "mode": "attended" | "blind", "timeout", "announcement"}`.
fn wish(data: &Value) -> Result<TransferWish, String> {
    let to = data["to"].as_str().filter(|to| (1..=LONGEST_NAME).contains(&to.len()));
    let to = to.ok_or_else(|| "a transfer needs a `to`: a number with its country code, or an address".to_owned())?;
    let blind = match data["mode"].as_str() {
        None if data["mode"].is_null() => false,
        Some("attended") => false,
        Some("blind") => true,
        _ => return Err("`mode` is `attended` or `blind`".to_owned()),
    };
    let seconds = data["timeout"].as_u64().and_then(|seconds| u32::try_from(seconds).ok());
    if !data["timeout"].is_null() && !seconds.is_some_and(|seconds| (5..=600).contains(&seconds)) {
        return Err("`timeout` is 5 to 600 seconds".to_owned());
    }
    let announcement = data["announcement"].as_str().unwrap_or_default().to_owned();
    Ok(TransferWish { to: to.to_owned(), blind, ring_seconds: seconds, announcement })
}

fn digits(value: &Value) -> Result<String, String> {
    let digits = value.as_str().unwrap_or_default();
    if is_dtmf(digits) { Ok(digits.to_owned()) } else { Err("`digits` are 1 to 64 of 0-9 * # A-D w".to_owned()) }
}

/// Keys of a phone, and `w` for a pause.
pub(crate) fn is_dtmf(digits: &str) -> bool {
    (1..=64).contains(&digits.len()) && digits.bytes().all(|byte| b"0123456789*#ABCDw".contains(&byte))
}

#[cfg(test)]
mod tests;
