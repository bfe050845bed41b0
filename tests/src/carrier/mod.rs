//! Plays Twilio towards a running host: signed webhooks, TwiML, media streams, status callbacks.

pub mod dialects;
mod playback;
mod sign;
mod stream;
#[cfg(test)]
mod tests;
mod twiml;

use std::net::SocketAddr;

use anyhow::{Context, Result};

pub use sign::signature;
pub use stream::{Heard, MediaStream, UpgradeRefused};
pub use twiml::{StreamVerb, Verb, parse, stream_of as parse_stream};

use crate::http::{self, Answer};

/// A Twilio account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub sid: String,
    pub token: String,
}

/// Where the host is: the URL the world knows it by, and the socket behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    pub public_url: String,
    pub address: SocketAddr,
}

/// One call leg at the carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    pub sid: String,
    pub from: String,
    pub to: String,
    /// `inbound` or `outbound-api`.
    pub direction: &'static str,
}

/// What stands in the signature header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    Right,
    Missing,
    /// The right one, made with another token.
    OtherToken,
    /// The right one, in two headers.
    Twice,
    Text(String),
}

/// A webhook about to be sent.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// As the host told it, or as the number has it: with the public base.
    pub url: String,
    pub fields: Vec<(String, String)>,
    pub signature: Signature,
    /// Equal for retries of one webhook.
    pub idempotency_token: String,
    pub headers: Vec<(String, String)>,
    /// Instead of the URL's own host.
    pub host: Option<String>,
}

/// The carrier's side of one account.
#[derive(Debug, Clone)]
pub struct Carrier {
    pub gateway: Gateway,
    pub account: Account,
    /// Bytes that the kernel takes for a media socket that nobody reads; as it likes, if this is not said.
    pub receive_buffer: Option<u32>,
    client: reqwest::Client,
}

impl Account {
    /// An account nobody else has.
    pub fn fresh() -> Self {
        Self { sid: format!("AC{}", random_hex(16)), token: random_hex(16) }
    }
}

impl Gateway {
    /// The same place by another scheme and host: the path and query of a public URL.
    fn target<'a>(&self, url: &'a str) -> Result<&'a str> {
        let base = self.public_url.trim_end_matches('/');
        let socket = base.replacen("http", "ws", 1);
        let rest = url.strip_prefix(base).or_else(|| url.strip_prefix(&socket));
        rest.with_context(|| format!("{url} is not below {base}"))
    }

    fn host(&self) -> &str {
        let host = self.public_url.split_once("://").map_or(self.public_url.as_str(), |(_, host)| host);
        host.trim_end_matches('/')
    }
}

impl Leg {
    /// A call from outside.
    pub fn inbound(from: &str, to: &str) -> Self {
        Self { sid: fresh_call_sid(), from: from.to_owned(), to: to.to_owned(), direction: "inbound" }
    }
}

impl Webhook {
    /// A form, signed as it should be.
    pub fn new(url: &str, fields: Vec<(String, String)>) -> Self {
        let (url, idempotency_token) = (url.to_owned(), random_hex(16));
        Self { url, fields, signature: Signature::Right, idempotency_token, headers: Vec::new(), host: None }
    }

    #[must_use]
    pub fn signed(mut self, signature: Signature) -> Self {
        self.signature = signature;
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }
}

impl Carrier {
    pub fn new(gateway: Gateway, account: Account) -> Result<Self> {
        Ok(Self { gateway, account, receive_buffer: None, client: http::client()? })
    }

    /// A carrier under load keeps its connections.
    pub fn keeping_connections(gateway: Gateway, account: Account) -> Result<Self> {
        Ok(Self { gateway, account, receive_buffer: None, client: http::keeping_client()? })
    }

    /// The URL that all providers share.
    pub fn shared_inbound_url(&self) -> String {
        format!("{}/api/v1/telephony/inbound/run", self.gateway.public_url.trim_end_matches('/'))
    }

