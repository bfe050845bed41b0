//! Who talks to the caller, and who stands in when that one is not there or leaves without a word.

use std::pin::Pin;
use std::time::Duration;

use jackfield_agents::{AgentError, Ambience, Connector, Link, Start};
use jackfield_egress::Networks;
use jackfield_media::{Ambient, Format};
use tokio::time::{Instant, sleep};

/// An agent that does not answer is tried again so soon.
const PAUSE: Duration = Duration::from_millis(250);

/// An agent, and how it is reached.
#[derive(Debug, Clone)]
pub(crate) struct Player {
    pub(crate) connector: Connector,
    pub(crate) start: Start,
    pub(crate) ambience: Option<Ambience>,
    /// Does the host decide when the caller has interrupted it?
    pub(crate) barge_in: bool,
}

/// An agent that is there.
pub(crate) struct Entered {
    pub(crate) link: Link,
    /// What is heard under its voice.
    pub(crate) ambient: Option<Ambient>,
    pub(crate) barge_in: bool,
    pub(crate) entrance: Entrance,
}

/// How long an agent may take to be reached, and where it may be.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) patience: Duration,
    pub(crate) networks: Networks,
}

/// All who may talk to the caller of one call.
#[derive(Debug)]
pub(crate) struct Cast {
    first: Player,
    /// May the first be connected once more, if it is lost in mid-call?
    again: bool,
    stand_in: Option<Player>,
    means: Means,
}

/// How an agent came to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    First,
    Again,
    StandIn,
}

impl Entrance {
    /// For the call's history.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::First => "connected",
            Self::Again => "reconnected",
            Self::StandIn => "fallback",
        }
    }
}

/// An agent on its way.
pub(crate) type Coming = Pin<Box<dyn Future<Output = Result<Entered, AgentError>> + Send>>;

impl Cast {
    /// `means` are for each of them.
    pub(crate) fn new(first: Player, again: bool, stand_in: Option<Player>, means: Means) -> Self {
        Self { first, again, stand_in, means }
    }

    /// The first of them who comes.
    pub(crate) async fn enter(&mut self, wire: Format) -> Result<Entered, AgentError> {
        let refused = match reach(&self.first, Entrance::First, wire, &self.means).await {
            Ok(entered) => return Ok(entered),
            Err(error) => error,
        };
        match self.stand_in.take() {
            Some(player) => reach(&player, Entrance::StandIn, wire, &self.means).await,
            None => Err(refused),
        }
    }

    /// The one who comes after the present one was lost. Each comes once.
    pub(crate) fn succeed(&mut self, wire: Format) -> Option<Coming> {
        let again = std::mem::take(&mut self.again).then(|| self.first.clone());
        let (stand_in, means) = (self.stand_in.take(), self.means.clone());
        if again.is_none() && stand_in.is_none() {
            return None;
        }
        Some(Box::pin(async move {
            let mut refused = AgentError::Unreachable("the agent was lost".to_owned());
            for (player, entrance) in [(again, Entrance::Again), (stand_in, Entrance::StandIn)] {
                let Some(player) = player else { continue };
                match reach(&player, entrance, wire, &means).await {
                    Ok(entered) => return Ok(entered),
                    Err(error) => refused = error,
                }
            }
            Err(refused)
        }))
    }
}

/// Tries for as long as patience lasts.
async fn reach(player: &Player, entrance: Entrance, wire: Format, means: &Means) -> Result<Entered, AgentError> {
    let until = Instant::now() + means.patience;
    let link = loop {
        let left = until.saturating_duration_since(Instant::now());
        match jackfield_agents::connect(&player.connector, &player.start, wire, left, &means.networks).await {
            Err(AgentError::Unreachable(_)) if Instant::now() + PAUSE < until => sleep(PAUSE).await,
            outcome => break outcome?,
        }
    };
    Ok(Entered { link, ambient: sound(player).await, barge_in: player.barge_in, entrance })
}

/// A call without its background is better than none.
async fn sound(player: &Player) -> Option<Ambient> {
    match player.ambience.as_ref()?.load().await {
        Ok(sound) => Some(sound),
        Err(error) => {
            tracing::warn!(call = player.start.call_id, %error, "an agent has no background");
            None
        }
    }
}
