//! Transfers: the caller is put through to somebody else, over the provider that carries the call.
//!
//! Promises: what a callback needs is in the shared state before the provider is asked for anything; a call is in one transfer
//! at a time; whatever ends first, all of it is torn down, once.

mod callback;
mod context;
mod task;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jackfield_agents::TransferWish;
use jackfield_calls::{TransferInput, TransferMode, TransferState};
use jackfield_store::{Call, new_id};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

pub(crate) use callback::{act, heard, known, told};
pub(crate) use context::Context;

use crate::call_service::{CallProblem, CallService};
use crate::clock::now_ms;
use crate::cluster::{Errand, NotTold};
use crate::live::Whisper;

/// How long a transfer is remembered without news.
pub(crate) const KEPT: Duration = Duration::from_secs(300);
/// What the id of a transfer begins with: a call's does not.
const PREFIX: &str = "tr";

/// A transfer as it is ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferOrder {
    /// Whom to ring: E.164 or an address.
    pub to: String,
    pub mode: TransferMode,
    /// How long it may ring.
    pub ring_seconds: u32,
    /// What whoever picks up hears first.
    pub announcement: String,
}

/// Transfers that this node carries out. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transfers(Arc<Mutex<HashMap<String, mpsc::UnboundedSender<TransferInput>>>>);

impl Transfers {
    fn enter(&self, id: &str, inbox: mpsc::UnboundedSender<TransferInput>) {
        self.all().insert(id.to_owned(), inbox);
    }

    fn leave(&self, id: &str) {
        self.all().remove(id);
    }

    fn tell(&self, id: &str, input: TransferInput) -> bool {
        self.all().get(id).is_some_and(|inbox| inbox.send(input).is_ok())
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<String, mpsc::UnboundedSender<TransferInput>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Is this the id of a transfer, and not of a call?
pub(crate) fn is_transfer(id: &str) -> bool {
    id.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('_'))
}

/// Carries out what agents wish, for as long as the server runs.
pub async fn keep_transfers(app: crate::App) {
    let Some(mut wishes) = app.calls.wishes() else { return };
    while let Some((call, wish)) = wishes.recv().await {
        let app = app.clone();
        tokio::spawn(async move { app.calls.wished(&call, wish).await });
    }
}

impl CallService {
    /// Begins a transfer, and waits until the destination is rung, or is not.
    pub(crate) async fn transfer(&self, call: &Call, order: TransferOrder) -> Result<Context, CallProblem> {
        let id = new_id(PREFIX);
        let refused = |why: String| match why.strip_prefix(BUSY) {
            Some(_) => CallProblem::Conflict("the call is in a transfer already; cancel that first".to_owned()),
            None => CallProblem::Invalid(why),
        };
        if self.registry.get(&call.id).is_some() || call.owner == self.board.node.id() {
            return self.transfer_here(&call.id, &id, order).await.map_err(refused);
        }
        let errand = Errand::Transfer { call: call.id.clone(), transfer: id, order };
        match self.board.node.ask(&call.owner, errand).await {
            Ok(context) => Context::of(context).map_err(CallProblem::Plugin),
            Err(NotTold::Refused(why)) => Err(refused(why)),
            Err(NotTold::Silent) => {
                let why = "the call's node does not answer; GET calls/{id}/transfer tells what came of it";
                Err(CallProblem::ProviderUnavailable(why.to_owned()))
            }
        }
    }

    /// The same on the node that has the call. Says how it stood when the destination was rung: it may be over by now.
    pub(crate) async fn transfer_here(&self, call: &str, id: &str, order: TransferOrder) -> Result<Context, String> {
        let handle = self.registry.get(call).ok_or("the call is over")?;
        let call = handle.call();
        let caller = call.provider_call_id.clone().ok_or("the provider has not named the call yet")?;
        if call.ended_at.is_some() || call.status != "in-progress" {
            return Err("only a call that was answered, and is up, can be transferred".to_owned());
        }
        let context = Context {
            transfer_id: id.to_owned(),
            call_sid: None,
            target_number: order.to.clone(),
            original_call_sid: caller.clone(),
            conference_name: format!("transfer-{id}"),
            initiated_at: now_ms() / 1_000,
            state: TransferState::Requested,
            reason: None,
            mode: order.mode,
            announcement: order.announcement.clone(),
            call_id: call.id.clone(),
            configuration_id: call.configuration_id.clone(),
            provider: call.provider.clone(),
            generation: call.generation.clone(),
            node: self.board.node.id().to_owned(),
        };
        let begun = self.board.shared.begin_transfer(id, &caller, &context.to_json(), KEPT).await;
        if !begun.map_err(|error| error.to_string())? {
            return Err(format!("{BUSY}: the call is in a transfer already"));
        }
        let (rung, first) = oneshot::channel();
        task::start(self, handle, context, &order, rung);
        first.await.map_err(|_| "the transfer broke off".to_owned())?
    }

    /// Something happened to a transfer, on whichever node it is carried out.
    pub(crate) async fn transferring(&self, context: &Context, input: TransferInput) -> Result<(), String> {
        let id = &context.transfer_id;
        if self.transfers.tell(id, input.clone()) {
            return Ok(());
        }
        if context.node == self.board.node.id() {
            return Ok(());
        }
        let errand = Errand::Transferring { transfer: id.clone(), input };
        match self.board.node.ask(&context.node, errand).await {
            Ok(_) => Ok(()),
            Err(NotTold::Refused(why)) => Err(why),
            Err(NotTold::Silent) => Err("the transfer's node does not answer".to_owned()),
        }
    }

    /// The same on the node that carries it out. One that is over needs no news.
    pub(crate) fn transferring_here(&self, id: &str, input: TransferInput) -> Result<(), String> {
        self.transfers.tell(id, input);
        Ok(())
    }

    /// A transfer by its id.
    pub(crate) async fn transfer_context(&self, id: &str) -> Result<Option<Context>, CallProblem> {
        let found = self.board.shared.transfer(id).await?;
        found.map(|text| Context::parse(&text)).transpose().map_err(CallProblem::Plugin)
    }

    /// The transfer that a call is in.
    pub(crate) async fn transfer_of(&self, call: &Call) -> Result<Option<Context>, CallProblem> {
        let Some(caller) = &call.provider_call_id else { return Ok(None) };
        let Some(id) = self.board.shared.transfer_of_call(caller).await? else { return Ok(None) };
        Ok(self.transfer_context(&id).await?.filter(|context| context.original_call_sid == *caller))
    }

    /// An agent wants its caller put through.
    async fn wished(&self, call: &str, wish: TransferWish) {
        let Some(handle) = self.registry.get(call) else { return };
        let refuse = |why: String| handle.whisper(Whisper::Transfer { state: "failed", reason: Some(why) });
        let Ok(to) = crate::api::canonical("to", &wish.to) else {
            return refuse("`to` is a number with + and its country code, or an address".to_owned());
        };
        let order = TransferOrder {
            to,
            mode: if wish.blind { TransferMode::Blind } else { TransferMode::Attended },
            ring_seconds: wish.ring_seconds.unwrap_or(self.board.settings.limits.transfer_ring_seconds),
            announcement: wish.announcement,
        };
        if let Err(why) = self.transfer_here(call, &new_id(PREFIX), order).await {
            tracing::warn!(call, why, "an agent's transfer came to nothing");
            // A transfer that began has told the agent itself.
            if why.starts_with(BUSY) || !why.starts_with(task::TOLD) {
                refuse(why);
            }
        }
    }
}

/// How the reason begins when a call is in a transfer already.
const BUSY: &str = "in a transfer";
