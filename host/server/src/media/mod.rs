//! Media: sockets in, frames out, on threads that do nothing else.
//!
//! A webhook, a guest that misbehaves, a compilation or the database cannot delay a frame: none of them runs here.

mod cast;
mod figures;
mod keep;
pub(crate) mod recorder;
mod rest;
pub(crate) mod socket;
mod stream;
mod wire;
mod worker;

pub(crate) use cast::{Cast, Means, Player};
pub(crate) use figures::{Figures, shown as figures_shown};
pub use keep::keep_recordings;
pub(crate) use stream::{StreamEnd, StreamKnobs, StreamNews, StreamOrder};
pub use worker::MediaPool;
