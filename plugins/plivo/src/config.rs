//! The account's fields and what the plugin can do.

use jackfield_sdk::manifest::{fallback, required, secret, text};
use jackfield_sdk::play_audio::FORMAT;
use jackfield_sdk::types::{Ability, Account, Field, FieldProblem, Provider};
use jackfield_sdk::{Manifest, account};

use crate::Plivo;

pub(crate) const AUTH_ID: &str = "auth_id";
pub(crate) const AUTH_TOKEN: &str = "auth_token";
/// Signs the `-Ma-` headers where the account is a sub-account.
pub(crate) const MAIN_AUTH_TOKEN: &str = "main_auth_token";
pub(crate) const APPLICATION_ID: &str = "application_id";

impl Manifest for Plivo {
    fn describe() -> Provider {
        Provider {
            name: "plivo".to_owned(),
            display_name: "Plivo".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            docs_url: "https://www.plivo.com/docs/voice/".to_owned(),
            fields: vec![
                Field {
                    masked: true,
                    placeholder: "MA…".to_owned(),
                    ..required(text(AUTH_ID, "Auth ID", "MA… or SA… and 18 more letters and digits."))
                },
                required(secret(AUTH_TOKEN, "Auth Token", "Password of REST calls; signs webhooks.")),
                secret(MAIN_AUTH_TOKEN, "Main Auth Token", "Only for a sub-account: the main account's token."),
                text(APPLICATION_ID, "Application ID", "The application that numbers are bound to; made when empty."),
            ],
            identifying_field: Some(AUTH_ID.to_owned()),
            abilities: vec![
                Ability::Place,
                Ability::AnswerByReply,
                Ability::HangUp,
                Ability::Inspect,
                Ability::Transfer,
                Ability::BindNumber,
                Ability::ListNumbers,
                Ability::Media,
                Ability::DtmfOut,
            ],
            hosts: vec!["api.plivo.com".to_owned()],
            media: Some(FORMAT),
            sign_in: None,
            extra: fallback("application/xml", "<Response><Hangup/></Response>"),
        }
    }

    fn check(account: &Account) -> Vec<FieldProblem> {
        let id = account::field(account, AUTH_ID).unwrap_or_default();
        let known = id.len() == 20 && (id.starts_with("MA") || id.starts_with("SA"));
        let application = account::field(account, APPLICATION_ID).unwrap_or_default();
        let mut problems = Vec::new();
        if !known || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            problems
                .push(account::problem(AUTH_ID, "is MA or SA and 18 more letters and digits; the console shows it"));
        }
        if !application.bytes().all(|byte| byte.is_ascii_digit()) {
            problems.push(account::problem(APPLICATION_ID, "has only digits; leave it empty to have one made"));
        }
        problems
    }
}
