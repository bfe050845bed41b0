//! What nodes say to each other, as JSON. It carries no secret, and no audio.

use jackfield_calls::Input;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;

use crate::App;

/// One message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "kebab-case")]
pub(super) enum Said {
    /// To a call's owner: this happened to it. Answered by `told`.
    Tell {
        id: String,
        from: String,
        call: String,
        input: Input,
    },
    Told {
        id: String,
        outcome: Result<(), String>,
    },
    /// To a call's owner of before: another node has it now.
    Taken {
        call: String,
        epoch: i64,
    },
}

/// Acts on what others say, until the process ends.
pub(super) async fn listen(app: &App) {
    let mut words = app.shared.listen();
    loop {
        let text = match words.recv().await {
            Ok(word) => word.text,
            Err(RecvError::Lagged(count)) => {
                tracing::warn!(count, "words of other nodes were missed");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        match serde_json::from_str(&text) {
            Ok(said) => act(app, said),
            Err(error) => tracing::debug!(%error, "another node speaks another language"),
        }
    }
}

fn act(app: &App, said: Said) {
    match said {
        Said::Tell { id, from, call, input } => {
            let app = app.clone();
            tokio::spawn(async move {
                let outcome = app.calls.tell_here(&call, input).await;
                app.node.say(Some(&from), &Said::Told { id, outcome }).await.ok();
            });
        }
        Said::Told { id, outcome } => app.node.answered(&id, outcome),
        Said::Taken { call, epoch } => app.calls.let_go(&call, epoch),
    }
}
