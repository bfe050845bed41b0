//! A protocol between its two queues. No IO.

use std::time::Duration;

use jackfield_media::Format;

use crate::contract::{Action, FromAgent, Message, Protocol, ToAgent};
use crate::queue::{Incoming, Outgoing};

/// Complaints that an agent is sent within a second; all are counted.
const COMPLAINTS: u32 = 8;

/// Longer messages of audio, in milliseconds, are handed over in frames, so that the host can stop taking in the midst.
const BURST: u32 = 1_000;
const FRAME: u32 = 20;

/// Marks that may wait for their audio; jambonz takes 30.
pub(crate) const MOST_MARKS: usize = 1_000;

/// How far a connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Connecting,
    Ready,
    Refused(String),
    Closed,
}

/// One agent's side of a call.
#[derive(Debug)]
pub(crate) struct Engine {
    protocol: Box<dyn Protocol>,
    /// Of the agent's audio.
    format: Format,
    pub(crate) outgoing: Outgoing,
    pub(crate) incoming: Incoming,
    pub(crate) standing: Standing,
    /// The agent has hung up: it says no more.
    leaving: bool,
    /// Marks that were set and not answered.
    marks: usize,
    complained: (Duration, u32),
}

impl Engine {
    pub(crate) fn new(protocol: Box<dyn Protocol>, format: Format) -> Self {
        Self {
            protocol,
            format,
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            standing: Standing::Connecting,
            leaving: false,
            marks: 0,
            complained: (Duration::ZERO, 0),
        }
    }

    pub(crate) fn open(&mut self, now: Duration) {
        let actions = self.protocol.open(now);
        self.apply(now, actions);
    }

    pub(crate) fn read(&mut self, now: Duration, message: Message) {
        let actions = self.protocol.read(now, message);
        self.apply(now, actions);
    }

    pub(crate) fn tell(&mut self, now: Duration, message: ToAgent) {
        self.marks = self.marks.saturating_sub(usize::from(matches!(message, ToAgent::Mark { .. })));
        let actions = self.protocol.tell(now, message);
        self.apply(now, actions);
    }

    pub(crate) fn wake_at(&self) -> Option<Duration> {
        self.protocol.wake_at()
    }

    pub(crate) fn wake(&mut self, now: Duration) {
        let actions = self.protocol.wake(now);
        self.apply(now, actions);
    }

    /// The connection is gone.
    pub(crate) fn closed(&mut self, normal: bool) {
        if self.standing != Standing::Closed {
            self.standing = match &self.standing {
                Standing::Refused(why) => Standing::Refused(why.clone()),
                _ => Standing::Closed,
            };
            self.incoming.push(FromAgent::Closed { normal });
        }
    }

    /// Something is wrong with what the agent said: counted, and the agent is told.
    pub(crate) fn problem(&mut self, now: Duration, what: String) {
        let (since, count) = self.complained;
        self.complained =
            if now >= since + Duration::from_secs(1) { (now, 1) } else { (since, count.saturating_add(1)) };
        if self.complained.1 <= COMPLAINTS
            && let Some(complaint) = self.protocol.complaint(&what)
        {
            self.outgoing.word(complaint);
        }
        self.incoming.push(FromAgent::Problem(what));
    }

