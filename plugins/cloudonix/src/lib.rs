//! Cloudonix: a dialect of TwiML and of Media Streams, sessions instead of calls. What it could not verify is listed in its
//! README.

mod config;
mod event;
mod media;
mod render;
mod request;
mod sign;

use jackfield_sdk::media_streams::Stream;

/// The plugin, and as a value one media stream.
#[derive(Debug, Default)]
pub struct Cloudonix(Stream);

jackfield_sdk::export!(Cloudonix: manifest, webhooks, calls, media);
