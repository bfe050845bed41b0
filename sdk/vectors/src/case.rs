//! Reads a case from its files. Whatever is not understood is an error, so that no case is silently empty.

use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::bundle::Files;
use crate::script::Exchange;

/// The account of a case, or of all that have no own.
pub(super) const ACCOUNT: &str = "account.json";
const FILES: [&str; 7] = ["request.http", "request.json", "http.json", "expect.json", ACCOUNT, "now", "hook"];

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
    /// `account` is that of all cases that have no own.
    pub(super) fn read(files: &Files, account: Option<&[u8]>) -> Result<Self, String> {
        if let Some(stranger) = files.keys().find(|name| !FILES.contains(&name.as_str())) {
            return Err(format!("no case has a file `{stranger}`"));
        }
        let account = files.get(ACCOUNT).map(Vec::as_slice).or(account);
        let account = account.ok_or("account.json is missing, here and beside the case")?;
        let Fields { fields, secrets } = json_in(ACCOUNT, account)?;
        let exchanges = files.get("http.json").map(|content| json_in("http.json", content));
        Ok(Self {
            account: json!({
                "id": "cfg_vectors",
                "fields": fields.into_iter().collect::<Vec<_>>(),
                "secrets": secrets.keys().collect::<Vec<_>>(),
            }),
            secrets,
            now: word(files, "now")?.map_or(Ok(0), |now| now.parse()).map_err(|why| format!("now: {why}"))?,
            hook: word(files, "hook")?.unwrap_or_else(|| "inbound".to_owned()),
            expect: json_in("expect.json", files.get("expect.json").ok_or("expect.json is missing")?)?,
            exchanges: exchanges.transpose()?.unwrap_or_default(),
            input: Input::read(files)?,
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
    fn read(files: &Files) -> Result<Self, String> {
        match (files.get("request.http"), files.get("request.json")) {
            (Some(wire), None) => parse(wire).map(Self::Webhook),
            (None, Some(json)) => {
                let question: BTreeMap<String, Value> = json_in("request.json", json)?;
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

/// What is in a folder, by its name.
pub(super) fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let named = |entry: DirEntry| (entry.file_name().to_string_lossy().into_owned(), entry.path());
    let read = || std::fs::read_dir(folder)?.map(|entry| entry.map(named)).collect::<std::io::Result<_>>();
    read().map_err(|why| format!("{}: {why}", folder.display()))
}

pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|why| format!("{}: {why}", path.display()))
}

fn json_in<T: for<'de> Deserialize<'de>>(name: &str, content: &[u8]) -> Result<T, String> {
    serde_json::from_slice(content).map_err(|why| format!("{name}: {why}"))
}

fn word(files: &Files, name: &str) -> Result<Option<String>, String> {
    let Some(content) = files.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(content).map_err(|why| format!("{name}: {why}"))?;
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
