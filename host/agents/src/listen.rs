//! The native protocol: plain PCM with JSON control, as jambonz' `listen` speaks it. Reading and writing, no IO.
//!
//! Differences from jambonz, on purpose: audio from the app is taken by default; marks are kept beside the audio, not as
//! magic samples in it; a message that makes no sense is answered with what is wrong with it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::connector::Start;
use crate::link::{FromAgent, ToAgent};

/// Subprotocols offered; a server may choose either or none.
pub const SUBPROTOCOLS: &str = "audio.jambonz.org, audio.drachtio.org";
/// Version of our additions to the protocol.
const VERSION: &str = "0.1";
/// Names longer than this would make a provider's mark too long.
const LONGEST_NAME: usize = 256;

/// The first message of a call.
pub fn hello(start: &Start) -> String {
    json!({
        "callSid": start.call_id, "callId": start.call_id, "from": start.from, "to": start.to,
        "direction": start.direction, "sampleRate": start.sample_rate, "mixType": "mono",
        "provider": start.provider, "agent": start.agent_name,
        "protocol": { "name": "jackfield", "version": VERSION },
    })
    .to_string()
}

/// What to send for a message; audio goes as it is.
pub fn text_for(message: &ToAgent) -> Option<String> {
    let value = match message {
        ToAgent::Audio(_) => return None,
        ToAgent::Dtmf(digit) => json!({ "event": "dtmf", "dtmf": digit, "duration": "1600" }),
        ToAgent::Mark { name, cleared } => {
            let event = if *cleared { "cleared" } else { "playout" };
            json!({ "type": "mark", "data": { "name": name, "event": event } })
        }
        ToAgent::Stop { reason } => json!({ "type": "stop", "data": { "reason": reason } }),
    };
    Some(value.to_string())
}

/// The answer to a message that makes no sense.
pub fn complaint(what: &str) -> String {
    json!({ "type": "error", "data": { "message": what } }).to_string()
}

/// Reads what an app says.
#[derive(Debug, Default)]
pub struct Reader {
    /// Half a sample, when a message ended in the middle of one.
    odd: Option<u8>,
    rate: u32,
}

impl Reader {
    /// For a call at that rate.
    pub fn new(rate: u32) -> Self {
        Self { odd: None, rate }
    }

    /// Audio, cut at whole samples.
    pub fn binary(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut audio: Vec<u8> = self.odd.take().into_iter().chain(bytes.iter().copied()).collect();
        if !audio.len().is_multiple_of(2) {
            self.odd = audio.pop();
        }
        audio
    }

    /// A control message.
    ///
    /// # Errors
    /// What is wrong with it, for the app's author.
    pub fn text(&mut self, text: &str) -> Result<Option<FromAgent>, String> {
        let message: Value = serde_json::from_str(text).map_err(|_| "a text message is one JSON object".to_owned())?;
        let data = &message["data"];
        let kind = message["type"].as_str().ok_or_else(|| "a message needs a `type`".to_owned())?;
        Ok(Some(match kind {
            "killAudio" => {
                self.odd = None;
                FromAgent::Clear
            }
            "mark" => FromAgent::Mark(name(&data["name"])?),
            "disconnect" => FromAgent::HangUp { after_playout: false },
            "hangup" => FromAgent::HangUp { after_playout: data["after_playout"].as_bool().unwrap_or(true) },
            "sendDtmf" => FromAgent::Dtmf(digits(&data["digits"])?),
            "playAudio" => FromAgent::Audio(self.play(data)?),
            // Apps built for jambonz say more than we act on.
            "clearMarks" | "transcription" | "transfer" | "json" | "error" => return Ok(None),
            other => return Err(format!("there is no message of type `{other}`")),
        }))
    }

    fn play(&self, data: &Value) -> Result<Vec<u8>, String> {
        let rate = data["sampleRate"].as_u64().or_else(|| data["sampleRate"].as_str()?.parse().ok());
        if rate.is_some_and(|rate| rate != u64::from(self.rate)) {
            return Err(format!("`sampleRate` of playAudio must be {}", self.rate));
        }
        let content = data["audioContent"].as_str().unwrap_or_default();
        let bytes = STANDARD.decode(content).map_err(|_| "`audioContent` is not base64".to_owned())?;
        match data["audioContentType"].as_str() {
            Some("wav") => samples_of_wav(&bytes).map(<[u8]>::to_vec),
            Some("raw") | None => Ok(bytes),
            Some(_) => Err("`audioContentType` is `raw` or `wav`".to_owned()),
        }
        .map(|mut audio| {
            audio.truncate(audio.len() / 2 * 2);
            audio
        })
    }
}

