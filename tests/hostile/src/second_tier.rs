//! What the fixtures of the second tier import of WASI, and what they do with it.

/// Imports of a fixture: what the component says of them, what its module does, and what is done in the export.
#[derive(Debug, Clone, Copy)]
pub struct Foreign {
    /// Packages in WIT.
    pub(crate) packages: &'static [&'static str],
    /// Interfaces, for the world.
    pub(crate) interfaces: &'static [&'static str],
    /// Imports of the core module.
    pub(crate) imports: &'static str,
    /// Done before the export answers.
    pub(crate) body: &'static str,
}

/// The network, which no plugin may have.
pub(crate) const SOCKETS: Foreign = Foreign {
    packages: &["package wasi:sockets@0.2.0;\ninterface tcp { open: func() -> u32; }"],
    interfaces: &["wasi:sockets/tcp@0.2.0"],
    imports: "(import \"wasi:sockets/tcp@0.2.0\" \"open\" (func $foreign (result i32)))",
    body: "",
};

const IO: &str = "package wasi:io@0.2.0;
interface error { resource error; }
interface poll { resource pollable { block: func(); } }
interface streams {
  use error.{error};
  variant stream-error { last-operation-failed(error), closed }
  resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
}";
const CLOCKS: &str = "package wasi:clocks@0.2.0;
interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
interface monotonic-clock { use wasi:io/poll@0.2.0.{pollable}; subscribe-duration: func(when: u64) -> pollable; }";
const CLI: &str = "package wasi:cli@0.2.0;
interface environment { get-environment: func() -> list<tuple<string, string>>; }
interface stderr { use wasi:io/streams@0.2.0.{output-stream}; get-stderr: func() -> output-stream; }";
const FILESYSTEM: &str = "package wasi:filesystem@0.2.0;
interface types { resource descriptor; }
interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }";
const RANDOM: &str = "package wasi:random@0.2.0;
interface random { get-random-u64: func() -> u64; }";

/// Looks at clock, environment, folders and randomness, writes to its error output, and traps unless all of it is denied:
/// the clock at zero, lists that are empty, the same number each time.
pub(crate) const DENIED: Foreign = Foreign {
    packages: &[IO, CLOCKS, CLI, FILESYSTEM, RANDOM],
    interfaces: &[
        "wasi:clocks/wall-clock@0.2.0",
        "wasi:cli/environment@0.2.0",
        "wasi:cli/stderr@0.2.0",
        "wasi:io/streams@0.2.0",
        "wasi:filesystem/preopens@0.2.0",
        "wasi:random/random@0.2.0",
    ],
    imports: r#"
      (import "wasi:clocks/wall-clock@0.2.0" "now" (func $now (param i32)))
      (import "wasi:cli/environment@0.2.0" "get-environment" (func $environment (param i32)))
      (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
      (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
        (func $write (param i32 i32 i32 i32)))
      (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $close (param i32)))
      (import "wasi:filesystem/preopens@0.2.0" "get-directories" (func $folders (param i32)))
      (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))"#,
    body: r#"
      (call $now (i32.const 512))
      (if (i64.ne (i64.load (i32.const 512)) (i64.const 0)) (then unreachable))
      (if (i32.ne (i32.load (i32.const 520)) (i32.const 0)) (then unreachable))
      (call $environment (i32.const 512))
      (if (i32.ne (i32.load (i32.const 516)) (i32.const 0)) (then unreachable))
      (call $folders (i32.const 512))
      (if (i32.ne (i32.load (i32.const 516)) (i32.const 0)) (then unreachable))
      (if (i64.ne (call $random) (i64.const 0x7468652073616d65)) (then unreachable))
      (i32.store (i32.const 512) (call $stderr))
      (call $write (i32.load (i32.const 512)) (i32.const 0) (i32.const 64) (i32.const 528))
      (if (i32.load8_u (i32.const 528)) (then unreachable))
      (call $close (i32.load (i32.const 512)))"#,
};

/// Takes one handle after another and gives none back.
pub(crate) const HANDLES: Foreign = Foreign {
    packages: &[IO, CLI],
    interfaces: &["wasi:cli/stderr@0.2.0"],
    imports: "(import \"wasi:cli/stderr@0.2.0\" \"get-stderr\" (func $stderr (result i32)))",
    body: "(loop $more (drop (call $stderr)) (br $more))",
};

/// Writes the same 4 KiB again and again.
pub(crate) const LOGS: Foreign = Foreign {
    packages: &[IO, CLI],
    interfaces: &["wasi:cli/stderr@0.2.0", "wasi:io/streams@0.2.0"],
    imports: r#"
      (import "wasi:cli/stderr@0.2.0" "get-stderr" (func $stderr (result i32)))
      (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
        (func $write (param i32 i32 i32 i32)))"#,
    body: r#"
      (i32.store (i32.const 512) (call $stderr))
      (loop $more
        (call $write (i32.load (i32.const 512)) (i32.const 65536) (i32.const 4096) (i32.const 528))
        (br $more))"#,
};

/// Asks for a gigabyte of random bytes.
pub(crate) const RANDOMNESS: Foreign = Foreign {
    packages: &["package wasi:random@0.2.0;
interface random { get-random-bytes: func(len: u64) -> list<u8>; }"],
    interfaces: &["wasi:random/random@0.2.0"],
    imports: r#"(import "wasi:random/random@0.2.0" "get-random-bytes" (func $random (param i64 i32)))"#,
    body: "(call $random (i64.const 1073741824) (i32.const 512))",
};

/// Waits for an hour.
pub(crate) const WAITING: Foreign = Foreign {
    packages: &[IO, CLOCKS],
    interfaces: &["wasi:clocks/monotonic-clock@0.2.0", "wasi:io/poll@0.2.0"],
    imports: r#"
      (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration" (func $later (param i64) (result i32)))
      (import "wasi:io/poll@0.2.0" "[method]pollable.block" (func $block (param i32)))"#,
    body: "(call $block (call $later (i64.const 3600000000000)))",
};
