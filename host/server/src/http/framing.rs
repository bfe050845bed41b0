//! How long each request says it is, read from the bytes on their way to hyper: where a request has a length and a transfer
//! encoding, or the same length twice, hyper takes one, drops the other, and nobody behind it can tell.
//!
//! Promises: the answer to "is the next request framed twice?" is about that request, however many come in one piece; what
//! was not seen counts as framed twice. It knows lines and lengths, and no chunks: after a chunked request nothing is known,
//! and its connection closes. hyper still decides what a request is. Where the two should ever disagree, a request is refused,
//! or hyper's own rule holds: the encoding counts, and the connection closes.

use std::io::Result;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What of a line is looked at. An honest length is within it.
const LINE: usize = 64;

/// What a request's head says of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// One thing: another request may follow.
    Plain,
    /// It is chunked: where another one would begin is not known.
    Chunked,
    /// Two things, or nothing that can be read.
    Ambiguous,
}

/// The framings of one connection's requests, in their order. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Framings(Arc<Mutex<Follower>>);

impl Framings {
    /// That of the next request.
    pub(super) fn next(&self) -> Framing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

/// A socket whose requests are followed as they are read. The rest of it is as it was.
#[derive(Debug)]
pub(crate) struct Followed<S> {
    socket: S,
    framings: Framings,
}

impl<S> Followed<S> {
    pub(super) fn new(socket: S, framings: Framings) -> Self {
        Self { socket, framings }
    }

    /// The socket, once no more requests come.
    pub(crate) fn into_inner(self) -> S {
        self.socket
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Followed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        self.framings.0.lock().unwrap_or_else(PoisonError::into_inner).read(fresh);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Followed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Goes along with a connection's bytes.
#[derive(Debug, Default)]
struct Follower {
    within: Within,
    head: Head,
    /// The beginning of the line that is being read.
    line: Vec<u8>,
    /// Plain requests that were read and not asked for yet: hyper may be behind.
    plain: usize,
    /// What comes after them, and is the last that is known.
    last: Option<Framing>,
}

/// Of which part the next byte is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Within {
    #[default]
    Head,
    /// A body that has so many more bytes.
    Body(u64),
    /// Nobody knows.
    Lost,
}

/// What the head that is being read says so far.
#[derive(Debug, Default)]
struct Head {
    begun: bool,
    chunked: bool,
    lengths: usize,
    /// None where it is no plain number.
    length: Option<u64>,
}

impl Follower {
    fn next(&mut self) -> Framing {
        match (self.plain, self.last) {
            (0, last) => last.unwrap_or(Framing::Ambiguous),
            (more, _) => {
                self.plain = more - 1;
                Framing::Plain
            }
        }
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.within {
                Within::Head => self.read_line(bytes),
                Within::Body(left) => self.pass(left, bytes),
                Within::Lost => return,
            };
        }
    }

    /// What is behind the body, if it ends here.
    fn pass<'a>(&mut self, left: u64, bytes: &'a [u8]) -> &'a [u8] {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left.saturating_sub(here as u64);
        self.within = if left == 0 { Within::Head } else { Within::Body(left) };
        bytes.get(here..).unwrap_or_default()
    }

    /// What is behind the line, if it ends here. As in hyper, a line ends with a line feed, whatever is before that.
    fn read_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        let room = LINE - self.line.len();
        self.line.extend_from_slice(part.get(..room).unwrap_or(part));
        let Some(end) = end else { return &[] };
        let line = std::mem::take(&mut self.line);
        match line.strip_suffix(b"\r").unwrap_or(&line) {
            // Empty lines before a request are none of it.
            [] if !self.head.begun => {}
            [] => self.end_head(),
            line => self.head.read(line),
        }
        self.line = line;
        self.line.clear();
        bytes.get(end + 1..).unwrap_or_default()
    }

    fn end_head(&mut self) {
        let head = std::mem::take(&mut self.head);
        let (framing, within) = match (head.chunked, head.lengths, head.length) {
            (false, 0, _) => (Framing::Plain, Within::Head),
            (false, 1, Some(0)) => (Framing::Plain, Within::Head),
            (false, 1, Some(length)) => (Framing::Plain, Within::Body(length)),
            (true, 0, _) => (Framing::Chunked, Within::Lost),
            _ => (Framing::Ambiguous, Within::Lost),
        };
        self.within = within;
        match framing {
            Framing::Plain => self.plain += 1,
            framing => self.last = Some(framing),
        }
    }
}

