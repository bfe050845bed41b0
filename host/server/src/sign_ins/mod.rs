//! People's sign-ins with a provider: OAuth's authorization code flow (RFC 6749), run by the host for any plugin whose
//! `describe` asks for it.
//!
//! Promises: a `state` is good once, for five minutes, and for whoever it was given to; nobody can bind another's account
//! to themselves; tokens are sealed and leave this folder only as the credential of a request; of many who need a fresh
//! token at once, on however many nodes, one asks for it; a provider that is out of order costs nobody their sign-in.

mod exchange;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use jackfield_egress::{Egress, Grant};
use jackfield_plugins::types::{Provider, SignIn as Terms};
use jackfield_store::{Configuration, Secret, Shared, SignIn, SignInFlow, Store, StoreError, new_id};
use tokio::time::{Instant, sleep, timeout};

use crate::clock::now_ms;
use crate::outbound::grants_of;
use crate::retries::Retries;
use crate::token;
use exchange::{Exchange, Tokens};

/// How long somebody may take from the link to the sign-in.
const FLOW: Duration = Duration::from_secs(300);
/// A token that ends sooner is renewed, while it is still used.
const EARLY_MS: i64 = 120_000;
/// Whoever renews does so alone among all nodes for so long; one that dies at it is waited for no longer.
const ALONE: Duration = Duration::from_secs(30);
/// What is not renewed by then is given up: longer, and another might be at it.
const AT_MOST: Duration = Duration::from_secs(25);
/// How long another node is waited for, and how often it is looked whether it is done.
const PATIENCE: Duration = Duration::from_secs(12);
const GLANCE: Duration = Duration::from_millis(50);

/// Sign-ins. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SignIns(Arc<Inner>);

struct Inner {
    store: Store,
    shared: Shared,
    egress: Egress,
    retries: Retries,
    redirect: String,
    /// One renewal at a time for each person, on this node: those who wait here ask Redis for nothing.
    renewals: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

/// One account's terms with its provider.
pub(crate) struct Client {
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) terms: Terms,
    pub(crate) grants: Vec<Grant>,
}

/// Why there is no bearer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoBearer {
    #[error("this person has not signed in")]
    NotSignedIn,
    #[error("the provider has taken this sign-in back: sign in anew")]
    Revoked,
    #[error("the sign-in cannot be renewed just now: {0}")]
    Unavailable(String),
}

/// Why a sign-in did not come about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Nobody is on their way with that `state`.
    UnknownState,
    /// The person, or the provider, said no.
    Declined,
    /// The provider did not take the code.
    NotExchanged(String),
    /// Somebody else signed in.
    AnotherPerson,
    Store(String),
}

impl Client {
    /// None for a provider that people don't sign in with.
    pub(crate) fn new(configuration: Arc<Configuration>, provider: &Provider) -> Option<Self> {
        let grants = grants_of(provider, &configuration);
        Some(Self { terms: provider.sign_in.clone()?, grants, configuration })
    }

    fn field(&self, name: &str) -> &str {
        self.configuration.fields.get(name).map(String::as_str).unwrap_or_default()
    }
}

impl SignIns {
    pub(crate) fn new(store: Store, shared: Shared, egress: Egress, retries: Retries, public_url: &str) -> Self {
        let redirect = format!("{}/api/v1/oauth/redirect", public_url.trim_end_matches('/'));
        Self(Arc::new(Inner { store, shared, egress, retries, redirect, renewals: Mutex::default() }))
    }

    /// The link by which a person signs in.
    pub(crate) async fn begin(&self, client: &Client, person: &str) -> Result<String, String> {
        let (state, verifier) = (token::fresh()?, client.terms.pkce.then(token::fresh).transpose()?);
        let link = self.link(client, &state, verifier.as_deref())?;
        let flow = SignInFlow {
            configuration_id: client.configuration.id.clone(),
            person: person.to_owned(),
            verifier: verifier.map(Secret::from),
        };
        let kept = self.0.shared.put_sign_in_flow(token::digest(&state), flow, FLOW).await;
        kept.map_err(|error| error.to_string())?;
        Ok(link)
    }

