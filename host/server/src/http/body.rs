//! Whole bodies, raw, within a size and a time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use http::StatusCode;
use http_body_util::BodyExt;

use crate::settings::Limits;

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyRefusal {
    TooLarge,
    TooSlow,
    /// The sender broke off, or its chunks are no chunks.
    Broken,
}

/// The whole body of a webhook.
pub(crate) async fn read_body(body: Body, limits: &Limits) -> Result<Bytes, Response> {
    let read = read_within(body, limits.webhook_body_bytes, limits.whole_body()).await;
    read.map_err(|refusal| match refusal {
        BodyRefusal::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large\n").into_response(),
        BodyRefusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body came too slowly\n").into_response(),
        BodyRefusal::Broken => (StatusCode::BAD_REQUEST, "the body is broken\n").into_response(),
    })
}

/// The whole body, if it has at most `most` bytes and arrives within `time`. Reading stops at the first byte too many.
pub(crate) async fn read_within(body: Body, most: usize, time: Duration) -> Result<Bytes, BodyRefusal> {
    match tokio::time::timeout(time, read(body, most)).await {
        Ok(read) => read,
        Err(_) => Err(BodyRefusal::TooSlow),
    }
}

async fn read(mut body: Body, most: usize) -> Result<Bytes, BodyRefusal> {
    use hyper::body::Body as _;
    if body.size_hint().lower() > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(BodyRefusal::TooLarge);
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyRefusal::Broken)?.into_data() else { continue };
        if whole.len() + data.len() > most {
            return Err(BodyRefusal::TooLarge);
        }
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use futures_util::stream;

    const SOON: Duration = Duration::from_secs(5);

    fn chunks(chunks: &'static [&'static [u8]]) -> Body {
        Body::from_stream(stream::iter(chunks.iter().map(|chunk| Ok::<_, std::io::Error>(Bytes::from_static(chunk)))))
    }

    #[tokio::test]
    async fn bytes_arrive_as_they_were_sent_in_one_piece_or_many() {
        assert_eq!(read_within(Body::from("a\0\r\n"), 4, SOON).await.unwrap(), "a\0\r\n");
        assert_eq!(read_within(chunks(&[b"ab", b"", b"cd"]), 4, SOON).await.unwrap(), "abcd");
        assert_eq!(read_within(Body::empty(), 4, SOON).await.unwrap(), "");
    }

    #[tokio::test]
    async fn one_byte_too_many_is_refused_with_and_without_a_length() {
        assert_eq!(read_within(Body::from("abcde"), 4, SOON).await, Err(BodyRefusal::TooLarge));
        assert_eq!(read_within(chunks(&[b"ab", b"cde"]), 4, SOON).await, Err(BodyRefusal::TooLarge));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_too_slow() {
        let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(read_within(endless, 4, Duration::from_millis(1)).await, Err(BodyRefusal::TooSlow));
    }
}
