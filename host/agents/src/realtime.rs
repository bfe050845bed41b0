//! OpenAI Realtime and its look-alikes: audio straight through as G.711, barge-in by truncation at what was heard.

mod heard;
mod options;
mod tools;

use std::collections::VecDeque;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use self::heard::Ledger;
use self::options::Greeting;
pub(crate) use self::options::Options;
use self::tools::Wish;
use crate::connector::Beginning;
use crate::contract::{Action, AgentAudio, FromAgent, Message, Protocol, Speaker, ToAgent};

/// Items and responses whose late audio is still to be dropped.
const REMEMBERED: usize = 64;
/// A model that has hung up may finish its response in so long.
const FAREWELL: Duration = Duration::from_secs(5);
/// Longest name of an item: it becomes a mark.
const LONGEST_ID: usize = 200;
/// Keys that the model is told of at once.
const MOST_KEYS: usize = 64;
/// Event ids of our requests for a response: an error that names one means that none was begun.
const REQUEST: &str = "jackfield-response";

/// One call with one model.
#[derive(Debug)]
pub(crate) struct Realtime {
    options: Options,
    audio: AgentAudio,
    /// The server itself stops speaking when the caller does.
    server_interrupts: bool,
    phase: Phase,
    ledger: Ledger,
    /// Cut items and responses.
    dropped: VecDeque<String>,
    response: Response,
    /// A response is due as soon as none is in progress.
    wanted: bool,
    /// Keys since the model was last asked about them, and when it will be.
    keys: String,
    keys_at: Option<Duration>,
    /// The model has hung up; when its last response is waited for no more.
    leaving: Option<Duration>,
    /// Calls of functions that were answered.
    answered: VecDeque<String>,
    requests: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Until the server speaks.
    Silent,
    /// The session was asked for.
    Asked,
    Live,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Response {
    None,
    /// Asked for by us.
    Requested,
    InProgress(String),
}

impl Realtime {
    pub(crate) fn new(options: &Options, beginning: &Beginning<'_>) -> Self {
        Self {
            audio: beginning.audio,
            ledger: Ledger::new(beginning.audio.from_agent),
            server_interrupts: options.server_interrupts(beginning.audio),
            options: options.clone(),
            phase: Phase::Silent,
            dropped: VecDeque::new(),
            response: Response::None,
            wanted: false,
            keys: String::new(),
            keys_at: None,
            leaving: None,
            answered: VecDeque::new(),
            requests: 0,
        }
    }

    /// Unknown events are no fault: there are more each year.
    fn event(&mut self, now: Duration, event: &Value) -> Vec<Action> {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "session.created" if self.phase == Phase::Silent => self.ask(),
            "session.updated" if self.phase == Phase::Asked => self.updated(&event["session"]),
            "input_audio_buffer.speech_started" => self.barge_in(),
            "response.created" => {
                let id = event["response"]["id"].as_str().unwrap_or_default();
                self.response = Response::InProgress(id.to_owned());
                Vec::new()
            }
            "response.done" => self.response_done(&event["response"]),
            "response.output_audio.delta" | "response.audio.delta" => self.speech(event),
            "response.output_audio.done" | "response.audio.done" => self.speech_done(text("item_id")),
            "response.output_audio_transcript.done" | "response.audio_transcript.done" => {
                words(Speaker::Agent, text("transcript"))
            }
            "conversation.item.input_audio_transcription.completed" => words(Speaker::Caller, text("transcript")),
            "response.function_call_arguments.done" if !text("name").is_empty() => {
                self.function(now, text("call_id"), text("name"), text("arguments"))
            }
            "response.output_item.done" if event["item"]["type"] == "function_call" => {
                let text = |key: &str| event["item"][key].as_str().unwrap_or_default();
                self.function(now, text("call_id"), text("name"), text("arguments"))
            }
            "error" => self.error(&event["error"]),
            _ => Vec::new(),
        }
    }

    fn ask(&mut self) -> Vec<Action> {
        self.phase = Phase::Asked;
        vec![write(&json!({ "type": "session.update", "session": self.options.session(self.audio) }))]
    }

    fn updated(&mut self, session: &Value) -> Vec<Action> {
        if let Err(what) = self.options.check(session, self.audio) {
            return vec![Action::Refuse(what)];
        }
        self.phase = Phase::Live;
        let greeting = match &self.options.greeting {
            Greeting::None => None,
            Greeting::Plain => Some(json!({})),
            Greeting::With(text) => Some(json!({ "instructions": text })),
        };
        let greeting = greeting.map(|response| self.request(response));
        greeting.into_iter().chain([Action::Ready]).collect()
    }

    fn speech(&mut self, event: &Value) -> Vec<Action> {
        let item = event["item_id"].as_str().unwrap_or_default();
        if self.is_dropped(item) || self.is_dropped(event["response_id"].as_str().unwrap_or_default()) {
            return Vec::new();
        }
        let audio = event["delta"].as_str().and_then(|text| STANDARD.decode(text).ok());
        let Some(audio) = audio else {
            return problem("an audio delta is not base64");
        };
        self.ledger.say(item, audio.len());
        vec![Action::Say(FromAgent::Audio(audio))]
    }

