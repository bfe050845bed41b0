//! A host with an account, and many calls on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::load::{Destination, LoadStream};
use crate::api::Api;
use crate::carrier::{Account, Carrier, Leg, Signature};
use crate::host_process::{HostOptions, HostProcess};
use crate::http::Answer;
use crate::twilio_rest::TwilioRest;

const NUMBER: &str = "+12065550188";
/// Webhooks that wait for an answer at the same time.
const AT_ONCE: usize = 32;

/// A host that is ready for calls to `echo`.
pub(super) struct Crowd {
    pub(super) host: HostProcess,
    pub(super) api: Api,
    pub(super) carrier: Arc<Carrier>,
}

impl Crowd {
    pub(super) async fn gather() -> Result<Self> {
        Self::gather_at(HostOptions::new()?, &json!({ "name": "agent", "connector": "echo" })).await
    }

    /// Calls go to this agent.
    pub(super) async fn gather_for(agent: &Value) -> Result<Self> {
        Self::gather_at(HostOptions::new()?, agent).await
    }

    /// Calls are recorded.
    pub(super) async fn gather_recorded() -> Result<Self> {
        Self::gather_at(HostOptions::new()?.recording(), &json!({ "name": "agent", "connector": "echo" })).await
    }

    /// A host that is started with these options.
    pub(super) async fn gather_on(options: HostOptions) -> Result<Self> {
        Self::gather_at(options, &json!({ "name": "agent", "connector": "echo" })).await
    }

    /// The provider's API is one of ours that answers.
    async fn gather_at(options: HostOptions, agent: &Value) -> Result<Self> {
        let account = Account::fresh();
        let rest = TwilioRest::start(account.clone()).await?;
        let options = options
            .with_twilio_at(rest.address)
            .with_settings("[limits]\ncalls = 1000000\nconnections_per_address = 100000\n[log]\nlevel = \"warn\"\n");
        let host = options.start()?;
        let api = host.api()?;
        let configuration = api.add_twilio("bench", &account.sid, &account.token).await?;
        let agent = api.create("agents", agent).await?;
        api.add_number(NUMBER, &configuration, Some(&agent)).await?;
        let carrier = Arc::new(Carrier::keeping_connections(host.gateway(), account)?);
        Ok(Self { host, api, carrier })
    }

    /// The next caller, whom nobody else is.
    pub(super) fn leg(index: usize) -> Leg {
        Leg::inbound(&format!("+1415{index:07}"), NUMBER)
    }

    /// Webhooks of `many` new callers, so many at once, and how long each took.
    pub(super) async fn ring(&self, first: usize, many: usize) -> Result<Vec<Duration>> {
        ring(&self.carrier, first, many).await
    }

    /// Puts one call through.
    pub(super) async fn put_one_through(&self, index: usize) -> Result<LoadStream> {
        put_through(&self.carrier, &Self::leg(index)).await
    }

    /// Puts so many calls through, a few at a time.
    pub(super) async fn put_through(&self, calls: usize) -> Result<Vec<LoadStream>> {
        self.put_through_from(0, calls).await
    }

    /// The same, where callers before `first` have called already.
    pub(super) async fn put_through_from(&self, first: usize, calls: usize) -> Result<Vec<LoadStream>> {
        let (mut opening, mut open) = (JoinSet::new(), Vec::with_capacity(calls));
        for index in first..first + calls {
            if opening.len() >= 16
                && let Some(stream) = opening.join_next().await
            {
                open.push(stream??);
            }
            let carrier = self.carrier.clone();
            opening.spawn(async move { put_through(&carrier, &Self::leg(index)).await });
        }
        while let Some(stream) = opening.join_next().await {
            open.push(stream??);
        }
        Ok(open)
    }
}

/// Webhooks of `many` new callers, so many at once, and how long each took. Whoever answers is to want a stream.
pub(super) async fn ring(carrier: &Arc<Carrier>, first: usize, many: usize) -> Result<Vec<Duration>> {
    post(carrier, first, many, Signature::Right, |answer| answer.status == 200 && answer.text().contains("<Stream"))
        .await
}

/// The same from somebody who does not know the account's token.
pub(super) async fn forge(carrier: &Arc<Carrier>, first: usize, many: usize) -> Result<Vec<Duration>> {
    post(carrier, first, many, Signature::OtherToken, |answer| answer.status == 403).await
}

async fn post(
    carrier: &Arc<Carrier>,
    first: usize,
    many: usize,
    signature: Signature,
    is_right: fn(&Answer) -> bool,
) -> Result<Vec<Duration>> {
    let mut ringing = JoinSet::new();
    for lane in 0..AT_ONCE {
        let (carrier, signature) = (carrier.clone(), signature.clone());
        ringing.spawn(async move {
            let mut times = Vec::new();
            for index in (first + lane..first + many).step_by(AT_ONCE) {
                let webhook = carrier.inbound_webhook(&Crowd::leg(index)).signed(signature.clone());
                let began = Instant::now();
                let answer = carrier.post(&webhook).await?;
                times.push(began.elapsed());
                ensure!(is_right(&answer), "{}: {}", answer.status, answer.text());
            }
            Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = ringing.join_next().await {
        times.extend(done??);
    }
    Ok(times)
}

async fn put_through(carrier: &Carrier, leg: &Leg) -> Result<LoadStream> {
    let verb = carrier.ring_through(leg).await?;
    let destination = Destination {
        address: carrier.gateway.address,
        url: verb.url.replacen("wss://", "ws://", 1),
        account_sid: carrier.account.sid.clone(),
        call_sid: leg.sid.clone(),
    };
    LoadStream::open(&destination).await
}
