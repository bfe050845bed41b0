//! The stream messages that Twilio designed and others took over: JSON text both ways, μ-law in base64.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::dtmf::pressed;
use crate::encoding::{from_base64, push_base64};
use crate::json::lenient;
use crate::types::{Audio, Call, Codec, Fault, MediaCommand, MediaEvent, MediaFormat, Message, Started, StreamSetup};

/// What Media Streams carry.
pub const FORMAT: MediaFormat = MediaFormat { codec: Codec::Pcmu, sample_rate: 8_000 };

/// One stream: whose it is, and what its messages must be labelled with.
#[derive(Debug, Default)]
pub struct Stream {
    account: String,
    /// Empty where the host does not know it yet.
    call: String,
    /// `"streamSid":"MZ…"`, escaped once: each message carries it. Empty until the stream has started.
    label: String,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    start: Option<Start<'a>>,
    #[serde(borrow)]
    media: Option<Payload<'a>>,
    #[serde(borrow)]
    mark: Option<Mark<'a>>,
    #[serde(borrow)]
    dtmf: Option<Dtmf<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    #[serde(borrow)]
    stream_sid: Cow<'a, str>,
    #[serde(borrow)]
    call_sid: Cow<'a, str>,
    #[serde(borrow)]
    account_sid: Cow<'a, str>,
    /// What Cloudonix calls the call; its `callSid` is something else.
    #[serde(borrow)]
    session: Option<Cow<'a, str>>,
    custom_parameters: Option<BTreeMap<String, String>>,
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
    timestamp: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    chunk: Option<u64>,
}

#[derive(Deserialize)]
struct Mark<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
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
    fn started(&mut self, start: Start<'_>) -> Result<MediaEvent, Fault> {
        if !self.label.is_empty() {
            return malformed("the stream was started before");
        }
        let call = start.session.unwrap_or(start.call_sid);
        if start.account_sid != self.account || !self.call.is_empty() && call != self.call {
            return malformed("the stream belongs to another account or call");
        }
        if start.stream_sid.is_empty() || call.is_empty() {
            return malformed("the stream or its call has no name");
        }
        self.label = format!("\"streamSid\":{}", quoted(&start.stream_sid));
        let format = start.media_format.map_or(FORMAT, |format| format_of(&format));
        Ok(MediaEvent::Started(Started {
            stream_id: start.stream_sid.into_owned(),
            provider_id: Some(call.into_owned()),
            inbound: format.clone(),
            outbound: format,
            parameters: start.custom_parameters.unwrap_or_default().into_iter().collect(),
        }))
    }

    fn audio(&self, media: Option<Payload<'_>>) -> Result<MediaEvent, Fault> {
        let Some(media) = media else { return malformed("media without its details") };
        if self.label.is_empty() {
            return malformed("media before the start");
        }
        if media.track.is_some_and(|track| track.starts_with("outbound")) {
            return Ok(MediaEvent::Ignored("the other track".to_owned()));
        }
        match from_base64(&media.payload) {
            Some(payload) if !payload.is_empty() => {
                Ok(MediaEvent::Audio(Audio { payload, at: media.timestamp, sequence: media.chunk }))
            }
            _ => malformed("audio that is not base64, or none"),
        }
    }

    /// A message with room for so many bytes of details, which `details` writes behind the label.
    fn message(&self, event: &str, room: usize, details: impl FnOnce(&mut String)) -> Result<Vec<Message>, Fault> {
        if self.label.is_empty() {
            return Err(Fault::Other("the stream has not started yet".to_owned()));
        }
        let mut text = String::with_capacity(32 + self.label.len() + room);
        for part in ["{\"event\":\"", event, "\",", &self.label] {
            text.push_str(part);
        }
        details(&mut text);
        text.push('}');
        Ok(vec![Message::Text(text)])
    }
}

/// As a JSON string, quotes included.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn format_of(format: &Format) -> MediaFormat {
    let codec = match format.encoding.as_str() {
        "audio/x-mulaw" => Codec::Pcmu,
        "audio/x-alaw" => Codec::Pcma,
        other => Codec::Other(other.to_owned()),
    };
    let sample_rate = format.sample_rate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(8_000);
    MediaFormat { codec, sample_rate }
}

impl Stream {
    /// The stream of this call, which must name this account.
    pub fn open(&mut self, account: &str, call: &Call) -> StreamSetup {
        *self = Self { account: account.to_owned(), call: call.provider_id.clone(), label: String::new() };
        // The provider buffers what it is sent and plays it in order: a lead guards against the network.
        StreamSetup { inbound: FORMAT, outbound: FORMAT, frame: 20, lead: 100, subprotocol: None }
    }

    /// Reads one message.
    ///
    /// # Errors
    /// When it is not one of these.
    pub fn decode(&mut self, message: Message) -> Result<Vec<MediaEvent>, Fault> {
        let Message::Text(text) = message else { return malformed("a binary message where text is due") };
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(&text) else {
            return malformed("not a message of Media Streams");
        };
        let event = match (wire.event.as_ref(), wire.start, wire.mark) {
            ("media", ..) => self.audio(wire.media)?,
            ("mark", _, Some(mark)) => MediaEvent::Mark(mark.name.into_owned()),
            ("dtmf", ..) => pressed(&wire.dtmf.map(|dtmf| dtmf.digit).unwrap_or_default())?,
            ("start", Some(start), _) => self.started(start)?,
            ("stop", ..) => MediaEvent::Stopped,
            ("start" | "mark", ..) => return malformed("a message without its details"),
            (other, ..) => MediaEvent::Ignored(other.to_owned()),
        };
        Ok(vec![event])
    }

    /// Writes one message.
    ///
    /// # Errors
    /// When the stream has not started.
    pub fn encode(&self, command: MediaCommand) -> Result<Vec<Message>, Fault> {
        match command {
            MediaCommand::Audio(payload) => self.message("media", 32 + payload.len().div_ceil(3) * 4, |text| {
                text.push_str(",\"media\":{\"payload\":\"");
                push_base64(text, &payload);
                text.push_str("\"}");
            }),
            MediaCommand::Mark(name) => {
                let name = quoted(&name);
                self.message("mark", 20 + name.len(), |text| {
                    text.push_str(",\"mark\":{\"name\":");
                    text.push_str(&name);
                    text.push('}');
                })
            }
            MediaCommand::Clear => self.message("clear", 0, |_| {}),
            // Digits to the caller cannot be sent on the stream, and its end is the socket's.
            MediaCommand::Dtmf(_) | MediaCommand::Stop | MediaCommand::Other(_) => Ok(Vec::new()),
        }
    }
}
