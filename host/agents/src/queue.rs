//! What waits between an agent and its call: bounded both ways, and never waited for by the audio loop.

use std::collections::VecDeque;

use crate::contract::{FromAgent, Message};

/// Audio messages that may wait for an agent that does not read: 400 ms. Of more, the oldest are dropped.
const BACKLOG: usize = 20;
/// Other messages that may wait. An agent so far behind is gone.
const WORDS: usize = 256;
/// Bytes of audio that an agent may be ahead of what the host takes: four minutes of G.711. Then it is not read on.
const AHEAD: usize = 2 << 20;
/// Other things said that may wait.
const SAID: usize = 1_024;

/// For the agent.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    messages: VecDeque<(bool, Message)>,
    audio: usize,
    /// Messages that were dropped.
    pub(crate) lost: u64,
}

impl Outgoing {
    pub(crate) fn audio(&mut self, message: Message) {
        if self.audio >= BACKLOG
            && let Some(oldest) = self.messages.iter().position(|(is_audio, _)| *is_audio)
        {
            self.messages.remove(oldest);
            self.audio -= 1;
            self.lost += 1;
        }
        self.audio += 1;
        self.messages.push_back((true, message));
    }

    pub(crate) fn word(&mut self, message: Message) {
        if self.messages.len() >= WORDS {
            self.lost += 1;
            return;
        }
        self.messages.push_back((false, message));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn pop(&mut self) -> Option<Message> {
        let (is_audio, message) = self.messages.pop_front()?;
        self.audio -= usize::from(is_audio);
        Some(message)
    }
}

/// From the agent.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    said: VecDeque<FromAgent>,
    /// Bytes of audio, and how many other things.
    audio: usize,
    others: usize,
    /// The host takes no audio now.
    pub(crate) held: bool,
}

impl Incoming {
    /// Appends. Audio that a barge-in or an end overtakes is dropped here: it would be dropped there anyway, and the
    /// word must not wait behind it.
    pub(crate) fn push(&mut self, said: FromAgent) {
        if matches!(said, FromAgent::Clear | FromAgent::HangUp { after_playout: false }) {
            self.said.retain(|waiting| !matches!(waiting, FromAgent::Audio(_)));
            self.audio = 0;
        }
        match &said {
            FromAgent::Audio(bytes) => self.audio += bytes.len(),
            _ => self.others += 1,
        }
        self.said.push_back(said);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.said.is_empty()
    }

    pub(crate) fn pop(&mut self) -> Option<FromAgent> {
        if self.held && matches!(self.said.front(), Some(FromAgent::Audio(_))) {
            return None;
        }
        let said = self.said.pop_front()?;
        match &said {
            FromAgent::Audio(bytes) => self.audio -= bytes.len(),
            _ => self.others -= 1,
        }
        Some(said)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.audio >= AHEAD || self.others >= SAID
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(byte: u8) -> FromAgent {
        FromAgent::Audio(vec![byte; 2])
    }

    #[test]
    fn a_barge_in_overtakes_audio_and_keeps_marks() {
        let mut incoming = Incoming::default();
        [audio(1), FromAgent::Mark("a".into()), audio(2), FromAgent::Clear, audio(3)]
            .into_iter()
            .for_each(|said| incoming.push(said));
        let left: Vec<FromAgent> = std::iter::from_fn(|| incoming.pop()).collect();
        assert_eq!(left, [FromAgent::Mark("a".into()), FromAgent::Clear, audio(3)]);
        assert_eq!(incoming.audio, 0);
    }

    #[test]
    fn a_host_that_takes_no_audio_hears_what_comes_before_it_and_barge_in() {
        let mut incoming = Incoming { held: true, ..Incoming::default() };
        incoming.push(FromAgent::Dtmf("1".into()));
        incoming.push(audio(1));
        assert_eq!((incoming.pop(), incoming.pop()), (Some(FromAgent::Dtmf("1".into())), None));
        incoming.push(FromAgent::Clear);
        assert_eq!(incoming.pop(), Some(FromAgent::Clear));
    }

    #[test]
    fn an_agent_far_ahead_is_not_read_on() {
        let mut incoming = Incoming::default();
        while !incoming.is_full() {
            incoming.push(FromAgent::Audio(vec![0; 1 << 20]));
        }
        assert_eq!(incoming.said.len(), 2);
        incoming.pop();
        assert!(!incoming.is_full());
    }
}
