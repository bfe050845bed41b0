//! The proof that a webhook is genuine, as a type: only this file makes a [`Genuine`], and only a [`Genuine`] is read.

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jackfield_plugins::proof::Basis;
use jackfield_plugins::types::{Account, Action, Call, Disproof, Event, Fault, Identity, Request, Response};
use jackfield_plugins::{Generation, GuestError, WebhookGuest, proof, secrets_of};
use jackfield_store::{Configuration, Directory, Secret};
use serde_json::json;

use super::Refused;
use super::redacted::redacted;
use crate::App;
use crate::account::account_of;
use crate::clock::{now_for_guests, now_ms};
use crate::rollout::{Leave, Sample, kinds};

/// More accounts than this behind one identity are not tried: each costs a proof.
const CANDIDATES: usize = 8;

/// A request whose proof held, with the guest that can read it.
pub(crate) struct Genuine {
    generation: Arc<Generation>,
    /// None once it has written an answer: it is gone before anything is waited for.
    guest: Option<WebhookGuest>,
    account: Account,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) directory: Arc<Directory>,
    request: Arc<Request>,
    replay_key: Option<String>,
    /// Was the same message processed before? Unknown until somebody asks: a call that comes in is known by its own name.
    repeated: Option<bool>,
    /// Unix milliseconds of its proof.
    proved_at: u64,
    /// In the plugin's guests so far.
    spent: Duration,
}

/// Why a request is not read; and the request, where it was not its fault.
pub(crate) struct Unproved {
    pub(super) why: Refused,
    pub(super) request: Option<Arc<Request>>,
}

/// What one plugin says of a request that may be its own.
enum Claimed<T> {
    /// Proved, and then read in the same turn.
    Proved(Box<Genuine>, T),
    /// Any plugin can say that a request is its own, also of one that is another's.
    Said(Arc<Configuration>),
    No(Refused),
}

/// Looks for the account that a request proves to be about, over all plugins that recognise it. Until then it is on account of
/// whoever sent it. What is to be done `then` is done by the same guest in the same turn.
pub(crate) async fn recognise<T: Send + 'static>(
    app: &App,
    request: Request,
    sender: IpAddr,
    then: impl Fn(&App, &mut Genuine) -> T + Copy + Send + 'static,
) -> Result<(Box<Genuine>, T), Refused> {
    let directory = app.store.directory();
    let (mut refused, mut weak) = (Refused::NotGenuine("unrecognised"), None);
    let request = Arc::new(request);
    // A provider that nobody has an account with is not asked: it costs nothing, and learns nothing of others' calls.
    let asked = |generation: &Arc<Generation>| {
        generation.reads_webhooks() && directory.configurations_of(&generation.describe().name).next().is_some()
    };
    let mut queue: VecDeque<_> = app.plugins.serving().into_iter().filter(asked).collect();
    // Whoever has no turn free is asked once more behind all others: what is kept waiting by one plugin is its own.
    let mut first_round = queue.len();
    while let Some(generation) = queue.pop_front() {
        let work = {
            let (app, generation, directory) = (app.clone(), Arc::clone(&generation), Arc::clone(&directory));
            let request = Arc::clone(&request);
            move || match claimed(&app, &generation, &directory, &request) {
                Ok((_, configuration, held)) if held.basis == Basis::Plugin => Claimed::Said(configuration),
                Ok(claim) => {
                    let mut genuine = genuine(claim, Arc::clone(&directory), Arc::clone(&request));
                    let done = then(&app, &mut genuine);
                    Claimed::Proved(genuine, done)
                }
                Err(why) => Claimed::No(why),
            }
        };
        let outcome = match generation.turn_if_free(&app.guests, work).await {
            Ok(outcome) => outcome,
            Err(_) if first_round > 0 => {
                first_round -= 1;
                queue.push_back(generation);
                continue;
            }
            Err(work) => generation.turn(&app.guests, &sender.to_string(), work).await,
        };
        first_round = first_round.saturating_sub(1);
        match outcome {
            Ok(Claimed::Proved(genuine, done)) => return Ok((genuine, done)),
            Ok(Claimed::Said(configuration)) => {
                weak.get_or_insert((generation, configuration));
            }
            // It may have been this one's, and must not keep the others from it.
            Ok(Claimed::No(why)) => refused = refused.or(why),
            Err(error) => refused = refused.or(Refused::Unavailable(error.to_string())),
        }
    }
    let (generation, configuration) = weak.ok_or(refused)?;
    Ok(prove_shared(app, &generation, configuration, request, now_for_guests(), then).await?)
}