impl Head {
    fn read(&mut self, line: &[u8]) {
        self.begun = true;
        if let Some(value) = value_of(line, b"content-length:") {
            self.lengths += 1;
            self.length = Some(value).filter(|_| line.len() < LINE).and_then(number);
        }
        self.chunked |= value_of(line, b"transfer-encoding:").is_some();
    }
}

/// A name that stands elsewhere than at the line's beginning, or away from its colon, hyper refuses.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (here, value) = line.split_at_checked(name.len())?;
    here.eq_ignore_ascii_case(name).then_some(value)
}

fn number(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    // A parser of numbers takes a sign as well.
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const SIZED: &str = "\r\nPOST / HTTP/1.1\nContent-LENGTH:\t17 \n\ncontent-length: 1";
    const EMPTY: &str = "POST / HTTP/1.1\r\ncontent-length: 0\r\nx-content-length: 5\r\n\r\n";
    const CHUNKED: &str = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";

    /// The framings of so many requests that come in pieces of that size.
    fn framings(text: &str, piece: usize, requests: usize) -> Vec<Framing> {
        let mut follower = Follower::default();
        text.as_bytes().chunks(piece).for_each(|piece| follower.read(piece));
        (0..requests).map(|_| follower.next()).collect()
    }

    fn both_ways(text: &str, expected: &[Framing]) {
        for piece in [1, 2, 3, 7, text.len()] {
            assert_eq!(framings(text, piece, expected.len()), expected, "in pieces of {piece}: {text}");
        }
    }

    #[test]
    fn each_request_of_many_is_told_apart_in_whatever_pieces_they_come() {
        use Framing::{Ambiguous, Chunked, Plain};
        both_ways(&[PLAIN, SIZED, EMPTY, PLAIN].concat(), &[Plain; 4]);
        both_ways(&[PLAIN, CHUNKED, PLAIN].concat(), &[Plain, Chunked, Chunked]);
        for twice in [
            "content-length: 1\r\ncontent-length: 1\r\n",
            "content-length: 4\r\nTransfer-Encoding: chunked\r\n",
            "transfer-encoding: chunked\r\nhost: x\r\nContent-Length: 4\r\n",
            "transfer-encoding:\r\ncontent-length:\r\n",
        ] {
            let twice = format!("POST / HTTP/1.1\r\n{twice}\r\n");
            both_ways(&[SIZED, EMPTY, &twice, PLAIN].concat(), &[Plain, Plain, Ambiguous, Ambiguous]);
        }
    }

    #[test]
    fn a_length_that_is_no_number_and_a_request_nobody_saw_are_ambiguous() {
        for value in ["+5", "0x5", "5,5", "", "-1", "1 2", "99999999999999999999", &" ".repeat(64)] {
            both_ways(&format!("POST / HTTP/1.1\r\ncontent-length:{value}\r\n\r\n"), &[Framing::Ambiguous]);
        }
        both_ways("GET / HTTP/1.1\r\nhost: x\r\n", &[Framing::Ambiguous]);
    }

    #[test]
    fn no_more_is_kept_of_a_line_than_is_looked_at() {
        let mut follower = Follower::default();
        for _ in 0..1_000 {
            follower.read(&[b'a'; 100]);
        }
        assert_eq!(follower.line.len(), LINE);
    }
}