    fn apply(&mut self, now: Duration, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Write(message) => self.outgoing.word(message),
                Action::WriteAudio(message) => self.outgoing.audio(message),
                Action::Say(said) => self.say(now, said),
                Action::Ready if self.standing == Standing::Connecting => self.standing = Standing::Ready,
                Action::Refuse(why) if self.standing == Standing::Connecting => self.standing = Standing::Refused(why),
                Action::Ready | Action::Refuse(_) => {}
            }
        }
    }

    fn say(&mut self, now: Duration, said: FromAgent) {
        match said {
            FromAgent::Problem(what) => self.problem(now, what),
            FromAgent::Audio(bytes) if bytes.is_empty() => {}
            FromAgent::Audio(_) if self.leaving => {
                self.problem(now, "audio after the hang-up is not played".to_owned());
            }
            FromAgent::Audio(bytes) if !self.format.fits(&bytes) => {
                self.problem(now, "the audio ends in the middle of a sample".to_owned());
            }
            FromAgent::Audio(bytes) if bytes.len() > self.format.bytes(BURST) => {
                let frames = bytes.chunks(self.format.bytes(FRAME).max(1));
                frames.for_each(|frame| self.incoming.push(FromAgent::Audio(frame.to_vec())));
            }
            FromAgent::Mark(_) if self.marks >= MOST_MARKS => {
                self.problem(now, format!("{MOST_MARKS} marks wait already; one more was not set"));
            }
            said => {
                self.marks += usize::from(matches!(said, FromAgent::Mark(_)));
                self.leaving |= matches!(said, FromAgent::HangUp { .. });
                self.incoming.push(said);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jackfield_media::Codec;

    use super::*;

    /// Says what it reads: text as a problem, binary as audio, `bye` as a hang-up, `mark` as one.
    #[derive(Debug)]
    struct Parrot;

    impl Protocol for Parrot {
        fn open(&mut self, _now: Duration) -> Vec<Action> {
            vec![Action::Ready]
        }

        fn read(&mut self, _now: Duration, message: Message) -> Vec<Action> {
            vec![Action::Say(match message {
                Message::Binary(bytes) => FromAgent::Audio(bytes),
                Message::Text(text) if text == "bye" => FromAgent::HangUp { after_playout: true },
                Message::Text(text) if text == "mark" => FromAgent::Mark(text),
                Message::Text(text) => FromAgent::Problem(text),
            })]
        }

        fn tell(&mut self, _now: Duration, _message: ToAgent) -> Vec<Action> {
            Vec::new()
        }

        fn complaint(&self, what: &str) -> Option<Message> {
            Some(Message::Text(what.to_owned()))
        }
    }

    fn engine() -> Engine {
        Engine::new(Box::new(Parrot), Format { codec: Codec::L16, rate: 8_000 })
    }

    fn said(engine: &mut Engine) -> Vec<FromAgent> {
        std::iter::from_fn(|| engine.incoming.pop()).collect()
    }

    #[test]
    fn audio_after_the_hang_up_and_half_samples_are_refused_and_the_agent_hears_why() {
        let mut engine = engine();
        engine.open(Duration::ZERO);
        assert_eq!(engine.standing, Standing::Ready);
        engine.read(Duration::ZERO, Message::Binary(vec![1, 2]));
        engine.read(Duration::ZERO, Message::Binary(vec![1, 2, 3]));
        engine.read(Duration::ZERO, Message::Text("bye".into()));
        engine.read(Duration::ZERO, Message::Binary(vec![1, 2]));
        let said = said(&mut engine);
        assert!(matches!(
            said.as_slice(),
            [FromAgent::Audio(_), FromAgent::Problem(_), FromAgent::HangUp { .. }, FromAgent::Problem(_)]
        ));
        assert_eq!(engine.outgoing.pop(), Some(Message::Text("the audio ends in the middle of a sample".into())));
        assert_eq!(engine.outgoing.pop(), Some(Message::Text("audio after the hang-up is not played".into())));
    }

    #[test]
    fn an_agent_that_errs_without_end_is_told_a_few_times_a_second_and_counted_each_time() {
        let mut engine = engine();
        for tenth in 0..20 {
            engine.read(Duration::from_millis(100 * tenth), Message::Text("nonsense".into()));
            engine.read(Duration::from_millis(100 * tenth), Message::Text("nonsense".into()));
        }
        let told = std::iter::from_fn(|| engine.outgoing.pop()).count();
        assert_eq!((said(&mut engine).len(), told), (40, 16));
    }

    #[test]
    fn marks_without_end_are_refused_until_some_are_answered() {
        let mut engine = engine();
        let mut set = |answered: usize| {
            for _ in 0..answered {
                engine.tell(Duration::ZERO, ToAgent::Mark { name: "mark".into(), cleared: false, heard_ms: 0 });
            }
            engine.read(Duration::ZERO, Message::Text("mark".into()));
            said(&mut engine).pop()
        };
        for _ in 0..MOST_MARKS {
            assert_eq!(set(0), Some(FromAgent::Mark("mark".into())));
        }
        assert!(matches!(set(0), Some(FromAgent::Problem(_))));
        assert_eq!(set(1), Some(FromAgent::Mark("mark".into())));
    }

    #[test]
    fn a_minute_in_one_message_is_handed_over_frame_by_frame_and_whole() {
        let mut engine = engine();
        let minute: Vec<u8> = (0..480_000u32).flat_map(|sample| sample.to_le_bytes().into_iter().take(2)).collect();
        engine.read(Duration::ZERO, Message::Binary(minute.clone()));
        let frames = said(&mut engine).into_iter().map(|said| match said {
            FromAgent::Audio(bytes) => bytes,
            other => panic!("{other:?}"),
        });
        let frames: Vec<Vec<u8>> = frames.collect();
        assert!(frames.iter().all(|frame| frame.len() == 320));
        assert_eq!(frames.concat(), minute);
    }

    #[test]
    fn the_end_is_said_once() {
        let mut engine = engine();
        engine.closed(true);
        engine.closed(false);
        assert_eq!(said(&mut engine), [FromAgent::Closed { normal: true }]);
    }
}
