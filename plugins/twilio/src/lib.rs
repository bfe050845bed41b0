//! Twilio Programmable Voice with Media Streams. What it could not verify is listed in its README.

mod config;
mod event;
mod media;
mod render;
mod request;
mod sign;

use jackfield_sdk::media_streams::Stream;

/// The plugin, and as a value one media stream.
#[derive(Debug, Default)]
pub struct Twilio(Stream);

jackfield_sdk::export!(Twilio: manifest, webhooks, calls, media);
