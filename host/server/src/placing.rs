//! Outbound calls: which account places them, and how an order is never carried out twice.

use std::sync::Arc;
use std::time::Duration;

use jackfield_calls::retry::Failure;
use jackfield_calls::{CallMachine, Direction, Input};
use jackfield_plugins::Generation;
use jackfield_plugins::types::{Ability, Fault, PlaceRequest, Placed};
use jackfield_store::{Agent, Call, Configuration, Directory, Inserted, NewCall, new_call_id};

use crate::account::guest_call;
use crate::call_service::{CallProblem, CallService, unsigned};
use crate::clock::now_ms;
use crate::live::provider::{Provider, refusal_of};
use crate::live::{Handle, status_of};
use crate::seats::NoSeat;

/// How long an order is tried before whoever gave it hears that the provider is busy. Who does not say when to come again is asked
/// again after 5 s.
const PLACE_PATIENCE: Duration = Duration::from_secs(7);

/// An outbound call, as an operator orders it.
#[derive(Debug, Clone)]
pub struct PlaceOrder {
    /// Whose call it is.
    pub organization: String,
    /// What the order was given under: the same again is the same call.
    pub key: Option<String>,
    /// Id or name.
    pub agent: String,
    /// Whom to call: E.164 or an address.
    pub to: String,
    /// One of the configuration's numbers; the first of them when absent.
    pub from: Option<String>,
    /// Id or name; when absent, found by `from`; else the default, or the only one that can place calls.
    pub configuration: Option<String>,
}

impl CallService {
    /// Places a call and waits for the provider's word.
    pub async fn place(&self, order: PlaceOrder) -> Result<Call, CallProblem> {
        if self.board.drain.draining() {
            return Err(CallProblem::Draining);
        }
        if !self.has_room() {
            return Err(CallProblem::Limit(format!(
                "{} calls are up, as many as limits.calls allows; wait, or raise it",
                self.active()
            )));
        }
        let (configuration, agent, from) = self.resolve(&order)?;
        let serving = self.board.plugins.current(&configuration.provider);
        let serving = serving
            .ok_or_else(|| CallProblem::Plugin(format!("no plugin for `{}` is loaded", configuration.provider)))?;
        let generation = self.board.rollout.pick(&serving, &jackfield_store::new_id("pick"));
        let call = match self.write_intent(&configuration, &generation, &agent, from, order).await? {
            Inserted::New(call) => *call,
            // Another node, or an earlier run of this one, has carried the order out.
            Inserted::Existing(call) => return Ok(*call),
        };
        self.seat(&call).await?;
        let request = self.place_request(&call).await.map_err(CallProblem::ProviderUnavailable)?;
        let machine = CallMachine::new(Direction::Outbound, unsigned(call.created_at), self.limits());
        let handle = self.start(call, machine, generation.pin(), configuration, Some(request.clone()));
        self.send_order(&handle, &request).await?;
        // Its audio may be on another node by now.
        Ok(self.board.store.call(&handle.call().id).await?.unwrap_or_else(|| handle.call()))
    }

    fn resolve(&self, order: &PlaceOrder) -> Result<(Arc<Configuration>, Arc<Agent>, String), CallProblem> {
        let directory = self.board.store.directory();
        let agent = directory.agent_of(&order.organization, &order.agent).cloned();
        let agent = agent.ok_or_else(|| CallProblem::Invalid(format!("there is no agent `{}`", order.agent)))?;
        let configuration = self.configuration_for(&directory, order)?;
        let first = directory.numbers_of(&configuration.id).next().map(|number| number.number.clone());
        let from = match &order.from {
            Some(from) if directory.number(&configuration.id, from).is_some() => from.clone(),
            Some(_) => {
                return Err(CallProblem::Invalid(
                    "`from` is not a number of this configuration; add it with POST telephony/numbers".to_owned(),
                ));
            }
            None => first.ok_or_else(|| {
                CallProblem::Invalid(
                    "the configuration has no number to call from; add one with POST telephony/numbers".to_owned(),
                )
            })?,
        };
        Ok((configuration, agent, from))
    }

