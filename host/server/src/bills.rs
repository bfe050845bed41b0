//! Asks providers what calls cost, once they are over. What is left to ask is in the database: a call that only waits for its
//! bill costs no memory, holds no build of a plugin, and is asked for also after a restart, by whichever node is there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jackfield_calls::{Report, bill};
use jackfield_plugins::Generation;
use jackfield_plugins::types::Ability;
use jackfield_store::{Call, CallChange, DueBill, NewEvent};
use serde_json::json;

use crate::App;
use crate::clock::now_ms;
use crate::live;

const EVERY: Duration = Duration::from_secs(2);
/// Bills that are looked at before it is looked again, and those that are asked for at the same time.
const AT_ONCE: u32 = 500;
const SIDE_BY_SIDE: usize = 32;

/// Asks for bills that are due, for as long as the server runs.
pub async fn keep_bills(app: App) {
    loop {
        tokio::time::sleep(EVERY).await;
        match app.store.due_bills(now_ms(), AT_ONCE).await {
            Ok(due) => {
                let asking = due.into_iter().map(|due| ask(&app, due));
                futures_util::stream::iter(asking).buffer_unordered(SIDE_BY_SIDE).collect::<()>().await;
            }
            Err(error) => tracing::warn!(%error, "what calls cost cannot be asked yet"),
        }
    }
}

async fn ask(app: &App, due: DueBill) {
    let generation = build(app, &due.call);
    // A provider that is never able to say is asked no more; one whose plugin is not here just now, later.
    let unable = generation.as_ref().is_some_and(|build| !build.describe().abilities.contains(&Ability::Inspect));
    let known = due.call.cost_amount.is_some() && due.call.duration_s.is_some();
    let settled = known || unable;
    let next = bill::next_question(u64::try_from(now_ms()).unwrap_or(0), due.tries + 1);
    let next = next.filter(|_| !settled).and_then(|at| i64::try_from(at).ok());
    match app.store.claim_bill(&due, next).await {
        Ok(true) if !settled => {}
        Ok(_) => return,
        Err(error) => return tracing::warn!(call = due.call.id, %error, "a bill cannot be asked for yet"),
    }
    let configuration = app.store.directory().configuration(&due.call.configuration_id).map(Arc::clone);
    let Some((generation, configuration)) = generation.zip(configuration) else { return };
    if let Some(report) = live::inspected(&app.calls.provider_of(generation, configuration), &due.call).await {
        put(app, &due, &report).await;
    }
}

/// The build that the call began on if it is still here, else the one that serves.
fn build(app: &App, call: &Call) -> Option<Arc<Generation>> {
    let pinned = app.plugins.generation(&call.provider, &call.generation);
    pinned.or_else(|| app.plugins.current(&call.provider))
}

async fn put(app: &App, due: &DueBill, report: &Report) {
    let call = &due.call;
    let known = call.cost_amount.clone().zip(call.cost_currency.clone());
    let duration = call.duration_s.and_then(|seconds| u32::try_from(seconds).ok());
    let (duration, cost) = bill::news(report, duration, known.as_ref());
    if duration.is_none() && cost.is_none() {
        return;
    }
    let (cost_amount, cost_currency) = cost.unzip();
    let change =
        CallChange { duration_s: duration.map(i64::from), cost_amount, cost_currency, ..CallChange::default() };
    let event = NewEvent { kind: "status".to_owned(), data: json!({ "reported": report.raw }) };
    if let Err(error) = app.store.change_call(&call.id, change, vec![event], now_ms()).await {
        tracing::warn!(call = call.id, %error, "what a call cost could not be stored");
    }
}
