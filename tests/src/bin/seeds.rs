//! Writes the corpora of the fuzz targets anew: inputs made of the plugins' test vectors, and memories of guests that answer well.
//!
//! `cargo run --release --package jackfield-tests --bin seeds`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

const PLUGINS: [&str; 8] = ["twilio", "plivo", "vobiz", "vonage", "cloudonix", "telnyx", "asterisk", "webex"];
/// Longer ones say nothing that shorter ones do not.
const LONGEST: usize = 1_200;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for plugin in PLUGINS {
        let vectors = root.join("../../plugins").join(plugin).join("vectors");
        write(&root.join("corpus").join(plugin), chosen(&vectors)?)?;
    }
    write(&root.join("corpus/guest_results"), guests::all())
}

fn write(folder: &Path, seeds: Vec<(String, Vec<u8>)>) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    seeds.into_iter().try_for_each(|(name, seed)| Ok(std::fs::write(folder.join(name), seed)?))
}

/// Of each question some, from all over the alphabet.
fn chosen(vectors: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut questions: BTreeMap<String, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    let entries = std::fs::read_dir(vectors)?.collect::<Result<Vec<_>, _>>()?;
    let mut folders: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).filter(|path| path.is_dir()).collect();
    folders.sort();
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (question, seed) = seed(vectors, &folder).with_context(|| folder.display().to_string())?;
        if seed.len() <= LONGEST {
            questions.entry(question).or_default().push((name, seed));
        }
    }
    let some = |(question, seeds): (String, Vec<_>)| {
        let wanted = if matches!(question.as_str(), "webhook" | "message") { 10 } else { 2 };
        let every = seeds.len().div_ceil(wanted);
        seeds.into_iter().step_by(every)
    };
    let mut chosen: Vec<_> = questions.into_iter().flat_map(some).collect();
    chosen.extend(long(&chosen));
    Ok(chosen)
}

/// What is signed once more, with a list of signatures and with a body that is as long as can be.
fn long(chosen: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    const ONCE: &str = "\u{1e}1 1\u{1e}";
    let is_signed = |name: &str| {
        let starts = name.starts_with("sign-") || name.starts_with("key-");
        starts && !name.contains("malformed") && !name.contains("unsigned")
    };
    let signed = chosen.iter().filter(|(name, _)| is_signed(name));
    let longer = |(name, seed): &(String, Vec<u8>)| {
        let text = String::from_utf8(seed.clone()).ok()?;
        Some((format!("long-{name}"), text.replacen(ONCE, "\u{1e}999 9999\u{1e}", 1).into_bytes()))
    };
    signed.filter_map(longer).take(2).collect()
}

/// What is asked, and the input that asks it.
fn seed(vectors: &Path, folder: &Path) -> Result<(String, Vec<u8>)> {
    let word = |name: &str| std::fs::read_to_string(folder.join(name)).map(|text| text.trim().to_owned());
    let now = word("now").unwrap_or_else(|_| "0".to_owned());
    if let Ok(request) = std::fs::read(folder.join("request.http")) {
        let hook = word("hook").unwrap_or_else(|_| "inbound".to_owned());
        return Ok(("webhook".to_owned(), webhook(&hook, &now, &request)?));
    }
    let request: BTreeMap<String, Value> = serde_json::from_slice(&std::fs::read(folder.join("request.json"))?)?;
    let (question, said) = request.into_iter().next().context("a question")?;
    let own = folder.join("account.json");
    let account = if own.exists() { own } else { vectors.join("account.json") };
    let account: Value = serde_json::from_slice(&std::fs::read(account)?)?;
    let answers = std::fs::read(folder.join("http.json")).unwrap_or_else(|_| b"[]".to_vec());
    let answers: Vec<Value> = serde_json::from_slice(&answers)?;
    let mut parts = asked(&question, &said, &account, &now);
    parts.extend(answers.iter().map(|exchange| answer(&exchange["answer"])));
    Ok((question, parts.join(&0x1E)))
}

