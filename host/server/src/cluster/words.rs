//! What nodes say to each other, as JSON. It carries no secret, and no audio.

use jackfield_calls::{Input, TransferInput};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

use crate::App;
use crate::transfers::TransferOrder;

/// One message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "kebab-case")]
pub(super) enum Said {
    /// Answered by `told`.
    Ask { id: String, from: String, errand: Errand },
    Told {
        id: String,
        /// What was asked for; null for what was only done.
        outcome: Result<Value, String>,
    },
    /// To a call's owner of before: another node has it now.
    Taken { call: String, epoch: i64 },
}

/// What one node wants of another, which owns the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "errand", rename_all = "kebab-case")]
pub(crate) enum Errand {
    /// This happened to a call.
    Tell { call: String, input: Input },
    /// Somebody wants it transferred, under this id.
    Transfer { call: String, transfer: String, order: TransferOrder },
    /// This happened to a transfer.
    Transferring { transfer: String, input: TransferInput },
    /// What becomes of a call's audio?
    Audio { call: String },
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
        Said::Ask { id, from, errand } => {
            let app = app.clone();
            tokio::spawn(async move {
                let outcome = carry_out(&app, errand).await;
                app.node.say(Some(&from), &Said::Told { id, outcome }).await.ok();
            });
        }
        Said::Told { id, outcome } => app.node.answered(&id, outcome),
        Said::Taken { call, epoch } => app.calls.let_go(&call, epoch),
    }
}

async fn carry_out(app: &App, errand: Errand) -> Result<Value, String> {
    match errand {
        Errand::Tell { call, input } => app.calls.tell_here(&call, input).await.map(done),
        Errand::Transfer { call, transfer, order } => {
            let context = app.calls.transfer_here(&call, &transfer, order).await?;
            serde_json::to_value(context).map_err(|error| error.to_string())
        }
        Errand::Transferring { transfer, input } => app.calls.transferring_here(&transfer, input).map(done),
        Errand::Audio { call } => Ok(app.calls.audio_here(&call).unwrap_or_default()),
    }
}

/// What there is to say of what was only done.
fn done((): ()) -> Value {
    Value::Null
}