/// Who is to read a request, and about which account.
type Claim = (WebhookGuest, Arc<Configuration>, Held);

/// Asks one plugin whether a request is its own, and holds it to the proof.
fn claimed(
    app: &App,
    generation: &Arc<Generation>,
    directory: &Directory,
    request: &Request,
) -> Result<Claim, Refused> {
    let unrecognised = Refused::NotGenuine("unrecognised");
    // One that is out is not asked.
    let Ok(mut guest) = fresh(app, generation, request) else { return Err(unrecognised) };
    let identity = match guest.identify(request) {
        Ok(Some(identity)) => identity,
        Ok(None) => return Err(unrecognised),
        // Nothing says that it was meant; and it is not to cost every webhook its time again and again.
        Err(error) => {
            failed(app, generation, request, &error);
            return Err(unrecognised);
        }
    };
    let mut reason = "unrecognised";
    for configuration in candidates(directory, generation, &generation.describe().name, &identity) {
        match proven(app, &mut guest, &configuration, request, now_for_guests())? {
            Ok(held) => return Ok((guest, configuration, held)),
            Err(why) => reason = why,
        }
    }
    Err(Refused::NotGenuine(reason))
}

/// Proves a request about a known account, with the generation that is to read it. What is to be done `then` is done by the same
/// guest in the same turn.
pub(crate) async fn prove<T: Send + 'static>(
    app: &App,
    generation: &Arc<Generation>,
    configuration: Arc<Configuration>,
    request: Request,
    then: impl Fn(&App, &mut Genuine) -> T + Send + 'static,
) -> Result<(Box<Genuine>, T), Unproved> {
    prove_as_of(app, generation, configuration, request, now_for_guests(), then).await
}

/// The same for a request that came at that time, in Unix milliseconds.
pub(super) async fn prove_as_of<T: Send + 'static>(
    app: &App,
    generation: &Arc<Generation>,
    configuration: Arc<Configuration>,
    request: Request,
    came_at: u64,
    then: impl Fn(&App, &mut Genuine) -> T + Send + 'static,
) -> Result<(Box<Genuine>, T), Unproved> {
    prove_shared(app, generation, configuration, Arc::new(request), came_at, then).await
}

async fn prove_shared<T: Send + 'static>(
    app: &App,
    generation: &Arc<Generation>,
    configuration: Arc<Configuration>,
    request: Arc<Request>,
    came_at: u64,
    then: impl Fn(&App, &mut Genuine) -> T + Send + 'static,
) -> Result<(Box<Genuine>, T), Unproved> {
    let whose = configuration.id.clone();
    let work = {
        let (app, generation, request) = (app.clone(), Arc::clone(generation), Arc::clone(&request));
        move || -> Result<Result<(Box<Genuine>, T), &'static str>, Refused> {
            let mut guest = fresh(&app, &generation, &request)?;
            Ok(proven(&app, &mut guest, &configuration, &request, came_at)?.map(|held| {
                let (claim, directory) = ((guest, Arc::clone(&configuration), held), app.store.directory());
                let mut genuine = genuine(claim, directory, Arc::clone(&request));
                let done = then(&app, &mut genuine);
                (genuine, done)
            }))
        }
    };
    match generation.turn(&app.guests, &whose, work).await {
        Ok(Ok(Ok(proved))) => Ok(proved),
        Ok(Ok(Err(why))) => {
            generation.refused();
            Err(Refused::NotGenuine(why).into())
        }
        Ok(Err(why)) => Err(Unproved { why, request: Some(request) }),
        Err(error) => Err(Unproved { why: Refused::Unavailable(error.to_string()), request: Some(request) }),
    }
}

impl From<Refused> for Unproved {
    fn from(why: Refused) -> Self {
        Self { why, request: None }
    }
}

