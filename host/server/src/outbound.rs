//! Carries a plugin's request out, on behalf of one account: secrets are filled in here and nowhere else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jackfield_egress::{self as egress, DialRequest, Egress, EgressError, Grant};
use jackfield_plugins::types::{Authorization, Credential, Endpoint, HttpError, HttpRequest, HttpResponse, Provider};
use jackfield_plugins::{GuestError, Outbound};
use jackfield_store::Configuration;

/// The way out for one export call of one account.
pub(crate) struct AccountOutbound {
    egress: Egress,
    configuration: Arc<Configuration>,
    grants: Vec<Grant>,
}

impl AccountOutbound {
    pub(crate) fn new(egress: Egress, configuration: Arc<Configuration>, provider: &Provider) -> Self {
        let grants = provider.hosts.iter().filter_map(|host| granted(host, &configuration)).collect();
        Self { egress, configuration, grants }
    }

    fn fill_in(&self, request: HttpRequest) -> Result<egress::Request, HttpError> {
        let authorization =
            request.authorization.into_iter().map(|wanted| self.authorize(wanted)).collect::<Result<_, _>>()?;
        Ok(egress::Request {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
            authorization,
            grants: self.grants.clone(),
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
        self.egress.dial(request).await
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
        Box::pin(async move {
            let request = self.fill_in(request)?;
            match self.egress.send(request).await {
                Ok(egress::Response { status, headers, body }) => Ok(HttpResponse { status, headers, body }),
                Err(error) => Err(told(error)),
            }
        })
    }
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
