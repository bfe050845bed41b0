//! The way out of a sandbox, as the embedder provides it.

use std::future::Future;
use std::pin::Pin;

use crate::types::{HttpError, HttpRequest, HttpResponse};

/// Sends a plugin's request: fills in credentials, checks grants, caps size and time.
///
/// One value serves one export call on behalf of one account, so that a plugin can never name another account's
/// secrets.
pub trait Outbound: Send + Sync {
    /// Sends `request`, or says why not.
    fn send<'a>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;
}
