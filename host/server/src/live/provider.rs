//! Orders to a provider: each in a fresh guest, with the way out of one account.

use std::sync::Arc;
use std::time::Duration;

use jackfield_plugins::types::{
    Action, Binding, Call as GuestCall, ChatMessage, DeskCall, Fault, HistoryEntry, Inspection, NumberPage, Order,
    PlaceRequest, Placed, TransferProgress, TransferStep,
};
use jackfield_plugins::{CallsGuest, ChatGuest, DeskGuest, Generation, GuestError, Outbound};
use jackfield_store::Configuration;

use crate::account::account_of;
use crate::call_service::CallProblem;
use crate::clock::now_for_guests;
use crate::outbound::{AccountOutbound, WayOut, plugin_fault};
use crate::retries::Trying;
use crate::webhooks::told;

/// One account with the generation that knows how to talk to its provider.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) generation: Arc<Generation>,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) way: Arc<WayOut>,
}

impl Provider {
    /// An order is about to be given, and may be given again within `patience`.
    pub(crate) fn trying(&self, idempotent: bool, patience: Duration) -> Trying {
        self.way.retries.begin(&self.configuration.id, idempotent, patience)
    }

    async fn guest(&self) -> Result<CallsGuest, CallProblem> {
        self.generation.control(self.outbound()).await.map_err(|error| problem_of(&error))
    }

    fn outbound(&self) -> Box<dyn Outbound> {
        let description = self.generation.describe();
        Box::new(AccountOutbound::new(Arc::clone(&self.way), Arc::clone(&self.configuration), description))
    }

    async fn desk(&self) -> Result<DeskGuest, CallProblem> {
        self.generation.desk(self.outbound()).await.map_err(|error| problem_of(&error))
    }

    async fn chat(&self) -> Result<ChatGuest, CallProblem> {
        self.generation.chat(self.outbound()).await.map_err(|error| problem_of(&error))
    }

    pub(crate) async fn desk_calls(&self, person: &str) -> Result<Vec<DeskCall>, CallProblem> {
        settle(self.desk().await?.calls(&account_of(&self.configuration), person).await)
    }

    pub(crate) async fn desk_history(&self, person: &str) -> Result<Vec<HistoryEntry>, CallProblem> {
        settle(self.desk().await?.history(&account_of(&self.configuration), person).await)
    }

    /// The provider's own word on an order: what became of it may be unknown.
    pub(crate) async fn desk_order(
        &self,
        person: &str,
        order: &Order,
    ) -> Result<Result<Option<String>, Fault>, CallProblem> {
        let outcome = self.desk().await?.carry_out(&account_of(&self.configuration), person, order).await;
        outcome.map_err(|error| problem_of(&error))
    }

    pub(crate) async fn desk_watch(&self, person: &str, url: Option<&str>) -> Result<(), CallProblem> {
        settle(self.desk().await?.watch(&account_of(&self.configuration), person, url).await)
    }

    pub(crate) async fn chat_fetch(&self, id: &str) -> Result<Option<ChatMessage>, CallProblem> {
        settle(self.chat().await?.fetch(&account_of(&self.configuration), id).await)
    }

    pub(crate) async fn chat_send(&self, person: &str, text: &str) -> Result<(), CallProblem> {
        settle(self.chat().await?.send(&account_of(&self.configuration), person, text).await)
    }

    pub(crate) async fn chat_listen(&self, url: &str) -> Result<(), CallProblem> {
        settle(self.chat().await?.listen(&account_of(&self.configuration), url).await)
    }

    pub(crate) async fn probe(&self) -> Result<(), CallProblem> {
        settle(self.guest().await?.probe(&account_of(&self.configuration)).await)
    }

    pub(crate) async fn place(&self, request: &PlaceRequest) -> Result<Result<Placed, Fault>, CallProblem> {
        let placed = self.guest().await?.place(&account_of(&self.configuration), request, now_for_guests()).await;
        placed.map_err(|error| problem_of(&error))
    }

    pub(crate) async fn find_placed(&self, request: &PlaceRequest, since: u64) -> Result<Option<Placed>, CallProblem> {
        settle(self.guest().await?.find_placed(&account_of(&self.configuration), request, since).await)
    }

    pub(crate) async fn answer(&self, call: &GuestCall, action: &Action) -> Result<Result<(), Fault>, CallProblem> {
        let answered = self.guest().await?.answer(&account_of(&self.configuration), call, action).await;
        answered.map_err(|error| problem_of(&error))
    }

    pub(crate) async fn proceed(&self, call: Option<&GuestCall>, step: &str) -> Result<Result<(), Fault>, CallProblem> {
        let outcome = self.guest().await?.proceed(&account_of(&self.configuration), call, step).await;
        outcome.map_err(|error| problem_of(&error))
    }

    pub(crate) async fn transfer(
        &self,
        call: &GuestCall,
        step: &TransferStep,
    ) -> Result<Result<TransferProgress, Fault>, CallProblem> {
        let outcome = self.guest().await?.transfer(&account_of(&self.configuration), call, step).await;
        outcome.map_err(|error| problem_of(&error))
    }

    pub(crate) async fn hang_up(&self, call: &GuestCall) -> Result<(), CallProblem> {
        settle(self.guest().await?.hang_up(&account_of(&self.configuration), call).await)
    }

    pub(crate) async fn inspect(&self, call: &GuestCall) -> Result<Inspection, CallProblem> {
        settle(self.guest().await?.inspect(&account_of(&self.configuration), call).await)
    }

    pub(crate) async fn bind_number(&self, number: &str, webhook: Option<&str>) -> Result<Binding, CallProblem> {
        settle(self.guest().await?.bind_number(&account_of(&self.configuration), number, webhook).await)
    }

    pub(crate) async fn list_numbers(&self, cursor: Option<&str>) -> Result<NumberPage, CallProblem> {
        settle(self.guest().await?.list_numbers(&account_of(&self.configuration), cursor).await)
    }
}

fn settle<T>(outcome: Result<Result<T, Fault>, GuestError>) -> Result<T, CallProblem> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(fault)) => Err(refusal_of(&fault)),
        Err(error) => Err(problem_of(&error)),
    }
}

fn problem_of(error: &GuestError) -> CallProblem {
    match error {
        GuestError::Absent(_) => CallProblem::Invalid("this provider's plugin does not control calls".to_owned()),
        GuestError::NoInstance(reason) => CallProblem::ProviderUnavailable(reason.clone()),
        error => CallProblem::Plugin(plugin_fault(error)),
    }
}

/// Whose fault a fault is.
pub(crate) fn refusal_of(fault: &Fault) -> CallProblem {
    match fault {
        Fault::Refused(refusal) => {
            CallProblem::Provider { code: refusal.code.clone(), message: refusal.message.clone() }
        }
        Fault::Account(message) => CallProblem::Provider { code: "account".to_owned(), message: message.clone() },
        Fault::NotFound => CallProblem::NotFound("the provider knows no such call or number".to_owned()),
        Fault::Unsupported(what) => CallProblem::Invalid(what.clone()),
        Fault::RetryLater(_) | Fault::UnknownOutcome(_) | Fault::Other(_) | Fault::Malformed(_) => {
            CallProblem::ProviderUnavailable(told(fault))
        }
    }
}
