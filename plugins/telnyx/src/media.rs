//! Telnyx's streams: JSON text, RTP payloads without their header in base64.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jackfield_sdk::Media;
use jackfield_sdk::dtmf::pressed;
use jackfield_sdk::encoding::{from_base64, push_base64};
use jackfield_sdk::json::lenient;
use jackfield_sdk::types::{
    Account, Audio, Call, Codec, Fault, MediaCommand, MediaEvent, MediaFormat, Message, Started, StreamSetup,
};
use serde::Deserialize;
use serde_json::json;

use crate::Telnyx;
use crate::config::FORMAT;

/// One stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    call: String,
    started: bool,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    stream_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    start: Option<Start<'a>>,
    #[serde(borrow)]
    media: Option<Payload<'a>>,
    mark: Option<Mark>,
    dtmf: Option<Dtmf>,
}

#[derive(Deserialize)]
struct Start<'a> {
    #[serde(borrow)]
    call_control_id: Cow<'a, str>,
    media_format: Option<Format>,
    custom_parameters: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Format {
    encoding: String,
    #[serde(default, deserialize_with = "lenient")]
    sample_rate: Option<u64>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    track: Option<Cow<'a, str>>,
    #[serde(borrow)]
    payload: Cow<'a, str>,
    #[serde(default, deserialize_with = "lenient")]
    timestamp: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    chunk: Option<u64>,
}

#[derive(Deserialize)]
struct Mark {
    name: String,
}

#[derive(Deserialize)]
struct Dtmf {
    digit: String,
}

fn malformed<T>(what: &str) -> Result<T, Fault> {
    Err(Fault::Malformed(what.to_owned()))
}

impl Stream {
    fn start(&mut self, stream: Option<Cow<'_, str>>, start: Start<'_>) -> Result<MediaEvent, Fault> {
        if self.started {
            return malformed("the stream was started before");
        }
        if start.call_control_id.is_empty() || !self.call.is_empty() && start.call_control_id != self.call {
            return malformed("the stream belongs to another call, or to none");
        }
        self.started = true;
        Ok(MediaEvent::Started(Started {
            stream_id: stream.unwrap_or_default().into_owned(),
            provider_id: Some(start.call_control_id.into_owned()),
            // The way in is what the telephone leg has, the way out is what was asked for.
            inbound: start.media_format.map_or(FORMAT, |format| format_of(&format)),
            outbound: FORMAT,
            parameters: start.custom_parameters.unwrap_or_default().into_iter().collect(),
        }))
    }

    fn audio(&self, media: &Payload<'_>) -> Result<MediaEvent, Fault> {
        if !self.started {
            return malformed("media before the start");
        }
        if media.track.as_ref().is_some_and(|track| track == "outbound") {
            return Ok(MediaEvent::Ignored("the other track".to_owned()));
        }
        match from_base64(&media.payload) {
            Some(payload) if !payload.is_empty() => {
                Ok(MediaEvent::Audio(Audio { payload, at: media.timestamp, sequence: media.chunk }))
            }
            _ => malformed("audio that is not base64, or none"),
        }
    }
}

fn format_of(format: &Format) -> MediaFormat {
    let codec = match format.encoding.as_str() {
        "PCMU" => Codec::Pcmu,
        "PCMA" => Codec::Pcma,
        "L16" => Codec::L16,
        other => Codec::Other(other.to_owned()),
    };
    let sample_rate = format.sample_rate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(8_000);
    MediaFormat { codec, sample_rate }
}

impl Media for Telnyx {
    fn open(&mut self, _account: &Account, call: &Call) -> Result<StreamSetup, Fault> {
        self.0 = Stream { call: call.provider_id.clone(), started: false };
        // Telnyx buffers and paces: a lead guards against the network.
        Ok(StreamSetup { inbound: FORMAT, outbound: FORMAT, frame: 20, lead: 100, subprotocol: None })
    }

    fn decode(&mut self, message: Message) -> Result<Vec<MediaEvent>, Fault> {
        let Message::Text(text) = message else { return malformed("a binary message where text is due") };
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(&text) else { return malformed("not a message of a stream") };
        let event = match (wire.event.as_ref(), wire.media, wire.mark) {
            ("media", Some(media), _) => self.0.audio(&media)?,
            ("mark", _, Some(mark)) => MediaEvent::Mark(mark.name),
            ("dtmf", ..) => pressed(&wire.dtmf.map(|dtmf| dtmf.digit).unwrap_or_default())?,
            ("start", ..) => match wire.start {
                Some(start) => self.0.start(wire.stream_id, start)?,
                None => return malformed("a start without its details"),
            },
            ("stop", ..) => MediaEvent::Stopped,
            ("media" | "mark", ..) => return malformed("a message without its details"),
            (other, ..) => MediaEvent::Ignored(other.to_owned()),
        };
        Ok(vec![event])
    }

    fn encode(&mut self, command: MediaCommand) -> Result<Vec<Message>, Fault> {
        if !self.0.started {
            return Err(Fault::Other("the stream has not started yet".to_owned()));
        }
        Ok(match command {
            MediaCommand::Audio(payload) => vec![Message::Text(media(&payload))],
            MediaCommand::Mark(name) => {
                vec![Message::Text(json!({ "event": "mark", "mark": { "name": name } }).to_string())]
            }
            MediaCommand::Clear => vec![Message::Text(json!({ "event": "clear" }).to_string())],
            // Digits are sent by REST alone, and the stream's end is the socket's.
            MediaCommand::Dtmf(_) | MediaCommand::Stop | MediaCommand::Other(_) => Vec::new(),
        })
    }
}

fn media(payload: &[u8]) -> String {
    const HEAD: &str = r#"{"event":"media","media":{"payload":""#;
    let mut text = String::with_capacity(HEAD.len() + 8 + payload.len().div_ceil(3) * 4);
    text.push_str(HEAD);
    push_base64(&mut text, payload);
    text.push_str("\"}}");
    text
}
