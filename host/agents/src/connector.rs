//! Which agent, and what it is told at the start.

use url::Url;

/// A way to talk to an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connector {
    /// Gives the caller's audio back.
    Echo,
    /// The native protocol, over a WebSocket that the host opens.
    WebSocket {
        /// `ws://` or `wss://`.
        url: Url,
    },
}

/// What an agent learns about its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    pub call_id: String,
    pub from: String,
    pub to: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    pub provider: String,
    /// Hz.
    pub sample_rate: u32,
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

impl Connector {
    /// From an agent's settings.
    ///
    /// # Errors
    /// Says which setting is wrong.
    pub fn parse(connector: &str, url: Option<&str>) -> Result<Self, AgentError> {
        let invalid = |what: &str| AgentError::Invalid(what.to_owned());
        match (connector, url) {
            ("echo", _) => Ok(Self::Echo),
            ("websocket", Some(url)) => {
                let url = Url::parse(url).map_err(|_| invalid("`url` is not a URL"))?;
                match url.scheme() {
                    "ws" | "wss" => Ok(Self::WebSocket { url }),
                    _ => Err(invalid("`url` begins with ws:// or wss://")),
                }
            }
            ("websocket", None) => Err(invalid("a `websocket` agent needs a `url`")),
            _ => Err(invalid("`connector` is `echo` or `websocket`")),
        }
    }
}
