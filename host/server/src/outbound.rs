//! Carries a plugin's request out, on behalf of one account: secrets are filled in here and nowhere else.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jackfield_egress::{self as egress, Egress, EgressError};
use jackfield_plugins::types::{Authorization, Credential, HttpError, HttpRequest, HttpResponse, Provider};
use jackfield_plugins::{GuestError, Outbound};
use jackfield_store::Configuration;

/// The way out for one export call of one account.
pub(crate) struct AccountOutbound {
    egress: Egress,
    configuration: Arc<Configuration>,
    allowed_hosts: Vec<String>,
}

impl AccountOutbound {
    pub(crate) fn new(egress: Egress, configuration: Arc<Configuration>, provider: &Provider) -> Self {
        let allowed_hosts = provider.hosts.iter().filter_map(|host| granted_host(host, &configuration)).collect();
        Self { egress, configuration, allowed_hosts }
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
            allowed_hosts: self.allowed_hosts.clone(),
        })
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
    }
}

/// `{field}` stands for the host of the URL in that field; anything else is taken as written.
fn granted_host(pattern: &str, configuration: &Configuration) -> Option<String> {
    match pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        None => Some(pattern.to_owned()),
        Some(field) => url::Url::parse(configuration.fields.get(field)?).ok()?.host_str().map(str::to_owned),
    }
}

/// A guest's failure as an operator reads it.
pub(crate) fn plugin_fault(error: &GuestError) -> String {
    format!("{error}. Roll the plugin back (POST plugins/{{name}}/rollback) or upload a mended one.")
}
