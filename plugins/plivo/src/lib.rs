//! Plivo Voice with audio streams. What it could not verify is listed in its README.

mod config;
mod event;
mod media;
mod request;
mod sign;

use jackfield_sdk::play_audio::Stream;

/// The plugin, and as a value one media stream.
#[derive(Debug, Default)]
pub struct Plivo(Stream);

jackfield_sdk::export!(Plivo: manifest, webhooks, calls, media);
