//! Whose call it is: one of this node, or of another, which is then told.

use jackfield_calls::{CallMachine, Input, TransferState};
use jackfield_plugins::types::TransferStep;
use jackfield_store::Call;
use serde_json::Value;

use crate::account::guest_call;
use crate::call_service::{CallService, stored, unsigned};
use crate::clock::now_ms;
use crate::cluster::{Errand, NotTold};
use crate::live::Handle;

impl CallService {
    /// Something happened to a call, if there is such a call: its owner is told, whichever node that is.
    pub(crate) async fn tell(&self, id: &str, input: Input) -> Result<(), String> {
        // A call may change hands while it is looked for.
        for _ in 0..3 {
            if let Some(handle) = self.registry.get(id) {
                if let Some(told) = handle.tell_task(input.clone()).await {
                    return told;
                }
                // It was about to leave.
                self.registry.leave(id, &handle);
            }
            let stored = self.board.store.call(id).await.map_err(|error| error.to_string())?;
            let Some(call) = stored else { return Ok(()) };
            if call.owner == self.board.node.id() || call.ended_at.is_some() {
                return self.revive(&call).await?.tell(input).await;
            }
            match self.board.node.ask(&call.owner, Errand::Tell { call: id.to_owned(), input: input.clone() }).await {
                Ok(_) => return Ok(()),
                Err(NotTold::Refused(why)) if why == NOT_HERE => {}
                Err(NotTold::Refused(why)) => return Err(why),
                Err(NotTold::Silent) => self.inherit(&call).await?,
            }
        }
        Err("the call's node does not answer".to_owned())
    }

    /// Another node says that something happened to a call of this one.
    pub(crate) async fn tell_here(&self, id: &str, input: Input) -> Result<(), String> {
        match self.registry.get(id) {
            Some(handle) => handle.tell(input).await,
            None => Err(NOT_HERE.to_owned()),
        }
    }

    /// What becomes of the audio of a call that is up, on whichever node. None if that one does not say.
    pub(crate) async fn audio_of(&self, call: &Call) -> Option<Value> {
        let here = call.owner == self.board.node.id() || !self.board.shared.is_shared();
        if here || call.ended_at.is_some() || self.registry.get(&call.id).is_some() {
            return self.audio_here(&call.id);
        }
        // A dead one is not waited for.
        if !self.board.node.is_alive(&call.owner).await.unwrap_or(false) {
            return None;
        }
        let said = self.board.node.ask(&call.owner, Errand::Audio { call: call.id.clone() }).await;
        said.ok().filter(|figures| !figures.is_null())
    }

    /// A node that does not answer and is not alive has no calls any more.
    async fn inherit(&self, call: &Call) -> Result<(), String> {
        if self.board.node.is_alive(&call.owner).await? {
            return Err("the call's node does not answer".to_owned());
        }
        self.take_over(call).await;
        Ok(())
    }

    /// Takes over the call of a node that died: its audio is gone with it, and the provider is asked how it stands.
    pub(crate) async fn take_over(&self, call: &Call) {
        let taken = match self.board.store.take_call(call, self.board.node.id()).await {
            Ok(Some(taken)) => taken,
            // Another node was quicker.
            Ok(None) => return,
            Err(error) => return tracing::error!(call = call.id, %error, "a call could not be taken over"),
        };
        tracing::info!(call = call.id, from = call.owner, "a call that was left is taken over");
        let picked_up = match self.is_handed_over(&taken).await {
            true => self.pick_up(&taken, CallMachine::adopt(stored(&taken), unsigned(now_ms()), self.limits())).await,
            false => self.revive(&taken).await,
        };
        match picked_up {
            Ok(handle) => self.abandon_transfer(&taken, &handle).await,
            Err(why) => tracing::error!(call = call.id, why, "an unfinished call could not be settled"),
        }
    }

    /// Do two people talk, without an agent?
    async fn is_handed_over(&self, call: &Call) -> bool {
        let events = self.board.store.call_events(&call.id).await.unwrap_or_default();
        let last = events.iter().rfind(|event| event.kind == "handed-over");
        last.is_some_and(|event| event.data["on"] == "true")
    }

