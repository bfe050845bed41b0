//! The account's fields and what the plugin can do.

use jackfield_sdk::manifest::{required, secret, text};
use jackfield_sdk::types::{
    Ability, Account, Authorization, BasicAuthorization, Codec, Credential, Fault, Field, FieldKind, FieldProblem,
    MediaFormat, Provider,
};
use jackfield_sdk::{Manifest, account};

use crate::Asterisk;

const ENDPOINT: &str = "ari_endpoint";
const USER: &str = "app_name";
const PASSWORD: &str = "app_password";
pub(crate) const CLIENT: &str = "ws_client_name";
const DIAL: &str = "dial_template";
const FORMAT: &str = "media_format";
const CONTROL: &str = "control_format";

impl Manifest for Asterisk {
    fn describe() -> Provider {
        Provider {
            name: "asterisk".to_owned(),
            display_name: "Asterisk ARI".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            docs_url: "https://docs.asterisk.org/Configuration/Interfaces/Asterisk-REST-Interface-ARI/".to_owned(),
            fields: vec![
                Field {
                    placeholder: "https://pbx.example.com:8089".to_owned(),
                    ..required(text(
                        ENDPOINT,
                        "ARI Endpoint",
                        "The HTTP server of Asterisk, with its prefix if it has one.",
                    ))
                },
                required(text(USER, "ARI Username", "The section of ari.conf.")),
                required(secret(PASSWORD, "ARI Password", "Of that section.")),
                required(text(
                    CLIENT,
                    "websocket_client.conf Name",
                    "The section whose `uri` is this host's public URL and /api/v1/telephony/ws.",
                )),
                Field {
                    default: Some("PJSIP/{number}".to_owned()),
                    placeholder: "PJSIP/{number}@trunk".to_owned(),
                    ..text(DIAL, "Dial Template", "How a number is dialled: {number} has its +, {digits} has none.")
                },
                choice(FORMAT, "Media Format", &["ulaw", "alaw", "slin16"], "What the telephone leg speaks."),
                choice(CONTROL, "Control Format", &["json", "plain"], "plain: Asterisk before 20.18, 22.8, 23.2."),
            ],
            identifying_field: None,
            abilities: vec![
                Ability::Place,
                Ability::AnswerByCommand,
                Ability::HangUp,
                Ability::Inspect,
                Ability::Transfer,
                Ability::BindNumber,
                Ability::Media,
            ],
            hosts: vec![format!("{{{ENDPOINT}}}")],
            media: Some(MediaFormat { codec: Codec::Pcmu, sample_rate: 8_000 }),
            sign_in: None,
            extra: Vec::new(),
        }
    }

    fn check(account: &Account) -> Vec<FieldProblem> {
        let field = |name| account::field(account, name).unwrap_or_default();
        let mut problems = Vec::new();
        if !is_base(field(ENDPOINT)) {
            problems.push(account::problem(ENDPOINT, "is http://HOST:PORT or https://HOST:PORT, and a path at most"));
        }
        if field(USER).contains(':') {
            problems.push(account::problem(USER, "has no colon: HTTP could not carry it"));
        }
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !plain(field(CLIENT)) {
            problems.push(account::problem(CLIENT, "is the name of a section: letters, digits, `-`, `_` and `.`"));
        }
        let template = dial_template(account);
        if !template.contains('/') || !["{number}", "{digits}"].iter().any(|place| template.contains(place)) {
            problems.push(account::problem(DIAL, "is a channel with {number} or {digits} in it: PJSIP/{number}@trunk"));
        }
        problems
    }
}

fn choice(name: &str, label: &str, options: &[&str], help: &str) -> Field {
    Field {
        kind: FieldKind::Choice,
        options: options.iter().map(|option| ((*option).to_owned(), (*option).to_owned())).collect(),
        default: options.first().map(|first| (*first).to_owned()),
        ..text(name, label, help)
    }
}

fn is_base(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).unwrap_or_default();
    !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', '@', ' '])
}

/// Where ARI is.
pub(crate) fn base(account: &Account) -> Result<String, Fault> {
    Ok(format!("{}/ari", account::required(account, ENDPOINT)?.trim_end_matches('/')))
}

pub(crate) fn authorization(account: &Account) -> Result<Vec<Authorization>, Fault> {
    let user = Credential::Value(account::required(account, USER)?.to_owned());
    Ok(vec![Authorization::Basic(BasicAuthorization { user, password: Credential::Secret(PASSWORD.to_owned()) })])
}

/// The Stasis application: one for each account, since a second listener of one application makes the first one deaf.
pub(crate) fn application(account: &Account) -> &str {
    &account.id
}

pub(crate) fn dial_template(account: &Account) -> &str {
    account::field(account, DIAL).unwrap_or("PJSIP/{number}")
}

/// As Asterisk names it.
pub(crate) fn media_format(account: &Account) -> &str {
    account::field(account, FORMAT).unwrap_or("ulaw")
}

/// Does the media socket carry its commands as JSON?
pub(crate) fn json_control(account: &Account) -> bool {
    account::field(account, CONTROL) != Some("plain")
}
