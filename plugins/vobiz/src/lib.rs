//! Vobiz, whose XML and streams are those of Plivo and whose signatures and REST API are not. What it could not verify is listed in its README.

mod config;
mod event;
mod media;
mod request;
mod sign;

use jackfield_sdk::play_audio::Stream;

/// The plugin, and as a value one media stream.
#[derive(Debug, Default)]
pub struct Vobiz(Stream);

jackfield_sdk::export!(Vobiz: manifest, webhooks, calls, media);
