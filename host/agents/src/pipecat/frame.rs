//! Pipecat's frames and their bytes.

use crate::protobuf::{Broken, Fields, Value, put_bytes, put_number};

/// One frame. Ids and names are the bot's own business and are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The bot's words.
    Text(String),
    /// Signed 16 bit, little endian.
    Audio { audio: Vec<u8>, rate: u32, channels: u32 },
    /// The caller's words.
    Transcription(String),
    /// JSON.
    Message(String),
    /// Barge-in.
    Interruption,
    /// One that is newer than this host.
    Unknown,
}

const TEXT: u32 = 1;
const AUDIO: u32 = 2;
const TRANSCRIPTION: u32 = 3;
const MESSAGE: u32 = 4;
const INTERRUPTION: u32 = 5;

pub(crate) fn encode(frame: &Frame) -> Vec<u8> {
    let mut body = Vec::new();
    let field = match frame {
        Frame::Text(text) => {
            put_bytes(&mut body, 3, text.as_bytes());
            TEXT
        }
        Frame::Audio { audio, rate, channels } => {
            put_bytes(&mut body, 3, audio);
            put_number(&mut body, 4, u64::from(*rate));
            put_number(&mut body, 5, u64::from(*channels));
            AUDIO
        }
        Frame::Transcription(text) => {
            put_bytes(&mut body, 3, text.as_bytes());
            TRANSCRIPTION
        }
        Frame::Message(data) => {
            put_bytes(&mut body, 1, data.as_bytes());
            MESSAGE
        }
        Frame::Interruption => INTERRUPTION,
        Frame::Unknown => return body,
    };
    let mut out = Vec::with_capacity(body.len() + 6);
    put_bytes(&mut out, field, &body);
    out
}

/// Of several kinds in one message the last counts, as for any `oneof`.
pub(crate) fn decode(bytes: &[u8]) -> Result<Frame, Broken> {
    let mut frame = Frame::Unknown;
    let mut fields = Fields::of(bytes);
    while let Some((field, value)) = fields.next()? {
        let Value::Bytes(body) = value else { continue };
        frame = match field {
            TEXT => Frame::Text(text_of(body, 3)?),
            AUDIO => audio_of(body)?,
            TRANSCRIPTION => Frame::Transcription(text_of(body, 3)?),
            MESSAGE => Frame::Message(text_of(body, 1)?),
            INTERRUPTION => text_of(body, 2).map(|_name| Frame::Interruption)?,
            _ => continue,
        };
    }
    Ok(frame)
}

fn text_of(body: &[u8], wanted: u32) -> Result<String, Broken> {
    let mut text = "";
    let mut fields = Fields::of(body);
    while let Some((field, value)) = fields.next()? {
        if let (true, Value::Bytes(bytes)) = (field == wanted, value) {
            text = str::from_utf8(bytes).map_err(|_| Broken)?;
        }
    }
    Ok(text.to_owned())
}

fn audio_of(body: &[u8]) -> Result<Frame, Broken> {
    let (mut audio, mut rate, mut channels): (&[u8], _, _) = (&[], 0, 0);
    let mut fields = Fields::of(body);
    while let Some((field, value)) = fields.next()? {
        match (field, value) {
            (3, Value::Bytes(bytes)) => audio = bytes,
            (4, Value::Number(number)) => rate = u32::try_from(number).map_err(|_| Broken)?,
            (5, Value::Number(number)) => channels = u32::try_from(number).map_err(|_| Broken)?,
            _ => {}
        }
    }
    Ok(Frame::Audio { audio: audio.to_vec(), rate, channels })
}
