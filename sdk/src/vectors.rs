//! Runs a plugin's test vectors natively. What lies in the folders is told in `jackfield_vectors`.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;

use jackfield_vectors::{Arguments, Instance, Interface, Script, Subject, shown};
use serde_json::{Value, json};

use crate::http::Http;
use crate::types::{Account, Check, Disproof, Hash, HttpError, HttpRequest, HttpResponse, Proof, Request};
use crate::{Calls, Chat, Desk, Manifest, Media, Socket, Webhooks};

type Open = fn(&Script) -> Box<dyn Instance>;

/// The vectors of one plugin, and the interfaces that are asked.
#[derive(Debug)]
pub struct Vectors {
    root: PathBuf,
    interfaces: BTreeMap<Interface, Open>,
}

impl Vectors {
    /// The folders below this one.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), interfaces: BTreeMap::new() }
    }

    /// Asks this plugin's `manifest`.
    #[must_use]
    pub fn manifest<P: Manifest + 'static>(self) -> Self {
        self.with(Interface::Manifest, |_| Box::new(ManifestOf::<P>(PhantomData)))
    }

    /// Asks this plugin's `webhooks`.
    #[must_use]
    pub fn webhooks<P: Webhooks + 'static>(self) -> Self {
        self.with(Interface::Webhooks, |_| Box::new(WebhooksOf::<P>(PhantomData)))
    }

    /// Asks this plugin's `calls`.
    #[must_use]
    pub fn calls<P: Calls + 'static>(self) -> Self {
        self.with(Interface::Calls, |script| Box::new(CallsOf::<P>(Api(script.clone()), PhantomData)))
    }

    /// Asks this plugin's `media`.
    #[must_use]
    pub fn media<P: Media + 'static>(self) -> Self {
        self.with(Interface::Media, |_| Box::new(MediaOf(P::default())))
    }

    /// Asks this plugin's `socket`.
    #[must_use]
    pub fn socket<P: Socket + 'static>(self) -> Self {
        self.with(Interface::Socket, |_| Box::new(SocketOf::<P>(PhantomData)))
    }

    /// Asks this plugin's `desk`.
    #[must_use]
    pub fn desk<P: Desk + 'static>(self) -> Self {
        self.with(Interface::Desk, |script| Box::new(DeskOf::<P>(Api(script.clone()), PhantomData)))
    }

    /// Asks this plugin's `chat`.
    #[must_use]
    pub fn chat<P: Chat + 'static>(self) -> Self {
        self.with(Interface::Chat, |script| Box::new(ChatOf::<P>(Api(script.clone()), PhantomData)))
    }

    fn with(mut self, interface: Interface, open: Open) -> Self {
        self.interfaces.insert(interface, open);
        self
    }

    /// Runs every case; their number.
    ///
    /// # Errors
    /// Each case that does not hold, with what differs; also when there is no case at all.
    pub fn run(&self) -> Result<usize, String> {
        let outcomes = jackfield_vectors::run(&self.root, self)?;
        let count = outcomes.len();
        let failures: Vec<String> = outcomes
            .into_iter()
            .filter_map(|outcome| outcome.verdict.err().map(|why| format!("{}: {why}", outcome.name)))
            .collect();
        if failures.is_empty() { Ok(count) } else { Err(failures.join("\n")) }
    }
}

impl Subject for Vectors {
    fn instance(&self, interface: Interface, script: &Script) -> Result<Box<dyn Instance + '_>, String> {
        let open = self.interfaces.get(&interface).ok_or_else(|| format!("the plugin has no {interface:?}"))?;
        Ok(open(script))
    }
}

fn unknown<T>(function: &str) -> Result<T, String> {
    Err(format!("there is no function `{function}`"))
}

struct ManifestOf<P>(PhantomData<P>);

impl<P: Manifest> Instance for ManifestOf<P> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        match function {
            "describe" => shown(P::describe()),
            "check" => shown(P::check(&given.take("account")?)),
            other => unknown(other),
        }
    }
}

struct WebhooksOf<P>(PhantomData<P>);

impl<P: Webhooks> Instance for WebhooksOf<P> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        let request = || given.take::<Request>("request");
        match function {
            "identify" => shown(P::identify(&request()?)),
            "authenticate" => {
                let proof = P::authenticate(&given.take("account")?, &request()?, given.take("now")?);
                Ok(judged(&proof, &given.take("secrets")?))
            }
            "read" => shown(P::read(&given.take("account")?, &request()?, &given.take::<String>("hook")?)),
            "reply" => shown(P::reply(&given.take("account")?, given.get("call")?.as_ref(), &given.take("action")?)),
            other => unknown(other),
        }
    }
}