    /// What every webhook about a leg says.
    pub fn fields(&self, leg: &Leg, status: &str) -> Vec<(String, String)> {
        let pairs = [
            ("CallSid", leg.sid.as_str()),
            ("AccountSid", &self.account.sid),
            ("From", &leg.from),
            ("To", &leg.to),
            ("Caller", &leg.from),
            ("Called", &leg.to),
            ("CallStatus", status),
            ("Direction", leg.direction),
            ("ApiVersion", "2010-04-01"),
            ("FromCountry", "US"),
            ("FromCity", "SAN FRANCISCO"),
            ("ToCountry", "US"),
            ("CallerName", ""),
            ("StirVerstat", "TN-Validation-Passed-A"),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The webhook of a number that rings.
    pub fn inbound_webhook(&self, leg: &Leg) -> Webhook {
        Webhook::new(&self.shared_inbound_url(), self.fields(leg, "ringing"))
    }

    /// A progress report about a leg.
    pub fn status_webhook(&self, url: &str, leg: &Leg, status: &str, sequence: u32, more: &[(&str, &str)]) -> Webhook {
        let mut fields = self.fields(leg, status);
        let sequence = sequence.to_string();
        let report = [("CallbackSource", "call-progress-events"), ("SequenceNumber", sequence.as_str())];
        fields.extend(report.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Webhook::new(url, fields)
    }

    /// Sends a webhook.
    pub async fn post(&self, webhook: &Webhook) -> Result<Answer> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&webhook.fields).finish();
        self.post_body(webhook, "application/x-www-form-urlencoded; charset=UTF-8", body.into_bytes()).await
    }

    /// Sends a body of any kind under a webhook's URL and headers.
    pub async fn post_body(&self, webhook: &Webhook, kind: &str, body: Vec<u8>) -> Result<Answer> {
        let local = format!("http://{}{}", self.gateway.address, self.gateway.target(&webhook.url)?);
        let host = webhook.host.as_deref().unwrap_or_else(|| self.gateway.host());
        let mut request = self
            .client
            .post(local)
            .header("host", host)
            .header("content-type", kind)
            .header("user-agent", "TwilioProxy/1.1")
            .header("i-twilio-idempotency-token", &webhook.idempotency_token)
            .body(body);
        for value in self.signatures(webhook) {
            request = request.header("x-twilio-signature", value);
        }
        for (name, value) in &webhook.headers {
            request = request.header(name, value);
        }
        Answer::read(request.send().await.context("the host did not answer a webhook")?).await
    }

    fn signatures(&self, webhook: &Webhook) -> Vec<String> {
        let with = |token: &str| signature(token, &webhook.url, &webhook.fields);
        let right = with(&self.account.token);
        match &webhook.signature {
            Signature::Right => vec![right],
            Signature::Missing => vec![],
            Signature::OtherToken => vec![with("not the token")],
            Signature::Twice => vec![right.clone(), right],
            Signature::Text(text) => vec![text.clone()],
        }
    }

    /// A caller dials: the webhook goes out, and the host's document comes back.
    pub async fn ring(&self, leg: &Leg) -> Result<Vec<Verb>> {
        let answer = self.post(&self.inbound_webhook(leg)).await?;
        document(&answer)
    }

    /// A caller dials and must be put through.
    pub async fn ring_through(&self, leg: &Leg) -> Result<StreamVerb> {
        twiml::stream_of(self.ring(leg).await?)
    }

    /// Opens the media stream that a document asked for.
    pub async fn open_stream(&self, leg: &Leg, verb: &StreamVerb) -> Result<MediaStream> {
        let mut stream = self.dial_stream(leg, &verb.url).await?;
        stream.begin(&self.account.sid, &leg.sid, &verb.parameters);
        Ok(stream)
    }

    /// Opens the socket and says nothing yet.
    pub async fn dial_stream(&self, leg: &Leg, url: &str) -> Result<MediaStream> {
        let target = self.gateway.target(url)?;
        let signature = signature(&self.account.token, url, &[]);
        let socket = stream::connect(self.gateway.address, self.receive_buffer).await?;
        MediaStream::dial(socket, self.gateway.host(), target, &signature, &leg.sid).await
    }
}

/// Reads a document as Twilio would: a 200, XML by its type, and verbs.
pub fn document(answer: &Answer) -> Result<Vec<Verb>> {
    let kind = answer.header("content-type");
    anyhow::ensure!(answer.status == 200, "expected TwiML and got {}: {}", answer.status, answer.text());
    anyhow::ensure!(kind.contains("xml"), "TwiML must say it is XML, and this says {kind:?}");
    parse(&answer.text())
}

/// `CA` and 32 hexadecimal digits.
pub fn fresh_call_sid() -> String {
    format!("CA{}", random_hex(16))
}

pub(crate) fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    // A carrier whose ids repeat would fail its tests loudly enough.
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random).ok();
    hex::encode(random)
}
