//! Makes the guest whose results are fuzzed: a component that has every export of the contract, and whose answers are
//! whatever it is told to answer.
//!
//! All exports do the same. Their first text is an image of memory, two letters from `a` to `p` for each byte. The guest
//! writes it to address 0 and returns the word that lies there: the image's first word is the address of the result,
//! and small numbers are addresses in the image. `inspect` sends a request first, made of the words behind it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const INTERFACES: [&str; 7] = ["manifest", "webhooks", "calls", "media", "socket", "desk", "chat"];

/// Where an export's first text is: its address and length.
#[derive(Clone, Copy)]
enum Image {
    /// The first two parameters.
    First,
    /// Behind the number of the variant's case.
    InVariant,
    /// Where the first parameter points: the parameters are too many.
    Behind,
}

/// Interface, name, how many words it takes, whether a 64-bit number comes behind them, and where the image is.
type Export = (&'static str, &'static str, usize, bool, Image);

const EXPORTS: [Export; 25] = [
    ("manifest", "check", 6, false, Image::First),
    ("webhooks", "identify", 8, false, Image::First),
    ("webhooks", "authenticate", 14, true, Image::First),
    ("webhooks", "read", 16, false, Image::First),
    ("webhooks", "reply", 1, false, Image::Behind),
    ("media", "open", 1, false, Image::Behind),
    ("media", "decode", 3, false, Image::InVariant),
    ("media", "encode", 3, false, Image::InVariant),
    ("socket", "locate", 6, false, Image::First),
    ("socket", "read", 8, true, Image::First),
    ("calls", "probe", 6, false, Image::First),
    ("calls", "place", 1, false, Image::Behind),
    ("calls", "find-placed", 1, false, Image::Behind),
    ("calls", "answer", 1, false, Image::Behind),
    ("calls", "proceed", 1, false, Image::Behind),
    ("calls", "hang-up", 1, false, Image::Behind),
    ("calls", "inspect", 1, false, Image::Behind),
    ("calls", "transfer", 1, false, Image::Behind),
    ("calls", "bind-number", 11, false, Image::First),
    ("calls", "list-numbers", 9, false, Image::First),
    ("desk", "calls", 8, false, Image::First),
    ("desk", "history", 8, false, Image::First),
    ("desk", "carry-out", 11, false, Image::First),
    ("desk", "watch", 11, false, Image::First),
    ("chat", "fetch", 8, false, Image::First),
];

/// Those of `chat` that answer as `probe` does.
const SILENT: [Export; 2] = [("chat", "send", 10, false, Image::First), ("chat", "listen", 8, false, Image::First)];

/// The image comes first; what it must not write over lies behind 64 KiB, and what the host passes behind 128 KiB.
const MODULE: &str = r#"
  (import "jackfield:provider/http@0.1.0" "send"
    (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 16)
  (global $top (mut i32) (i32.const 131072))
  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $top) (i32.const 1048576)) (then unreachable))
    (local.get $at))
  (func $half (param $at i32) (result i32)
    (i32.and (i32.sub (i32.load8_u (local.get $at)) (i32.const 97)) (i32.const 15)))
  (func $show (param $image i32) (param $letters i32) (result i32)
    (local $at i32)
    (block $done
      (loop $next
        (br_if $done (i32.lt_u (local.get $letters) (i32.const 2)))
        (i32.store8 (local.get $at) (i32.or
          (i32.shl (call $half (local.get $image)) (i32.const 4))
          (call $half (i32.add (local.get $image) (i32.const 1)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $image (i32.add (local.get $image) (i32.const 2)))
        (local.set $letters (i32.sub (local.get $letters) (i32.const 2)))
        (br $next)))
    (i32.load (i32.const 0)))
  (func (export "jackfield:provider/manifest@0.1.0#describe") (result i32) (i32.const 65536))
  (data (i32.const 65536) "\00\04\01\00\04\00\00\00\00\04\01\00\04\00\00\00\00\04\01\00\04\00\00\00")
  (data (i32.const 66560) "fuzz")
"#;

fn main() -> Result<()> {
    let contract = Path::new("../../wit");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", contract.display());
    let mut module = wat::parse_str(text())?;
    let mut resolve = Resolve::default();
    resolve.push_dir(contract)?;
    let exports: String =
        INTERFACES.map(|interface| format!("export jackfield:provider/{interface}@0.1.0;\n")).concat();
    let world = format!("package fuzz:guest;\nworld guest {{ import jackfield:provider/http@0.1.0;\n{exports} }}\n");
    let package = resolve.push_str("guest.wit", &world)?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    let component = ComponentEncoder::default().module(&module)?.validate(true).encode()?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("cargo names no folder")?);
    std::fs::write(out.join("guest.wasm"), component)?;
    Ok(())
}

fn text() -> String {
    let exports: String = EXPORTS.iter().chain(&SILENT).map(export).collect();
    format!("(module\n{MODULE}\n{exports})\n")
}

fn export((interface, name, words, number, image): &Export) -> String {
    let parameters = format!("{}{}", "i32 ".repeat(*words), if *number { "i64" } else { "" });
    let image = match image {
        Image::First => "(local.get 0) (local.get 1)",
        Image::InVariant => "(local.get 1) (local.get 2)",
        Image::Behind => "(i32.load (local.get 0)) (i32.load offset=4 (local.get 0))",
    };
    let shown = format!("(call $show {image})");
    let body = if *name == "inspect" { format!("(drop {shown}) {} (i32.load (i32.const 0))", send()) } else { shown };
    format!(
        "(func (export \"jackfield:provider/{interface}@0.1.0#{name}\") (param {parameters}) (result i32) {body})\n"
    )
}

/// The words behind the first are a request; its answer goes where nothing else lies.
fn send() -> String {
    let words: String = (1..=11).map(|word| format!("(i32.load (i32.const {})) ", word * 4)).collect();
    format!("(call $send {words} (i32.const 98304))")
}
