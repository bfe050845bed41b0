//! The bot: people's chat commands, over the host's call control and whatever telephones and chats plugins bring along.
//!
//! Promises: strangers get nothing done; nothing is dialled twice; what people write is not logged.

mod command;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jackfield_calls::{DeskOrder, DeskStage};
use jackfield_plugins::types::{
    ChatMessage, DeskCall, DeskEvent, DeskState, Direction, Fault, HistoryEntry, HistoryKind, MessageNotice, Order,
    Role,
};
use jackfield_store::{Configuration, SignIn};

use crate::App;
use crate::call_service::CallProblem;
use crate::clock::now_ms;
use crate::live::provider::{Provider, refusal_of};
use crate::placing::PlaceOrder;
use crate::sign_ins::Client;
use command::{Auth, Command, HELP, State, Via};

pub use watch::keep_watch;

/// A stranger is answered so often.
const STRANGERS: Duration = Duration::from_secs(3_600);

/// What the bot remembers.
#[derive(Debug, Default)]
pub(crate) struct Bot {
    order: Mutex<DeskOrder>,
}

/// Somebody who wrote, and by what the bot acts for them.
struct Talk {
    app: App,
    provider: Provider,
    person: String,
    role: Role,
}

/// Somebody wrote to the account: in a task of its own, as the provider waits for an answer.
pub(crate) fn wrote(app: &App, configuration: &Arc<Configuration>, notice: MessageNotice) {
    let Some(provider) = provider_of(app, configuration) else { return };
    let app = app.clone();
    tokio::spawn(async move {
        let configuration = provider.configuration.id.clone();
        match provider.chat_fetch(&notice.message_id).await {
            Ok(Some(message)) if message.direct => listen(app, provider, message).await,
            Ok(_) => {}
            Err(error) => tracing::warn!(configuration, %error, "a message could not be fetched"),
        }
    });
}

/// Something happened on somebody's telephone.
pub(crate) fn happened(app: &App, configuration: &Arc<Configuration>, event: DeskEvent) {
    let (app, configuration) = (app.clone(), Arc::clone(configuration));
    tokio::spawn(async move {
        let known = app.store.sign_in(&configuration.id, &event.person).await.ok().flatten();
        if !known.is_some_and(|known| known.monitored && !known.revoked) {
            return;
        }
        let (call, key) = (&event.call, format!("{}/{}", configuration.id, event.call.id));
        let news = {
            let mut order = app.bot().order.lock().unwrap_or_else(PoisonError::into_inner);
            order.is_news(&key, event.at, stage_of(call.state), &call.raw)
        };
        if news {
            tell(&app, &configuration, &event.person, &shown(call)).await;
        }
    });
}

/// Writes to a person.
pub(crate) async fn tell(app: &App, configuration: &Arc<Configuration>, person: &str, text: &str) {
    let Some(provider) = provider_of(app, configuration) else { return };
    if let Err(error) = provider.chat_send(person, text).await {
        tracing::warn!(configuration = configuration.id, %error, "a message could not be sent");
    }
}

/// A moment as people read it, in UTC.
pub(crate) fn moment(at: i64) -> String {
    let left = (at - now_ms()).max(0) / 60_000;
    match left {
        0..=119 => format!("{left} minutes from now"),
        120..=2_879 => format!("{} hours from now", left / 60),
        _ => format!("{} days from now", left / 1_440),
    }
}

fn provider_of(app: &App, configuration: &Arc<Configuration>) -> Option<Provider> {
    let generation = app.plugins.current(&configuration.provider).filter(|generation| generation.chats())?;
    Some(app.calls.provider_of(generation, Arc::clone(configuration)))
}

async fn listen(app: App, provider: Provider, message: ChatMessage) {
    let configuration = Arc::clone(&provider.configuration);
    let ChatMessage { person, text, role, .. } = message;
    if role == Role::Stranger {
        tracing::warn!(configuration = configuration.id, "a stranger wrote to the bot");
        let key = format!("stranger/{}/{person}", configuration.id);
        if app.shared.first_seen(&key, STRANGERS).await.unwrap_or(false) {
            tell(&app, &configuration, &person, "This bot does not know you. Its administrator can add you.").await;
        }
        return;
    }
    let talk = Talk { app: app.clone(), provider, person, role };
    let answer = talk.answer(Command::parse(&text)).await;
    tell(&app, &configuration, &talk.person, &answer).await;
}

impl Talk {
    async fn answer(&self, command: Command) -> String {
        if command.is_for_administrators() && self.role != Role::Administrator {
            return "That is for administrators.".to_owned();
        }
        match command {
            Command::Help => HELP.to_owned(),
            Command::Usage(usage) => format!("Usage: `{usage}`"),
            Command::Echo(text) => text,
            Command::Auth(auth) => self.auth(auth).await,
            Command::State(state) => self.state(state).await,
            Command::Dial { to, via: Some(via) } => self.dial_by_agent(to, via).await,
            desk => match self.signed_in().await {
                Ok(_) => self.at_the_desk(desk).await,
                Err(why) => why,
            },
        }
    }

