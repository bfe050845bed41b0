//! Twilio Media Streams, seen from the bot: the host plays Twilio, so that a bot written for it serves every provider.
//!
//! Twilio tells a bot nothing of its faults, so neither do we; they are counted.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jackfield_media::{Codec, Format};
use ring::digest;
use serde_json::{Map, Value, json};

use crate::connector::{AgentError, Endpoint, Start};
use crate::contract::{Action, AgentAudio, FromAgent, Message, Protocol, ToAgent};
use crate::secret::{Proof, sign_sha1};
use crate::settings::Settings;

/// μ-law at 8 kHz, whatever the provider speaks: bots expect nothing else.
const FORMAT: Format = Format { codec: Codec::Pcmu, rate: 8_000 };
/// Bytes of the 20 ms that Twilio sends at a time.
const CHUNK: usize = 160;
/// Names longer than this would make a provider's mark too long.
const LONGEST_NAME: usize = 256;

/// How a stream is announced.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// For `start.customParameters`, where bots look for their own data.
    parameters: Map<String, Value>,
    /// Caller and callee among them, under the names that bots use.
    numbers: bool,
}

impl Options {
    pub(crate) fn parse(settings: Settings<'_>) -> Result<Self, AgentError> {
        let parameters = match settings.value("parameters") {
            None => Map::new(),
            Some(Value::Object(map)) if map.values().all(Value::is_string) => map.clone(),
            Some(_) => return Err(AgentError::Invalid("the setting `parameters` is an object of texts".to_owned())),
        };
        Ok(Self { parameters, numbers: settings.flag("numbers")?.unwrap_or(true) })
    }

    pub(crate) fn audio() -> AgentAudio {
        AgentAudio::both(FORMAT)
    }
}

/// `X-Twilio-Signature`, for bots that check it: HMAC-SHA1 over the URL.
pub(crate) fn signature(endpoint: &Endpoint) -> Option<(&'static str, String)> {
    match &endpoint.proof {
        Proof::Signed(token) => Some(("X-Twilio-Signature", sign_sha1(token, endpoint.url.as_str()))),
        _ => None,
    }
}

/// Ids in Twilio's shape: two letters and 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) account: String,
    pub(crate) call: String,
    pub(crate) stream: String,
}

impl Ids {
    /// The same for a call each time, and not to be turned back into the host's.
    pub(crate) fn of(call_id: &str) -> Self {
        let shaped = |letters: &str, what: &str| {
            let digest = digest::digest(&digest::SHA256, format!("jackfield {letters} {what}").as_bytes());
            letters.chars().chain(hex::encode(digest).chars().take(32)).collect()
        };
        Self { account: shaped("AC", ""), call: shaped("CA", call_id), stream: shaped("MZ", call_id) }
    }
}

/// One call with one bot.
#[derive(Debug)]
pub(crate) struct TwilioStream {
    ids: Ids,
    parameters: Map<String, Value>,
    /// Of the latest message, and of the latest audio.
    sequence: u64,
    chunk: u64,
    /// Audio that does not fill a chunk yet.
    rest: Vec<u8>,
}

impl TwilioStream {
    pub(crate) fn new(options: &Options, ids: Ids, start: &Start) -> Self {
        let mut parameters = Map::new();
        if options.numbers {
            parameters.insert("from_number".to_owned(), json!(start.from));
            parameters.insert("to_number".to_owned(), json!(start.to));
        }
        parameters.extend(options.parameters.clone());
        Self { ids, parameters, sequence: 0, chunk: 0, rest: Vec::new() }
    }

    /// A message with the next sequence number; all numbers are texts.
    fn message(&mut self, event: &str, key: &str, body: &Value) -> Message {
        self.sequence += 1;
        let mut message = json!({ "event": event, "sequenceNumber": self.sequence.to_string(), key: body });
        message["streamSid"] = json!(self.ids.stream);
        Message::Text(message.to_string())
    }

