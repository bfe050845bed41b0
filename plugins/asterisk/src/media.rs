//! `chan_websocket`: bare audio in binary messages, commands and events in text, as JSON or in its older plain form.

use jackfield_sdk::Media;
use jackfield_sdk::dtmf::pressed;
use jackfield_sdk::json::text;
use jackfield_sdk::types::{
    Account, Audio, Call, Codec, Fault, MediaCommand, MediaEvent, MediaFormat, Message, Started, StreamSetup,
};
use serde_json::{Value, json};

use crate::{Asterisk, config, names};

/// A longer command is ignored without a word (measured on 22.10.1).
const LONGEST_COMMAND: usize = 128;
/// Milliseconds ahead of the ear. Asterisk keeps the beat itself, holds 20 s, and flushes what it holds.
const LEAD: u32 = 100;

/// One stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    call: String,
    /// What both ways carry.
    format: Option<MediaFormat>,
    json: bool,
}

fn malformed<T>(what: &str) -> Result<T, Fault> {
    Err(Fault::Malformed(what.to_owned()))
}

/// As Asterisk names formats. `slin` is in the order of its own machine: little endian on all that are usual.
fn format_of(name: &str) -> MediaFormat {
    let (codec, sample_rate) = match name {
        "ulaw" => (Codec::Pcmu, 8_000),
        "alaw" => (Codec::Pcma, 8_000),
        "slin" => (Codec::L16, 8_000),
        "slin16" => (Codec::L16, 16_000),
        "slin24" => (Codec::L16, 24_000),
        "slin48" => (Codec::L16, 48_000),
        other => (Codec::Other(other.to_owned()), 8_000),
    };
    MediaFormat { codec, sample_rate }
}

/// An event in either form, as JSON: `MEDIA_START channel_id:a format:ulaw`, or with a bare word for the id it is about.
fn event_of(message: &str) -> Result<Value, Fault> {
    if message.starts_with('{') {
        return serde_json::from_str(message).or_else(|_| malformed("not an event of the media socket"));
    }
    let mut words = message.split_whitespace();
    let mut event = json!({ "event": words.next().unwrap_or_default() });
    for word in words {
        let (name, value) = word.split_once(':').unwrap_or(("correlation_id", word));
        event[name] = json!(value);
    }
    Ok(event)
}

impl Stream {
    fn start(&mut self, event: &Value) -> Result<MediaEvent, Fault> {
        if self.format.is_some() {
            return malformed("the stream was started before");
        }
        let channel = text(&event["channel_id"]);
        let carried = channel.and_then(names::carried_by);
        // Older builds do not name the channel.
        if channel.is_some() && (carried.is_none() || !self.call.is_empty() && carried != Some(&self.call)) {
            return malformed("the stream belongs to another call");
        }
        let format = format_of(text(&event["format"]).unwrap_or_default());
        self.format = Some(format.clone());
        Ok(MediaEvent::Started(Started {
            stream_id: text(&event["connection_id"]).unwrap_or_default().to_owned(),
            provider_id: carried.map(str::to_owned),
            inbound: format.clone(),
            outbound: format,
            parameters: Vec::new(),
        }))
    }

    fn command(&self, command: &str, id: Option<&str>) -> Result<Vec<Message>, Fault> {
        let text = match (self.json, id) {
            (true, Some(id)) => json!({ "command": command, "correlation_id": id }).to_string(),
            (true, None) => json!({ "command": command }).to_string(),
            (false, Some(id)) => format!("{command} {id}"),
            (false, None) => command.to_owned(),
        };
        if text.len() > LONGEST_COMMAND {
            return Err(Fault::Other(format!("a command has {LONGEST_COMMAND} bytes at most")));
        }
        Ok(vec![Message::Text(text)])
    }
}

impl Media for Asterisk {
    fn open(&mut self, account: &Account, call: &Call) -> Result<StreamSetup, Fault> {
        self.0 = Stream { call: call.provider_id.clone(), format: None, json: config::json_control(account) };
        let format = format_of(config::media_format(account));
        let (inbound, outbound) = (format.clone(), format);
        Ok(StreamSetup { inbound, outbound, frame: 20, lead: LEAD, subprotocol: Some("media".to_owned()) })
    }

    fn decode(&mut self, message: Message) -> Result<Vec<MediaEvent>, Fault> {
        let message = match message {
            Message::Text(text) => text,
            // Under load audio may overtake the start. How much one message holds follows the telephone leg.
            Message::Binary(payload) if payload.is_empty() => return malformed("a message without audio"),
            Message::Binary(payload) => {
                return Ok(vec![MediaEvent::Audio(Audio { payload, at: None, sequence: None })]);
            }
        };
        let event = event_of(&message)?;
        let id = || text(&event["correlation_id"]).map(str::to_owned);
        Ok(vec![match text(&event["event"]).unwrap_or_default() {
            "" => return malformed("a message that names no event"),
            "MEDIA_START" => {
                self.0.json = message.starts_with('{');
                self.0.start(&event)?
            }
            "DTMF_END" => pressed(text(&event["digit"]).unwrap_or_default())?,
            "MEDIA_MARK_PROCESSED" => match id() {
                Some(id) => MediaEvent::Mark(id),
                None => return malformed("a mark without its name"),
            },
            other => MediaEvent::Ignored(other.to_owned()),
        }])
    }

    fn encode(&mut self, command: MediaCommand) -> Result<Vec<Message>, Fault> {
        if self.0.format.is_none() {
            return Err(Fault::Other("the stream has not started yet".to_owned()));
        }
        match command {
            // The host sends whole frames: Asterisk drops the rest of one.
            MediaCommand::Audio(payload) => Ok(vec![Message::Binary(payload)]),
            MediaCommand::Mark(id) => self.0.command("MARK_MEDIA", Some(&id)),
            // Marks that wait vanish with what is flushed; the host answers for them.
            MediaCommand::Clear => self.0.command("FLUSH_MEDIA", None),
            MediaCommand::Stop => self.0.command("HANGUP", None),
            MediaCommand::Dtmf(_) | MediaCommand::Other(_) => Ok(Vec::new()),
        }
    }
}
