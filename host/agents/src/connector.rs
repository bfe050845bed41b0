//! Which agent, and what it is told at the start.

use jackfield_media::Format;
use serde_json::Value;
use url::Url;

use crate::builtin::{Play, Tone};
use crate::contract::{AgentAudio, Protocol};
use crate::secret::{Proof, Secret};
use crate::settings::Settings;
use crate::{listen, pipecat, realtime, twilio};

/// A way to talk to an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Connector {
    /// Gives the caller's audio back.
    Echo,
    /// Plays a sine.
    Tone(Tone),
    /// Plays a WAV file.
    Play(Play),
    /// A bot behind a WebSocket that the host opens.
    Remote {
        /// Where it is.
        endpoint: Endpoint,
        /// Its language.
        dialect: Dialect,
    },
}

/// The language of a bot behind a WebSocket.
#[derive(Debug, Clone, PartialEq)]
pub enum Dialect {
    /// The native protocol.
    Listen(listen::Options),
    /// Pipecat's own.
    Pipecat(pipecat::Options),
    /// Twilio Media Streams, where the host plays Twilio.
    TwilioStream(twilio::Options),
    /// OpenAI Realtime and its look-alikes.
    OpenAiRealtime(Box<realtime::Options>),
}

/// Where a bot is, and what it asks of the host.
#[derive(Clone, PartialEq)]
pub struct Endpoint {
    /// `ws://` or `wss://`, without user and password.
    pub(crate) url: Url,
    pub(crate) proof: Proof,
}

/// What an agent learns about its call.
#[derive(Clone, PartialEq, Eq)]
pub struct Start {
    /// The host's id of the call.
    pub call_id: String,
    /// Who calls; E.164 where the provider says so.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// The plugin's name.
    pub provider: String,
    /// The agent's name in the host.
    pub agent_name: String,
}

/// Why there is no agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// The agent's settings cannot work.
    #[error("{0}")]
    Invalid(String),
    /// It could not be reached in time.
    #[error("{0}")]
    Unreachable(String),
}

/// Everything a protocol is built from.
#[derive(Debug)]
pub(crate) struct Beginning<'a> {
    pub(crate) start: &'a Start,
    pub(crate) audio: AgentAudio,
    pub(crate) proof: &'a Proof,
    /// Seconds since 1970, for signatures.
    pub(crate) unix_time: u64,
}

/// What the handshake asks for beside the proof.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Upgrade {
    pub(crate) subprotocols: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, String)>,
}

const KINDS: &str =
    "`connector` is `echo`, `tone`, `play`, `websocket`, `pipecat`, `twilio-stream` or `openai-realtime`";

impl Connector {
    /// From an agent's settings.
    ///
    /// # Errors
    /// Says which setting is wrong.
    pub fn parse(
        connector: &str,
        url: Option<&str>,
        settings: &Value,
        secret: Option<Secret>,
    ) -> Result<Self, AgentError> {
        let settings = Settings::of(settings)?;
        let dialect = match connector {
            "echo" => return Ok(Self::Echo),
            "tone" => return Tone::parse(settings).map(Self::Tone),
            "play" => return Play::parse(settings).map(Self::Play),
            "websocket" => Dialect::Listen(listen::Options::parse(settings)?),
            "pipecat" => Dialect::Pipecat(pipecat::Options::parse(settings)?),
            "twilio-stream" => Dialect::TwilioStream(twilio::Options::parse(settings)?),
            "openai-realtime" => Dialect::OpenAiRealtime(Box::new(realtime::Options::parse(settings)?)),
            _ => return Err(AgentError::Invalid(KINDS.to_owned())),
        };
        let url = match (&dialect, url) {
            (Dialect::OpenAiRealtime(options), url) => options.url(url)?,
            (_, Some(url)) => url.to_owned(),
            (_, None) => return Err(AgentError::Invalid(format!("a `{connector}` agent needs a `url`"))),
        };
        let endpoint = Endpoint::parse(&url, settings.text("auth")?, secret)?;
        dialect.check(&endpoint.proof)?;
        Ok(Self::Remote { endpoint, dialect })
    }
}

