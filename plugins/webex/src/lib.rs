//! Webex Calling: control of people's own telephones, and a bot to ask for it. No audio. What it could not verify is listed
//! in its README.

mod chat;
mod config;
mod desk;
mod event;
mod sign;
mod webhook;

/// The plugin.
#[derive(Debug, Clone, Copy)]
pub struct Webex;

jackfield_sdk::export!(Webex: manifest, webhooks, calls, desk, chat);