    fn configuration(&self) -> &str {
        &self.provider.configuration.id
    }

    async fn signed_in(&self) -> Result<SignIn, String> {
        let known = self.app.store.sign_in(self.configuration(), &self.person).await;
        match known {
            Ok(Some(known)) if !known.revoked => Ok(known),
            Ok(Some(_)) => Err("The provider has taken your sign-in back. `/auth` to sign in anew.".to_owned()),
            Ok(None) => Err("You are not signed in. Use `/auth` first.".to_owned()),
            Err(_) => Err("This is temporarily unavailable. Try again in a minute.".to_owned()),
        }
    }

    async fn auth(&self, auth: Auth) -> String {
        let (store, shared) = (&self.app.store, &self.app.shared);
        match auth {
            Auth::Clear => match store.delete_sign_ins(self.configuration(), Some(&self.person)).await {
                Ok(0) => "You were not signed in.".to_owned(),
                Ok(_) => "You are signed out.".to_owned(),
                Err(error) => self.broken(&error),
            },
            Auth::Maintenance => match shared.clear_sign_in_flows(self.configuration()).await {
                Ok(count) => format!("Forgot {count} sign-ins that were on their way."),
                Err(error) => self.broken(&error),
            },
            Auth::Begin => match self.signed_in().await {
                Ok(known) => format!("You are signed in; the access token is good until {}.", moment(known.expires_at)),
                Err(_) => self.link().await,
            },
            Auth::Force => self.link().await,
        }
    }

    async fn link(&self) -> String {
        let Provider { generation, configuration, .. } = &self.provider;
        let Some(client) = Client::new(Arc::clone(configuration), generation.describe()) else {
            return "Nobody signs in with this provider.".to_owned();
        };
        match self.app.calls.sign_ins().begin(&client, &self.person).await {
            Ok(url) => format!("[Sign in]({url}) within five minutes. The link is yours alone."),
            Err(error) => self.broken(&error),
        }
    }

    async fn state(&self, state: State) -> String {
        let (store, shared, configuration) = (&self.app.store, &self.app.shared, self.configuration());
        match state {
            State::Info => match (shared.sign_in_flows(configuration).await, store.sign_ins(Some(configuration)).await)
            {
                (Ok(flows), Ok(known)) => {
                    let people: Vec<String> = known.iter().map(standing).collect();
                    format!("{flows} on their way, {} signed in\n{}", people.len(), people.join("\n"))
                }
                (Err(error), _) | (_, Err(error)) => self.broken(&error),
            },
            State::Clear => {
                let flows = shared.clear_sign_in_flows(configuration).await;
                match (flows, store.delete_sign_ins(configuration, None).await) {
                    (Ok(flows), Ok(people)) => format!("Forgot {flows} on their way and {people} sign-ins."),
                    (Err(error), _) | (_, Err(error)) => self.broken(&error),
                }
            }
        }
    }

    /// An ordinary call of the host's.
    async fn dial_by_agent(&self, to: String, via: Via) -> String {
        let Ok(to) = crate::api::canonical("to", &to) else {
            return "Write the whole number with its country code, such as +14155550123.".to_owned();
        };
        let organization = self.provider.configuration.organization_id.clone();
        let configuration = Some(via.configuration);
        let order = PlaceOrder { organization, key: None, agent: via.agent, to, from: None, configuration };
        match self.app.calls.place(order).await {
            Ok(call) => format!("Calling: `{}`", call.id),
            Err(problem) => format!("Not called: {problem}"),
        }
    }

    async fn at_the_desk(&self, command: Command) -> String {
        match command {
            Command::Monitor(on) => self.monitor(on).await,
            Command::Dial { to, .. } => self.dial(to).await,
            Command::History => match self.provider.desk_history(&self.person).await {
                Ok(entries) if entries.is_empty() => "No calls.".to_owned(),
                Ok(entries) => entries.iter().map(entry).collect::<Vec<_>>().join("\n"),
                Err(problem) => self.refused(&problem),
            },
            command => match self.provider.desk_calls(&self.person).await {
                Ok(calls) => self.about_a_call(&command, &calls).await,
                Err(problem) => self.refused(&problem),
            },
        }
    }

    async fn about_a_call(&self, command: &Command, calls: &[DeskCall]) -> String {
        use DeskState::{Connected, Dialing, Held, Ringing};
        let of = |states: &[DeskState]| states.iter().find_map(|state| calls.iter().find(|call| call.state == *state));
        let ringing = |call: &&DeskCall| call.state == Ringing;
        // A call from outside before the first leg of one's own.
        let inbound = calls.iter().filter(ringing).find(|call| call.direction == Direction::Inbound);
        let (found, verb, none): (_, fn(String) -> Order, _) = match command {
            Command::Answer => (inbound.or_else(|| of(&[Ringing])), Order::Answer, "No call rings."),
            Command::Hold => (of(&[Connected]), Order::Hold, "No call is connected."),
            Command::Resume => (of(&[Held]), Order::Resume, "No call is held."),
            _ => (of(&[Connected, Held, Dialing, Ringing]), Order::HangUp, "No call is up."),
        };
        let Some(call) = found else { return none.to_owned() };
        match self.provider.desk_order(&self.person, &verb(call.id.clone())).await {
            Ok(Ok(_)) => format!("Done: {}", party(call)),
            Ok(Err(Fault::NotFound)) => "That call is over.".to_owned(),
            Ok(Err(fault)) => self.refused(&refusal_of(&fault)),
            Err(problem) => self.refused(&problem),
        }
    }

