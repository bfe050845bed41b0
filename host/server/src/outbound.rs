//! Carries a plugin's request out, on behalf of one account: secrets are filled in here and nowhere else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jackfield_egress::{self as egress, DialRequest, Egress, EgressError, Grant};
use jackfield_plugins::types::{Authorization, Credential, Endpoint, HttpError, HttpRequest, HttpResponse, Provider};
use jackfield_plugins::{GuestError, Outbound, secrets_of};
use jackfield_store::{Configuration, Secret};

use crate::metrics::Metrics;
use crate::retries::Retries;
use crate::sign_ins::{Client, NoBearer, SignIns};

/// The way out, whose bearers may be sent on it, and how often it may be gone again.
pub(crate) struct WayOut {
    pub(crate) egress: Egress,
    pub(crate) sign_ins: SignIns,
    pub(crate) retries: Retries,
    pub(crate) metrics: Metrics,
}

/// The way out for one export call of one account.
pub(crate) struct AccountOutbound {
    way: Arc<WayOut>,
    configuration: Arc<Configuration>,
    grants: Vec<Grant>,
    client: Option<Arc<Client>>,
    /// Those that the plugin describes, and that admission held against what the operator grants.
    secrets: Vec<String>,
}

/// A person's bearer that went with a request.
struct Spent {
    person: String,
    token: Secret,
}

impl AccountOutbound {
    pub(crate) fn new(way: Arc<WayOut>, configuration: Arc<Configuration>, provider: &Provider) -> Self {
        let client = Client::new(Arc::clone(&configuration), provider).map(Arc::new);
        let secrets = secrets_of(provider).map(str::to_owned).collect();
        Self { way, grants: grants_of(provider, &configuration), configuration, client, secrets }
    }

    async fn sent(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let again = request.idempotent.then(|| request.clone());
        let (filled, spent) = self.fill_in(request).await?;
        let answer = self.carried(filled).await?;
        match (spent, &self.client) {
            (Some(spent), Some(client)) if answer.status == 401 => self.renewed(client, spent, answer, again).await,
            _ => Ok(response(answer)),
        }
    }

    /// The provider took a bearer no more, early: with a new one it is asked once more, if that does no harm.
    async fn renewed(
        &self,
        client: &Client,
        spent: Spent,
        refusal: egress::Response,
        again: Option<HttpRequest>,
    ) -> Result<HttpResponse, HttpError> {
        let renewed = self.way.sign_ins.renew(client, &spent.person, &spent.token).await.is_ok();
        let Some(request) = again.filter(|_| renewed) else { return Ok(response(refusal)) };
        let (filled, _) = self.fill_in(request).await?;
        let answer = self.carried(filled).await?;
        if answer.status == 401 {
            self.way.sign_ins.revoke(client, &spent.person).await;
        }
        Ok(response(answer))
    }

    async fn carried(&self, filled: egress::Request) -> Result<egress::Response, HttpError> {
        self.way.egress.send(filled).await.map_err(|error| told(self.noted(error)))
    }

    /// A plugin that asks for a place which it does not describe has a mistake in it, or worse: its operator shall see it.
    fn noted(&self, error: EgressError) -> EgressError {
        if matches!(error, EgressError::NotGranted(_)) {
            let Configuration { id, provider, .. } = &*self.configuration;
            tracing::warn!(configuration = id, provider, "a plugin asked for a host that it is not granted");
            self.way.metrics.host_refused();
        }
        error
    }

    async fn fill_in(&self, request: HttpRequest) -> Result<(egress::Request, Option<Spent>), HttpError> {
        let (mut authorization, mut body, mut spent) = (Vec::new(), request.body, None);
        for wanted in request.authorization {
            match wanted {
                Authorization::Person(person) => {
                    let token = self.bearer(&person).await?;
                    authorization.push(egress::Authorization::Bearer(token.expose().to_owned()));
                    spent = Some(Spent { person, token });
                }
                Authorization::Member(member) => {
                    body = with_member(&body, &member.name, self.credential(member.value)?)?;
                }
                wanted => authorization.push(self.authorize(wanted)?),
            }
        }
        let (method, url, headers) = (request.method, request.url, request.headers);
        let grants = self.grants.clone();
        Ok((egress::Request { method, url, headers, body, authorization, grants }, spent))
    }

    async fn bearer(&self, person: &str) -> Result<Secret, HttpError> {
        let client = self.client.as_ref().ok_or_else(|| HttpError::Denied("nobody signs in with this".to_owned()))?;
        self.way.sign_ins.bearer(client, person).await.map_err(|none| match none {
            NoBearer::Unavailable(why) => HttpError::Unreachable(why),
            none => HttpError::Denied(none.to_string()),
        })
    }

    /// Opens the account's event socket. `max_message` in bytes.
    pub(crate) async fn dial(&self, endpoint: Endpoint, max_message: usize) -> Result<egress::Socket, EgressError> {
        let filled = endpoint.authorization.into_iter().map(|wanted| self.authorize(wanted)).collect::<Result<_, _>>();
        let authorization = filled.map_err(|error| match error {
            HttpError::Denied(reason) => EgressError::Denied(reason),
            other => EgressError::Denied(format!("{other:?}")),
        })?;
        let request = DialRequest {
            url: endpoint.url,
            headers: endpoint.headers,
            authorization,
            subprotocol: endpoint.subprotocol,
            grants: self.grants.clone(),
            max_message,
        };
        self.way.egress.dial(request).await.map_err(|error| self.noted(error))
    }

