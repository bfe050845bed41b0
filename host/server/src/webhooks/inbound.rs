//! A webhook that may be a call from outside.

use std::net::IpAddr;
use std::sync::Arc;

use axum::response::Response;
use http::header;
use jackfield_plugins::Generation;
use jackfield_plugins::types::{Action, Event, Incoming, Request, Response as Document, StatusUpdate};

use super::backlog::{About, Waiting};
use super::genuine::{self, Genuine, Unproved};
use super::{Refused, answer};
use crate::App;
use crate::answering::{self, NotNow, Offer};
use crate::bot;
use crate::clock::now_for_guests;
use crate::metrics::WebhookOutcome;

/// The hook's name where it is the number's own webhook.
const HOOK: &str = "inbound";

/// A webhook on the URL that all providers share.
pub(crate) async fn any(app: &App, request: Request, sender: IpAddr) -> Result<Response, Refused> {
    let (mut genuine, heard) = genuine::recognise(app, request, sender, hear).await?;
    events(app, &mut genuine, heard).await
}

/// A webhook on a configuration's own URL.
pub(crate) async fn of(app: &App, configuration: &str, request: Request) -> Result<Response, Refused> {
    let directory = app.store.directory();
    let known = directory.configuration(configuration).cloned();
    let configuration = known.ok_or(Refused::NotGenuine("unrecognised"))?;
    let serving = app.plugins.current(&configuration.provider);
    let generation = serving.ok_or_else(|| Refused::Unavailable("its plugin is not loaded".to_owned()))?;
    let (id, came_at) = (configuration.id.clone(), now_for_guests());
    match genuine::prove(app, &generation, configuration, request, hear).await {
        Ok((mut genuine, heard)) => events(app, &mut genuine, heard).await,
        Err(unproved) => unread(app, &generation, id, unproved, came_at),
    }
}

/// The plugin failed at a request that proves nothing yet.
fn unread(
    app: &App,
    generation: &Generation,
    configuration: String,
    unproved: Unproved,
    came_at: u64,
) -> Result<Response, Refused> {
    let Unproved { why, request } = unproved;
    if let Some(request) = request.filter(|_| why.is_failure()) {
        let about = About::Configuration(configuration);
        app.backlog().put(Waiting::of(generation, about, Request::clone(&request), came_at));
    }
    // An input that made the plugin fail twice is answered all the same, and costs no instance.
    match why {
        Refused::Quarantined => fallback(generation).ok_or(why),
        _ => Err(why),
    }
}

/// What a webhook says, and what whoever calls would hear: all that its guest does in its one turn.
struct Heard {
    events: Result<Vec<Event>, Refused>,
    prepared: Option<Box<Prepared>>,
}

/// A caller who would be let in.
struct Prepared {
    /// The build that the call begins on: all of its life it stays with it.
    generation: Arc<Generation>,
    offer: Result<Offer, NotNow>,
    /// None where another build is to write it.
    written: Option<Result<Document, Refused>>,
}

fn hear(app: &App, genuine: &mut Genuine) -> Heard {
    let events = genuine.read(app, HOOK);
    let incoming = events.iter().flatten().find_map(|event| match event {
        Event::Incoming(incoming) => Some(incoming),
        _ => None,
    });
    let prepared = incoming.map(|incoming| Box::new(prepare(app, genuine, incoming)));
    Heard { events, prepared }
}

fn prepare(app: &App, genuine: &mut Genuine, incoming: &Incoming) -> Prepared {
    let generation = app.rollout.pick(genuine.generation(), &incoming.provider_id);
    let offer = answering::offer(app, &generation, &genuine.configuration, &genuine.directory, incoming);
    let same = generation.digest() == genuine.generation().digest();
    let written = offer.as_ref().ok().filter(|_| same).map(|offer| match answering::by_command(&generation) {
        true => genuine.reply_now(app, None, &Action::Acknowledge),
        false => genuine.reply_now(app, offer.call().as_ref(), offer.action()),
    });
    Prepared { generation, offer, written }
}

async fn events(app: &App, genuine: &mut Genuine, heard: Heard) -> Result<Response, Refused> {
    let outcome = match heard.events {
        Ok(events) => act(app, genuine, events, heard.prepared).await,
        // The caller is on the line: a plugin that cannot read may still be able to speak.
        Err(Refused::Plugin(reason)) => {
            tracing::error!(reason, "a plugin failed at an inbound call");
            // It may have told how a call ended: another build is to read that.
            let about = About::Configuration(genuine.configuration.id.clone());
            let (request, came_at) = (Request::clone(genuine.request()), genuine.proved_at());
            app.backlog().put(Waiting::of(genuine.generation(), about, request, came_at));
            speak(app, genuine, "An application error has occurred. Goodbye.")
                .await
                .or_else(|_| fallback(genuine.generation()).ok_or(Refused::Plugin(reason)))
        }
        Err(refused) => Err(refused),
    };
    if outcome.is_err() {
        genuine.forget(app).await;
    }
    outcome
}

