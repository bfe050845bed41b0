//! A webhook as its provider sent it, which is what it signed, without what came to it on the way.

use axum::body::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use jackfield_plugins::types::Request;

/// The request for plugins: the configured public base, the raw target behind it, and the headers that are the message's.
pub(super) fn as_dialled(public_url: &str, parts: &Parts, body: Bytes) -> Request {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = parts.headers.iter().filter(|(name, _)| !is_of_the_way(name));
    Request {
        method: parts.method.as_str().to_owned(),
        url: format!("{}{target}", public_url.trim_end_matches('/')),
        headers: headers.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body: body.to_vec(),
    }
}

/// What connections and proxies say to each other (RFC 9110 §7.6.1, RFC 7239), and what a client says about the answers it takes.
/// Whoever sits between may change it, no provider is known to sign any of it, and a header costs a plugin the same, read or not.
fn is_of_the_way(name: &HeaderName) -> bool {
    let name = name.as_str();
    let connection = matches!(
        name,
        "connection" | "content-length" | "expect" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    );
    let proxies = matches!(name, "forwarded" | "proxy-authorization" | "proxy-connection" | "via" | "x-real-ip");
    let answers = matches!(name, "accept" | "accept-charset" | "accept-encoding" | "accept-language");
    connection || proxies || answers || name.starts_with("x-forwarded-")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn dialled(target: &str, headers: &[(&str, &str)]) -> Request {
        let mut request = http::Request::post(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        as_dialled(
            "https://gw.example.net/base/",
            &request.body(()).unwrap().into_parts().0,
            Bytes::from_static(b"a=1"),
        )
    }

    #[test]
    fn it_is_at_the_public_base_with_its_target_as_it_came() {
        let request = dialled("/x%2Fy?b=%20&a", &[]);
        assert_eq!(
            (request.method.as_str(), request.url.as_str()),
            ("POST", "https://gw.example.net/base/x%2Fy?b=%20&a")
        );
        assert_eq!((request.headers, request.body.as_slice()), (Vec::new(), &b"a=1"[..]));
    }

    #[test]
    fn headers_of_the_message_are_as_they_came_and_those_of_the_way_are_left_out() {
        let kept =
            [("host", "a"), ("x-signature", "2"), ("X-Signature", "1"), ("user-agent", "u"), ("content-type", "t")];
        let left = [
            ("Accept", "*/*"),
            ("accept-encoding", "gzip"),
            ("content-length", "3"),
            ("connection", "keep-alive"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "for=1.2.3.4"),
            ("via", "1.1 proxy"),
        ];
        let request = dialled("/", &[&kept[..3], &left, &kept[3..]].concat());
        let names = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        assert_eq!(
            names.collect::<Vec<_>>(),
            kept.map(|(name, value)| if value == "1" { ("x-signature", value) } else { (name, value) })
        );
    }
}
