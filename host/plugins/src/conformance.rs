//! Holds a component to test vectors, through the very guests that serve calls.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jackfield_vectors::{Arguments, Instance, Interface, Script, Subject, shown};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::fault::GuestError;
use crate::generation::Generation;
use crate::guest::{CallsGuest, ChatGuest, DeskGuest, MediaGuest, SocketGuest, WebhookGuest};
use crate::outbound::Outbound;
use crate::proof;
use crate::types::{Account, Disproof, HttpError, HttpRequest, HttpResponse, Proof};

/// A generation that vectors can ask. Calls block, so it is for a thread outside the runtime it is given.
#[derive(Debug)]
pub struct Conformance {
    generation: Arc<Generation>,
    runtime: Handle,
}

impl Conformance {
    /// Over a checked generation; `runtime` drives its REST calls.
    pub fn new(generation: Arc<Generation>, runtime: Handle) -> Self {
        Self { generation, runtime }
    }
}

impl Subject for Conformance {
    fn instance(&self, interface: Interface, script: &Script) -> Result<Box<dyn Instance + '_>, String> {
        let Self { generation, runtime } = self;
        Ok(match interface {
            Interface::Manifest => Box::new(Manifest(generation)),
            Interface::Webhooks => Box::new(Webhooks(generation.webhooks().map_err(said)?)),
            Interface::Media => Box::new(Media(generation.media().map_err(said)?)),
            Interface::Socket => Box::new(Socket(generation.socket().map_err(said)?)),
            Interface::Desk => Box::new(Desk { generation, runtime, script: script.clone() }),
            Interface::Chat => Box::new(Chat { generation, runtime, script: script.clone() }),
            Interface::Calls => Box::new(Calls { generation, runtime, script: script.clone() }),
        })
    }

    fn instructions(&self) -> u64 {
        self.generation.instructions()
    }
}

fn said(error: GuestError) -> String {
    error.to_string()
}

fn unknown<T>(function: &str) -> Result<T, String> {
    Err(format!("there is no function `{function}`"))
}

struct Manifest<'a>(&'a Arc<Generation>);

impl Instance for Manifest<'_> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        match function {
            "describe" => shown(self.0.describe()),
            "check" => shown(self.0.check(&given.take("account")?).map_err(said)?),
            other => unknown(other),
        }
    }
}

struct Webhooks(WebhookGuest);

impl Instance for Webhooks {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        let Self(guest) = self;
        let account = || given.take::<Account>("account");
        match function {
            "identify" => shown(guest.identify(&given.take("request")?).map_err(said)?),
            "authenticate" => {
                let proof = guest.authenticate(&account()?, &given.take("request")?, given.take("now")?);
                let proof = proof.map_err(said)?;
                match given.get("secrets")? {
                    Some(secrets) => Ok(judged(&proof, &secrets)),
                    None => shown(proof),
                }
            }
            "read" => {
                let hook: String = given.take("hook")?;
                shown(guest.read(&account()?, &given.take("request")?, &hook).map_err(said)?)
            }
            "reply" => {
                let call = given.get("call")?;
                shown(guest.reply(&account()?, call.as_ref(), &given.take("action")?).map_err(said)?)
            }
            other => unknown(other),
        }
    }
}

fn judged(proof: &Result<Proof, Disproof>, secrets: &BTreeMap<String, String>) -> Value {
    let (word, replay_key) = match proof {
        Ok(proof) => {
            let secret = |name: &str| secrets.get(name).map(String::as_str);
            (if proof::holds(proof, &secret) { "holds" } else { "fails" }, proof.replay_key.clone())
        }
        Err(Disproof::Unsigned) => ("unsigned", None),
        Err(Disproof::Malformed(_)) => ("malformed", None),
        Err(Disproof::Other(_)) => ("other", None),
    };
    json!({ "proof": word, "replay_key": replay_key })
}

struct Media(MediaGuest);

impl Instance for Media {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        let Self(guest) = self;
        match function {
            "open" => shown(guest.open(&given.take("account")?, &given.take("call")?).map_err(said)?),
            "decode" => shown(guest.decode(&given.take("message")?).map_err(said)?),
            "encode" => shown(guest.encode(&given.take("command")?).map_err(said)?),
            other => unknown(other),
        }
    }
}

struct Socket(SocketGuest);

impl Instance for Socket {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        let Self(guest) = self;
        let account = &given.take::<Account>("account")?;
        match function {
            "locate" => shown(guest.locate(account).map_err(said)?),
            "read" => {
                let message: String = given.take("message")?;
                shown(guest.read(account, &message, given.take("now")?).map_err(said)?)
            }
            other => unknown(other),
        }
    }
}

