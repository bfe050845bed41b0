//! Short-lived state: media tokens, replay memory, counts of calls, transfers, leases, and words between nodes. In this
//! process, or in Redis for several hosts.
//!
//! Promises: all of it has an end; losing it costs a retry or a moment of a limit, never a call or money; keys are always
//! asked for by name, never scanned.

mod cluster;
mod hosts;
mod memory;
mod redis;
mod sentinel;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::error::StoreError;
use crate::secret::Secret;

/// What a media token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaGrant {
    /// The call whose audio may be carried.
    pub call_id: String,
}

/// A media token that is to stand for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMediaGrant {
    /// SHA-256 of the token.
    pub token: [u8; 32],
    pub grant: MediaGrant,
    pub lasting: Duration,
}

/// Somebody on their way through a provider's sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInFlow {
    pub configuration_id: String,
    /// Who set out.
    pub person: String,
    /// The proof key, where the provider takes one.
    pub verifier: Option<Secret>,
}

/// How many calls somebody may have at once, and how many may begin in a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallLimit {
    /// Whose: an organization's or a configuration's id.
    pub whose: String,
    pub calls: Option<u64>,
    pub per_second: Option<u64>,
}

/// May a call begin? All limits are asked, and counted, as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Admitted,
    /// That limit, by its place, has as many calls as it may.
    Full(usize),
    /// That limit has seen as many beginnings in this second as it may.
    TooFast(usize),
}

/// What one node says to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// To all, or to the one node of this id.
    pub to: Option<String>,
    pub text: String,
}

/// Short-lived state. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shared(Backend);

#[derive(Debug, Clone)]
enum Backend {
    Memory(memory::Memory),
    Redis(redis::Redis),
}

impl Default for Shared {
    fn default() -> Self {
        Self(Backend::Memory(memory::Memory::default()))
    }
}

/// Hands a question to whichever backend there is.
macro_rules! either {
    ($self:ident, $name:ident($($argument:expr),*)) => {
        match &$self.0 {
            Backend::Memory(memory) => Ok(memory.$name($($argument),*)),
            // Boxed: one host alone needs no room for it in each of its tasks.
            Backend::Redis(redis) => Box::pin(redis.$name($($argument),*)).await,
        }
    };
}

impl Shared {
    /// In Redis: `redis://`, `redis+sentinel://` of one that Sentinels watch, or `redis+cluster://`; each with TLS as `rediss…`.
    /// `node` is this process's name among the others.
    ///
    /// # Errors
    /// When it cannot be reached, or the URL is none.
    pub async fn redis(url: &str, node: &str) -> Result<Self, StoreError> {
        Ok(Self(Backend::Redis(redis::Redis::open(url, node).await?)))
    }