impl From<Unproved> for Refused {
    fn from(unproved: Unproved) -> Self {
        unproved.why
    }
}

impl Genuine {
    /// The generation that proved it, or that the call begins on.
    pub(crate) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// As it came.
    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// Unix milliseconds.
    pub(super) fn proved_at(&self) -> u64 {
        self.proved_at
    }

    /// Was the same message processed before?
    pub(super) async fn is_repeated(&mut self, app: &App) -> Result<bool, Refused> {
        let key = match (self.repeated, &self.replay_key) {
            (Some(known), _) => return Ok(known),
            (None, None) => return Ok(false),
            (None, Some(key)) => key,
        };
        let first = app.shared.first_seen(key, app.settings.limits.replay_memory()).await;
        let repeated = !first.map_err(|error| Refused::Unavailable(error.to_string()))?;
        self.repeated = Some(repeated);
        Ok(repeated)
    }

    /// What it says. To be asked for in its guest's turn.
    pub(crate) fn read(&mut self, app: &App, hook: &str) -> Result<Vec<Event>, Refused> {
        let mut guest = self.guest.take().map_or_else(|| fresh(app, &self.generation, &self.request), Ok)?;
        let began = Instant::now();
        let read = guest.read(&self.account, &self.request, hook);
        self.spent += began.elapsed();
        self.guest = Some(guest);
        match read {
            Ok(Ok(events)) => {
                let generation = &self.generation;
                app.rollout.breaker().did_well(generation.digest());
                generation.answered(u64::try_from(self.spent.as_micros()).unwrap_or(u64::MAX));
                app.rollout.saw(generation, hook, || Sample {
                    account: self.account.clone(),
                    request: Request::clone(&self.request),
                    hook: hook.to_owned(),
                    at: self.proved_at,
                });
                tracing::trace!(hook, events = kinds(&events), "a webhook was read");
                Ok(events)
            }
            Ok(Err(fault)) => Err(Refused::Malformed(told(&fault))),
            Err(error) => Err(failed(app, &self.generation, &self.request, &error)),
        }
    }

    /// Goes on with another build of the plugin: the one that the call begins on.
    pub(crate) fn switch(&mut self, generation: &Arc<Generation>) {
        if generation.digest() != self.generation.digest() {
            self.guest = None;
            self.generation = Arc::clone(generation);
        }
    }

    /// How this provider writes an answer, in the turn that its guest has.
    pub(super) fn reply_now(&mut self, app: &App, call: Option<&Call>, action: &Action) -> Result<Response, Refused> {
        let written = write(app, &self.generation, self.guest.take(), &self.account, &self.request, call, action);
        self.checked(app, written)
    }

    /// The same in a turn of its own.
    pub(crate) async fn reply(&mut self, app: &App, call: Option<Call>, action: Action) -> Result<Response, Refused> {
        let work = {
            let (app, generation, guest) = (app.clone(), Arc::clone(&self.generation), Cell::new(self.guest.take()));
            let (account, request) = (self.account.clone(), Arc::clone(&self.request));
            move || write(&app, &generation, guest.take(), &account, &request, call.as_ref(), &action)
        };
        let written = self.generation.next_turn(&app.guests, &self.configuration.id, work).await;
        self.checked(app, written.unwrap_or_else(|error| Err(Unwritten::Guest(error))))
    }

    fn checked(&self, app: &App, written: Written) -> Result<Response, Refused> {
        match written {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(fault)) => Err(Refused::Plugin(told(&fault))),
            Err(Unwritten::NotAsked(why)) => Err(why),
            Err(Unwritten::Guest(error)) => Err(failed(app, &self.generation, &self.request, &error)),
        }
    }

    /// Lets the sender's next try count as the first: this one came to nothing.
    pub(crate) async fn forget(&self, app: &App) {
        if let (Some(key), Some(false)) = (&self.replay_key, self.repeated) {
            app.shared.forget(key).await.ok();
        }
    }
}

/// What came of writing an answer.
type Written = Result<Result<Response, Fault>, Unwritten>;

enum Unwritten {
    NotAsked(Refused),
    Guest(GuestError),
}

