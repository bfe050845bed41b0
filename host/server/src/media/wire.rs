//! The provider's side of a stream: its WebSocket and the guest that speaks its language.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use jackfield_egress::Shallow;
use jackfield_media::{Backlog, Codec, Format, WireCommand};
use jackfield_plugins::types::{Codec as GuestCodec, MediaCommand, MediaEvent, MediaFormat, Message as GuestMessage};
use jackfield_plugins::{GuestError, MediaGuest};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message, protocol::Role};

/// One message may not be larger: a second of anything a provider sends is far below it.
const MESSAGE: usize = 64 << 10;
/// A provider that reads nothing for so long is gone.
const DEAF: Duration = Duration::from_secs(10);

/// A provider's media socket with its translator.
pub(crate) struct Wire {
    socket: WebSocketStream<Shallow>,
    guest: MediaGuest,
    /// Encoded already: plugins number no messages, so that one that is dropped leaves no gap in a count.
    backlog: Backlog<Message>,
    /// Since when the socket takes nothing, if something waits for it.
    blocked_since: Option<Instant>,
}

/// What came in.
pub(crate) enum Heard {
    /// Translated.
    Events(Vec<MediaEvent>),
    /// Not to be understood: dropped and counted.
    Bad(String),
    /// Nothing for us.
    Nothing,
    /// The socket is closed.
    Closed,
}

/// The stream cannot go on.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The guest failed; its store is spent.
    Plugin(GuestError),
    /// The provider stopped reading, or the socket failed.
    Gone(String),
}

impl Wire {
    /// `frame_ms` is how long a frame of audio towards the provider lasts.
    pub(crate) async fn new(socket: Shallow, leftover: Vec<u8>, guest: MediaGuest, frame_ms: u32) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE))
            .max_frame_size(Some(MESSAGE))
            .read_buffer_size(4 << 10)
            .write_buffer_size(0)
            // One message of ours, and the library's answers to pings.
            .max_write_buffer_size(2 * MESSAGE);
        let socket = WebSocketStream::from_partially_read(socket, leftover, Role::Server, Some(config)).await;
        Self { socket, guest, backlog: Backlog::new(frame_ms), blocked_since: None }
    }

    /// Waits for the next message, and hands over what waits for the socket meanwhile. Cancel safe.
    pub(crate) async fn hear(&mut self) -> Result<Heard, Broken> {
        // A provider that hung up is to be heard saying so, and not to be found out by a write that fails.
        let message = poll_fn(|context| match self.socket.poll_next_unpin(context) {
            Poll::Ready(message) => Poll::Ready(Ok(message)),
            Poll::Pending => self.flush(context).map_or_else(|broken| Poll::Ready(Err(broken)), |()| Poll::Pending),
        });
        let message = match message.await? {
            Some(Ok(Message::Text(text))) => GuestMessage::Text(text.as_str().to_owned()),
            Some(Ok(Message::Binary(bytes))) => GuestMessage::Binary(bytes.to_vec()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(Heard::Closed),
            Some(Ok(_)) => return Ok(Heard::Nothing),
        };
        match self.guest.decode(&message).map_err(Broken::Plugin)? {
            Ok(events) => Ok(Heard::Events(events)),
            Err(fault) => Ok(Heard::Bad(format!("{fault:?}"))),
        }
    }

    /// Says something to the provider, without ever waiting for it. False when the provider has no word for it.
    pub(crate) fn say(&mut self, command: WireCommand) -> Result<bool, Broken> {
        let is_audio = matches!(command, WireCommand::Audio(_));
        if command == WireCommand::Clear {
            self.backlog.clear();
        }
        let command = match command {
            WireCommand::Audio(payload) => MediaCommand::Audio(payload),
            WireCommand::Mark(name) => MediaCommand::Mark(name),
            WireCommand::Clear => MediaCommand::Clear,
            WireCommand::Dtmf(digits) => MediaCommand::Dtmf(digits),
        };
        let messages = match self.guest.encode(&command).map_err(Broken::Plugin)? {
            Ok(messages) => messages,
            Err(fault) => {
                tracing::debug!(?fault, "the plugin cannot say that to the provider");
                return Ok(false);
            }
        };
        let told = !messages.is_empty();
        messages.into_iter().try_for_each(|message| self.enqueue(is_audio, message))?;
        // The socket's task is not woken by this: it looks again each time it hears.
        self.flush(&mut Context::from_waker(Waker::noop())).map(|()| told)
    }

    fn enqueue(&mut self, is_audio: bool, message: GuestMessage) -> Result<(), Broken> {
        let message = match message {
            GuestMessage::Text(text) => Message::text(text),
            GuestMessage::Binary(bytes) => Message::binary(bytes),
        };
        match is_audio {
            true => self.backlog.audio(message),
            false if !self.backlog.word(message) => return Err(deaf()),
            false => {}
        }
        Ok(())
    }

    /// Frames of audio that were dropped because the provider did not read.
    pub(crate) fn dropped(&self) -> u64 {
        self.backlog.dropped()
    }

    /// Hands over what waits, as far as the socket takes it: a message at a time, so that the rest can still be dropped.
    fn flush(&mut self, context: &mut Context<'_>) -> Result<(), Broken> {
        loop {
            match self.socket.poll_ready_unpin(context).map_err(gone)? {
                Poll::Ready(()) => self.blocked_since = None,
                Poll::Pending => return self.blocked(),
            }
            let Some(message) = self.backlog.pop() else { return Ok(()) };
            self.socket.start_send_unpin(message).map_err(gone)?;
        }
    }

    /// Gives up on a provider that has not taken anything for long.
    fn blocked(&mut self) -> Result<(), Broken> {
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        if since.elapsed() > DEAF { Err(deaf()) } else { Ok(()) }
    }

    /// Says goodbye and closes; a peer that does not answer is cut off after two seconds.
    pub(crate) async fn close(mut self, reason: &'static str) {
        if let Ok(Ok(messages)) = self.guest.encode(&MediaCommand::Stop) {
            messages.into_iter().for_each(|message| drop(self.enqueue(false, message)));
        }
        let frame = CloseFrame { code: CloseCode::Normal, reason: reason.into() };
        let goodbye = async {
            while let Some(message) = self.backlog.pop() {
                self.socket.send(message).await?;
            }
            self.socket.close(Some(frame)).await?;
            while let Some(Ok(_)) = self.socket.next().await {}
            Ok::<(), Error>(())
        };
        // Whatever comes of it, the call is over.
        drop(tokio::time::timeout(Duration::from_secs(2), goodbye).await);
    }
}

fn gone(error: Error) -> Broken {
    Broken::Gone(error.to_string())
}

fn deaf() -> Broken {
    Broken::Gone("the provider stopped reading".to_owned())
}

/// A format of the contract as the audio loop knows it.
pub(crate) fn format_of(format: &MediaFormat) -> Result<Format, String> {
    let codec = match &format.codec {
        GuestCodec::Pcmu => Codec::Pcmu,
        GuestCodec::Pcma => Codec::Pcma,
        GuestCodec::L16 => Codec::L16,
        GuestCodec::L16Be => Codec::L16Be,
        GuestCodec::Other(name) => return Err(format!("this host cannot play `{name}`")),
    };
    match format.sample_rate {
        8_000 | 16_000 | 24_000 | 48_000 => Ok(Format { codec, rate: format.sample_rate }),
        rate => Err(format!("this host cannot play {rate} Hz")),
    }
}
