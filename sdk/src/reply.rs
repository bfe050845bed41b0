//! Writes answers and callback URLs.

use crate::types::Response;

/// An answer with a body.
pub fn document(media_type: &str, body: impl Into<Vec<u8>>) -> Response {
    Response { status: 200, headers: vec![("content-type".to_owned(), media_type.to_owned())], body: body.into() }
}

/// An answer that only says that the message arrived.
pub fn acknowledged() -> Response {
    Response { status: 204, headers: Vec::new(), body: Vec::new() }
}

/// The callback URL for a hook of the plugin's own naming.
pub fn hook_url(template: &str, hook: &str) -> String {
    template.replace("{hook}", hook)
}
