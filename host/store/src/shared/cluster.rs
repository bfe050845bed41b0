//! A Redis Cluster. Everything of ours has one hash tag, and so lies on one of its nodes and that one's replicas: what is asked for
//! in one step stays one step. A Cluster is taken for its failovers, not for its breadth; `host/docs/scaling.md` has the figures.

use std::time::Duration;

use redis::aio::{AsyncPushSender, SendError};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{Msg, ProtocolVersion, PushInfo};
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::Word;
use super::hosts::Hosts;
use super::redis::ANSWER;
use crate::error::StoreError;

/// What all keys and channels begin with.
pub(super) const TAG: &str = "{jackfield}";
/// How long it may take to find the nodes at the start.
const START: Duration = Duration::from_secs(6);
const PORT: u16 = 6_379;
const KIND: &str = "cluster";
const FORM: &str = "a Redis Cluster is redis+cluster://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]; it has no databases";

/// Is it the URL of such a Redis?
pub(super) fn is_url(url: &str) -> bool {
    Hosts::read(url, KIND).is_some()
}

/// The way to whichever node has our keys. What is said on the channels is passed on; the connection listens again by itself
/// wherever the keys go.
pub(super) async fn open(
    url: &str,
    channels: [String; 2],
    words: broadcast::Sender<Word>,
) -> Result<ClusterConnection, StoreError> {
    let client = client(url, Passing(words))?;
    let failed = |why: String| StoreError::Shared(format!("no node of the Cluster serves what is ours: {why}"));
    let mut connection = match timeout(START, client.get_async_connection()).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed("no answer in time".to_owned())),
    };
    for channel in channels {
        connection.subscribe(channel).await.map_err(|error| failed(error.to_string()))?;
    }
    Ok(connection)
}

fn client(url: &str, passing: Passing) -> Result<ClusterClient, StoreError> {
    let malformed = || StoreError::Shared(FORM.to_owned());
    let hosts = Hosts::read(url, KIND).filter(|hosts| hosts.path.is_empty()).ok_or_else(malformed)?;
    let client = ClusterClientBuilder::new(hosts.each(PORT, "0").ok_or_else(malformed)?)
        .use_protocol(ProtocolVersion::RESP3)
        .connection_timeout(ANSWER)
        .response_timeout(ANSWER)
        .push_sender(passing)
        .build();
    client.map_err(|_| malformed())
}

/// Passes on what is said.
struct Passing(broadcast::Sender<Word>);

impl AsyncPushSender for Passing {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        // Pushes tell of subscriptions and lost connections too.
        if let Some(message) = Msg::from_push_info(info) {
            // Nobody may be listening.
            self.0.send(Word::of(&message)).ok();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn urls_are_read_or_refused_without_their_password() {
        let passing = || Passing(broadcast::channel(1).0);
        for url in ["redis+cluster://one,[::1]:5001,10.0.0.1:5000", "rediss+cluster://ann:hu%40sh@one,two/"] {
            assert!(is_url(url) && client(url, passing()).is_ok(), "{url}");
        }
        for url in ["redis+cluster://:hush@", "redis+cluster://:hush@one,,two", "redis+cluster://:hush@one/3"] {
            let error = client(url, passing()).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("redis+cluster://") && !error.contains("hush"), "{url}: {error}");
        }
        assert!(!is_url("redis://one") && !is_url("redis+sentinel://one/main"));
    }
}
