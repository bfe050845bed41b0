//! Telnyx: Call Control, which is driven by commands. What it could not verify is listed in its README.

mod config;
mod event;
mod media;
mod request;
mod sign;

use media::Stream;

/// The plugin, and as a value one media stream.
#[derive(Debug, Default)]
pub struct Telnyx(Stream);

jackfield_sdk::export!(Telnyx: manifest, webhooks, calls, media);
