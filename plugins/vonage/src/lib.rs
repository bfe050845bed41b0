//! Vonage Voice: NCCO in JSON, linear audio in binary frames. What it could not verify is listed in its README.

mod config;
mod event;
mod media;
mod render;
mod request;
mod sign;

/// The plugin, and as a value one media stream.
#[derive(Debug, Default)]
pub struct Vonage(media::Stream);

jackfield_sdk::export!(Vonage: manifest, webhooks, calls, media);
