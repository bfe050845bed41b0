//! The stream messages that Plivo designed and others took over: JSON text, audio in base64, `playAudio` and `checkpoint`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use crate::dtmf::pressed;
use crate::encoding::{from_base64, push_base64};
use crate::json::lenient;
use crate::types::{Audio, Call, Codec, Fault, MediaCommand, MediaEvent, MediaFormat, Message, Started, StreamSetup};

/// What such streams carry as their answers ask for it.
pub const FORMAT: MediaFormat = MediaFormat { codec: Codec::Pcmu, sample_rate: 8_000 };

/// One stream. Empty names until it has started.
#[derive(Debug, Default)]
pub struct Stream {
    call: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    stream_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    start: Option<Start<'a>>,
    #[serde(borrow)]
    media: Option<Payload<'a>>,
    #[serde(borrow)]
    dtmf: Option<Dtmf<'a>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    #[serde(borrow)]
    call_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stream_id: Option<Cow<'a, str>>,
    media_format: Option<Format>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
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
    chunk: Option<u64>,
}

#[derive(Deserialize)]
struct Dtmf<'a> {
    #[serde(borrow)]
    digit: Cow<'a, str>,
}

fn malformed<T>(what: &str) -> Result<T, Fault> {
    Err(Fault::Malformed(what.to_owned()))
}

impl Stream {
    /// The stream of this call.
    pub fn open(&mut self, call: &Call) -> StreamSetup {
        *self = Self { call: call.provider_id.clone(), id: String::new() };
        // The provider buffers a minute and plays in order: a lead guards against the network.
        StreamSetup { inbound: FORMAT, outbound: FORMAT, frame: 20, lead: 100, subprotocol: None }
    }

    /// Reads one message.
    ///
    /// # Errors
    /// When it is not one of these.
    pub fn decode(&mut self, message: &Message) -> Result<Vec<MediaEvent>, Fault> {
        let Message::Text(text) = message else { return malformed("a binary message where text is due") };
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(text) else { return malformed("not a message of a stream") };
        let event = match (wire.event.as_ref(), wire.media, wire.name) {
            ("media", Some(media), _) => self.audio(&media)?,
            // Some write the older name.
            ("playedStream" | "played", _, Some(name)) => MediaEvent::Mark(name.into_owned()),
            ("clearedAudio", ..) => MediaEvent::Cleared,
            ("dtmf", ..) => pressed(&wire.dtmf.map(|dtmf| dtmf.digit).unwrap_or_default())?,
            ("start", ..) => self.started(wire.start, wire.stream_id)?,
            ("stop", ..) => MediaEvent::Stopped,
            ("media" | "playedStream" | "played", ..) => return malformed("a message without its details"),
            (other, ..) => MediaEvent::Ignored(other.to_owned()),
        };
        Ok(vec![event])
    }

    fn started(&mut self, start: Option<Start<'_>>, outer: Option<Cow<'_, str>>) -> Result<MediaEvent, Fault> {
        let Some(start) = start else { return malformed("a start without its details") };
        if !self.id.is_empty() {
            return malformed("the stream was started before");
        }
        let id = start.stream_id.or(outer).unwrap_or_default().into_owned();
        let call = start.call_id.unwrap_or_default().into_owned();
        if id.is_empty() || call.is_empty() {
            return malformed("the stream or its call has no name");
        }
        if !self.call.is_empty() && call != self.call {
            return malformed("the stream belongs to another call");
        }
        self.id.clone_from(&id);
        let format = start.media_format.map_or(FORMAT, |format| format_of(&format));
        Ok(MediaEvent::Started(Started {
            stream_id: id,
            provider_id: Some(call),
            inbound: format.clone(),
            outbound: format,
            parameters: Vec::new(),
        }))
    }

    fn audio(&self, media: &Payload<'_>) -> Result<MediaEvent, Fault> {
        if self.id.is_empty() {
            return malformed("media before the start");
        }
        if media.track.as_ref().is_some_and(|track| track.starts_with("outbound")) {
            return Ok(MediaEvent::Ignored("the other track".to_owned()));
        }
        match from_base64(&media.payload) {
            // The timestamp is the wall clock's, not the stream's.
            Some(payload) if !payload.is_empty() => {
                Ok(MediaEvent::Audio(Audio { payload, at: None, sequence: media.chunk }))
            }
            _ => malformed("audio that is not base64, or none"),
        }
    }

    /// Writes one message.
    ///
    /// # Errors
    /// When the stream has not started.
    pub fn encode(&self, command: &MediaCommand) -> Result<Vec<Message>, Fault> {
        let text = match command {
            MediaCommand::Audio(payload) => play_audio(payload),
            MediaCommand::Mark(name) => json!({ "event": "checkpoint", "streamId": self.id, "name": name }).to_string(),
            MediaCommand::Clear => json!({ "event": "clearAudio", "streamId": self.id }).to_string(),
            MediaCommand::Dtmf(digits) => json!({ "event": "sendDTMF", "dtmf": digits }).to_string(),
            MediaCommand::Stop | MediaCommand::Other(_) => return Ok(Vec::new()),
        };
        if self.id.is_empty() {
            return Err(Fault::Other("the stream has not started yet".to_owned()));
        }
        Ok(vec![Message::Text(text)])
    }
}

fn play_audio(payload: &[u8]) -> String {
    const HEAD: &str = r#"{"event":"playAudio","media":{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":""#;
    let mut text = String::with_capacity(HEAD.len() + 8 + payload.len().div_ceil(3) * 4);
    text.push_str(HEAD);
    push_base64(&mut text, payload);
    text.push_str("\"}}");
    text
}

/// Anything but the format that the answer asked for is a misunderstanding: what is written says `audio/x-mulaw`.
fn format_of(format: &Format) -> MediaFormat {
    let rate = format.sample_rate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(8_000);
    match (format.encoding.split(';').next().unwrap_or_default(), rate) {
        ("audio/x-mulaw", 8_000) => FORMAT,
        (other, sample_rate) => MediaFormat { codec: Codec::Other(other.to_owned()), sample_rate },
    }
}
