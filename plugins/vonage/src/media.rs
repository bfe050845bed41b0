//! Vonage's sockets: linear PCM in binary frames of 20 ms, and JSON text beside them.

use jackfield_sdk::Media;
use jackfield_sdk::dtmf::pressed;
use jackfield_sdk::json::text;
use jackfield_sdk::types::{
    Account, Audio, Call, Codec, Fault, MediaCommand, MediaEvent, MediaFormat, Message, Started, StreamSetup,
};
use serde_json::{Value, json};

use crate::Vonage;
use crate::config::FORMAT;

/// One stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    call: String,
    started: bool,
}

fn malformed<T>(what: &str) -> Result<T, Fault> {
    Err(Fault::Malformed(what.to_owned()))
}

impl Stream {
    /// The socket does not name its call: the token in its URL does.
    fn start(&mut self, format: MediaFormat) -> MediaEvent {
        self.started = true;
        MediaEvent::Started(Started {
            stream_id: self.call.clone(),
            provider_id: None,
            inbound: format.clone(),
            outbound: format,
            parameters: Vec::new(),
        })
    }

    /// On rare occasions audio comes before the first text.
    fn audio(&mut self, payload: Vec<u8>) -> Result<Vec<MediaEvent>, Fault> {
        if payload.is_empty() || !payload.len().is_multiple_of(2) {
            return malformed("a frame that is not whole samples");
        }
        let start = (!self.started).then(|| self.start(FORMAT));
        let audio = MediaEvent::Audio(Audio { payload, at: None, sequence: None });
        Ok(start.into_iter().chain([audio]).collect())
    }

    fn said(&mut self, message: &Value) -> Result<MediaEvent, Fault> {
        Ok(match text(&message["event"]).unwrap_or_default() {
            // The first text may come behind the first audio.
            "websocket:connected" if self.started => MediaEvent::Ignored("connected".to_owned()),
            "websocket:connected" => self.start(format_of(text(&message["content-type"]).unwrap_or_default())),
            "websocket:dtmf" => pressed(text(&message["digit"]).unwrap_or_default())?,
            "websocket:cleared" => MediaEvent::Cleared,
            "websocket:notify" => match text(&message["payload"]["name"]) {
                Some(name) => MediaEvent::Mark(name.to_owned()),
                None => return malformed("a notification without a name"),
            },
            "" => return malformed("a message without an event"),
            other => MediaEvent::Ignored(other.to_owned()),
        })
    }
}

fn format_of(content_type: &str) -> MediaFormat {
    let (codec, rate) = content_type.split_once(";rate=").unwrap_or((content_type, "16000"));
    let codec = if matches!(codec, "audio/l16" | "") { Codec::L16 } else { Codec::Other(codec.to_owned()) };
    MediaFormat { codec, sample_rate: rate.trim().parse().unwrap_or(16_000) }
}

impl Media for Vonage {
    fn open(&mut self, _account: &Account, call: &Call) -> Result<StreamSetup, Fault> {
        self.0 = Stream { call: call.provider_id.clone(), started: false };
        // Vonage buffers a minute and plays in order: a lead guards against the network.
        Ok(StreamSetup { inbound: FORMAT, outbound: FORMAT, frame: 20, lead: 100, subprotocol: None })
    }

    fn decode(&mut self, message: Message) -> Result<Vec<MediaEvent>, Fault> {
        match message {
            Message::Binary(payload) => self.0.audio(payload),
            Message::Text(text) => match serde_json::from_str::<Value>(&text) {
                Ok(message) => self.0.said(&message).map(|event| vec![event]),
                Err(_) => malformed("a text that is not JSON"),
            },
        }
    }

    fn encode(&mut self, command: MediaCommand) -> Result<Vec<Message>, Fault> {
        Ok(match command {
            MediaCommand::Audio(payload) => vec![Message::Binary(payload)],
            MediaCommand::Mark(name) => {
                vec![Message::Text(json!({ "action": "notify", "payload": { "name": name } }).to_string())]
            }
            MediaCommand::Clear => vec![Message::Text(json!({ "action": "clear" }).to_string())],
            // Digits are sent by REST alone, and the socket's end is the stream's.
            MediaCommand::Dtmf(_) | MediaCommand::Stop | MediaCommand::Other(_) => Vec::new(),
        })
    }
}