    /// Do other nodes see what is kept here?
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Backend::Redis(_))
    }

    /// Does it answer?
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Memory(_) => Ok(()),
            Backend::Redis(redis) => redis.ping().await,
        }
    }

    /// Grants the audio of a call to whoever brings the token with this digest, once.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn put_media_grant(
        &self,
        token: [u8; 32],
        grant: MediaGrant,
        lasting: Duration,
    ) -> Result<(), StoreError> {
        either!(self, put_media_grant(token, grant, lasting))
    }

    /// Spends a token.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn take_media_grant(&self, token: [u8; 32]) -> Result<Option<MediaGrant>, StoreError> {
        either!(self, take_media_grant(token))
    }

    /// Remembers somebody on their way, by the digest of their `state`.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn put_sign_in_flow(
        &self,
        state: [u8; 32],
        flow: SignInFlow,
        lasting: Duration,
    ) -> Result<(), StoreError> {
        either!(self, put_sign_in_flow(state, flow, lasting))
    }

    /// Whoever comes back with that `state`, once.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn take_sign_in_flow(&self, state: [u8; 32]) -> Result<Option<SignInFlow>, StoreError> {
        either!(self, take_sign_in_flow(state))
    }

    /// How many of a configuration are on their way.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn sign_in_flows(&self, configuration: &str) -> Result<usize, StoreError> {
        either!(self, sign_in_flows(configuration))
    }

    /// Forgets all of a configuration who are on their way. Says how many.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn clear_sign_in_flows(&self, configuration: &str) -> Result<usize, StoreError> {
        either!(self, clear_sign_in_flows(configuration))
    }

    /// True the first time in a while.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn first_seen(&self, key: &str, lasting: Duration) -> Result<bool, StoreError> {
        either!(self, first_seen(key, lasting))
    }

    /// Lets the next one count as the first.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn forget(&self, key: &str) -> Result<(), StoreError> {
        either!(self, forget(key))
    }

    /// Counts a call under all of the limits, or under none; one that is counted already stays so. It is counted for so long, and longer if it is renewed: the
    /// calls of a node that died free their places by themselves. Whoever is admitted may be granted its audio on the way.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn admit(
        &self,
        call: &str,
        limits: &[CallLimit],
        lasting: Duration,
        audio: Option<NewMediaGrant>,
    ) -> Result<Admission, StoreError> {
        either!(self, admit(call, limits, lasting, audio))
    }

    /// Goes on counting calls that are up; each under those ids.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn renew_calls(&self, calls: &[(String, Vec<String>)], lasting: Duration) -> Result<(), StoreError> {
        either!(self, renew_calls(calls, lasting))
    }

    /// A call is over.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn release_call(&self, call: &str, whose: &[String]) -> Result<(), StoreError> {
        either!(self, release_call(call, whose))
    }

    /// Calls that are counted under that id.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn calls_counted(&self, whose: &str) -> Result<u64, StoreError> {
        either!(self, calls_counted(whose))
    }

    /// Begins a transfer, unless the call is in one: false then. The context is JSON.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn begin_transfer(
        &self,
        id: &str,
        call_sid: &str,
        context: &str,
        lasting: Duration,
    ) -> Result<bool, StoreError> {
        either!(self, begin_transfer(id, call_sid, context, lasting))
    }

    /// Replaces a transfer's context, and lets it last.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn put_transfer(
        &self,
        id: &str,
        call_sid: &str,
        context: &str,
        lasting: Duration,
    ) -> Result<(), StoreError> {
        either!(self, put_transfer(id, call_sid, context, lasting))
    }

    /// A transfer's context.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn transfer(&self, id: &str) -> Result<Option<String>, StoreError> {
        either!(self, transfer(id))
    }

    /// The transfer that a call, by the provider's id, is in.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn transfer_of_call(&self, call_sid: &str) -> Result<Option<String>, StoreError> {
        either!(self, transfer_of_call(call_sid))
    }

    /// Ends a transfer: context and index go together.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn clear_transfer(&self, id: &str, call_sid: &str) -> Result<(), StoreError> {
        either!(self, clear_transfer(id, call_sid))
    }

    /// Tells whoever follows a transfer how it stands: on the channel `transfer:events:{id}`, as the original does.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn tell_transfer(&self, id: &str, context: &str) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Memory(_) => Ok(()),
            Backend::Redis(redis) => redis.tell_transfer(id, context).await,
        }
    }

    /// Takes or keeps a lease: true while `holder` has it.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn lease(&self, name: &str, holder: &str, lasting: Duration) -> Result<bool, StoreError> {
        either!(self, lease(name, holder, lasting))
    }

    /// Gives a lease back, if `holder` has it.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn release_lease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        either!(self, release_lease(name, holder))
    }

    /// Says that a node is alive, for so long.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn alive(&self, node: &str, lasting: Duration) -> Result<(), StoreError> {
        either!(self, alive(node, lasting))
    }

    /// Has that node said so of late?
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn is_alive(&self, node: &str) -> Result<bool, StoreError> {
        either!(self, is_alive(node))
    }

    /// Says something to all nodes, or to one. Whoever is away does not hear it.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn say(&self, word: Word) -> Result<(), StoreError> {
        either!(self, say(word))
    }

    /// What is said to all, and to this node, from now on.
    pub fn listen(&self) -> broadcast::Receiver<Word> {
        match &self.0 {
            Backend::Memory(memory) => memory.listen(),
            Backend::Redis(redis) => redis.listen(),
        }
    }
}
