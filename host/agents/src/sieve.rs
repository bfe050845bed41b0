//! Keeps messages that are too long away from the WebSocket library, for which one is the end of the connection.
//!
//! Bytes pass as they come; of a message that would grow past the limit, the rest is thrown away unread, and the library
//! sees a message that ends there. So a bot may say something huge, is told so, and keeps its call; the host's memory
//! holds no more of it than one read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CONTROL: u8 = 8;
const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// The frames of one direction. No IO.
#[derive(Debug)]
pub(crate) struct Sieve {
    limit: u64,
    head: Vec<u8>,
    /// Bytes of the present frame that are still to come, and whether they pass.
    left: u64,
    pass: bool,
    /// Bytes of the present message so far, fragments together.
    message: u64,
    /// Messages that were cut since it was last asked.
    cut: Arc<AtomicU64>,
}

impl Sieve {
    /// Lets messages of up to `limit` bytes through whole.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        Self { limit, head: Vec::new(), left: 0, pass: true, message: 0, cut: Arc::default() }
    }

    /// Counts the messages that were cut.
    pub(crate) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.cut)
    }

    /// Takes bytes of the connection; what may pass is appended to `out`.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                let (piece, rest) = bytes.split_at(length);
                if self.pass {
                    out.extend_from_slice(piece);
                }
                self.left -= u64::try_from(length).unwrap_or(self.left);
                bytes = rest;
            } else if let Some((first, rest)) = bytes.split_first() {
                self.head.push(*first);
                bytes = rest;
                if let Some(length) = payload_of(&self.head) {
                    self.frame(length, out);
                    self.head.clear();
                }
            }
        }
    }

    /// A frame begins: its head is whole.
    fn frame(&mut self, length: u64, out: &mut Vec<u8>) {
        let first = self.head.first().copied().unwrap_or_default();
        let opcode = first & 0x0F;
        (self.left, self.pass) = (length, true);
        if opcode < CONTROL {
            let before = if opcode == 0 { self.message } else { 0 };
            let total = before.saturating_add(length);
            self.message = if first & FIN == 0 { total } else { 0 };
            if total > self.limit {
                self.pass = false;
                self.cut.fetch_add(u64::from(before <= self.limit), Ordering::Relaxed);
                // An empty text would be a second thing to complain of.
                let opcode = if opcode == TEXT { BINARY } else { opcode };
                out.extend_from_slice(&[first & 0xF0 | opcode, 0]);
                return;
            }
        }
        out.extend_from_slice(&self.head);
    }
}

/// The payload's length, once the head is whole (RFC 6455 §5.2).
fn payload_of(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let mask = if second & MASKED == 0 { 0 } else { 4 };
    let (length, size) = match second & !MASKED {
        126 => (u64::from(u16::from_be_bytes(*head.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*head.get(2..)?.first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    (head.len() == size + mask).then_some(length)
}

/// A connection that is read through a sieve.
#[derive(Debug)]
pub(crate) struct Sieved<S> {
    inner: S,
    sieve: Sieve,
    passed: Vec<u8>,
    taken: usize,
}

impl<S> Sieved<S> {
    /// `already` was read from the connection before.
    pub(crate) fn new(inner: S, mut sieve: Sieve, already: &[u8]) -> Self {
        let mut passed = Vec::new();
        sieve.feed(already, &mut passed);
        Self { inner, sieve, passed, taken: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Sieved<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let waiting = this.passed.get(this.taken..).unwrap_or_default();
            if !waiting.is_empty() {
                let length = waiting.len().min(out.remaining());
                out.put_slice(waiting.get(..length).unwrap_or_default());
                this.taken += length;
                return Poll::Ready(Ok(()));
            }
            this.passed.clear();
            this.taken = 0;
            let mut piece = [0; 4 << 10];
            let mut read = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut this.inner).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.sieve.feed(read.filled(), &mut this.passed);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sieved<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match u16::try_from(payload.len()) {
            Ok(length @ 0..126) => bytes.push(u8::try_from(length).unwrap_or(0)),
            Ok(length) => bytes.extend([&[126], length.to_be_bytes().as_slice()].concat()),
            Err(_) => bytes.extend([&[127], payload.len().to_be_bytes().as_slice()].concat()),
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    /// Fed in pieces of each size, the outcome is the same.
    fn sieved(limit: usize, bytes: &[u8]) -> (Vec<u8>, u64) {
        let outcome = |size: usize| {
            let (mut sieve, mut out) = (Sieve::new(limit), Vec::new());
            bytes.chunks(size).for_each(|piece| sieve.feed(piece, &mut out));
            (out, sieve.counter().load(Ordering::Relaxed))
        };
        let whole = outcome(bytes.len());
        for size in [1, 2, 3, 7, 130] {
            assert_eq!(outcome(size), whole);
        }
        whole
    }

    #[test]
    fn messages_within_the_limit_pass_untouched() {
        let bytes = [frame(0x82, &[1; 200]), frame(0x89, b"ping"), frame(0x01, b"a"), frame(0x80, b"b")].concat();
        assert_eq!(sieved(200, &bytes), (bytes, 0));
        let large = frame(0x82, &vec![7; 70_000]);
        assert_eq!(sieved(70_000, &large), (large, 0));
    }

    #[test]
    fn a_message_past_the_limit_is_emptied_and_what_follows_passes() {
        let bytes = [frame(0x81, &[b'x'; 201]), frame(0x82, &[2; 3])].concat();
        assert_eq!(sieved(200, &bytes), ([vec![0x82, 0], frame(0x82, &[2; 3])].concat(), 1));
    }

    #[test]
    fn fragments_count_together_and_a_ping_between_them_passes() {
        let ping = frame(0x89, b"?");
        let parts = [frame(0x02, &[1; 150]), ping.clone(), frame(0x00, &[1; 51]), frame(0x80, &[1; 10])].concat();
        let after = frame(0x82, &[2; 200]);
        let expected = [frame(0x02, &[1; 150]), ping, vec![0, 0], vec![0x80, 0], after.clone()].concat();
        assert_eq!(sieved(200, &[parts, after].concat()), (expected, 1));
    }

    #[test]
    fn a_length_beyond_all_memory_does_no_harm() {
        let mut endless = vec![0x82, 127];
        endless.extend(u64::MAX.to_be_bytes());
        endless.extend([9; 500]);
        assert_eq!(sieved(200, &endless), (vec![0x82, 0], 1));
    }
}
