//! Many Twilio streams at once, each a frame every 20 ms, with the way of each frame timed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const FRAME: Duration = Duration::from_millis(20);
const STREAM: &str = "MZ00112233445566778899aabbccddeeff";

/// Where one stream goes.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    pub(super) address: SocketAddr,
    /// With the host that the world knows.
    pub(super) url: String,
    pub(super) account_sid: String,
    pub(super) call_sid: String,
}

/// An open stream that has said `start`.
#[derive(Debug)]
pub(super) struct LoadStream {
    socket: WebSocketStream<TcpStream>,
    account_sid: String,
    call_sid: String,
}

/// What one stream saw.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) sent: usize,
    pub(super) heard: usize,
    /// Microseconds from sending to hearing.
    pub(super) delays: Vec<u32>,
}

impl Tally {
    /// Sums over streams, with the delays in order.
    pub(super) fn of(tallies: Vec<Self>) -> Self {
        let mut sum = Self::default();
        for tally in tallies {
            sum.sent += tally.sent;
            sum.heard += tally.heard;
            sum.delays.extend(tally.delays);
        }
        sum.delays.sort_unstable();
        sum
    }
}

impl LoadStream {
    pub(super) async fn open(to: &Destination) -> Result<Self> {
        let socket = TcpStream::connect(to.address).await?;
        socket.set_nodelay(true)?;
        let (socket, _) = tokio_tungstenite::client_async(&to.url, socket).await.context("no media socket")?;
        let mut stream = Self { socket, account_sid: to.account_sid.clone(), call_sid: to.call_sid.clone() };
        stream.begin().await?;
        Ok(stream)
    }

    async fn begin(&mut self) -> Result<()> {
        let Self { account_sid, call_sid, .. } = self;
        let start = format!(
            r#"{{"event":"start","sequenceNumber":"1","streamSid":"{STREAM}","start":{{"streamSid":"{STREAM}","accountSid":"{account_sid}","callSid":"{call_sid}","tracks":["inbound"],"customParameters":{{}},"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}}}}"#
        );
        self.socket.send(Message::text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#)).await?;
        Ok(self.socket.send(Message::text(start)).await?)
    }

    /// Speaks for so many frames from `first` on; delays count from frame `warm`.
    pub(super) async fn speak(mut self, first: Instant, frames: usize, warm: usize) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut left_at: Vec<Option<Instant>> = Vec::with_capacity(frames);
        let tail = STANDARD.encode([0x55; 154]);
        let end = first + FRAME * u32::try_from(frames).unwrap_or(u32::MAX) + Duration::from_millis(300);
        let mut next = first;
        loop {
            let due = if left_at.len() < frames { next } else { end };
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => {
                    if left_at.len() == frames { break }
                    let message = media(left_at.len(), &tail);
                    left_at.push(Some(Instant::now()));
                    self.socket.send(Message::text(message)).await?;
                    tally.sent += 1;
                    next += FRAME;
                }
                message = self.socket.next() => {
                    let message = message.context("the stream was cut")??;
                    let Some(index) = message.to_text().ok().and_then(index_of) else { continue };
                    let Some(left) = left_at.get_mut(index).and_then(Option::take) else { continue };
                    tally.heard += 1;
                    if index >= warm {
                        tally.delays.push(u32::try_from(left.elapsed().as_micros()).unwrap_or(u32::MAX));
                    }
                }
            }
        }
        self.finish().await;
        Ok(tally)
    }

    async fn finish(mut self) {
        let Self { account_sid, call_sid, .. } = &self;
        let stop = format!(
            r#"{{"event":"stop","sequenceNumber":"2","streamSid":"{STREAM}","stop":{{"accountSid":"{account_sid}","callSid":"{call_sid}"}}}}"#
        );
        self.socket.send(Message::text(stop)).await.ok();
        self.socket.close(None).await.ok();
    }
}

/// A frame that begins with its own number.
fn media(index: usize, tail: &str) -> String {
    let number = STANDARD.encode(&u64::try_from(index).unwrap_or(0).to_be_bytes()[2..]);
    let at = index * 20;
    format!(
        r#"{{"event":"media","sequenceNumber":"{index}","streamSid":"{STREAM}","media":{{"track":"inbound","chunk":"{index}","timestamp":"{at}","payload":"{number}{tail}"}}}}"#
    )
}

/// The number that an echoed frame begins with.
fn index_of(text: &str) -> Option<usize> {
    // Some put a blank between a name and its value.
    let (_, payload) = text.split_once(r#""payload":"#)?;
    let payload = payload.trim_start().strip_prefix('"')?;
    let number = STANDARD.decode(payload.get(..8)?).ok()?;
    Some(number.iter().fold(0, |index, byte| (index << 8) | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_known_by_its_number_again() {
        for index in [0, 1, 255, 256, 70_000] {
            let message = media(index, &STANDARD.encode([0x55; 154]));
            assert_eq!(index_of(&message), Some(index));
            assert_eq!(index_of(&message.replace(':', ": ")), Some(index));
        }
        assert_eq!(index_of("{}"), None);
    }
}
