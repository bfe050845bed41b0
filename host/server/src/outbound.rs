//! Carries a plugin's request out, on behalf of one account: secrets are filled in here and nowhere else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jackfield_egress::{self as egress, DialRequest, Egress, EgressError, Grant};
use jackfield_plugins::types::{Authorization, Credential, Endpoint, HttpError, HttpRequest, HttpResponse, Provider};
use jackfield_plugins::{GuestError, Outbound, secrets_of};
use jackfield_store::{Configuration, Secret};

use crate::sign_ins::{Client, NoBearer, SignIns};

/// The way out, and whose bearers may be sent on it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct WayOut {
    pub(crate) egress: Egress,
    pub(crate) sign_ins: SignIns,
}

/// The way out for one export call of one account.
pub(crate) struct AccountOutbound {
    way: WayOut,
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
    pub(crate) fn new(way: WayOut, configuration: Arc<Configuration>, provider: &Provider) -> Self {
        let client = Client::new(Arc::clone(&configuration), provider).map(Arc::new);
        let secrets = secrets_of(provider).map(str::to_owned).collect();
        Self { way, grants: grants_of(provider, &configuration), configuration, client, secrets }
    }

    async fn sent(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let again = request.idempotent.then(|| request.clone());
        let (filled, spent) = self.fill_in(request).await?;
        let answer = self.way.egress.send(filled).await.map_err(told)?;
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
        let answer = self.way.egress.send(filled).await.map_err(told)?;
        if answer.status == 401 {
            self.way.sign_ins.revoke(client, &spent.person).await;
        }
        Ok(response(answer))
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
        self.way.egress.dial(request).await
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
        EgressError::Denied(reason) => HttpError::Denied(reason),
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