    /// An explicit choice never falls through to another; an implicit one must be the only one.
    fn configuration_for(&self, directory: &Directory, order: &PlaceOrder) -> Result<Arc<Configuration>, CallProblem> {
        if let Some(wanted) = &order.configuration {
            let mut own = directory.configurations_in(&order.organization);
            let known = own.find(|known| known.id == *wanted || known.name == *wanted);
            return known.cloned().ok_or_else(|| CallProblem::Invalid(format!("there is no configuration `{wanted}`")));
        }
        let places = |known: &&Arc<Configuration>| {
            let serving = self.board.plugins.current(&known.provider);
            let able = serving.is_some_and(|generation| generation.describe().abilities.contains(&Ability::Place));
            let calls_from = |from: &String| directory.number(&known.id, from).is_some();
            able && order.from.as_ref().is_none_or(calls_from)
        };
        let able: Vec<_> = directory.configurations_in(&order.organization).filter(places).collect();
        if let Some(default) = able.iter().find(|known| known.is_default) {
            return Ok(Arc::clone(default));
        }
        match (able.first(), able.get(1)) {
            (Some(only), None) => Ok(Arc::clone(only)),
            (None, _) => Err(CallProblem::Invalid("no configuration can place this call".to_owned())),
            (Some(_), Some(_)) => Err(CallProblem::Invalid(
                "several configurations can place this call; name one in `configuration`, or make one the default"
                    .to_owned(),
            )),
        }
    }

    /// The order is in the database before it is at the provider.
    async fn write_intent(
        &self,
        configuration: &Configuration,
        generation: &Generation,
        agent: &Agent,
        from: String,
        order: PlaceOrder,
    ) -> Result<Inserted, CallProblem> {
        let created_at = now_ms();
        let call = NewCall {
            id: new_call_id(created_at),
            organization_id: configuration.organization_id.clone(),
            owner: self.board.node.id().to_owned(),
            direction: "outbound".to_owned(),
            status: "initiated".to_owned(),
            provider: configuration.provider.clone(),
            generation: generation.digest().to_owned(),
            configuration_id: configuration.id.clone(),
            agent_id: Some(agent.id.clone()),
            from,
            to: order.to,
            provider_call_id: None,
            memo: Vec::new(),
            created_at,
            order_key: order.key,
        };
        Ok(self.board.store.create_call(call).await?)
    }

    /// A seat for a call that is written down; one that gets none is over.
    async fn seat(&self, call: &Call) -> Result<(), CallProblem> {
        let no_seat = match self.seats.take(&call.id, &call.organization_id, &call.configuration_id, None).await {
            Ok(()) => return Ok(()),
            Err(no_seat) => no_seat,
        };
        let (why, problem) = match no_seat {
            NoSeat::Limit(why) => (why.clone(), CallProblem::Limit(why)),
            NoSeat::Store(error) => (error.to_string(), CallProblem::Store(error)),
        };
        self.refuse(call, "failed", &why).await;
        Err(problem)
    }

    pub(crate) async fn place_request(&self, call: &Call) -> Result<PlaceRequest, String> {
        let stream = self.stream_action(call).await?;
        let limits = &self.board.settings.limits;
        Ok(PlaceRequest {
            call: guest_call(call),
            hooks: stream.hooks.clone(),
            stream,
            ring_timeout: limits.ring_seconds,
            max_duration: limits.call_seconds,
            extra: Vec::new(),
        })
    }

    async fn send_order(&self, handle: &Handle, request: &PlaceRequest) -> Result<(), CallProblem> {
        let provider = self.provider_of(Arc::clone(&handle.generation), Arc::clone(&handle.configuration));
        let (input, outcome) = match place_patiently(&provider, request).await {
            Ok(Ok(placed)) => {
                let status = status_of(&placed.status);
                (Input::Placed { provider_id: placed.provider_id, status }, Ok(()))
            }
            // It may ring: the call's own task finds out, and the operator watches it there.
            Ok(Err(Fault::UnknownOutcome(_))) => (Input::PlaceUnknown, Ok(())),
            Ok(Err(fault)) => {
                let problem = refusal_of(&fault);
                (Input::PlaceRefused { reason: problem.to_string() }, Err(problem))
            }
            // A guest that died after sending is as unknown as a lost answer.
            Err(problem @ CallProblem::Plugin(_)) => (Input::PlaceUnknown, Err(problem)),
            Err(problem) => (Input::PlaceRefused { reason: problem.to_string() }, Err(problem)),
        };
        // The call may have ended meanwhile, or its audio be on another node; its row says so.
        self.tell(&handle.call().id, input).await.ok();
        outcome
    }
}

/// Sends an order again where the provider asks for it and surely did nothing yet: soon, and a few times.
async fn place_patiently(provider: &Provider, request: &PlaceRequest) -> Result<Result<Placed, Fault>, CallProblem> {
    let mut trying = provider.trying(false, PLACE_PATIENCE);
    loop {
        let outcome = provider.place(request).await;
        let Ok(Err(Fault::RetryLater(seconds))) = outcome else { return outcome };
        if !trying.again(Failure::Later(u64::from(seconds) * 1_000)).await {
            return outcome;
        }
    }
}