    /// A mark at the end of an item tells when it was heard.
    fn speech_done(&self, item: &str) -> Vec<Action> {
        if self.is_dropped(item) || !(1..=LONGEST_ID).contains(&item.len()) {
            return Vec::new();
        }
        vec![Action::Say(FromAgent::Mark(item.to_owned()))]
    }

    /// The caller speaks: what is unheard shall not be heard any more.
    fn barge_in(&mut self) -> Vec<Action> {
        if !self.ledger.has_unheard() && !self.server_interrupts {
            return Vec::new();
        }
        let mut actions = Vec::new();
        if let Response::InProgress(id) = self.response.clone() {
            self.drop_late(id);
            if !self.server_interrupts {
                actions.push(write(&json!({ "type": "response.cancel" })));
            }
        }
        if self.ledger.has_unheard() {
            self.ledger.cut().into_iter().for_each(|item| self.drop_late(item));
            actions.push(Action::Say(FromAgent::Clear));
        }
        actions
    }

    /// The host heard the caller speak. The model hears of it too late, or not at all.
    fn interrupted(&mut self, heard_ms: u64) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Response::InProgress(id) = self.response.clone() {
            self.drop_late(id);
            actions.push(write(&json!({ "type": "response.cancel" })));
        }
        self.ledger.cut().into_iter().for_each(|item| self.drop_late(item));
        actions.extend(self.cleared(heard_ms));
        actions
    }

    /// The model shall believe that the caller heard what was heard, and no more.
    fn cleared(&mut self, heard_ms: u64) -> Vec<Action> {
        let cut = self.ledger.cleared(heard_ms);
        let truncate = |item: &heard::CutItem| {
            write(&json!({
                "type": "conversation.item.truncate", "item_id": item.id, "content_index": 0,
                "audio_end_ms": item.heard_ms,
            }))
        };
        let actions = cut.iter().filter(|item| !item.id.is_empty()).map(truncate).collect();
        cut.into_iter().for_each(|item| self.drop_late(item.id));
        actions
    }

    fn response_done(&mut self, response: &Value) -> Vec<Action> {
        self.response = Response::None;
        let mut actions = Vec::new();
        if response["status"] == "failed" {
            let code = response["status_details"]["error"]["code"].as_str().unwrap_or("no code");
            actions.extend(problem(&format!("a response failed: {}", plain(code))));
        }
        if self.leaving.take().is_some() {
            actions.push(Action::Say(FromAgent::HangUp { after_playout: true }));
        } else if std::mem::take(&mut self.wanted) {
            actions.push(self.request(json!({})));
        }
        actions
    }

    fn function(&mut self, now: Duration, call_id: &str, name: &str, arguments: &str) -> Vec<Action> {
        // Both of two events tell of a call, and look-alikes send either.
        if self.answered.iter().any(|answered| answered == call_id) {
            return Vec::new();
        }
        remember(&mut self.answered, call_id.to_owned());
        let output = |output: Value| {
            let item = json!({ "type": "function_call_output", "call_id": call_id, "output": output.to_string() });
            write(&json!({ "type": "conversation.item.create", "item": item }))
        };
        match tools::wish(name, arguments) {
            Wish::HangUp => {
                let done = output(json!({ "ok": true }));
                if self.response == Response::None {
                    return vec![done, Action::Say(FromAgent::HangUp { after_playout: true })];
                }
                // It may still be speaking.
                self.leaving = Some(now + FAREWELL);
                vec![done]
            }
            Wish::Dtmf(digits) => {
                let said = Action::Say(FromAgent::Dtmf(digits));
                [said, output(json!({ "ok": true }))].into_iter().chain(self.want()).collect()
            }
            Wish::Transfer(wish) => {
                let said = Action::Say(FromAgent::Transfer(wish));
                vec![said, output(json!({ "ok": true, "state": "requested" }))]
            }
            Wish::Impossible(why) => [output(json!({ "error": why }))].into_iter().chain(self.want()).collect(),
        }
    }

    fn error(&mut self, error: &Value) -> Vec<Action> {
        let code = error["code"].as_str().or_else(|| error["type"].as_str()).unwrap_or("no code");
        let param = error["param"].as_str().map(|param| format!(" at `{}`", plain(param))).unwrap_or_default();
        // Its message may quote what we sent, so it stays out.
        let what = format!("the server reports the error `{}`{param}", plain(code));
        if self.phase != Phase::Live {
            return vec![Action::Refuse(what)];
        }
        let ours = error["event_id"].as_str().is_some_and(|id| id.starts_with(REQUEST));
        if ours && self.response == Response::Requested {
            self.response = Response::None;
            self.wanted |= code == "conversation_already_has_active_response";
        }
        // The response ended while our cancel was on its way.
        if code == "response_cancel_not_active" { Vec::new() } else { problem(&what) }
    }

    /// Asks for a response now, or when the present one is done.
    fn want(&mut self) -> Option<Action> {
        if self.response == Response::None {
            return Some(self.request(json!({})));
        }
        self.wanted = true;
        None
    }

    fn request(&mut self, response: Value) -> Action {
        self.requests += 1;
        self.response = Response::Requested;
        let mut event = json!({ "type": "response.create", "event_id": format!("{REQUEST}-{}", self.requests) });
        if response != json!({}) {
            event["response"] = response;
        }
        write(&event)
    }

    fn is_dropped(&self, id: &str) -> bool {
        !id.is_empty() && self.dropped.iter().any(|dropped| dropped == id)
    }

    fn drop_late(&mut self, id: String) {
        if !id.is_empty() && !self.is_dropped(&id) {
            remember(&mut self.dropped, id);
        }
    }
}

