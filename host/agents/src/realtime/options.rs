//! An agent's settings as a session of OpenAI Realtime.

use jackfield_media::{Codec, Format};
use serde_json::{Map, Value, json};
use url::Url;

use super::tools::Tool;
use crate::connector::AgentError;
use crate::contract::AgentAudio;
use crate::settings::Settings;

/// Where OpenAI itself is.
const OPENAI: &str = "wss://api.openai.com/v1/realtime";

/// How an agent is set up.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    model: Option<String>,
    instructions: Option<String>,
    voice: Option<String>,
    pub(super) greeting: Greeting,
    /// The wire's law, when it is not set.
    codec: Option<Codec>,
    /// Names and session of 2024, which look-alikes still speak.
    pub(super) beta: bool,
    turn_detection: Option<Value>,
    transcription: Option<Value>,
    tools: Vec<Tool>,
    /// Whatever else the session shall say, as it stands.
    session: Map<String, Value>,
    /// Milliseconds after the last key until the model is asked about them.
    pub(super) dtmf_gap_ms: u32,
}

/// Who speaks first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Greeting {
    /// The caller.
    None,
    /// The agent, by its instructions.
    Plain,
    /// The agent, by instructions for this once.
    With(String),
}

impl Options {
    pub(crate) fn parse(settings: Settings<'_>) -> Result<Self, AgentError> {
        let wrong = |what: &str| Err(AgentError::Invalid(what.to_owned()));
        let text = |key| settings.text(key).map(|text| text.map(str::to_owned));
        let greeting = match settings.value("greeting") {
            None | Some(Value::Bool(false)) => Greeting::None,
            Some(Value::Bool(true)) => Greeting::Plain,
            Some(Value::String(text)) => Greeting::With(text.clone()),
            Some(_) => return wrong("the setting `greeting` is true, false or a text"),
        };
        let turn_detection = match settings.value("turn_detection") {
            None => None,
            Some(Value::Bool(false)) => Some(Value::Null),
            Some(object @ Value::Object(_)) => Some(object.clone()),
            Some(_) => return wrong("the setting `turn_detection` is an object, or false for none"),
        };
        Ok(Self {
            model: text("model")?,
            instructions: text("instructions")?,
            voice: text("voice")?,
            greeting,
            codec: settings.choice("codec", &[("pcmu", Codec::Pcmu), ("pcma", Codec::Pcma)])?,
            beta: settings.choice("dialect", &[("ga", false), ("beta", true)])?.unwrap_or(false),
            turn_detection,
            transcription: object(settings, "transcription")?.map(Value::Object),
            tools: Tool::parse(settings)?,
            session: object(settings, "session")?.unwrap_or_default(),
            dtmf_gap_ms: settings.number("dtmf_gap_ms", 0, 10_000, 1_500)?,
        })
    }

    /// The agent's URL: OpenAI's without one, and with the model where it names none.
    pub(crate) fn url(&self, url: Option<&str>) -> Result<String, AgentError> {
        let mut url =
            Url::parse(url.unwrap_or(OPENAI)).map_err(|_| AgentError::Invalid("`url` is not a URL".into()))?;
        match &self.model {
            Some(model) if url.query().is_none() => drop(url.query_pairs_mut().append_pair("model", model)),
            None if url.query().is_none() && url.as_str() == OPENAI => {
                return Err(AgentError::Invalid("an `openai-realtime` agent needs the setting `model`".to_owned()));
            }
            _ => {}
        }
        Ok(url.into())
    }