struct Calls<'a> {
    generation: &'a Arc<Generation>,
    runtime: &'a Handle,
    script: Script,
}

impl Instance for Calls<'_> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        let api = Box::new(Api(self.script.clone()));
        self.runtime.block_on(async {
            let guest = self.generation.control(api).await.map_err(said)?;
            call(guest, function, &given).await
        })
    }
}

async fn call(guest: CallsGuest, function: &str, given: &Arguments) -> Result<Value, String> {
    let account = &given.take::<Account>("account")?;
    match function {
        "probe" => shown(guest.probe(account).await.map_err(said)?),
        "place" => shown(guest.place(account, &given.take("request")?, given.take("now")?).await.map_err(said)?),
        "find_placed" => {
            let request = given.take("request")?;
            shown(guest.find_placed(account, &request, given.take("since")?).await.map_err(said)?)
        }
        "answer" => shown(guest.answer(account, &given.take("call")?, &given.take("action")?).await.map_err(said)?),
        "proceed" => {
            let (call, step) = (given.get("call")?, given.take::<String>("step")?);
            shown(guest.proceed(account, call.as_ref(), &step).await.map_err(said)?)
        }
        "hang_up" => shown(guest.hang_up(account, &given.take("call")?).await.map_err(said)?),
        "inspect" => shown(guest.inspect(account, &given.take("call")?).await.map_err(said)?),
        "transfer" => shown(guest.transfer(account, &given.take("call")?, &given.take("step")?).await.map_err(said)?),
        "bind_number" => {
            let number = given.get::<String>("number")?.unwrap_or_default();
            let webhook = given.get::<String>("webhook")?;
            shown(guest.bind_number(account, &number, webhook.as_deref()).await.map_err(said)?)
        }
        "list_numbers" => {
            let cursor = given.get::<String>("cursor")?;
            shown(guest.list_numbers(account, cursor.as_deref()).await.map_err(said)?)
        }
        other => unknown(other),
    }
}

struct Desk<'a> {
    generation: &'a Arc<Generation>,
    runtime: &'a Handle,
    script: Script,
}

impl Instance for Desk<'_> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        let api = Box::new(Api(self.script.clone()));
        self.runtime.block_on(async {
            let guest = self.generation.desk(api).await.map_err(said)?;
            desk(guest, function, &given).await
        })
    }
}

async fn desk(guest: DeskGuest, function: &str, given: &Arguments) -> Result<Value, String> {
    let (account, person) = (&given.take::<Account>("account")?, given.take::<String>("person")?);
    match function {
        "calls" => shown(guest.calls(account, &person).await.map_err(said)?),
        "history" => shown(guest.history(account, &person).await.map_err(said)?),
        "carry_out" => shown(guest.carry_out(account, &person, &given.take("order")?).await.map_err(said)?),
        "watch" => {
            let url = given.get::<String>("url")?;
            shown(guest.watch(account, &person, url.as_deref()).await.map_err(said)?)
        }
        other => unknown(other),
    }
}

struct Chat<'a> {
    generation: &'a Arc<Generation>,
    runtime: &'a Handle,
    script: Script,
}

impl Instance for Chat<'_> {
    fn call(&mut self, function: &str, given: Arguments) -> Result<Value, String> {
        let api = Box::new(Api(self.script.clone()));
        self.runtime.block_on(async {
            let guest = self.generation.chat(api).await.map_err(said)?;
            chat(guest, function, &given).await
        })
    }
}

async fn chat(guest: ChatGuest, function: &str, given: &Arguments) -> Result<Value, String> {
    let account = &given.take::<Account>("account")?;
    let text = |name: &str| given.take::<String>(name);
    match function {
        "fetch" => shown(guest.fetch(account, &text("id")?).await.map_err(said)?),
        "send" => shown(guest.send(account, &text("person")?, &text("text")?).await.map_err(said)?),
        "listen" => shown(guest.listen(account, &text("url")?).await.map_err(said)?),
        other => unknown(other),
    }
}

/// The provider's side of a case.
struct Api(Script);

impl Outbound for Api {
    fn send<'a>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        let wrong = |why: serde_json::Error| HttpError::Other(why.to_string());
        let answer = serde_json::to_value(request).map(|request| self.0.send(&request));
        let answer = answer.and_then(serde_json::from_value::<Result<HttpResponse, HttpError>>);
        Box::pin(std::future::ready(answer.map_err(wrong).and_then(|answer| answer)))
    }
}