fn webhook(hook: &str, now: &str, request: &[u8]) -> Result<Vec<u8>> {
    let blank = request.windows(2).position(|pair| pair == b"\n\n").context("a blank line")?;
    let (head, body) = (std::str::from_utf8(&request[..blank])?, &request[blank + 2..]);
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let (method, url) = line.split_once(' ').context("a request line")?;
    let lower = |line: &str| line.split_once(':').map(|(name, value)| format!("{}:{value}", name.to_lowercase()));
    let headers: Vec<String> = headers.lines().filter_map(lower).collect();
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    let headers = headers.join("\n");
    let hook = format!("w{hook}");
    let head = [&hook, now, "1 1", method, url, &headers].map(str::as_bytes);
    Ok([&head[..], &[body]].concat().join(&0x1E))
}

fn asked(question: &str, said: &Value, account: &Value, now: &str) -> Vec<Vec<u8>> {
    let text = |name: &str| text(&said[name]);
    let call = || call(&said["call"]);
    let parts = match question {
        "check" => vec![format!("a{}", lines(&account["fields"]))],
        "reply" => [vec![format!("r{}", call())], action(&said["action"])].concat(),
        "answer" => [vec![format!("c{question}"), call()], action(&said["action"])].concat(),
        "transfer" => [vec![format!("c{question}"), call()], step(&said["step"])].concat(),
        "message" => vec![format!("s{now}"), text("message")],
        "media" => return media(&call(), said["steps"].as_array().map(Vec::as_slice).unwrap_or_default()),
        "locate" => vec!["s0".to_owned(), String::new()],
        "desk_calls" | "desk_history" => vec![format!("d{}", &question[5..]), text("person"), String::new()],
        "desk_order" => vec!["dcarry_out".to_owned(), text("person"), order(&said["order"])],
        "desk_watch" => vec!["dwatch".to_owned(), text("person"), format!("u{}", text("url"))],
        "chat_send" => vec!["hsend".to_owned(), text("person"), text("text")],
        "chat_fetch" => vec!["hfetch".to_owned(), text("id"), String::new()],
        "chat_listen" => vec!["hlisten".to_owned(), text("url"), String::new()],
        "place" | "find_placed" => {
            let (call, none) = (self::call(&said["request"]["call"]), String::new);
            vec![format!("c{question}"), call, none(), none(), none()]
        }
        function => {
            let first = format!("x{}{}", text("step"), text("number"));
            vec![format!("c{function}"), call(), first, text("webhook") + &text("cursor"), String::new()]
        }
    };
    parts.into_iter().map(String::into_bytes).collect()
}

/// Text as it is, anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn lines(fields: &Value) -> String {
    let fields = fields.as_object().into_iter().flatten();
    fields.map(|(name, value)| format!("{name}={}\n", text(value))).collect()
}

fn call(call: &Value) -> String {
    let direction = if call["direction"] == "Inbound" { "i" } else { "o" };
    [direction, &text(&call["provider_id"]), &text(&call["from"]), &text(&call["to"]), &text(&call["memo"])].join("\n")
}

/// The name of a variant's case, and what is in it.
fn case(value: &Value) -> (&str, Value) {
    let only = value.as_object().and_then(|object| object.iter().next());
    only.map_or((value.as_str().unwrap_or_default(), Value::Null), |(name, value)| (name, value.clone()))
}

fn action(action: &Value) -> Vec<String> {
    let none = String::new;
    match case(action) {
        ("Stream", said) => vec![format!("t{}", text(&said["url"])), text(&said["hooks"]), none()],
        ("Say", said) => vec![format!("s{}", text(&said["text"])), text(&said["language"]), none()],
        ("HangUp", _) => vec!["h".to_owned()],
        ("Reject", why) => vec![if why == "Busy" { "b" } else { "d" }.to_owned()],
        ("Conference", said) => {
            vec![format!("c{}", text(&said["name"])), text(&said["announcement"]), "1".to_owned()]
        }
        ("Acknowledge", _) => vec!["a".to_owned()],
        (_, said) => vec![format!("o{}", text(&said))],
    }
}

fn step(step: &Value) -> Vec<String> {
    match case(step) {
        ("Dial", said) => vec![format!("d{}", text(&said["to"])), text(&said["from"]), text(&said["announcement"])],
        ("Join", said) => vec![format!("j{}", text(&said["destination"]))],
        ("Cancel", said) => vec![format!("c{}", text(&said))],
        (_, said) => vec![format!("o{}", text(&said))],
    }
}

