//! Pipecat's own protocol: its frames as protocol buffers, one in each binary message (`frames.proto` of pipecat-ai 1.14),
//! and RTVI messages inside them for what frames cannot say.

mod frame;

use std::time::Duration;

use jackfield_media::{Codec, Format};
use serde_json::{Value, json};

use self::frame::Frame;
use crate::connector::{AgentError, Beginning};
use crate::contract::{Action, AgentAudio, FromAgent, Message, Protocol, Speaker, ToAgent};
use crate::settings::Settings;
use crate::wav;

/// Of RTVI, as we speak it.
const RTVI: &str = "2.1.0";
/// Longest report of a bot that is passed on, in characters.
const REPORT: usize = 200;

/// How a bot was set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Its `audio_in_sample_rate`: a bot's own resampler holds 17 to 111 ms of audio back, ours 2.
    rate: u32,
    /// Its `audio_out_sample_rate`.
    rate_out: u32,
    /// It has an RTVI processor, which waits to be greeted.
    rtvi: bool,
}

impl Options {
    pub(crate) fn parse(settings: Settings<'_>) -> Result<Self, AgentError> {
        Ok(Self {
            rate: settings.rate("rate")?.unwrap_or(16_000),
            rate_out: settings.rate("rate_out")?.unwrap_or(24_000),
            rtvi: settings.flag("rtvi")?.unwrap_or(false),
        })
    }

    pub(crate) fn audio(self) -> AgentAudio {
        let format = |rate| Format { codec: Codec::L16, rate };
        AgentAudio { to_agent: format(self.rate), from_agent: format(self.rate_out) }
    }
}

/// One call with one bot.
#[derive(Debug)]
pub(crate) struct Pipecat {
    options: Options,
    audio: AgentAudio,
    /// RTVI messages sent.
    sent: u64,
}

impl Pipecat {
    pub(crate) fn new(options: Options, beginning: &Beginning<'_>) -> Self {
        Self { options, audio: beginning.audio, sent: 0 }
    }

    fn rtvi(&mut self, kind: &str, data: &Value) -> Action {
        self.sent += 1;
        let id = self.sent.to_string();
        message(&json!({ "label": "rtvi-ai", "type": kind, "id": id, "data": data }))
    }

    fn audio(&self, bytes: Vec<u8>, rate: u32, channels: u32) -> Result<Vec<u8>, String> {
        let due = self.audio.from_agent;
        if rate != due.rate {
            return Err(format!("the bot speaks at {rate} Hz, and `rate_out` of the agent says {}", due.rate));
        }
        // With `add_wav_header` each piece is a WAV file.
        let samples = wav::data(&bytes).map_or(bytes.as_slice(), |samples| samples);
        match channels {
            0 | 1 if samples.len() == bytes.len() => Ok(bytes),
            0 | 1 => Ok(samples.to_vec()),
            2 => Ok(due.encode(&wav::mono(&due.decode(samples)))),
            more => Err(format!("the bot speaks in {more} channels and must in 1 or 2")),
        }
    }

    fn frame(&self, frame: Frame) -> Option<FromAgent> {
        let words = |speaker, text| Some(FromAgent::Transcript { speaker, text, last: true });
        match frame {
            Frame::Audio { audio, rate, channels } => {
                Some(self.audio(audio, rate, channels).map_or_else(FromAgent::Problem, FromAgent::Audio))
            }
            Frame::Interruption => Some(FromAgent::Clear),
            Frame::Text(text) => words(Speaker::Agent, text),
            Frame::Transcription(text) => words(Speaker::Caller, text),
            Frame::Message(text) => said(&text),
            Frame::Unknown => None,
        }
    }
}

impl Protocol for Pipecat {
    fn open(&mut self, _now: Duration) -> Vec<Action> {
        let about = json!({ "version": RTVI, "about": { "library": "jackfield" } });
        let greeting = self.options.rtvi.then(|| self.rtvi("client-ready", &about));
        greeting.into_iter().chain([Action::Ready]).collect()
    }

    fn read(&mut self, _now: Duration, message: Message) -> Vec<Action> {
        let said = match message {
            Message::Binary(bytes) => match frame::decode(&bytes) {
                Ok(frame) => self.frame(frame),
                Err(_) => Some(FromAgent::Problem("a binary message is one Pipecat frame".to_owned())),
            },
            Message::Text(_) => {
                let what = "a Pipecat frame is binary, and this message is text: is the serializer the protobuf one?";
                Some(FromAgent::Problem(what.to_owned()))
            }
        };
        said.map(Action::Say).into_iter().collect()
    }

    fn tell(&mut self, _now: Duration, message: ToAgent) -> Vec<Action> {
        match message {
            ToAgent::Audio(audio) => {
                let frame = Frame::Audio { audio, rate: self.audio.to_agent.rate, channels: 1 };
                vec![Action::WriteAudio(Message::Binary(frame::encode(&frame)))]
            }
            // A bot without an RTVI processor passes it by.
            ToAgent::Dtmf(digit) => vec![self.rtvi("dtmf", &json!({ "buttons": [digit] }))],
            ToAgent::Stop { .. } if self.options.rtvi => vec![self.rtvi("disconnect-bot", &json!({}))],
            // There is no frame for an end, nor one for marks.
            ToAgent::Transfer { state, reason } if self.options.rtvi => {
                vec![self.rtvi("server-message", &json!({ "transfer": state, "reason": reason }))]
            }
            ToAgent::Stop { .. }
            | ToAgent::Mark { .. }
            | ToAgent::Cleared { .. }
            | ToAgent::BargeIn { .. }
            | ToAgent::Transfer { .. } => Vec::new(),
        }
    }

    fn complaint(&self, what: &str) -> Option<Message> {
        match message(&json!({ "label": "jackfield", "type": "error", "data": { "message": what } })) {
            Action::Write(message) => Some(message),
            _ => None,
        }
    }
}

fn message(value: &Value) -> Action {
    Action::Write(Message::Binary(frame::encode(&Frame::Message(value.to_string()))))
}

/// What an RTVI message says to us; most are for screens.
fn said(text: &str) -> Option<FromAgent> {
    let message: Value = serde_json::from_str(text).ok()?;
    if message["label"] != "rtvi-ai" {
        return None;
    }
    let data = &message["data"];
    match message["type"].as_str()? {
        "user-transcription" => Some(FromAgent::Transcript {
            speaker: Speaker::Caller,
            text: data["text"].as_str()?.to_owned(),
            last: data["final"].as_bool().unwrap_or(true),
        }),
        "error" | "error-response" => {
            let what: String = data["error"].as_str().unwrap_or("no reason").chars().take(REPORT).collect();
            Some(FromAgent::Problem(format!("the bot reports: {what}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