    fn authorize(&self, wanted: Authorization) -> Result<egress::Authorization, HttpError> {
        Ok(match wanted {
            Authorization::Basic(basic) => egress::Authorization::Basic {
                user: self.credential(basic.user)?,
                password: self.credential(basic.password)?,
            },
            Authorization::Bearer(token) => egress::Authorization::Bearer(self.credential(token)?),
            Authorization::Header(header) => {
                egress::Authorization::Header { name: header.name, value: self.credential(header.value)? }
            }
            Authorization::JwtRs256(jwt) => {
                egress::Authorization::JwtRs256 { pem: self.secret(&jwt.secret)?, claims_json: jwt.claims }
            }
            Authorization::Person(_) | Authorization::Member(_) => {
                return Err(HttpError::Denied("a socket is opened by the account, and has no body".to_owned()));
            }
            Authorization::Other(kind) => {
                return Err(HttpError::Denied(format!("this host cannot authorize with `{kind}`")));
            }
        })
    }

    fn credential(&self, credential: Credential) -> Result<String, HttpError> {
        match credential {
            Credential::Value(value) => Ok(value),
            Credential::Secret(name) => self.secret(&name),
        }
    }

    fn secret(&self, name: &str) -> Result<String, HttpError> {
        if !self.secrets.iter().any(|described| described == name) {
            return Err(HttpError::Denied(format!("the plugin describes no secret field `{name}`")));
        }
        let secret = self.configuration.secrets.get(name);
        let missing = || HttpError::Denied(format!("the account has no secret `{name}`; fill that field in"));
        secret.map(|secret| secret.expose().to_owned()).ok_or_else(missing)
    }
}

impl Outbound for AccountOutbound {
    fn send<'a>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        Box::pin(self.sent(request))
    }
}

fn response(answer: egress::Response) -> HttpResponse {
    let egress::Response { status, headers, body } = answer;
    HttpResponse { status, headers, body }
}

/// A JSON body with one member more.
fn with_member(body: &[u8], name: &str, value: String) -> Result<Vec<u8>, HttpError> {
    let denied = || HttpError::Denied("a credential goes into the body only of a JSON object".to_owned());
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).map_err(|_| denied())?;
    object.insert(name.to_owned(), value.into());
    serde_json::to_vec(&object).map_err(|_| denied())
}

fn told(error: EgressError) -> HttpError {
    match error {
        EgressError::Denied(reason) | EgressError::NotGranted(reason) => HttpError::Denied(reason),
        EgressError::Unreachable(reason) => HttpError::Unreachable(reason),
        EgressError::NoAnswer(reason) => HttpError::NoAnswer(reason),
        EgressError::TooLarge => HttpError::TooLarge,
        EgressError::Refused(status) => HttpError::Other(format!("it answered {status}")),
    }
}

/// Where requests for an account may go.
pub(crate) fn grants_of(provider: &Provider, configuration: &Configuration) -> Vec<Grant> {
    provider.hosts.iter().filter_map(|host| granted(host, configuration)).collect()
}

/// `{field}` stands for the service of the URL in that field; anything else is a public host.
fn granted(pattern: &str, configuration: &Configuration) -> Option<Grant> {
    match pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        None => Some(Grant::Host(pattern.to_owned())),
        Some(field) => Grant::service(configuration.fields.get(field)?),
    }
}

/// A guest's failure as an operator reads it.
pub(crate) fn plugin_fault(error: &GuestError) -> String {
    format!("{error}. Roll the plugin back (POST plugins/{{name}}/rollback) or upload a mended one.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn provider() -> Provider {
        Provider {
            name: "acme".to_owned(),
            display_name: "Acme".to_owned(),
            version: "1".to_owned(),
            docs_url: String::new(),
            fields: vec![],
            identifying_field: None,
            abilities: vec![],
            hosts: vec!["localhost".to_owned()],
            media: None,
            sign_in: None,
            extra: vec![],
        }
    }

    fn configuration() -> Configuration {
        Configuration {
            id: "cfg".to_owned(),
            name: "n".to_owned(),
            provider: "acme".to_owned(),
            fields: [].into(),
            secrets: [].into(),
            organization_id: "org_default".to_owned(),
            previous: [].into(),
            is_default: false,
            max_calls: None,
            calls_per_second: None,
            created_at: 0,
            updated_at: 0,
        }
    }

    #[tokio::test]
    async fn a_host_that_a_plugin_does_not_describe_is_refused_and_counted_and_the_plugin_told() {
        let (app, _folder) = crate::testing::app().await;
        let outbound = AccountOutbound::new(app.calls.way_out(), Arc::new(configuration()), &provider());
        let ask = async |url: &str| {
            let (method, url) = ("GET".to_owned(), url.to_owned());
            let (headers, body, authorization) = (vec![], vec![], vec![]);
            outbound.send(HttpRequest { method, url, headers, body, authorization, idempotent: true }).await
        };
        let counted = |most| app.metrics.render(&app).contains(&format!("jackfield_hosts_refused_total {most}\n"));
        assert!(counted(0));
        for (index, url) in ["https://evil.example/", "http://localhost/", "https://127.0.0.1/"].into_iter().enumerate()
        {
            assert!(matches!(ask(url).await, Err(HttpError::Denied(_))), "{url}");
            assert!(counted(index + 1), "{url}");
        }
        let told = ask("https://evil.example/").await.unwrap_err();
        assert!(matches!(&told, HttpError::Denied(reason) if reason.contains("evil.example")), "{told:?}");
        // It may ask for this one, and is kept from it for another reason.
        assert!(matches!(ask("https://localhost/").await, Err(HttpError::Denied(_))));
        assert!(counted(4));
        let url = "wss://evil.example/".to_owned();
        let socket = Endpoint { url, headers: vec![], authorization: vec![], subprotocol: None, extra: vec![] };
        assert!(matches!(outbound.dial(socket, 1 << 10).await, Err(EgressError::NotGranted(_))));
        assert!(counted(5));
    }
}
