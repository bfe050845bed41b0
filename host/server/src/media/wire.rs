//! The provider's side of a stream: its WebSocket and the guest that speaks its language.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt};
use jackfield_media::{Codec, Format, WireCommand};
use jackfield_plugins::types::{Codec as GuestCodec, MediaCommand, MediaEvent, MediaFormat, Message as GuestMessage};
use jackfield_plugins::{GuestError, MediaGuest};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Message, protocol::Role};

/// One message may not be larger: a second of anything a provider sends is far below it.
const MESSAGE: usize = 64 << 10;
/// Bytes that may wait for a provider that does not read: about 200 ms of JSON frames.
const WAITING: usize = 16 << 10;
/// A provider that reads nothing for so long is gone.
const DEAF: Duration = Duration::from_secs(10);

/// A provider's media socket with its translator.
pub(crate) struct Wire {
    socket: WebSocketStream<TcpStream>,
    guest: MediaGuest,
    blocked_since: Option<Instant>,
    /// Outbound messages dropped because the provider did not read.
    pub(crate) unread: u64,
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
    pub(crate) async fn new(socket: TcpStream, leftover: Vec<u8>, guest: MediaGuest) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE))
            .max_frame_size(Some(MESSAGE))
            .read_buffer_size(4 << 10)
            .write_buffer_size(0)
            .max_write_buffer_size(WAITING + MESSAGE);
        let socket = WebSocketStream::from_partially_read(socket, leftover, Role::Server, Some(config)).await;
        Self { socket, guest, blocked_since: None, unread: 0 }
    }

    /// Waits for the next message. Cancel safe.
    pub(crate) async fn hear(&mut self) -> Result<Heard, Broken> {
        let message = match self.socket.next().await {
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
        messages.into_iter().try_for_each(|message| self.send(message)).map(|()| told)
    }

    fn send(&mut self, message: GuestMessage) -> Result<(), Broken> {
        let message = match message {
            GuestMessage::Text(text) => Message::text(text),
            GuestMessage::Binary(bytes) => Message::binary(bytes),
        };
        match self.socket.send(message).now_or_never() {
            Some(Ok(())) => self.blocked_since = None,
            Some(Err(error)) if self.blocked_since.is_none() => return Err(Broken::Gone(error.to_string())),
            Some(Err(_)) | None => return self.unread(),
        }
        Ok(())
    }

    /// Counts a message that could not be written, and gives up on a provider that has not read for long.
    fn unread(&mut self) -> Result<(), Broken> {
        self.unread += 1;
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        if since.elapsed() > DEAF {
            return Err(Broken::Gone("the provider stopped reading".to_owned()));
        }
        Ok(())
    }

    /// Says goodbye and closes; a peer that does not answer is cut off after two seconds.
    pub(crate) async fn close(mut self, reason: &'static str) {
        if let Ok(Ok(messages)) = self.guest.encode(&MediaCommand::Stop) {
            messages.into_iter().for_each(|message| drop(self.send(message)));
        }
        let frame = CloseFrame { code: CloseCode::Normal, reason: reason.into() };
        let goodbye = async {
            self.socket.close(Some(frame)).await.ok();
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        tokio::time::timeout(Duration::from_secs(2), goodbye).await.ok();
    }
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