/// A guest that failed gets one more try in a fresh store.
fn write(
    app: &App,
    generation: &Arc<Generation>,
    guest: Option<WebhookGuest>,
    account: &Account,
    request: &Request,
    call: Option<&Call>,
    action: &Action,
) -> Written {
    let another = || fresh(app, generation, request).map_err(Unwritten::NotAsked);
    let mut guest = guest.map_or_else(another, Ok)?;
    let written = match guest.reply(account, call, action) {
        Err(GuestError::Result { .. } | GuestError::Trap { .. } | GuestError::Deadline { .. }) => {
            guest = another()?;
            guest.reply(account, call, action)
        }
        written => written,
    };
    written.map_err(Unwritten::Guest)
}

/// What an input is remembered by: all that a plugin reads of it but its headers, which differ with every try.
fn input_of(request: &Request) -> [u8; 32] {
    let path = request.url.split_once("/api/").map_or(request.url.as_str(), |(_, path)| path);
    crate::token::digest([request.method.as_bytes(), b" ", path.as_bytes(), b"\n", &request.body].concat())
}

/// A plugin failed at an input.
fn failed(app: &App, generation: &Generation, request: &Request, error: &GuestError) -> Refused {
    if matches!(error, GuestError::Postponed { .. }) {
        return Refused::Unavailable(error.to_string());
    }
    let (plugin, input) = (&generation.describe().name, input_of(request));
    let shown = || {
        let shown = redacted(request);
        tracing::warn!(plugin, digest = generation.digest(), %error, input = %shown, "a plugin failed at this");
        json!({ "error": error.to_string(), "request": shown })
    };
    // A trap is over at once; a guest that uses up its time has kept a thread from others for all of it.
    let (now, ran_out) = (Instant::now(), matches!(error, GuestError::Deadline { .. }));
    if ran_out {
        generation.ran_out_of_time(now);
    }
    let weight = if ran_out { 4 } else { 1 };
    if app.rollout.breaker().failed(generation.digest(), &input, weight, shown, now) {
        tracing::error!(plugin, digest = generation.digest(), "a plugin keeps failing and is taken out for a while");
    }
    Refused::Plugin(error.to_string())
}

/// A fresh store for this webhook.
fn fresh(app: &App, generation: &Arc<Generation>, request: &Request) -> Result<WebhookGuest, Refused> {
    match app.rollout.breaker().leave(generation.digest(), || input_of(request), Instant::now()) {
        Leave::Yes => {}
        Leave::Out(left) => {
            let seconds = left.as_secs().max(1);
            return Err(Refused::Out(format!("the plugin keeps failing and is out for {seconds} s")));
        }
        Leave::Quarantined => return Err(Refused::Quarantined),
    }
    generation.webhooks().map_err(|error| match error {
        GuestError::NoInstance(reason) => Refused::Unavailable(reason),
        error => Refused::Plugin(error.to_string()),
    })
}

/// The accounts an identity may stand for. Where it names none, those that have the called number.
fn candidates(
    directory: &Directory,
    generation: &Generation,
    provider: &str,
    identity: &Identity,
) -> Vec<Arc<Configuration>> {
    let field = generation.describe().identifying_field.as_deref();
    if let (Some(field), Some(account)) = (field, &identity.account) {
        return directory.configurations_with(provider, field, account).take(CANDIDATES).cloned().collect();
    }
    let has = |configuration: &Arc<Configuration>| match &identity.called {
        Some(called) => directory.number(&configuration.id, called).is_some(),
        None => true,
    };
    directory.configurations_of(provider).filter(|configuration| has(configuration)).take(CANDIDATES).cloned().collect()
}

/// What a proof that held brings along.
struct Held {
    account: Account,
    replay_key: Option<String>,
    at: u64,
    spent: Duration,
    basis: Basis,
}

type Proven = Result<Held, &'static str>;

