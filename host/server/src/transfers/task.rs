//! The task of one transfer: feeds its state machine, and carries out what the machine decides.

use jackfield_calls::{Ended, Input, TransferEffect, TransferInput, TransferMachine, TransferState};
use jackfield_plugins::types::{ConferenceJoin, Fault, TransferDial, TransferStep};
use jackfield_store::NewEvent;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::{Context, KEPT, TransferOrder, Transfers};
use crate::account::guest_call;
use crate::answering::patiently;
use crate::call_service::CallService;
use crate::clock::Stopwatch;
use crate::live::provider::{Provider, refusal_of};
use crate::live::{Handle, Whisper};

/// How a reason begins that the agent was told already.
pub(super) const TOLD: &str = "the transfer came to nothing";

type Rung = oneshot::Sender<Result<Context, String>>;

struct Task {
    service: CallService,
    transfers: Transfers,
    handle: Handle,
    provider: Provider,
    context: Context,
    machine: TransferMachine,
    /// What the machine goes by.
    watch: Stopwatch,
    dial: TransferDial,
    /// The hooks of the caller's own call, for providers that ask where it goes next.
    caller_hooks: String,
    inbox: mpsc::UnboundedReceiver<TransferInput>,
    news: mpsc::UnboundedSender<TransferInput>,
    /// Who waits for the destination to ring.
    rung: Option<Rung>,
}

/// Starts the task.
pub(super) fn start(service: &CallService, handle: Handle, context: Context, order: &TransferOrder, rung: Rung) {
    let (news, inbox) = mpsc::unbounded_channel();
    service.transfers.enter(&context.transfer_id, news.clone());
    handle.transfer_begins(news.clone());
    let provider = service.provider_of(handle.generation.clone(), handle.configuration.clone());
    let call = handle.call();
    // The number that the call came to, or went out from, is ours.
    let from = if call.direction == "outbound" { &call.from } else { &call.to };
    let dial = TransferDial {
        transfer_id: context.transfer_id.clone(),
        to: order.to.clone(),
        from: from.clone(),
        conference: context.conference_name.clone(),
        announcement: order.announcement.clone(),
        ring_timeout: order.ring_seconds,
        hooks: service.hooks(&call.provider, &context.transfer_id),
    };
    let ring = u64::from(order.ring_seconds) * 1_000;
    let watch = Stopwatch::start();
    let (machine, first) = TransferMachine::new(order.mode, watch.now(), ring);
    let (service, transfers) = (service.clone(), service.transfers.clone());
    let caller_hooks = service.hooks(&call.provider, &call.id);
    let task = Task {
        service,
        transfers,
        handle,
        provider,
        context,
        machine,
        watch,
        dial,
        caller_hooks,
        inbox,
        news,
        rung: Some(rung),
    };
    tokio::spawn(task.run(first));
}

impl Task {
    async fn run(mut self, first: Vec<TransferEffect>) {
        self.carry_out(first).await;
        while !self.machine.is_done() {
            let input = match self.machine.next_deadline() {
                None => self.inbox.recv().await.unwrap_or(TransferInput::CallerEnded),
                Some(at) => {
                    let wait = std::time::Duration::from_millis(at.saturating_sub(self.watch.now()).max(1));
                    let heard = tokio::time::timeout(wait, self.inbox.recv()).await;
                    heard.map_or(TransferInput::Tick, |input| input.unwrap_or(TransferInput::CallerEnded))
                }
            };
            let effects = self.machine.handle(self.watch.now(), input);
            self.carry_out(effects).await;
        }
        self.transfers.leave(&self.context.transfer_id);
    }

    async fn carry_out(&mut self, effects: Vec<TransferEffect>) {
        for effect in effects {
            match effect {
                TransferEffect::Dial => self.order(TransferStep::Dial(self.dial.clone()), dialled),
                TransferEffect::Join { leg } => self.order(self.join(leg), joined),
                TransferEffect::Cancel { leg } => self.cancel(leg),
                TransferEffect::Hold(on) => self.handle.whisper(Whisper::Hold(on)),
                // Before the provider moves the caller: the end of its audio is then expected.
                TransferEffect::HandOver(on) => self.tell_call(Input::HandedOver(on)).await,
                TransferEffect::Tell { state, reason } => self.tell(state, reason).await,
                TransferEffect::CloseStream => self.handle.close_stream(),
                TransferEffect::EndCall { reason } => {
                    self.tell_call(Input::HangUpRequested(Ended::Fault(reason))).await;
                }
                TransferEffect::Done => self.forget().await,
            }
        }
    }