    fn link(&self, client: &Client, state: &str, verifier: Option<&str>) -> Result<String, String> {
        let mut url = url::Url::parse(&client.terms.authorize_url).map_err(|error| error.to_string())?;
        let mut query = url.query_pairs_mut();
        query
            .append_pair("client_id", client.field(&client.terms.client_id))
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", &self.0.redirect)
            .append_pair("scope", &scopes(client.field(&client.terms.scopes)))
            .append_pair("state", state);
        if let Some(verifier) = verifier {
            query.append_pair("code_challenge", &exchange::challenge(verifier));
            query.append_pair("code_challenge_method", "S256");
        }
        drop(query);
        Ok(url.into())
    }

    /// Who set out with that `state`. It is spent from here on.
    pub(crate) async fn returning(&self, state: &str) -> Result<SignInFlow, Failed> {
        let flow = self.0.shared.take_sign_in_flow(token::digest(state)).await;
        flow.map_err(|error| Failed::Store(error.to_string()))?.ok_or(Failed::UnknownState)
    }

    /// Exchanges a code, if it is the person's who set out.
    pub(crate) async fn finish(&self, client: &Client, flow: &SignInFlow, code: &str) -> Result<SignIn, Failed> {
        let exchange = self.exchange(client);
        let now = now_ms();
        let tokens = exchange.code(code, flow.verifier.as_ref()).await.map_err(Failed::NotExchanged)?;
        if exchange.identity(&tokens.access).await.map_err(Failed::NotExchanged)? != flow.person {
            return Err(Failed::AnotherPerson);
        }
        let earlier = self.0.store.sign_in(&flow.configuration_id, &flow.person).await;
        let monitored = earlier.ok().flatten().is_some_and(|earlier| earlier.monitored);
        let known = signed_in(flow.configuration_id.clone(), flow.person.clone(), tokens, monitored, now);
        let kept = self.0.store.put_sign_in(&known, now).await;
        kept.map_err(|error| Failed::Store(error.to_string()))?;
        Ok(known)
    }

    /// A bearer that is good for a while.
    pub(crate) async fn bearer(&self, client: &Arc<Client>, person: &str) -> Result<Secret, NoBearer> {
        let known = self.known(client, person).await?;
        let left = known.expires_at - now_ms();
        if left <= 0 {
            return self.renew(client, person, &known.access).await;
        }
        if left < EARLY_MS {
            let (sign_ins, client, person, spent) =
                (self.clone(), Arc::clone(client), person.to_owned(), known.access.clone());
            tokio::spawn(async move { sign_ins.renew(&client, &person, &spent).await.is_ok() });
        }
        Ok(known.access)
    }

    /// A bearer in the place of one that is spent. Of many who ask, on any node, one goes to the provider.
    pub(crate) async fn renew(&self, client: &Client, person: &str, spent: &Secret) -> Result<Secret, NoBearer> {
        let turn = self.turn(&client.configuration.id, person);
        let _turn = turn.lock().await;
        let (lease, holder) = (lease_of(&client.configuration.id, person), new_id("renewal"));
        let began = Instant::now();
        loop {
            let known = self.known(client, person).await?;
            if known.access != *spent {
                return Ok(known.access);
            }
            // Without Redis nobody knows who else is at it, and some providers take a token that comes twice for stolen.
            if self.0.shared.lease(&lease, &holder, ALONE).await.map_err(unavailable)? {
                break;
            }
            if began.elapsed() > PATIENCE {
                return Err(NoBearer::Unavailable("another node has not yet done so".to_owned()));
            }
            sleep(GLANCE).await;
        }
        let renewed = timeout(AT_MOST, self.renew_alone(client, person, spent)).await;
        // It ends by itself as well.
        self.0.shared.release_lease(&lease, &holder).await.ok();
        renewed.unwrap_or_else(|_| Err(NoBearer::Unavailable("it took too long".to_owned())))
    }