fn proven(
    app: &App,
    guest: &mut WebhookGuest,
    configuration: &Arc<Configuration>,
    request: &Request,
    now: u64,
) -> Result<Proven, Refused> {
    let (account, began) = (account_of(configuration), Instant::now());
    let authenticated = guest.authenticate(&account, request, now);
    let spent = began.elapsed();
    let proof = match authenticated {
        Ok(Ok(proof)) => proof,
        Ok(Err(Disproof::Unsigned)) => return Ok(Err("unsigned")),
        Ok(Err(Disproof::Malformed(_) | Disproof::Other(_))) => return Ok(Err("malformed")),
        Err(error) => return Err(failed(app, guest.generation(), request, &error)),
    };
    // None but those that the plugin describes, and that admission held against its grants.
    let provider = guest.generation().describe();
    let described = |name: &str| secrets_of(provider).any(|described| described == name);
    let secret = |name: &str| configuration.secrets.get(name).filter(|_| described(name)).map(|secret| secret.expose());
    // Secrets that were replaced prove webhooks until their time is over.
    let stored_now = now_ms();
    let live = |(_, until): &&(Secret, i64)| *until > stored_now;
    let older = |name: &str| match configuration.previous.get(name).filter(live).filter(|_| described(name)) {
        Some((secret, _)) => Some(secret.expose()),
        None => secret(name),
    };
    let own_key = |key: &[u8]| holds_key(configuration, key);
    let by_older = || (!configuration.previous.is_empty()).then(|| proof::basis(&proof, &older, &own_key)).flatten();
    let Some(basis) = proof::basis(&proof, &secret, &own_key).or_else(by_older) else {
        return Ok(Err("mismatch"));
    };
    let window = app.settings.limits.replay_window();
    if let Some(signed) = proof.signed_at.filter(|signed| stale(*signed, now, window)) {
        let seconds = now.abs_diff(signed) / 1_000;
        tracing::warn!(seconds, "a webhook was signed at another time: sent again by somebody, or a clock is off");
        return Ok(Err("stale"));
    }
    let replay_key = proof.replay_key.map(|key| format!("{}:{key}", configuration.id));
    Ok(Ok(Held { account, replay_key, at: now, spent, basis }))
}

/// Is that public key in one of an account's fields?
fn holds_key(configuration: &Configuration, key: &[u8]) -> bool {
    let is_key = |text: &String| {
        let text = text.trim();
        STANDARD.decode(text).is_ok_and(|known| known == key) || hex::decode(text).is_ok_and(|known| known == key)
    };
    configuration.fields.values().any(is_key)
}

fn stale(signed_at: u64, now: u64, window: Duration) -> bool {
    u128::from(now.abs_diff(signed_at)) > window.as_millis()
}

fn genuine((guest, configuration, held): Claim, directory: Arc<Directory>, request: Arc<Request>) -> Box<Genuine> {
    let Held { account, replay_key, at: proved_at, spent, basis: _ } = held;
    // Without a key there is nothing to know it by.
    let repeated = replay_key.is_none().then_some(false);
    let (generation, guest) = (Arc::clone(guest.generation()), Some(guest));
    Box::new(Genuine {
        generation,
        guest,
        account,
        configuration,
        directory,
        request,
        replay_key,
        repeated,
        proved_at,
        spent,
    })
}

/// A fault as an operator reads it; what the provider sent is not repeated.
pub(crate) fn told(fault: &Fault) -> String {
    match fault {
        Fault::Malformed(what) => format!("the provider sent what its protocol does not allow: {what}"),
        Fault::Account(what) => format!("the account cannot work: {what}"),
        Fault::Unsupported(what) => format!("this provider cannot do it: {what}"),
        Fault::Refused(refusal) => format!("the provider refused ({}): {}", refusal.code, refusal.message),
        Fault::RetryLater(seconds) => format!("the provider asks to come again in {seconds} s"),
        Fault::NotFound => "the provider knows no such call or number".to_owned(),
        Fault::UnknownOutcome(what) => format!("the provider may or may not have done it: {what}"),
        Fault::Other(what) => what.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_fresh_within_the_window_on_both_sides_and_never_outside() {
        const NOW: u64 = 1_768_471_262_000;
        let window = Duration::from_mins(5);
        let signed = [-301, -300, -299, 0, 299, 300, 301].map(|seconds| NOW.saturating_add_signed(seconds * 1_000));
        assert_eq!(signed.map(|at| stale(at, NOW, window)), [true, false, false, false, false, false, true]);
        for never in [0, 1, i64::MAX.unsigned_abs(), u64::MAX] {
            assert!(stale(never, NOW, window), "{never}");
        }
    }
}