fn order(order: &Value) -> String {
    let (name, said) = case(order);
    let letters = [("Dial", 'd'), ("Answer", 'a'), ("HangUp", 'e'), ("Reject", 'r'), ("Hold", 'h'), ("Resume", 'c')];
    let letter = letters.iter().find(|(known, _)| *known == name).map_or('o', |(_, letter)| *letter);
    format!("{letter}{}", text(&said))
}

fn media(call: &str, steps: &[Value]) -> Vec<Vec<u8>> {
    let step = |step: &Value| match case(step) {
        ("text", said) => format!("t{}", text(&said)),
        ("binary", said) => format!("b{}", text(&said)),
        (command, said) => format!("{}{}", command.chars().next().unwrap_or('o'), text(&said)),
    };
    std::iter::once(format!("m{call}")).chain(steps.iter().map(step)).map(String::into_bytes).collect()
}

fn answer(answer: &Value) -> Vec<u8> {
    if !answer["error"].is_null() {
        return case(&answer["error"]).0.to_lowercase().into_bytes()[..1].to_vec();
    }
    let headers: Vec<(String, String)> = serde_json::from_value(answer["headers"].clone()).unwrap_or_default();
    let headers: String = headers.iter().map(|(name, value)| format!("\n{name}: {value}")).collect();
    format!("{}{headers}\n\n{}", answer["status"], text(&answer["body"])).into_bytes()
}

/// The memory of a guest: the address of its result, the result, and a text behind it.
mod guests {
    /// The letter of the export, and the words of its result.
    const ANSWERS: [(&str, u8, &[u32]); 17] = [
        ("check-one-problem", b'a', &[24, 1, 0, 0, TEXT, 4, TEXT, 8]),
        ("identify-both", b'b', &[1, 1, TEXT, 4, 1, TEXT, 8]),
        ("identify-nobody", b'b', &[0]),
        ("authenticate-verified", b'c', &[0, 0, 64, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]),
        ("authenticate-hmac", b'c', &[0, 0, 64, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, TEXT, 4, 1, TEXT, 8, TEXT, 8]),
        ("authenticate-unsigned", b'c', &[1, 0, 0]),
        ("read-nothing", b'd', &[0, 0, 0]),
        ("read-ignored", b'd', &[0, 24, 1, 0, 7, 0, TEXT, 4]),
        ("read-refused", b'd', &[1, 3, TEXT, 2, TEXT, 4]),
        ("reply-empty", b'e', &[0, 200, 0, 0, 0, 0]),
        ("open-pcmu", b'f', &[0, 0, 0, 0, 8_000, 0, 0, 0, 8_000, 20, 100, 0, 0, 0]),
        ("decode-a-digit", b'g', &[0, 24, 1, 0, 2, 0, TEXT, 1]),
        ("encode-a-text", b'h', &[0, 24, 1, 0, 0, TEXT, 8]),
        ("probe-well", b'k', &[0]),
        ("inspect-and-send", b'q', &[TEXT, 3, TEXT, 8, 0, 0, TEXT, 4, 0, 0, 1, 0, 2]),
        ("fetch-nothing", b'y', &[0, 0]),
        ("retry-later", b'z', &[1, 4, 30]),
    ];
    /// Where the text lies.
    const TEXT: u32 = 120;

    pub(super) fn all() -> Vec<(String, Vec<u8>)> {
        ANSWERS.map(|(name, export, words)| (name.to_owned(), memory(export, words))).into()
    }

    /// The first word is the address of the result: 8, or behind the eleven words of a request.
    fn memory(export: u8, words: &[u32]) -> Vec<u8> {
        let before: &[u32] = if export == b'q' { &[48] } else { &[8, 0] };
        let mut memory: Vec<u8> = [before, words].concat().iter().flat_map(|word| word.to_le_bytes()).collect();
        memory.resize(TEXT as usize, 0);
        memory.extend(b"5abcdefgh");
        [&[export], &memory[..]].concat()
    }
}