async fn act(
    app: &App,
    genuine: &mut Genuine,
    events: Vec<Event>,
    mut prepared: Option<Box<Prepared>>,
) -> Result<Response, Refused> {
    let mut answer = None;
    for event in events {
        match event {
            Event::Incoming(incoming) => {
                if let Some(prepared) = prepared.take() {
                    answer = Some(admit(app, genuine, &incoming, prepared).await?);
                }
            }
            // Boxed: what calls that come in need no room for.
            Event::Status(update) => Box::pin(report(app, genuine, update)).await?,
            Event::Proceed(_) | Event::Message(_) | Event::Desk(_) if genuine.is_repeated(app).await? => {}
            Event::Proceed(_) => app.sockets().happened(app, &genuine.configuration, event),
            Event::Message(notice) => bot::wrote(app, &genuine.configuration, notice),
            Event::Desk(event) => bot::happened(app, &genuine.configuration, event),
            _ => {}
        }
    }
    app.metrics.webhook(WebhookOutcome::Accepted);
    match answer {
        Some(answer) => Ok(answer),
        None => answer::checked(Box::pin(genuine.reply(app, None, Action::Acknowledge)).await?),
    }
}

/// A number's own status callback names no call of ours in its path: the provider's id must do.
async fn report(app: &App, genuine: &Genuine, update: StatusUpdate) -> Result<(), Refused> {
    let call = app.store.call_by_provider_id(&genuine.configuration.id, &update.provider_id).await;
    if let Some(call) = call.map_err(|error| Refused::Unavailable(error.to_string()))? {
        app.calls.reported(&call.id, update).await.map_err(Refused::Unavailable)?;
    }
    Ok(())
}

/// What an earlier build failed at, read by another one. A caller who was on the line is not there any more.
pub(super) async fn again(
    app: &App,
    build: &Arc<Generation>,
    configuration: &str,
    request: Request,
    came_at: u64,
) -> Result<(), Refused> {
    let known = app.store.directory().configuration(configuration).cloned();
    let configuration = known.ok_or(Refused::NotGenuine("unrecognised"))?;
    let read = |app: &App, genuine: &mut Genuine| genuine.read(app, HOOK);
    let (genuine, events) = genuine::prove_as_of(app, build, configuration, request, came_at, read).await?;
    for event in events? {
        if let Event::Status(update) = event {
            report(app, &genuine, update).await?;
        }
    }
    Ok(())
}

async fn admit(
    app: &App,
    genuine: &mut Genuine,
    incoming: &Incoming,
    prepared: Box<Prepared>,
) -> Result<Response, Refused> {
    let Prepared { generation, offer, written } = *prepared;
    genuine.switch(&generation);
    let configuration = Arc::clone(&genuine.configuration);
    let unavailable = |why: NotNow| Refused::Unavailable(why.to_string());
    let offer = offer.map_err(unavailable)?;
    let by_command = answering::by_command(&generation);
    let (about, offered) = match by_command {
        true => (None, Action::Acknowledge),
        false => (offer.call(), offer.action().clone()),
    };
    let written = match written {
        Some(written) => written,
        // Boxed, as below: most answers were written with the offer.
        None => Box::pin(genuine.reply(app, about, offered.clone())).await,
    };
    let told = answering::admit(app, &generation, &configuration, offer).await.map_err(unavailable)?;
    if by_command {
        let provider = app.calls.provider_of(generation, configuration);
        answering::command(app, provider, told, answering::caller(incoming));
        return answer::checked(written?);
    }
    if told.action == offered {
        return answer::checked(written?);
    }
    answer::checked(Box::pin(genuine.reply(app, told.call, told.action)).await?)
}

/// The document that the plugin declared for the time when it cannot answer itself.
fn fallback(generation: &Generation) -> Option<Response> {
    let extra = &generation.describe().extra;
    let of = |name: &str| extra.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let response = Response::builder().header(header::CONTENT_TYPE, of("fallback-type")?);
    response.body(of("fallback-body")?.into()).ok()
}

async fn speak(app: &App, genuine: &mut Genuine, sentence: &str) -> Result<Response, Refused> {
    answer::checked(Box::pin(genuine.reply(app, None, answering::say(sentence))).await?)
}