fn judged(proof: &Result<Proof, Disproof>, secrets: &BTreeMap<String, String>) -> Value {
    let (word, replay_key) = match proof {
        Ok(proof) => (if holds(proof, secrets) { "holds" } else { "fails" }, proof.replay_key.clone()),
        Err(Disproof::Unsigned) => ("unsigned", None),
        Err(Disproof::Malformed(_)) => ("malformed", None),
        Err(Disproof::Other(_)) => ("other", None),
    };
    json!({ "proof": word, "replay_key": replay_key })
}

struct Api(Script);

impl Http for Api {
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let wrong = |why: serde_json::Error| HttpError::Other(why.to_string());
        let answer = self.0.send(&serde_json::to_value(request).map_err(wrong)?);
        serde_json::from_value::<Result<HttpResponse, HttpError>>(answer).map_err(wrong)?
    }
}

struct CallsOf<P>(Api, PhantomData<P>);

impl<P: Calls> Instance for CallsOf<P> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        let (http, account) = (&self.0, &given.take::<Account>("account")?);
        let text = |name: &str| given.get::<String>(name);
        match function {
            "probe" => shown(P::probe(http, account)),
            "place" => shown(P::place(http, account, &given.take("request")?, given.take("now")?)),
            "find_placed" => shown(P::find_placed(http, account, &given.take("request")?, given.take("since")?)),
            "answer" => shown(P::answer(http, account, &given.take("call")?, &given.take("action")?)),
            "proceed" => shown(P::proceed(http, account, given.get("call")?.as_ref(), &given.take::<String>("step")?)),
            "hang_up" => shown(P::hang_up(http, account, &given.take("call")?)),
            "inspect" => shown(P::inspect(http, account, &given.take("call")?)),
            "transfer" => shown(P::transfer(http, account, &given.take("call")?, &given.take("step")?)),
            "bind_number" => {
                let number = text("number")?.unwrap_or_default();
                shown(P::bind_number(http, account, &number, text("webhook")?.as_deref()))
            }
            "list_numbers" => shown(P::list_numbers(http, account, text("cursor")?.as_deref())),
            other => unknown(other),
        }
    }
}

struct SocketOf<P>(PhantomData<P>);

impl<P: Socket> Instance for SocketOf<P> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        let account = &given.take::<Account>("account")?;
        match function {
            "locate" => shown(P::locate(account)),
            "read" => shown(P::read(account, &given.take::<String>("message")?, given.take("now")?)),
            other => unknown(other),
        }
    }
}

struct DeskOf<P>(Api, PhantomData<P>);

impl<P: Desk> Instance for DeskOf<P> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        let (http, account) = (&self.0, &given.take::<Account>("account")?);
        let person: String = given.take("person")?;
        match function {
            "calls" => shown(P::calls(http, account, &person)),
            "history" => shown(P::history(http, account, &person)),
            "carry_out" => shown(P::carry_out(http, account, &person, &given.take("order")?)),
            "watch" => shown(P::watch(http, account, &person, given.get::<String>("url")?.as_deref())),
            other => unknown(other),
        }
    }
}

struct ChatOf<P>(Api, PhantomData<P>);

impl<P: Chat> Instance for ChatOf<P> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        let (http, account) = (&self.0, &given.take::<Account>("account")?);
        let text = |name: &str| given.take::<String>(name);
        match function {
            "fetch" => shown(P::fetch(http, account, &text("id")?)),
            "send" => shown(P::send(http, account, &text("person")?, &text("text")?)),
            "listen" => shown(P::listen(http, account, &text("url")?)),
            other => unknown(other),
        }
    }
}

struct MediaOf<P>(P);

impl<P: Media> Instance for MediaOf<P> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        match function {
            "open" => shown(self.0.open(&given.take("account")?, &given.take("call")?)),
            "decode" => shown(self.0.decode(given.take("message")?)),
            "encode" => shown(self.0.encode(given.take("command")?)),
            other => unknown(other),
        }
    }
}

/// Does a proof hold with these secrets? As a host decides it, but for tests: not in constant time.
pub fn holds(proof: &Proof, secrets: &BTreeMap<String, String>) -> bool {
    let secret = |name: &str| secrets.get(name).filter(|secret| !secret.is_empty());
    proof.any_of.iter().any(|check| match check {
        Check::Hmac(check) => secret(&check.secret).is_some_and(|secret| {
            let key = ring::hmac::Key::new(algorithm(check.hash), secret.as_bytes());
            ring::hmac::verify(&key, &check.message, &check.digest).is_ok()
        }),
        Check::Equal(check) => secret(&check.secret).is_some_and(|secret| *secret == check.value),
        Check::Ed25519(check) => ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &check.public_key)
            .verify(&check.message, &check.signature)
            .is_ok(),
        Check::Verified => true,
        Check::Other(_) => false,
    })
}

fn algorithm(hash: Hash) -> ring::hmac::Algorithm {
    match hash {
        Hash::Sha1 => ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => ring::hmac::HMAC_SHA256,
        Hash::Sha512 => ring::hmac::HMAC_SHA512,
    }
}