fn name(value: &Value) -> Result<String, String> {
    let name = value.as_str().filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME);
    name.map(str::to_owned).ok_or_else(|| format!("a mark needs a `name` of 1 to {LONGEST_NAME} bytes"))
}

fn digits(value: &Value) -> Result<String, String> {
    let digits = value.as_str().unwrap_or_default();
    let legal =
        !digits.is_empty() && digits.len() <= 64 && digits.bytes().all(|byte| b"0123456789*#ABCDw".contains(&byte));
    if legal { Ok(digits.to_owned()) } else { Err("`digits` are 1 to 64 of 0-9 * # A-D w".to_owned()) }
}

/// The data chunk of a WAV file.
fn samples_of_wav(bytes: &[u8]) -> Result<&[u8], String> {
    let broken = || "`audioContent` is not a WAV file".to_owned();
    let mut rest = bytes.strip_prefix(b"RIFF").and_then(|rest| rest.get(8..)).ok_or_else(broken)?;
    loop {
        let (head, body) = rest.split_first_chunk::<8>().ok_or_else(broken)?;
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(body.len());
        if head.starts_with(b"data") {
            return body.get(..length).ok_or_else(broken);
        }
        rest = body.get(length + length % 2..).ok_or_else(broken)?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> Result<Option<FromAgent>, String> {
        Reader::new(8_000).text(text)
    }

    #[test]
    fn every_message_of_the_protocol_is_read() {
        let cases = [
            (r#"{"type":"killAudio"}"#, FromAgent::Clear),
            (r#"{"type":"mark","data":{"name":"a"}}"#, FromAgent::Mark("a".into())),
            (r#"{"type":"disconnect"}"#, FromAgent::HangUp { after_playout: false }),
            (r#"{"type":"hangup"}"#, FromAgent::HangUp { after_playout: true }),
            (r#"{"type":"hangup","data":{"after_playout":false}}"#, FromAgent::HangUp { after_playout: false }),
            (r#"{"type":"sendDtmf","data":{"digits":"12#"}}"#, FromAgent::Dtmf("12#".into())),
            (r#"{"type":"playAudio","data":{"audioContent":"AQIDBA=="}}"#, FromAgent::Audio(vec![1, 2, 3, 4])),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), Ok(Some(expected)), "{text}");
        }
        assert_eq!(read(r#"{"type":"transcription"}"#), Ok(None));
    }

    #[test]
    fn a_message_that_makes_no_sense_is_refused_with_a_reason() {
        let wrong = [
            "hello",
            "{}",
            r#"{"type":"sing"}"#,
            r#"{"type":"mark"}"#,
            r#"{"type":"sendDtmf","data":{"digits":"x"}}"#,
            r#"{"type":"playAudio","data":{"audioContent":"***"}}"#,
            r#"{"type":"playAudio","data":{"audioContent":"","sampleRate":16000}}"#,
            r#"{"type":"playAudio","data":{"audioContent":"AAAA","audioContentType":"wav"}}"#,
        ];
        for text in wrong {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_sample_that_is_cut_between_messages_is_put_together() {
        let mut reader = Reader::new(8_000);
        assert_eq!(reader.binary(&[1, 2, 3]), [1, 2]);
        assert_eq!(reader.binary(&[4]), [3, 4]);
        assert_eq!(reader.binary(&[5, 6]), [5, 6]);
    }

    #[test]
    fn the_app_hears_digits_and_marks_in_jambonz_words() {
        let dtmf = text_for(&ToAgent::Dtmf("5".into())).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&dtmf).unwrap(), json!({"event":"dtmf","dtmf":"5","duration":"1600"}));
        let mark = text_for(&ToAgent::Mark { name: "a".into(), cleared: true }).unwrap();
        let expected = json!({"type":"mark","data":{"name":"a","event":"cleared"}});
        assert_eq!(serde_json::from_str::<Value>(&mark).unwrap(), expected);
    }
}