    fn start(&mut self) -> Message {
        let body = json!({
            "accountSid": self.ids.account, "callSid": self.ids.call, "streamSid": self.ids.stream,
            "tracks": ["inbound"], "customParameters": self.parameters,
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1 },
        });
        self.message("start", "start", &body)
    }

    fn media(&mut self, audio: &[u8]) -> Vec<Action> {
        self.rest.extend_from_slice(audio);
        let whole = self.rest.len() / CHUNK * CHUNK;
        let chunks: Vec<u8> = self.rest.drain(..whole).collect();
        chunks.chunks(CHUNK).map(|chunk| Action::WriteAudio(self.chunk(chunk))).collect()
    }

    fn chunk(&mut self, audio: &[u8]) -> Message {
        let timestamp = self.chunk * 20;
        self.chunk += 1;
        let body = json!({
            "track": "inbound", "chunk": self.chunk.to_string(), "timestamp": timestamp.to_string(),
            "payload": STANDARD.encode(audio),
        });
        self.message("media", "media", &body)
    }

    fn said(&self, text: &str) -> Result<Option<FromAgent>, String> {
        let message: Value = serde_json::from_str(text).map_err(|_| "a message is one JSON object".to_owned())?;
        let event = message["event"].as_str().ok_or_else(|| "a message needs an `event`".to_owned())?;
        if matches!(event, "media" | "mark" | "clear") && message["streamSid"] != self.ids.stream.as_str() {
            return Err(format!("`{event}` names another `streamSid` than this stream's"));
        }
        Ok(match event {
            "media" => Some(FromAgent::Audio(payload(&message["media"]["payload"])?)),
            "mark" => {
                let name = message["mark"]["name"].as_str().filter(|name| (1..=LONGEST_NAME).contains(&name.len()));
                let name = name.ok_or_else(|| format!("`mark.name` is 1 to {LONGEST_NAME} bytes"))?;
                Some(FromAgent::Mark(name.to_owned()))
            }
            "clear" => Some(FromAgent::Clear),
            other => return Err(format!("Twilio takes no event `{other}`")),
        })
    }
}

impl Protocol for TwilioStream {
    fn open(&mut self, _now: Duration) -> Vec<Action> {
        // Bots read the first two messages to learn who is there: nothing may come between.
        let connected = json!({ "event": "connected", "protocol": "Call", "version": "1.0.0" }).to_string();
        vec![Action::Write(Message::Text(connected)), Action::Write(self.start()), Action::Ready]
    }

    fn read(&mut self, _now: Duration, message: Message) -> Vec<Action> {
        let said = match message {
            Message::Text(text) => self.said(&text).unwrap_or_else(|what| Some(FromAgent::Problem(what))),
            Message::Binary(_) => Some(FromAgent::Problem("Twilio takes no binary messages".to_owned())),
        };
        said.map(Action::Say).into_iter().collect()
    }

    fn tell(&mut self, _now: Duration, message: ToAgent) -> Vec<Action> {
        let message = match message {
            ToAgent::Audio(audio) => return self.media(&audio),
            ToAgent::Dtmf(digit) => self.message("dtmf", "dtmf", &json!({ "track": "inbound_track", "digit": digit })),
            ToAgent::Mark { name, .. } => self.message("mark", "mark", &json!({ "name": name })),
            ToAgent::Cleared { .. } | ToAgent::BargeIn { .. } | ToAgent::Transfer { .. } => return Vec::new(),
            ToAgent::Stop { .. } => {
                let body = json!({ "accountSid": self.ids.account, "callSid": self.ids.call });
                self.message("stop", "stop", &body)
            }
        };
        vec![Action::Write(message)]
    }
}

fn payload(value: &Value) -> Result<Vec<u8>, String> {
    let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok());
    let bytes = bytes.ok_or_else(|| "`media.payload` is base64".to_owned())?;
    if bytes.starts_with(b"RIFF") {
        return Err("`media.payload` is a WAV file and must be bare μ-law: its header would be heard".to_owned());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
