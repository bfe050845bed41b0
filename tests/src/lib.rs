//! The peers a host talks to, and what drives it from outside: a carrier that plays Twilio, a fake of Twilio's REST
//! API, a bot, hostile plugins, and the host as a child process.
//!
//! Nothing here uses a crate of the host to speak its protocols: a peer that shared the host's code would share its
//! mistakes.

pub mod api;
pub mod ari;
pub mod asterisk;
pub mod bench;
pub mod bot;
pub mod carrier;
pub mod clock;
pub mod cluster;
pub mod demo;
pub mod echo;
pub mod fleet;
pub mod host_process;
pub mod http;
pub mod object_store;
pub mod place;
pub mod proxy;
pub mod python_peer;
pub mod python_plugin;
mod redis_process;
pub mod redis_tls;
pub mod sentinel;
pub mod speech;
pub mod telephone;
pub mod telnyx_rest;
pub mod twilio_rest;
pub mod webex;

pub use jackfield_hostile as hostile;
