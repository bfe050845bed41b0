//! Records what exports were asked and what they answered, so that any build can be asked the same again, elsewhere: a guest
//! sees nothing but its arguments and the answers to its requests, and both are written down.
//!
//! A trace holds what providers sent: telephone numbers, texts, audio. It is kept for whoever asked for it, in memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jackfield_vectors::{Arguments, Instance, Interface, Script, Subject};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::fault::GuestError;
use crate::types::{HttpError, HttpRequest, HttpResponse};

/// Bytes of a trace: what comes then is not recorded any more.
const LARGEST: usize = 32 << 20;

/// One call of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceEntry {
    /// SHA-256 of the build, in hex.
    pub digest: String,
    /// Which guest of the trace: media and webhook guests are called more than once.
    pub guest: u64,
    /// As in the contract.
    pub interface: String,
    pub function: String,
    /// Arguments by their names.
    pub given: Map<String, Value>,
    /// What it sent meanwhile, and what came back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<Exchange>,
    /// Its result, or `failed` with what went wrong.
    pub gave: Value,
}

/// A request of a guest, and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    pub request: HttpRequest,
    pub answer: Result<HttpResponse, HttpError>,
}

/// Takes down so many calls of a plugin's exports.
#[derive(Debug)]
pub(crate) struct Recorder {
    left: AtomicUsize,
    guests: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: Vec<TraceEntry>,
    bytes: usize,
}

impl Recorder {
    pub(crate) fn new(exports: usize) -> Self {
        Self { left: AtomicUsize::new(exports), guests: AtomicU64::new(0), kept: Mutex::default() }
    }

    /// What was taken down so far, and whether more will be.
    pub(crate) fn entries(&self) -> (Vec<TraceEntry>, bool) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.entries.clone(), self.runs())
    }

    /// Nothing more is taken down, also of guests that are at work.
    pub(crate) fn close(&self) {
        self.left.store(0, Ordering::Relaxed);
    }

    fn runs(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    fn put(&self, entry: TraceEntry) {
        let size = serde_json::to_vec(&entry).map_or(LARGEST, |text| text.len());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.runs() {
            return;
        }
        if kept.bytes + size > LARGEST {
            return self.close();
        }
        kept.bytes += size;
        kept.entries.push(entry);
        self.left.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A guest's way to the recorder.
#[derive(Debug)]
pub(crate) struct Tape {
    recorder: Arc<Recorder>,
    digest: String,
    guest: u64,
    interface: &'static str,
}

impl Tape {
    /// For a new guest, where its plugin is recorded.
    pub(crate) fn of(recorder: Option<Arc<Recorder>>, digest: &str, interface: &'static str) -> Option<Self> {
        let recorder = recorder.filter(|recorder| recorder.runs())?;
        let guest = recorder.guests.fetch_add(1, Ordering::Relaxed);
        Some(Self { recorder, digest: digest.to_owned(), guest, interface })
    }

    /// Is it worth while to put into words what happens? A stream outlives its recording.
    pub(crate) fn runs(&self) -> bool {
        self.recorder.runs()
    }

    pub(crate) fn write<T: Serialize>(
        &self,
        export: &str,
        given: Map<String, Value>,
        http: Vec<Exchange>,
        result: &Result<T, GuestError>,
    ) {
        let gave = match result {
            Ok(result) => serde_json::to_value(result).unwrap_or_default(),
            Err(error) => failed(&error.to_string()),
        };
        let (interface, function) = (self.interface.to_owned(), export.replace('-', "_"));
        self.recorder.put(TraceEntry {
            digest: self.digest.clone(),
            guest: self.guest,
            interface,
            function,
            given,
            http,
            gave,
        });
    }
}

fn failed(why: &str) -> Value {
    json!({ "failed": why })
}

/// What a build answers to the same question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Place in the trace, from 0.
    pub index: usize,
    /// `interface.function`.
    pub export: String,
    /// Where it differs, and how; empty where it does not.
    pub differences: Vec<String>,
}

/// Asks a build everything that a trace holds, in its order.
///
/// # Errors
/// When the trace names an interface that the contract does not have.
pub fn replay(trace: &[TraceEntry], subject: &dyn Subject) -> Result<Vec<Replayed>, String> {
    let last: HashMap<u64, usize> = trace.iter().enumerate().map(|(index, entry)| (entry.guest, index)).collect();
    // Those that are asked again: a trace may have more guests than memory has room for.
    let mut guests: HashMap<u64, Box<dyn Instance + '_>> = HashMap::new();
    let mut replayed = Vec::new();
    for (index, entry) in trace.iter().enumerate() {
        let interface = interface(&entry.interface)?;
        let script = Script::recorded(exchanges(entry)?);
        // Guests that send serve one call each.
        let guest = match guests.remove(&entry.guest) {
            Some(guest) => Ok(guest),
            None => subject.instance(interface, &script),
        };
        let outcome = guest.and_then(|mut guest| {
            let outcome = guest.call(&entry.function, Arguments::exact(entry.given.clone()));
            if last.get(&entry.guest) != Some(&index) {
                guests.insert(entry.guest, guest);
            }
            outcome
        });
        let gave = outcome.unwrap_or_else(|why| failed(&why));
        let mut differences = Vec::new();
        compare("", &entry.gave, &gave, &mut differences);
        differences.extend(script.finish().err());
        replayed.push(Replayed { index, export: format!("{}.{}", entry.interface, entry.function), differences });
    }
    Ok(replayed)
}

fn exchanges(entry: &TraceEntry) -> Result<Vec<(Value, Value)>, String> {
    let shown =
        |exchange: &Exchange| Ok((serde_json::to_value(&exchange.request)?, serde_json::to_value(&exchange.answer)?));
    entry.http.iter().map(shown).collect::<Result<_, serde_json::Error>>().map_err(|error| error.to_string())
}

fn interface(name: &str) -> Result<Interface, String> {
    Ok(match name {
        "manifest" => Interface::Manifest,
        "webhooks" => Interface::Webhooks,
        "calls" => Interface::Calls,
        "media" => Interface::Media,
        "socket" => Interface::Socket,
        "desk" => Interface::Desk,
        "chat" => Interface::Chat,
        other => return Err(format!("the trace names an interface `{other}`, which the contract does not have")),
    })
}

/// Differences that are told of one answer.
const TOLD: usize = 8;

fn compare(place: &str, was: &Value, is: &Value, found: &mut Vec<String>) {
    match (was, is) {
        _ if was == is || found.len() >= TOLD => {}
        (Value::Object(was), Value::Object(is)) => {
            let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
            for name in names {
                let of = |all: &Map<String, Value>| all.get(name).cloned().unwrap_or_default();
                compare(&format!("{place}.{name}"), &of(was), &of(is), found);
            }
        }
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() && !is_bytes(was) => {
            for (index, (was, is)) in was.iter().zip(is).enumerate() {
                compare(&format!("{place}[{index}]"), was, is, found);
            }
        }
        _ => found.push(format!("{}: {} before, {} now", place.trim_start_matches('.'), short(was), short(is))),
    }
}

fn is_bytes(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|item| item.as_u64().is_some_and(|number| number < 256))
}