impl Dialect {
    /// Can it carry that proof?
    fn check(&self, proof: &Proof) -> Result<(), AgentError> {
        match (self, proof) {
            (Self::Pipecat(_), Proof::Signed(_)) => {
                Err(AgentError::Invalid("a `pipecat` agent has no start to sign: `auth` cannot be `hmac`".to_owned()))
            }
            (Self::OpenAiRealtime(_), Proof::Signed(_)) => {
                Err(AgentError::Invalid("an `openai-realtime` agent takes no `hmac`: its key is the secret".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// How audio goes to and from the agent of a call whose wire speaks `wire`.
    pub(crate) fn audio(&self, wire: Format) -> AgentAudio {
        match self {
            Self::Listen(options) => options.audio(wire),
            Self::Pipecat(options) => options.audio(),
            Self::TwilioStream(_) => twilio::Options::audio(),
            Self::OpenAiRealtime(options) => options.audio(wire),
        }
    }

    /// Does audio come faster than it is spoken?
    pub(crate) fn is_steady(&self) -> bool {
        matches!(self, Self::OpenAiRealtime(_))
    }

    pub(crate) fn upgrade(&self, endpoint: &Endpoint) -> Upgrade {
        match self {
            Self::Listen(_) => Upgrade { subprotocols: Some(listen::SUBPROTOCOLS), headers: Vec::new() },
            Self::Pipecat(_) => Upgrade::default(),
            Self::TwilioStream(_) => {
                Upgrade { subprotocols: None, headers: twilio::signature(endpoint).into_iter().collect() }
            }
            Self::OpenAiRealtime(options) => Upgrade { subprotocols: None, headers: options.headers() },
        }
    }

    pub(crate) fn protocol(&self, beginning: &Beginning<'_>) -> Box<dyn Protocol> {
        match self {
            Self::Listen(_) => Box::new(listen::Listen::new(beginning)),
            Self::Pipecat(options) => Box::new(pipecat::Pipecat::new(*options, beginning)),
            Self::TwilioStream(options) => {
                let ids = twilio::Ids::of(&beginning.start.call_id);
                Box::new(twilio::TwilioStream::new(options, ids, beginning.start))
            }
            Self::OpenAiRealtime(options) => Box::new(realtime::Realtime::new(options, beginning)),
        }
    }
}

impl Endpoint {
    /// User and password leave the URL here: it is written to logs, they are not.
    fn parse(url: &str, auth: Option<&str>, secret: Option<Secret>) -> Result<Self, AgentError> {
        let invalid = |what: &str| AgentError::Invalid(what.to_owned());
        let mut url = Url::parse(url).map_err(|_| invalid("`url` is not a URL"))?;
        if !matches!(url.scheme(), "ws" | "wss") || url.host_str().is_none() {
            return Err(invalid("`url` begins with ws:// or wss:// and a host"));
        }
        let (user, password) = (decoded(url.username())?, url.password().map(decoded).transpose()?);
        let named = !user.is_empty() || password.is_some();
        let proof = match (named, auth, secret) {
            (true, None, None) => Proof::Basic { user, password: Secret::from(password.unwrap_or_default()) },
            (true, ..) => return Err(invalid("a user in the `url` and a secret or `auth` are two proofs: choose one")),
            (false, auth, secret) => Proof::parse(auth, secret)?,
        };
        // A URL with a host takes an empty user.
        url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| invalid("`url` is not a URL"))?;
        Ok(Self { url, proof })
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The query may hold a token.
        let shown = &self.url[..url::Position::AfterPath];
        f.debug_struct("Endpoint").field("url", &shown).field("proof", &self.proof).finish()
    }
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Start");
        shown.field("call_id", &self.call_id).field("direction", &self.direction);
        shown.field("provider", &self.provider).field("agent_name", &self.agent_name).finish_non_exhaustive()
    }
}

/// Percent-decoded, as a user and a password are before they become a header.
fn decoded(part: &str) -> Result<String, AgentError> {
    let invalid = || AgentError::Invalid("user and password in `url` are UTF-8 without control characters".to_owned());
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = digits.and_then(|digits| hex::decode(digits).ok()).and_then(|byte| byte.first().copied());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid())?;
    if text.chars().any(char::is_control) { Err(invalid()) } else { Ok(text) }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::time::Duration;

    use jackfield_media::Codec;
    use serde_json::json;

    use super::*;
    use crate::contract::{Message, ToAgent};

    /// A call as tests have it.
    pub(crate) fn start() -> Start {
        Start {
            call_id: "call_1".into(),
            from: "+14155550123".into(),
            to: "+12065550188".into(),
            direction: "inbound".into(),
            provider: "twilio".into(),
            agent_name: "bot".into(),
        }
    }

    fn endpoint(url: &str) -> Endpoint {
        match Connector::parse("websocket", Some(url), &Value::Null, None).unwrap() {
            Connector::Remote { endpoint, .. } => endpoint,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_user_in_the_url_becomes_basic_auth_and_is_shown_nowhere() {
        let endpoint = endpoint("wss://al%20i%3Ace:p%40ss%25@bot.example:8443/a?token=canary");
        assert_eq!(endpoint.url.as_str(), "wss://bot.example:8443/a?token=canary");
        let header = endpoint.proof.header().map(|(name, value)| (name, value.to_string()));
        // `al i:ce:p@ss%`
        assert_eq!(header, Some(("Authorization".to_owned(), "Basic YWwgaTpjZTpwQHNzJQ==".to_owned())));
        let shown = format!("{endpoint:?}");
        assert!(shown.contains("bot.example") && !shown.contains("canary") && !shown.contains("p@ss"), "{shown}");
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_a_reason() {
        let secret = || Some(Secret::from("s".to_owned()));
        let cases = [
            ("sing", Some("ws://bot/"), Value::Null, None, "`connector`"),
            ("websocket", None, Value::Null, None, "`url`"),
            ("websocket", Some("http://bot/"), Value::Null, None, "ws://"),
            ("websocket", Some("nowhere"), Value::Null, None, "URL"),
            ("websocket", Some("ws://a:b@bot/"), Value::Null, secret(), "two proofs"),
            ("websocket", Some("ws://a%00b:b@bot/"), Value::Null, None, "control"),
            ("websocket", Some("ws://bot/"), json!({ "auth": "hmac" }), None, "secret"),
            ("websocket", Some("ws://bot/"), json!({ "codec": "mp3" }), None, "`codec`"),
            ("websocket", Some("ws://bot/"), json!([]), None, "JSON object"),
        ];
        for (connector, url, settings, secret, due) in cases {
            let error = Connector::parse(connector, url, &settings, secret).unwrap_err().to_string();
            assert!(error.contains(due), "{error}");
        }
    }

    #[test]
    fn phone_numbers_are_not_shown() {
        assert!(!format!("{:?}", start()).contains("4155550123"));
    }

    /// Something valid of each protocol, to be spoilt.
    const SEEDS: [&str; 8] = [
        r#"{"type":"playAudio","data":{"audioContentType":"wav","audioContent":"UklGRiQAAABXQVZF","sampleRate":8000}}"#,
        r#"{"type":"mark","data":{"name":"a"}}"#,
        r#"{"event":"media","streamSid":"MZ","media":{"payload":"/39/"}}"#,
        r#"{"type":"session.created","session":{}}"#,
        r#"{"type":"session.updated","session":{"audio":{"output":{"format":{"type":"audio/pcmu"}}}}}"#,
        r#"{"type":"response.output_audio.delta","item_id":"a","response_id":"r","delta":"VVU="}"#,
        r#"{"type":"response.function_call_arguments.done","call_id":"c","name":"send_dtmf","arguments":"{}"}"#,
        "\x12\x0b\x1a\x04\x01\x02\x03\x04\x20\x05\x28\x01",
    ];

    #[test]
    fn no_protocol_falls_over_spoilt_messages() {
        let mut noise = 1u32;
        let mut next = move |bound: usize| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            usize::try_from(noise >> 8).unwrap() % bound
        };
        let url = Some("ws://bot/");
        for kind in ["websocket", "pipecat", "twilio-stream", "openai-realtime"] {
            let Connector::Remote { endpoint, dialect } = Connector::parse(kind, url, &Value::Null, None).unwrap()
            else {
                panic!("{kind} is a remote agent")
            };
            let audio = dialect.audio(Format { codec: Codec::Pcmu, rate: 8_000 });
            let start = start();
            let beginning = Beginning { start: &start, audio, proof: &endpoint.proof, unix_time: 0 };
            let mut protocol = dialect.protocol(&beginning);
            for round in 0..4_000u64 {
                let mut bytes = SEEDS[next(SEEDS.len())].as_bytes().to_vec();
                for _ in 0..next(4) {
                    let at = next(bytes.len());
                    bytes[at] = u8::try_from(next(256)).unwrap();
                }
                bytes.truncate(next(bytes.len() * 2).max(1));
                let now = Duration::from_millis(round);
                protocol.read(now, Message::Text(String::from_utf8_lossy(&bytes).into_owned()));
                protocol.read(now, Message::Binary(bytes));
                protocol.tell(now, ToAgent::Cleared { heard_ms: round });
                protocol.tell(now, ToAgent::BargeIn { heard_ms: round });
                protocol.wake(now);
            }
        }
    }
}
