//! Turns what a plugin wrote into an HTTP answer, checked as anything from outside is.

use axum::body::Body;
use axum::response::Response as HttpResponse;
use http::{HeaderName, HeaderValue, StatusCode, header};
use jackfield_plugins::types::Response;

use super::Refused;

/// Headers that a plugin may set; everything else is the host's business.
const ALLOWED: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CACHE_CONTROL, header::CONTENT_LANGUAGE, header::RETRY_AFTER];

/// The checked answer.
pub(crate) fn checked(response: Response) -> Result<HttpResponse, Refused> {
    let rubbish = |what: String| Refused::Plugin(format!("its answer is not legal HTTP: {what}"));
    let status = StatusCode::from_u16(response.status)
        .ok()
        .filter(|status| status.as_u16() >= 200)
        .ok_or_else(|| rubbish(format!("status {}", response.status)))?;
    let mut answer = HttpResponse::new(Body::from(response.body));
    *answer.status_mut() = status;
    for (name, value) in response.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| rubbish(error.to_string()))?;
        let value = HeaderValue::from_str(&value).map_err(|error| rubbish(error.to_string()))?;
        if !ALLOWED.contains(&name) {
            return Err(rubbish(format!("header `{name}` is not a plugin's to set")));
        }
        answer.headers_mut().insert(name, value);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response { status, headers, body: b"<Response/>".to_vec() }
    }

    #[test]
    fn a_plain_document_passes() {
        let answer = checked(response(200, &[("content-type", "application/xml")])).unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/xml");
    }

    #[test]
    fn split_headers_foreign_headers_and_odd_statuses_are_the_plugins_fault() {
        let bad = [
            response(200, &[("content-type", "a\r\nset-cookie: b")]),
            response(200, &[("x y", "a")]),
            response(200, &[("transfer-encoding", "chunked")]),
            response(200, &[("set-cookie", "a=b")]),
            response(101, &[]),
            response(99, &[]),
            response(2000, &[]),
        ];
        for response in bad {
            let shown = format!("{response:?}");
            assert!(matches!(checked(response), Err(Refused::Plugin(_))), "{shown}");
        }
    }
}
