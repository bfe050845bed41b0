//! The account's fields and what the plugin can do.

use jackfield_sdk::manifest::{fallback, required, secret, text};
use jackfield_sdk::play_audio::FORMAT;
use jackfield_sdk::types::{Ability, Account, Field, FieldKind, FieldProblem, Provider};
use jackfield_sdk::{Manifest, account};

use crate::Vobiz;

pub(crate) const AUTH_ID: &str = "auth_id";
pub(crate) const AUTH_TOKEN: &str = "auth_token";
/// Signs the `-MA-` headers where the account is a sub-account.
pub(crate) const PARENT_AUTH_TOKEN: &str = "parent_auth_token";
pub(crate) const APPLICATION_ID: &str = "application_id";
/// Is V2 refused where there is no V3?
pub(crate) const REQUIRE_V3: &str = "require_v3";
/// Is HMAC over timestamp and body accepted where neither V3 nor V2 is there?
pub(crate) const TIMESTAMPED: &str = "legacy_timestamp_signature";

impl Manifest for Vobiz {
    fn describe() -> Provider {
        Provider {
            name: "vobiz".to_owned(),
            display_name: "Vobiz".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            docs_url: "https://www.docs.vobiz.ai".to_owned(),
            fields: vec![
                Field {
                    masked: true,
                    placeholder: "MA_…".to_owned(),
                    ..required(text(AUTH_ID, "Account ID", "MA_…, or SA_… for a sub-account."))
                },
                required(secret(AUTH_TOKEN, "Auth Token", "For REST calls; signs webhooks.")),
                secret(PARENT_AUTH_TOKEN, "Parent Auth Token", "Only for a sub-account: the parent's token."),
                text(APPLICATION_ID, "Application ID", "The application that numbers are bound to; made when empty."),
                switch(REQUIRE_V3, "Require V3 signatures", "Refuse webhooks that carry V2 alone."),
                switch(TIMESTAMPED, "Accept timestamp signatures", "Older integrations: HMAC of timestamp and body."),
            ],
            identifying_field: Some(AUTH_ID.to_owned()),
            abilities: vec![
                Ability::Place,
                Ability::AnswerByReply,
                Ability::HangUp,
                Ability::Inspect,
                Ability::BindNumber,
                Ability::ListNumbers,
                Ability::Media,
            ],
            hosts: vec!["api.vobiz.ai".to_owned()],
            media: Some(FORMAT),
            sign_in: None,
            extra: fallback("application/xml", "<Response><Hangup/></Response>"),
        }
    }

    fn check(account: &Account) -> Vec<FieldProblem> {
        let id = account::field(account, AUTH_ID).unwrap_or_default();
        let rest = id.strip_prefix("MA_").or(id.strip_prefix("SA_")).unwrap_or_default();
        let known = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if known {
            Vec::new()
        } else {
            vec![account::problem(AUTH_ID, "is MA_… or SA_…; the Vobiz console shows it")]
        }
    }
}

fn switch(name: &str, label: &str, help: &str) -> Field {
    Field { kind: FieldKind::Boolean, default: Some("false".to_owned()), ..text(name, label, help) }
}
