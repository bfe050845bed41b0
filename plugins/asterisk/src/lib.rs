//! Asterisk: calls by its REST interface (ARI), events by its event socket, audio by `chan_websocket`. What it could not
//! verify is listed in its README.

mod config;
mod event;
mod media;
mod names;
mod request;

use media::Stream;

/// The plugin, and as a value one media stream.
#[derive(Debug, Default)]
pub struct Asterisk(Stream);

jackfield_sdk::export!(Asterisk: manifest, calls, media, socket);