    /// Once. Where it is not known what became of it, what is up is looked at, and nothing is dialled again.
    async fn dial(&self, to: String) -> String {
        match self.provider.desk_order(&self.person, &Order::Dial(to.clone())).await {
            Ok(Ok(_)) => format!("Calling {to}: your telephone rings first."),
            Ok(Err(Fault::UnknownOutcome(_))) => match self.provider.desk_calls(&self.person).await {
                Ok(calls) if calls.iter().any(|call| call.direction == Direction::Outbound) => {
                    format!("Calling {to}: the provider was slow to say so.")
                }
                _ => {
                    "The provider did not say whether it dials. Look at your telephone before you try again.".to_owned()
                }
            },
            Ok(Err(fault)) => self.refused(&refusal_of(&fault)),
            Err(problem) => self.refused(&problem),
        }
    }

    async fn monitor(&self, on: bool) -> String {
        let url = watch::webhook(&self.app, self.configuration());
        if let Err(problem) = self.provider.desk_watch(&self.person, on.then_some(url.as_str())).await {
            return self.refused(&problem);
        }
        match self.app.store.monitor_sign_in(self.configuration(), &self.person, on).await {
            Ok(()) if on => "Monitoring: your calls are told here.".to_owned(),
            Ok(()) => "Monitoring is off.".to_owned(),
            Err(error) => self.broken(&error),
        }
    }

    fn refused(&self, problem: &CallProblem) -> String {
        match problem {
            CallProblem::NotFound(_) => "The provider knows no such call.".to_owned(),
            CallProblem::ProviderUnavailable(_) => "The provider does not answer just now.".to_owned(),
            CallProblem::Plugin(_) => "The provider's plugin failed.".to_owned(),
            problem => format!("Not done: {problem}"),
        }
    }

    fn broken(&self, error: &dyn std::fmt::Display) -> String {
        tracing::error!(configuration = self.configuration(), %error, "the bot's state cannot be reached");
        "This is temporarily unavailable. Try again in a minute.".to_owned()
    }
}

fn stage_of(state: DeskState) -> DeskStage {
    match state {
        DeskState::Dialing => DeskStage::Dialing,
        DeskState::Ringing => DeskStage::Ringing,
        DeskState::Connected | DeskState::Held | DeskState::Other => DeskStage::Up,
        DeskState::Ended => DeskStage::Ended,
    }
}

/// A call as people read it.
fn shown(call: &DeskCall) -> String {
    let state = match call.state {
        DeskState::Dialing => "is being called",
        DeskState::Ringing => "rings",
        DeskState::Connected => "is connected",
        DeskState::Held => "is held",
        DeskState::Ended => "is over",
        DeskState::Other => return format!("{}: {}", party(call), inert(&call.raw)),
    };
    format!("{} {state}", party(call))
}

fn party(call: &DeskCall) -> String {
    let way = if call.direction == Direction::Inbound { "from" } else { "to" };
    match (inert(&call.name).as_str(), inert(&call.number).as_str()) {
        ("", "") => format!("call {way} a private number"),
        ("", number) => format!("call {way} {number}"),
        (name, "") => format!("call {way} {name}"),
        (name, number) => format!("call {way} {name} ({number})"),
    }
}

fn entry(entry: &HistoryEntry) -> String {
    let kind = match entry.kind {
        HistoryKind::Placed => "placed",
        HistoryKind::Missed => "missed",
        HistoryKind::Received => "received",
        HistoryKind::Other => "other",
    };
    let number = if entry.number.is_empty() { "private".to_owned() } else { inert(&entry.number) };
    format!("- {}, {kind}: {number} {}", inert(&entry.time), inert(&entry.name))
}

/// A sign-in as administrators see it: nothing of a token.
fn standing(known: &SignIn) -> String {
    let word = if known.revoked { "taken back" } else { "good" };
    let monitored = if known.monitored { ", monitored" } else { "" };
    format!("- {}: {word} until {}, token `***`{monitored}", inert(&known.person), moment(known.expires_at))
}

/// Text of others, without what a chat would read as markup.
fn inert(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() && !matches!(c, '[' | ']' | '(' | ')' | '<' | '>' | '`' | '*' | '#'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_are_called_is_no_markup() {
        let call = DeskCall {
            id: "c".into(),
            direction: Direction::Inbound,
            state: DeskState::Ringing,
            raw: "alerting".into(),
            name: "[Ann](https://evil.example) <b>`x`".into(),
            number: "1001".into(),
        };
        assert_eq!(shown(&call), "call from Annhttps://evil.example bx (1001) rings");
        let private = DeskCall { name: String::new(), number: String::new(), ..call };
        assert_eq!(shown(&private), "call from a private number rings");
    }
}