    /// A transfer whose node died: one that was joined goes on between people, the destination of any other is given up.
    async fn abandon_transfer(&self, call: &Call, handle: &Handle) {
        let context = match self.transfer_of(call).await {
            Ok(Some(context)) => context,
            Ok(None) if self.is_handed_over(call).await => {
                handle.tell(Input::HandedOver(true)).await.ok();
                return;
            }
            _ => return,
        };
        if context.state == TransferState::Joined {
            handle.tell(Input::HandedOver(true)).await.ok();
        } else if let Some(leg) = &context.call_sid {
            let provider = self.provider_of(handle.generation.clone(), handle.configuration.clone());
            let step = TransferStep::Cancel(leg.clone());
            if !matches!(provider.transfer(&guest_call(call), &step).await, Ok(Ok(_))) {
                tracing::warn!(call = call.id, "the destination of a transfer could not be given up");
            }
        }
        let cleared = self.board.shared.clear_transfer(&context.transfer_id, &context.original_call_sid).await;
        cleared.unwrap_or_else(|error| tracing::warn!(%error, "a transfer could not be forgotten"));
    }

    /// Takes a live call from the node that has it: its audio came here.
    pub(crate) async fn adopt(&self, id: &str) -> Option<Handle> {
        let call = self.board.store.call(id).await.ok()??;
        if call.ended_at.is_some() {
            return None;
        }
        let taken = self.board.store.take_call(&call, self.board.node.id()).await.ok()??;
        self.board.node.taken(&call).await;
        let machine = CallMachine::adopt(stored(&taken), unsigned(now_ms()), self.limits());
        match self.pick_up(&taken, machine).await {
            Ok(handle) => Some(handle),
            Err(why) => {
                tracing::error!(call = id, why, "a call whose audio came here could not be picked up");
                None
            }
        }
    }

    /// The task of a call that may have none: one that this host, or an earlier run of it, has let go of.
    async fn revive(&self, call: &Call) -> Result<Handle, String> {
        if let Some(handle) = self.registry.get(&call.id) {
            return Ok(handle);
        }
        let machine = CallMachine::restore(stored(call), unsigned(now_ms()), self.limits());
        self.pick_up(call, machine).await
    }

    /// The task of a call that this host had none of.
    async fn pick_up(&self, call: &Call, machine: CallMachine) -> Result<Handle, String> {
        let directory = self.board.store.directory();
        let configuration = directory.configuration(&call.configuration_id).cloned();
        let configuration = configuration.ok_or_else(|| "its telephony configuration is gone".to_owned())?;
        let generation = self.generation_of(call).await?;
        // Looking for a call takes the order that placed it.
        let placed_by = match call.provider_call_id {
            Some(_) => None,
            None => Some(self.place_request(call).await?),
        };
        Ok(self.start(call.clone(), machine, generation.pin(), configuration, placed_by))
    }

    /// Another node has the call now.
    pub(crate) fn let_go(&self, id: &str, epoch: i64) {
        if let Some(handle) = self.registry.get(id).filter(|handle| handle.call().epoch <= epoch) {
            handle.let_go();
        }
    }

    /// Holds the seats of all calls that are up here.
    pub(crate) async fn hold_seats(&self) {
        let calls: Vec<Call> = self.registry.active().iter().map(Handle::call).collect();
        if !calls.is_empty() {
            self.seats.hold(&calls).await;
        }
    }

    /// Settles the calls that an earlier run of a host that is alone left unfinished. Says how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn recover(&self) -> Result<usize, jackfield_store::StoreError> {
        if self.board.shared.is_shared() {
            // Whether their owners are alive takes a while to tell; the cluster's task looks after them.
            return Ok(0);
        }
        let unfinished = self.board.store.unfinished_calls().await?;
        for call in &unfinished {
            self.take_over(call).await;
        }
        Ok(unfinished.len())
    }
}

/// What a node answers about a call that it does not have.
const NOT_HERE: &str = "not here";
