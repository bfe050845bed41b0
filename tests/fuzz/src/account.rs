//! The account that is asked for, and what of it a plugin may name.

use jackfield_sdk::types::{Account, Authorization, Credential, Provider};

/// The account of a plugin's vectors. It has all secrets that the plugin describes, so that each is asked for.
pub(crate) fn of_vectors(json: &str, provider: &Provider) -> Account {
    let read: serde_json::Value = serde_json::from_str(json).expect("the vectors have an account");
    let fields = read["fields"].as_object().into_iter().flatten();
    Account {
        id: "cfg_vectors".to_owned(),
        fields: fields.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect(),
        secrets: secrets(provider).map(str::to_owned).collect(),
    }
}

fn secrets(provider: &Provider) -> impl Iterator<Item = &str> {
    provider.fields.iter().filter(|field| field.secret).map(|field| field.name.as_str())
}

/// No secret is used that the plugin does not describe: the host would refuse it.
pub(crate) fn described(provider: &Provider, secret: &str) {
    assert!(secrets(provider).any(|described| described == secret), "`{secret}` is no secret that is described");
}

/// The same for all that a request is authorized by.
pub(crate) fn authorized(provider: &Provider, authorizations: &[Authorization]) {
    let credential = |credential: &Credential| match credential {
        Credential::Secret(secret) => described(provider, secret),
        Credential::Value(_) => {}
    };
    for authorization in authorizations {
        match authorization {
            Authorization::Basic(basic) => {
                credential(&basic.user);
                credential(&basic.password);
            }
            Authorization::Bearer(bearer) => credential(bearer),
            Authorization::Header(header) | Authorization::Member(header) => credential(&header.value),
            Authorization::JwtRs256(jwt) => {
                described(provider, &jwt.secret);
                let claims = serde_json::from_str::<serde_json::Map<_, _>>(&jwt.claims);
                assert!(claims.is_ok(), "{:?} is no object", jwt.claims);
            }
            Authorization::Person(_) => assert!(provider.sign_in.is_some(), "nobody can have signed in"),
            Authorization::Other(other) => panic!("the host knows no `{other}`"),
        }
    }
}
