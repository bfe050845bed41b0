//! The whole path over real sockets: the built host as a child process, a carrier on one side, agents on the other.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod backlog;
mod bad_frames;
mod bot_calls;
mod clocks;
mod database;
mod deaf_callers;
mod failover;
mod fleet;
mod grants;
mod hostile_audio;
mod hostile_plugins;
mod inbound;
mod lifetime;
mod outbound;
mod providers;
mod python;
mod recordings;
mod redis_slow;
mod refusals;
mod rolling;
mod rollouts;
mod secrecy;
mod signatures;
mod sockets;
mod surface;
mod swap;
mod telnyx;
mod transfers;
mod webex;
mod webex_fleet;
mod world;