/// Bytes as text where they are text; not more than a line.
fn short(value: &Value) -> String {
    let bytes = value.as_array().filter(|items| is_bytes(items));
    let bytes: Option<Vec<u8>> =
        bytes.map(|items| items.iter().filter_map(|item| u8::try_from(item.as_u64()?).ok()).collect());
    let text = match bytes.map(String::from_utf8) {
        Some(Ok(text)) => format!("{text:?}"),
        _ => value.to_string(),
    };
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_their_place() {
        let (was, is) = (
            json!({ "a": [{ "b": 1 }, { "b": 2 }], "body": [104, 105], "same": null }),
            json!({ "a": [{ "b": 1 }, { "b": 3 }], "body": [104, 111], "same": null, "new": "x" }),
        );
        let mut found = Vec::new();
        compare("", &was, &is, &mut found);
        assert_eq!(
            found,
            ["a[1].b: 2 before, 3 now", "body: \"hi\" before, \"ho\" now", "new: null before, \"x\" now"]
        );
    }

    #[test]
    fn a_recording_that_is_ended_takes_down_nothing_more_of_guests_at_work() {
        let recorder = Arc::new(Recorder::new(9));
        let tape = Tape::of(Some(Arc::clone(&recorder)), "d", "media");
        recorder.close();
        for tape in tape.iter() {
            assert!(!tape.runs());
            tape.write("decode", Map::new(), Vec::new(), &Ok(7));
        }
        assert_eq!((tape.is_some(), recorder.entries()), (true, (Vec::new(), false)));
    }

    #[test]
    fn a_recorder_takes_down_so_many_and_no_more() {
        let recorder = Arc::new(Recorder::new(2));
        for _ in 0..3 {
            if let Some(tape) = Tape::of(Some(Arc::clone(&recorder)), "d", "webhooks") {
                tape.write("find-placed", Map::new(), Vec::new(), &Ok(7));
            }
        }
        let (entries, more) = recorder.entries();
        assert_eq!((entries.len(), more), (2, false));
        assert_eq!((entries[1].function.as_str(), &entries[1].gave, entries[1].guest), ("find_placed", &json!(7), 1));
    }
}