    /// What the handshake says beside the key.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        if self.beta { vec![("OpenAI-Beta", "realtime=v1".to_owned())] } else { Vec::new() }
    }

    /// G.711 both ways, by the wire's law, so that nothing is transcoded.
    pub(crate) fn audio(&self, wire: Format) -> AgentAudio {
        let law = if wire.codec == Codec::Pcma { Codec::Pcma } else { Codec::Pcmu };
        AgentAudio::both(Format { codec: self.codec.unwrap_or(law), rate: 8_000 })
    }

    /// Does the server itself stop speaking when the caller does? It does unless it is told otherwise.
    pub(super) fn server_interrupts(&self, audio: AgentAudio) -> bool {
        let session = self.session(audio);
        let detection =
            if self.beta { &session["turn_detection"] } else { &session["audio"]["input"]["turn_detection"] };
        detection["interrupt_response"].as_bool().unwrap_or(true)
    }

    /// The session to ask for.
    pub(super) fn session(&self, audio: AgentAudio) -> Value {
        let mut session = if self.beta { self.beta_session() } else { self.ga_session() };
        merge(&mut session, Value::Object(self.session.clone()));
        let ours = self.tools.iter().map(|tool| tool.describe());
        let theirs = session["tools"].as_array().cloned().unwrap_or_default();
        session["tools"] = theirs.into_iter().chain(ours).collect();
        // Whatever else is said, this is how the bytes are written.
        if self.beta {
            session["input_audio_format"] = json!(beta_name(audio.to_agent));
            session["output_audio_format"] = json!(beta_name(audio.from_agent));
        } else {
            session["audio"]["input"]["format"] = json!({ "type": ga_name(audio.to_agent) });
            session["audio"]["output"]["format"] = json!({ "type": ga_name(audio.from_agent) });
        }
        session
    }

    fn ga_session(&self) -> Value {
        let mut session = json!({ "type": "realtime", "output_modalities": ["audio"], "tool_choice": "auto" });
        put(&mut session, "instructions", self.instructions.as_ref());
        let (mut input, mut output) = (json!({}), json!({}));
        put(&mut input, "turn_detection", self.turn_detection.as_ref());
        put(&mut input, "transcription", self.transcription.as_ref());
        put(&mut output, "voice", self.voice.as_ref());
        session["audio"] = json!({ "input": input, "output": output });
        session
    }

    fn beta_session(&self) -> Value {
        let mut session = json!({ "modalities": ["audio", "text"], "tool_choice": "auto" });
        put(&mut session, "instructions", self.instructions.as_ref());
        put(&mut session, "voice", self.voice.as_ref());
        put(&mut session, "turn_detection", self.turn_detection.as_ref());
        put(&mut session, "input_audio_transcription", self.transcription.as_ref());
        session
    }

    /// Is a session of the server's of the format that was asked for? One that does not say is believed.
    pub(super) fn check(&self, session: &Value, audio: AgentAudio) -> Result<(), String> {
        let (said, due) = if self.beta {
            (&session["output_audio_format"], beta_name(audio.from_agent))
        } else {
            (&session["audio"]["output"]["format"]["type"], ga_name(audio.from_agent))
        };
        match said.as_str() {
            Some(said) if said != due => Err(format!("it speaks `{said}` and was asked for `{due}`")),
            _ => Ok(()),
        }
    }
}

fn object(settings: Settings<'_>, key: &str) -> Result<Option<Map<String, Value>>, AgentError> {
    match settings.value(key) {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map.clone())),
        Some(_) => Err(AgentError::Invalid(format!("the setting `{key}` is an object"))),
    }
}

fn put<T: Clone>(object: &mut Value, key: &str, value: Option<&T>)
where
    Value: From<T>,
{
    if let Some(value) = value {
        object[key] = Value::from(value.clone());
    }
}

/// What `more` says is added to `base`, objects within objects too.
fn merge(base: &mut Value, more: Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            more.into_iter().for_each(|(key, value)| merge(base.entry(key).or_insert(Value::Null), value));
        }
        (base, more) => *base = more,
    }
}

fn ga_name(format: Format) -> &'static str {
    if format.codec == Codec::Pcma { "audio/pcma" } else { "audio/pcmu" }
}

fn beta_name(format: Format) -> &'static str {
    if format.codec == Codec::Pcma { "g711_alaw" } else { "g711_ulaw" }
}