    async fn renew_alone(&self, client: &Client, person: &str, spent: &Secret) -> Result<Secret, NoBearer> {
        // Whoever was alone before may have done it since it was looked at.
        let known = self.known(client, person).await?;
        if known.access != *spent {
            return Ok(known.access);
        }
        let refresh = known.refresh.clone().ok_or(NoBearer::Revoked)?;
        let now = now_ms();
        match self.exchange(client).refresh(&refresh).await {
            Ok(tokens) => {
                // A provider that does not send the token for the next time means the same one.
                let tokens = Tokens { refresh: tokens.refresh.or(known.refresh), ..tokens };
                let renewed = signed_in(known.configuration_id, known.person, tokens, known.monitored, now);
                self.0.store.put_sign_in(&renewed, now).await.map_err(unavailable)?;
                Ok(renewed.access)
            }
            Err(exchange::Refused::Declined) => {
                self.revoke(client, person).await;
                Err(NoBearer::Revoked)
            }
            Err(exchange::Refused::Unavailable(why)) => Err(NoBearer::Unavailable(why)),
        }
    }

    /// The provider takes this sign-in no more.
    pub(crate) async fn revoke(&self, client: &Client, person: &str) {
        tracing::info!(configuration = client.configuration.id, "a sign-in was taken back by the provider");
        if let Err(error) = self.0.store.revoke_sign_in(&client.configuration.id, person).await {
            tracing::error!(%error, "a revoked sign-in could not be marked");
        }
    }

    async fn known(&self, client: &Client, person: &str) -> Result<SignIn, NoBearer> {
        let known = self.0.store.sign_in(&client.configuration.id, person).await.map_err(unavailable)?;
        match known {
            None => Err(NoBearer::NotSignedIn),
            Some(known) if known.revoked => Err(NoBearer::Revoked),
            Some(known) => Ok(known),
        }
    }

    fn exchange<'a>(&'a self, client: &'a Client) -> Exchange<'a> {
        Exchange { egress: &self.0.egress, retries: &self.0.retries, client, redirect: &self.0.redirect }
    }

    fn turn(&self, configuration: &str, person: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut renewals = self.0.renewals.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{configuration}/{person}");
        if let Some(turn) = renewals.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        renewals.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        renewals.insert(key, Arc::downgrade(&turn));
        turn
    }
}

/// Says nothing of the person to whoever sees Redis.
fn lease_of(configuration: &str, person: &str) -> String {
    format!("sign-in:{}", hex::encode(token::digest(format!("{configuration}/{person}"))))
}

#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn unavailable(error: StoreError) -> NoBearer {
    NoBearer::Unavailable(error.to_string())
}

/// `now` is the moment before the request was sent, so that an end is too early rather than too late.
fn signed_in(configuration_id: String, person: String, tokens: Tokens, monitored: bool, now: i64) -> SignIn {
    let after = |seconds: i64| now.saturating_add(seconds.saturating_mul(1_000));
    SignIn {
        configuration_id,
        person,
        access: tokens.access,
        refresh: tokens.refresh,
        expires_at: after(tokens.lasts),
        refresh_expires_at: tokens.refresh_lasts.map(after),
        scope: tokens.scope,
        revoked: false,
        monitored,
    }
}

/// As people paste them: a list, a query, or the whole URL that they were shown.
fn scopes(typed: &str) -> String {
    let query = typed.rsplit_once('?').map_or(typed, |(_, query)| query);
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "scope");
    let list = match &found {
        Some((_, list)) if !list.is_empty() => list,
        _ => typed,
    };
    list.split([' ', ',', '\n']).filter(|scope| !scope.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_from_whatever_was_pasted() {
        let plain = "spark:calls_read spark:people_read";
        for typed in [
            plain,
            "spark:calls_read,spark:people_read",
            "scope=spark%3Acalls_read%20spark%3Apeople_read",
            "https://provider.example/v1/authorize?client_id=a&scope=spark%3Acalls_read+spark%3Apeople_read&state=x",
        ] {
            assert_eq!(scopes(typed), plain, "{typed}");
        }
    }
}
