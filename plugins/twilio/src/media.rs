//! Twilio Media Streams: JSON text both ways, μ-law in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jackfield_sdk::types::{
    Account, Audio, Call, Codec, Fault, MediaCommand, MediaEvent, MediaFormat, Message, Started, StreamSetup,
};
use jackfield_sdk::{Media, account};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::Twilio;
use crate::config::{ACCOUNT_SID, FORMAT};

/// One stream: what its messages must be labelled with.
#[derive(Debug, Default)]
pub struct Stream {
    account: String,
    /// Escaped for JSON once; each message carries it.
    sid: String,
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
    #[serde(default)]
    custom_parameters: BTreeMap<String, String>,
    media_format: Option<Format>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Format {
    encoding: String,
    #[serde(deserialize_with = "lenient")]
    sample_rate: Option<u64>,
}

#[derive(Deserialize)]
struct Payload<'a> {
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

/// Twilio writes numbers as text; a number is as good.
fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<'a> {
        Number(u64),
        #[serde(borrow)]
        Text(Cow<'a, str>),
    }
    Ok(match Option::<Either<'de>>::deserialize(deserializer)? {
        Some(Either::Number(number)) => Some(number),
        Some(Either::Text(text)) => text.parse().ok(),
        None => None,
    })
}

fn malformed<T>(what: &str) -> Result<T, Fault> {
    Err(Fault::Malformed(what.to_owned()))
}

impl Stream {
    fn started(&mut self, start: Start<'_>) -> Result<MediaEvent, Fault> {
        if start.account_sid != self.account {
            return malformed("the stream is another account's");
        }
        if !self.sid.is_empty() {
            return malformed("the stream was started before");
        }
        let format = start.media_format.map_or(FORMAT, |format| format_of(&format));
        // With its quotes off: text goes between ours.
        let quoted = serde_json::to_string(&start.stream_sid).unwrap_or_default();
        self.sid = quoted.trim_matches('"').to_owned();
        Ok(MediaEvent::Started(Started {
            stream_id: start.stream_sid.into_owned(),
            provider_id: Some(start.call_sid.into_owned()),
            inbound: format.clone(),
            outbound: format,
            parameters: start.custom_parameters.into_iter().collect(),
        }))
    }

    fn message(&self, event: &str, rest: &[&str]) -> Result<Vec<Message>, Fault> {
        if self.sid.is_empty() {
            return Err(Fault::Other("the stream has not started yet".to_owned()));
        }
        let length = 48 + self.sid.len() + rest.iter().map(|part| part.len()).sum::<usize>();
        let mut text = String::with_capacity(length);
        for part in ["{\"event\":\"", event, "\",\"streamSid\":\"", &self.sid, "\""] {
            text.push_str(part);
        }
        rest.iter().for_each(|part| text.push_str(part));
        text.push('}');
        Ok(vec![Message::Text(text)])
    }
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

impl Media for Twilio {
    fn open(&mut self, account: &Account, _call: &Call) -> Result<StreamSetup, Fault> {
        self.0.account = account::required(account, ACCOUNT_SID)?.to_owned();
        // Twilio buffers what it is sent and plays it in order: a lead guards against the network.
        Ok(StreamSetup { inbound: FORMAT, outbound: FORMAT, frame: 20, lead: 100, subprotocol: None })
    }

    fn decode(&mut self, message: Message) -> Result<Vec<MediaEvent>, Fault> {
        let Message::Text(text) = message else { return malformed("a binary message where text is due") };
        let Ok(wire) = serde_json::from_str::<Wire<'_>>(&text) else { return malformed("not a message of Media Streams") };
        let event = match wire.event.as_ref() {
            "media" => audio(wire.media)?,
            "mark" => MediaEvent::Mark(wire.mark.map(|mark| mark.name.into_owned()).unwrap_or_default()),
            "dtmf" => dtmf(wire.dtmf)?,
            "start" => match wire.start {
                Some(start) => self.0.started(start)?,
                None => return malformed("start without its details"),
            },
            "stop" => MediaEvent::Stopped,
            other => MediaEvent::Ignored(other.to_owned()),
        };
        Ok(vec![event])
    }

    fn encode(&mut self, command: MediaCommand) -> Result<Vec<Message>, Fault> {
        match command {
            MediaCommand::Audio(payload) => {
                self.0.message("media", &[",\"media\":{\"payload\":\"", &STANDARD.encode(payload), "\"}"])
            }
            MediaCommand::Mark(name) => {
                let name = serde_json::to_string(&name).unwrap_or_default();
                self.0.message("mark", &[",\"mark\":{\"name\":", &name, "}"])
            }
            MediaCommand::Clear => self.0.message("clear", &[]),
            // Digits to the caller cannot be sent on the stream, and its end is the socket's.
            MediaCommand::Dtmf(_) | MediaCommand::Stop | MediaCommand::Other(_) => Ok(Vec::new()),
        }
    }
}

fn audio(media: Option<Payload<'_>>) -> Result<MediaEvent, Fault> {
    let Some(media) = media else { return malformed("media without its details") };
    let Ok(payload) = STANDARD.decode(media.payload.as_bytes()) else { return malformed("audio that is not base64") };
    if payload.is_empty() {
        return malformed("media without audio");
    }
    Ok(MediaEvent::Audio(Audio { payload, at: media.timestamp, sequence: media.chunk }))
}

fn dtmf(dtmf: Option<Dtmf<'_>>) -> Result<MediaEvent, Fault> {
    let digit = dtmf.map(|dtmf| dtmf.digit.into_owned()).unwrap_or_default();
    let known = digit.len() == 1 && digit.bytes().all(|byte| b"0123456789*#ABCDabcd".contains(&byte));
    if known { Ok(MediaEvent::Dtmf(digit.to_ascii_uppercase())) } else { malformed("a digit that no key has") }
}
