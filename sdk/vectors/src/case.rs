//! Reads a case from its folder. Whatever is not understood is an error, so that no case is silently empty.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::script::Exchange;

const FILES: [&str; 7] = ["request.http", "request.json", "http.json", "expect.json", "account.json", "now", "hook"];

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    /// As a plugin sees it.
    pub(super) account: Value,
    pub(super) secrets: BTreeMap<String, String>,
    pub(super) now: u64,
    pub(super) hook: String,
    pub(super) expect: Value,
    pub(super) exchanges: Vec<Exchange>,
    input: Input,
}

#[derive(Debug)]
enum Input {
    Webhook(Value),
    Question { name: String, arguments: Value },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    fields: BTreeMap<String, String>,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
}

impl Case {
    pub(super) fn read(root: &Path, folder: &Path) -> Result<Self, String> {
        known_files_only(folder)?;
        let own = folder.join("account.json");
        let account = if own.exists() { own } else { root.join("account.json") };
        let Fields { fields, secrets } = from_json(&account)?;
        let exchanges = folder.join("http.json");
        Ok(Self {
            account: json!({
                "id": "cfg_vectors",
                "fields": fields.into_iter().collect::<Vec<_>>(),
                "secrets": secrets.keys().collect::<Vec<_>>(),
            }),
            secrets,
            now: word(folder, "now")?.map_or(Ok(0), |now| now.parse()).map_err(|why| format!("now: {why}"))?,
            hook: word(folder, "hook")?.unwrap_or_else(|| "inbound".to_owned()),
            expect: from_json(&folder.join("expect.json"))?,
            exchanges: if exchanges.exists() { from_json(&exchanges)? } else { Vec::new() },
            input: Input::read(folder)?,
        })
    }

    pub(super) fn question(&self) -> &str {
        match &self.input {
            Input::Webhook(_) => "webhook",
            Input::Question { name, .. } => name,
        }
    }

    pub(super) fn is_webhook(&self) -> bool {
        matches!(self.input, Input::Webhook(_))
    }

    /// The webhook, or what comes with the question.
    pub(super) fn arguments(&self) -> &Value {
        match &self.input {
            Input::Webhook(request) => request,
            Input::Question { arguments, .. } => arguments,
        }
    }
}

impl Input {
    fn read(folder: &Path) -> Result<Self, String> {
        let (wire, json) = (folder.join("request.http"), folder.join("request.json"));
        match (wire.exists(), json.exists()) {
            (true, false) => parse(&bytes(&wire)?).map(Self::Webhook),
            (false, true) => {
                let question: BTreeMap<String, Value> = from_json(&json)?;
                let mut entries = question.into_iter();
                match (entries.next(), entries.next()) {
                    (Some((name, arguments)), None) => Ok(Self::Question { name, arguments }),
                    _ => Err("request.json asks not exactly one question".to_owned()),
                }
            }
            _ => Err("either request.http or request.json is needed".to_owned()),
        }
    }
}

/// The folders below a root, in order.
pub(super) fn folders(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = entries(root)?;
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

fn known_files_only(folder: &Path) -> Result<(), String> {
    let stranger = entries(folder)?.into_iter().find(|path| !FILES.iter().any(|file| path.ends_with(file)));
    stranger.map_or(Ok(()), |path| Err(format!("no case has a file `{}`", path.display())))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    read().map_err(|why| format!("{}: {why}", folder.display()))
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|why| format!("{}: {why}", path.display()))
}

fn from_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, String> {
    serde_json::from_slice(&bytes(path)?).map_err(|why| format!("{}: {why}", path.display()))
}

fn word(folder: &Path, name: &str) -> Result<Option<String>, String> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(None);
    }
    let text = String::from_utf8(bytes(&path)?).map_err(|why| format!("{name}: {why}"))?;
    Ok(Some(text.trim().to_owned()))
}

/// Reads an HTTP request as it is written in a file: line ends are single, and the body is everything behind the blank
/// line but for one last line end.
fn parse(bytes: &[u8]) -> Result<Value, String> {
    let blank = bytes.windows(2).position(|pair| pair == b"\n\n").ok_or("request.http has no blank line")?;
    let head = std::str::from_utf8(&bytes[..blank]).map_err(|why| format!("request.http: {why}"))?;
    let body = &bytes[blank + 2..];
    let mut lines = head.lines();
    let (method, url) = lines.next().and_then(|line| line.split_once(' ')).ok_or("request.http has no request line")?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("request.http: `{line}` is no header"))?;
        Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Ok(json!({
        "method": method,
        "url": url,
        "headers": lines.map(header).collect::<Result<Vec<(String, String)>, String>>()?,
        "body": body.strip_suffix(b"\n").unwrap_or(body),
    }))
}