    fn join(&self, destination: String) -> TransferStep {
        let conference = self.context.conference_name.clone();
        let extra = vec![("hooks".to_owned(), self.caller_hooks.clone())];
        TransferStep::Join(ConferenceJoin { conference, destination, extra })
    }

    /// Asks the provider in a task of its own; the answer comes back as an input.
    fn order(&self, step: TransferStep, read: fn(Result<Option<String>, Fault>) -> Option<TransferInput>) {
        let (provider, call, news) = (self.provider.clone(), guest_call(&self.handle.call()), self.news.clone());
        tokio::spawn(async move {
            let outcome = match provider.transfer(&call, &step).await {
                Ok(outcome) => outcome.map(|progress| progress.provider_id),
                Err(problem) => Err(Fault::Other(problem.to_string())),
            };
            if let Some(input) = read(outcome) {
                // A transfer that is over needs no news.
                news.send(input).ok();
            }
        });
    }

    fn cancel(&self, leg: String) {
        let (provider, call) = (self.provider.clone(), guest_call(&self.handle.call()));
        tokio::spawn(async move {
            let step = TransferStep::Cancel(leg);
            let cancelled = patiently(&provider, || async {
                provider.transfer(&call, &step).await.map(|outcome| outcome.map(drop))
            });
            if let Err(why) = cancelled.await {
                tracing::warn!(call = call.id, why, "the destination of a transfer could not be given up");
            }
        });
    }

    async fn tell_call(&self, input: Input) {
        let id = self.handle.call().id;
        if let Err(why) = self.service.tell(&id, input).await {
            tracing::warn!(call = id, why, "a call could not be told of its transfer");
        }
    }

    /// Writes down how it stands, and tells all who want to know.
    async fn tell(&mut self, state: TransferState, reason: Option<String>) {
        self.context.state = state;
        self.context.reason.clone_from(&reason);
        if let Some(leg) = self.machine.leg() {
            self.context.call_sid = Some(leg.to_owned());
        }
        let Context { transfer_id, original_call_sid, .. } = &self.context;
        let text = self.context.to_json();
        let shared = &self.service.board.shared;
        if let Err(error) = shared.put_transfer(transfer_id, original_call_sid, &text, KEPT).await {
            tracing::warn!(%error, "how a transfer stands could not be kept");
        }
        shared.tell_transfer(transfer_id, &text).await.ok();
        let data = json!({ "transfer": transfer_id, "state": state, "reason": reason });
        self.handle.note(NewEvent { kind: "transfer".to_owned(), data });
        self.handle.whisper(Whisper::Transfer { state: word(state), reason: reason.clone() });
        match state {
            TransferState::Requested => {}
            TransferState::Failed => {
                self.answer(Err(format!("{TOLD}: {}", reason.unwrap_or_default())));
            }
            _ => self.answer(Ok(self.context.clone())),
        }
    }

    /// Tells who ordered the transfer, once.
    fn answer(&mut self, outcome: Result<Context, String>) {
        if let Some(rung) = self.rung.take() {
            // Whoever ordered it may have given up waiting.
            rung.send(outcome).ok();
        }
    }

    async fn forget(&self) {
        let Context { transfer_id, original_call_sid, .. } = &self.context;
        self.handle.transfer_ends();
        if let Err(error) = self.service.board.shared.clear_transfer(transfer_id, original_call_sid).await {
            tracing::warn!(%error, "a transfer that is over is forgotten only in a while");
        }
    }
}

fn dialled(outcome: Result<Option<String>, Fault>) -> Option<TransferInput> {
    Some(match outcome {
        Ok(Some(leg)) => TransferInput::Dialled { leg },
        // Its callbacks will name it.
        Ok(None) | Err(Fault::UnknownOutcome(_)) => TransferInput::DialUnknown,
        Err(fault) => TransferInput::DialRefused { reason: refusal_of(&fault).to_string() },
    })
}

fn joined(outcome: Result<Option<String>, Fault>) -> Option<TransferInput> {
    Some(match outcome {
        // Whether the caller was moved is not known: the destination's leg will say, or the time run out.
        Err(Fault::UnknownOutcome(_)) => return None,
        Ok(_) => TransferInput::Joined,
        Err(fault) => TransferInput::JoinRefused { reason: refusal_of(&fault).to_string() },
    })
}

fn word(state: TransferState) -> &'static str {
    match state {
        TransferState::Requested => "requested",
        TransferState::Dialled => "dialled",
        TransferState::Answered => "answered",
        TransferState::Joined => "joined",
        TransferState::Failed => "failed",
        TransferState::Ended => "ended",
    }
}
