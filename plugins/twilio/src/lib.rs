//! Twilio Programmable Voice with Media Streams. What it could not verify is listed in its README.

mod config;
mod event;
mod media;
mod render;
mod request;
mod sign;

pub use media::Stream;

/// The plugin.
#[derive(Debug, Default)]
pub struct Twilio(Stream);

jackfield_sdk::export!(Twilio: manifest, webhooks, calls, media);