impl Protocol for Realtime {
    fn open(&mut self, _now: Duration) -> Vec<Action> {
        Vec::new()
    }

    fn read(&mut self, now: Duration, message: Message) -> Vec<Action> {
        // Some proxies put the JSON into binary messages.
        let event: Result<Value, _> = match &message {
            Message::Text(text) => serde_json::from_str(text),
            Message::Binary(bytes) => serde_json::from_slice(bytes),
        };
        match event {
            Ok(event) if event.is_object() => self.event(now, &event),
            _ => problem("an event is one JSON object"),
        }
    }

    fn tell(&mut self, now: Duration, message: ToAgent) -> Vec<Action> {
        match message {
            ToAgent::Audio(_) if self.phase != Phase::Live => Vec::new(),
            ToAgent::Audio(audio) => {
                let event = json!({ "type": "input_audio_buffer.append", "audio": STANDARD.encode(audio) });
                vec![Action::WriteAudio(Message::Text(event.to_string()))]
            }
            ToAgent::Dtmf(key) => {
                if self.keys.len() < MOST_KEYS {
                    self.keys.push_str(&key);
                }
                self.keys_at = Some(now + Duration::from_millis(u64::from(self.options.dtmf_gap_ms)));
                Vec::new()
            }
            ToAgent::Mark { name, cleared: false, heard_ms } => {
                self.ledger.played(&name, heard_ms);
                Vec::new()
            }
            ToAgent::Cleared { heard_ms } => self.cleared(heard_ms),
            // Only what the model has to go on with.
            ToAgent::Transfer { state, reason } if state == "failed" => {
                let text = format!("The transfer failed: {}.", reason.unwrap_or_default());
                let content = json!([{ "type": "input_text", "text": text }]);
                let item = json!({ "type": "message", "role": "system", "content": content });
                let told = write(&json!({ "type": "conversation.item.create", "item": item }));
                [told].into_iter().chain(self.want()).collect()
            }
            ToAgent::Transfer { .. } => Vec::new(),
            ToAgent::BargeIn { heard_ms } => self.interrupted(heard_ms),
            // There is no word for an end, and marks that were cut are answered by `Cleared`.
            ToAgent::Mark { cleared: true, .. } | ToAgent::Stop { .. } => Vec::new(),
        }
    }

    fn wake_at(&self) -> Option<Duration> {
        self.keys_at.into_iter().chain(self.leaving).min()
    }

    fn wake(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.keys_at.is_some_and(|at| at <= now) {
            self.keys_at = None;
            let text = format!("DTMF {}", std::mem::take(&mut self.keys));
            let content = json!([{ "type": "input_text", "text": text }]);
            let item = json!({ "type": "message", "role": "user", "content": content });
            actions.push(write(&json!({ "type": "conversation.item.create", "item": item })));
            actions.extend(self.want());
        }
        if self.leaving.is_some_and(|at| at <= now) {
            self.leaving = None;
            actions.push(Action::Say(FromAgent::HangUp { after_playout: true }));
        }
        actions
    }
}

fn write(event: &Value) -> Action {
    Action::Write(Message::Text(event.to_string()))
}

fn problem(what: &str) -> Vec<Action> {
    vec![Action::Say(FromAgent::Problem(what.to_owned()))]
}

fn words(speaker: Speaker, text: &str) -> Vec<Action> {
    let text = text.to_owned();
    if text.is_empty() { Vec::new() } else { vec![Action::Say(FromAgent::Transcript { speaker, text, last: true })] }
}

/// A server's word, fit for a log.
fn plain(word: &str) -> String {
    word.chars().filter(|letter| letter.is_ascii_alphanumeric() || "_.-[]".contains(*letter)).take(80).collect()
}

fn remember(all: &mut VecDeque<String>, one: String) {
    if all.len() >= REMEMBERED {
        all.pop_front();
    }
    all.push_back(one);
}

#[cfg(test)]
mod tests;
