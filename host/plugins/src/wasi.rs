//! The second tier: components of languages whose runtimes import WASI whether they need it or not. All of it is there to be
//! linked, and nothing of it leads anywhere: no files, no network, no environment, no input, output that is dropped, clocks
//! that stand still, and randomness that is the same each time. So what such a plugin does is decided by its arguments alone,
//! as with any other plugin. To wait is a trap: it would hold the thread past every deadline.
//!
//! `wasi:io` is implemented here, since wasmtime-wasi's blocks on a runtime of its own where guests run within one.

use std::sync::PoisonError;
use std::time::Duration;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock, WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::sync::io::poll::{self, Pollable};
use wasmtime_wasi::p2::bindings::sync::io::streams::{self, InputStream, OutputStream};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random};
use wasmtime_wasi::p2::{StreamError, StreamResult};
use wasmtime_wasi::random::{Deterministic, WasiRandom};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::limits::GuestState;

/// Packages of WASI that may be imported. The network is not among them: the one way out is `jackfield:provider/http`.
const PACKAGES: [&str; 5] = ["cli", "clocks", "filesystem", "io", "random"];

/// What the random numbers are made of. Nothing secret may be made of them, and plugins have nothing secret to make.
const SEED: [u8; 32] = *b"the same for all plugins, always";
/// Handles that a guest may hold at a time: each costs the host memory that no limit of the guest's covers.
const HANDLES: usize = 256;
/// Bytes of randomness that it may ask for at a time.
const RANDOM_BYTES: u64 = 64 << 10;
/// Bytes that a stream says it has room for.
const ROOM: u64 = 64 << 10;

/// Is it an import that the second tier has?
pub(crate) fn is_denied(import: &str) -> bool {
    let package = import.strip_prefix("wasi:").and_then(|rest| rest.split_once('/'));
    package.is_some_and(|(package, _)| PACKAGES.contains(&package))
}

/// What a guest of this tier holds. Made when it first asks.
pub(crate) struct Denied {
    context: WasiCtx,
    table: ResourceTable,
}

impl Default for Denied {
    fn default() -> Self {
        let context = WasiCtx::builder()
            .wall_clock(Still)
            .monotonic_clock(Still)
            .secure_random(Deterministic::new(SEED.to_vec()))
            .insecure_random(Deterministic::new(SEED.to_vec()))
            .insecure_random_seed(0)
            .max_random_size(RANDOM_BYTES)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self { context, table }
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let denied = self.wasi.get_or_insert_default().get_mut();
        let Denied { context, table } = denied.unwrap_or_else(PoisonError::into_inner);
        WasiCtxView { ctx: context, table }
    }
}

/// Links all of it.
pub(crate) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    type State = GuestState;
    cli::exit::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::environment::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    clocks::wall_clock::add_to_linker::<State, WasiClocks>(linker, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(linker, State::clocks)?;
    random::random::add_to_linker::<State, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    random::insecure::add_to_linker::<State, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    // Without a folder that is open nobody can name a file: what these two could do is never asked for.
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    wasmtime_wasi::p2::bindings::sync::filesystem::types::add_to_linker::<State, WasiFilesystem>(
        linker,
        State::filesystem,
    )?;
    io::error::add_to_linker::<State, Nowhere>(linker, |state| Io(state.ctx().table))?;
    poll::add_to_linker::<State, Nowhere>(linker, |state| Io(state.ctx().table))?;
    streams::add_to_linker::<State, Nowhere>(linker, |state| Io(state.ctx().table))
}

/// A clock at the beginning of Unix time.
struct Still;

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1_000_000_000
    }

    fn now(&self) -> u64 {
        0
    }
}

/// Streams that lead nowhere.
struct Nowhere;

impl HasData for Nowhere {
    type Data<'a> = Io<'a>;
}

struct Io<'a>(&'a mut ResourceTable);

const NO_WAITING: &str = "a plugin may not wait: clocks stand still and nothing comes in";

impl io::error::Host for Io<'_> {}

impl io::error::HostError for Io<'_> {
    fn to_debug_string(&mut self, _error: Resource<io::error::Error>) -> wasmtime::Result<String> {
        Ok("nothing can go wrong where nothing is done".to_owned())
    }

    fn drop(&mut self, error: Resource<io::error::Error>) -> wasmtime::Result<()> {
        self.0.delete(error)?;
        Ok(())
    }
}

impl poll::Host for Io<'_> {
    fn poll(&mut self, _pollables: Vec<Resource<Pollable>>) -> wasmtime::Result<Vec<u32>> {
        Err(wasmtime::Error::msg(NO_WAITING))
    }
}

impl poll::HostPollable for Io<'_> {
    fn ready(&mut self, _pollable: Resource<Pollable>) -> wasmtime::Result<bool> {
        Ok(false)
    }

    fn block(&mut self, _pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        Err(wasmtime::Error::msg(NO_WAITING))
    }

    fn drop(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        self.0.delete(pollable)?;
        Ok(())
    }
}

impl streams::Host for Io<'_> {
    fn convert_stream_error(&mut self, _error: StreamError) -> wasmtime::Result<streams::StreamError> {
        // The only one that is made here.
        Ok(streams::StreamError::Closed)
    }
}

impl streams::HostOutputStream for Io<'_> {
    fn drop(&mut self, stream: Resource<OutputStream>) -> wasmtime::Result<()> {
        self.0.delete(stream)?;
        Ok(())
    }

    fn check_write(&mut self, _stream: Resource<OutputStream>) -> StreamResult<u64> {
        Ok(ROOM)
    }

    fn write(&mut self, _stream: Resource<OutputStream>, _bytes: Vec<u8>) -> StreamResult<()> {
        Ok(())
    }

    fn blocking_write_and_flush(&mut self, _stream: Resource<OutputStream>, _bytes: Vec<u8>) -> StreamResult<()> {
        Ok(())
    }

    fn blocking_write_zeroes_and_flush(&mut self, _stream: Resource<OutputStream>, _len: u64) -> StreamResult<()> {
        Ok(())
    }

    fn subscribe(&mut self, stream: Resource<OutputStream>) -> wasmtime::Result<Resource<Pollable>> {
        wasmtime_wasi::p2::subscribe(self.0, stream)
    }

    fn write_zeroes(&mut self, _stream: Resource<OutputStream>, _len: u64) -> StreamResult<()> {
        Ok(())
    }

    fn flush(&mut self, _stream: Resource<OutputStream>) -> StreamResult<()> {
        Ok(())
    }

    fn blocking_flush(&mut self, _stream: Resource<OutputStream>) -> StreamResult<()> {
        Ok(())
    }

    fn splice(&mut self, _to: Resource<OutputStream>, _from: Resource<InputStream>, _len: u64) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn blocking_splice(
        &mut self,
        _to: Resource<OutputStream>,
        _from: Resource<InputStream>,
        _len: u64,
    ) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }
}

impl streams::HostInputStream for Io<'_> {
    fn drop(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<()> {
        self.0.delete(stream)?;
        Ok(())
    }

    fn read(&mut self, _stream: Resource<InputStream>, _len: u64) -> StreamResult<Vec<u8>> {
        Err(StreamError::Closed)
    }

    fn blocking_read(&mut self, _stream: Resource<InputStream>, _len: u64) -> StreamResult<Vec<u8>> {
        Err(StreamError::Closed)
    }

    fn skip(&mut self, _stream: Resource<InputStream>, _len: u64) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn blocking_skip(&mut self, _stream: Resource<InputStream>, _len: u64) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn subscribe(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<Resource<Pollable>> {
        wasmtime_wasi::p2::subscribe(self.0, stream)
    }
}
