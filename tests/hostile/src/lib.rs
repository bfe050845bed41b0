//! Plugins that misbehave: components that are right in all but one thing.
//!
//! Each is a core module in WebAssembly text, laid out by hand after the canonical ABI and made a component against
//! the project's own contract. What is not its one misdeed works: it describes itself, takes any request for genuine,
//! reads nothing from it, and answers with an empty document.

mod provoke;
mod second_tier;
mod telephone;

use anyhow::{Context, Result};
use jackfield_plugins::GuestError;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

pub use crate::provoke::{EXPORTS as EXPORTS_AT_WORK, provoke};
pub use crate::second_tier::Foreign;
pub use crate::telephone::NUMBER;

/// Where a plugin misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    Describe,
    Check,
    Identify,
    Authenticate,
    Read,
    Reply,
    Open,
    Decode,
    Encode,
}

/// How a plugin misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misdeed {
    /// None: the plugin is as good as it can be.
    Nothing,
    /// Never returns.
    Loop,
    /// Traps.
    Trap,
    /// Calls itself until the stack is gone.
    Recurse,
    /// Takes memory until it gets no more, then traps.
    Grow,
    /// Returns more than a host may take.
    HugeResult,
    /// Describes itself in text that is not UTF-8.
    BadText,
    /// Returns thousands of texts that are all the same megabyte: little to send, gigabytes to copy.
    Amplify,
    /// Returns tags, lengths and addresses that mean nothing.
    BadTags,
    /// Returns the address of a result that lies beyond its memory.
    BeyondMemory,
    /// Takes room in its table until it gets no more, then traps.
    GrowTable,
    /// Returns a list of 2^20 items with nothing in them. In `check` alone.
    ManyItems,
    /// Returns two headers in the place of one, by a line break. In `reply` alone.
    SplitHeader,
    /// Traps if it has been called in this memory before.
    Remember,
}

impl Misdeed {
    /// Those that any export can do once a plugin was admitted.
    pub const AT_WORK: [Self; 9] = [
        Self::Loop,
        Self::Trap,
        Self::Recurse,
        Self::Grow,
        Self::HugeResult,
        Self::Amplify,
        Self::BadTags,
        Self::BeyondMemory,
        Self::GrowTable,
    ];

    /// Is that how it must end?
    pub fn ends_in(self, error: &GuestError) -> bool {
        match self {
            Self::Loop => matches!(error, GuestError::Deadline { .. }),
            Self::HugeResult | Self::Amplify | Self::ManyItems | Self::BadTags | Self::BeyondMemory => {
                matches!(error, GuestError::Result { .. })
            }
            _ => matches!(error, GuestError::Trap { .. }),
        }
    }

    /// What it does, in a few words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Nothing => "nothing wrong",
            Self::Loop => "never returns",
            Self::Trap => "traps",
            Self::Recurse => "recurses without end",
            Self::Grow => "takes all memory it gets",
            Self::GrowTable => "takes all room in its table",
            Self::HugeResult => "returns a megabyte",
            Self::Amplify => "returns one megabyte thousands of times",
            Self::ManyItems => "returns 2^20 empty items",
            Self::BadText => "returns text that is not UTF-8",
            Self::BadTags => "returns tags and addresses that mean nothing",
            Self::BeyondMemory => "returns what lies beyond its memory",
            Self::SplitHeader => "splits a header in two",
            Self::Remember => "carries state from one request to the next",
        }
    }
}

/// A plugin to be.
#[derive(Debug, Clone)]
pub struct Hostile {
    /// The provider it claims to be for.
    pub name: String,
    pub export: Export,
    pub misdeed: Misdeed,
    /// The version of the contract it was built for.
    pub contract: String,
    /// What it imports beside the contract.
    pub import: Option<Foreign>,
    /// Misbehaves as soon as it is instantiated.
    pub at_start: bool,
    /// Says of every request that it is its own.
    pub claims: bool,
    /// Takes calls: what is posted is the number that calls, and the answer is where its audio goes.
    pub takes_calls: bool,
    /// Has a function that is little to read and much to compile.
    pub bomb: bool,
    /// Reads chats, and misbehaves there: in an export that may wait for IO.
    pub chats: bool,
}

impl Hostile {
    /// A plugin for provider `name` that misbehaves in one export.
    pub fn new(name: &str, export: Export, misdeed: Misdeed) -> Self {
        let contract = "0.1.0".to_owned();
        Self {
            name: name.to_owned(),
            export,
            misdeed,
            contract,
            import: None,
            at_start: false,
            claims: false,
            takes_calls: false,
            bomb: false,
            chats: false,
        }
    }

    /// A plugin with no fault but its name, its imports or its contract.
    pub fn harmless(name: &str) -> Self {
        Self::new(name, Export::Check, Misdeed::Nothing)
    }

    /// Built for another version of the contract.
    #[must_use]
    pub fn built_for(mut self, contract: &str) -> Self {
        contract.clone_into(&mut self.contract);
        self
    }

    /// Asks for the network.
    #[must_use]
    pub fn wanting_sockets(mut self) -> Self {
        self.import = Some(second_tier::SOCKETS);
        self
    }

    /// Uses what WASI has, in its export, and traps unless nothing comes of it.
    #[must_use]
    pub fn using_wasi(mut self) -> Self {
        self.import = Some(second_tier::DENIED);
        self
    }

    /// Waits by WASI's clock, in its export.
    #[must_use]
    pub fn waiting(mut self) -> Self {
        self.import = Some(second_tier::WAITING);
        self
    }

    /// Asks for handles without end, in its export.
    #[must_use]
    pub fn flooding_handles(mut self) -> Self {
        self.import = Some(second_tier::HANDLES);
        self
    }

    /// Writes to its error output without end, in its export.
    #[must_use]
    pub fn flooding_logs(mut self) -> Self {
        self.import = Some(second_tier::LOGS);
        self
    }

    /// Asks for a gigabyte of randomness, in its export.
    #[must_use]
    pub fn wanting_randomness(mut self) -> Self {
        self.import = Some(second_tier::RANDOMNESS);
        self
    }

    /// Misbehaves in its start function.
    #[must_use]
    pub fn at_start(mut self) -> Self {
        self.at_start = true;
        self
    }

    /// Says of every request that it is its own.
    #[must_use]
    pub fn claiming(mut self) -> Self {
        self.claims = true;
        self
    }

    /// Takes calls to [`NUMBER`] from whoever posts a number, and carries PCMU as it comes.
    #[must_use]
    pub fn taking_calls(mut self) -> Self {
        self.takes_calls = true;
        self
    }

    /// Misbehaves in an export that may wait for IO.
    #[must_use]
    pub fn in_chat(name: &str, misdeed: Misdeed) -> Self {
        Self { misdeed, chats: true, ..Self::harmless(name) }
    }

    /// Much work for a compiler.
    #[must_use]
    pub fn bomb(mut self) -> Self {
        self.bomb = true;
        self
    }

    /// The component's bytes.
    pub fn build(&self) -> Result<Vec<u8>> {
        let mut module = wat::parse_str(self.text()).context("the fixture is not WebAssembly text")?;
        let (resolve, world) = self.world()?;
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
        ComponentEncoder::default().module(&module)?.validate(true).encode()
    }

    /// The contract of the wanted version, and a world with all that the fixture exports.
    fn world(&self) -> Result<(Resolve, wit_parser::WorldId)> {
        let mut resolve = Resolve::default();
        let contract = contract().replace("@0.1.0;", &format!("@{};", self.contract));
        resolve.push_str("contract.wit", &contract)?;
        let interfaces = self.import.map_or(&[][..], |foreign| foreign.interfaces);
        let world = format!(
            "package fixture:hostile;\nworld hostile {{\n  {}\n  export jackfield:provider/manifest@{v};\n  \
             export jackfield:provider/webhooks@{v};\n  export jackfield:provider/media@{v};\n  {chat}}}\n",
            interfaces.iter().map(|name| format!("import {name};")).collect::<String>(),
            v = self.contract,
            chat = if self.chats { "export jackfield:provider/chat@0.1.0;\n" } else { "" },
        );
        for package in self.import.map_or(&[][..], |foreign| foreign.packages) {
            resolve.push_str("foreign.wit", package)?;
        }
        let package = resolve.push_str("hostile.wit", &world)?;
        let world = resolve.select_world(&[package], Some("hostile"))?;
        Ok((resolve, world))
    }

    fn text(&self) -> String {
        let import = self.import.map_or("", |foreign| foreign.imports);
        let start =
            if self.at_start { format!("(func $start {}) (start $start)", self.misdeed.body()) } else { String::new() };
        let exports: String = EXPORTS.iter().map(|export| self.export_text(export)).collect();
        let bomb = if self.bomb { bomb() } else { String::new() };
        let chat: String =
            if self.chats { CHAT.iter().map(|export| self.chat_text(*export)).collect() } else { String::new() };
        format!("(module\n{import}\n{MEMORY}\n{exports}\n{chat}\n{start}\n{bomb}\n{})\n", data(&self.name))
    }

    fn chat_text(&self, (name, parameters): (&str, &str)) -> String {
        let body = self.misdeed.body();
        format!(
            "(func (export \"jackfield:provider/chat@0.1.0#{name}\") (param {parameters}) (result i32)\n  {body}\n  \
             (i32.const {ZEROS}))\n"
        )
    }

    fn export_text(&self, (export, interface, name, parameters, result): &ExportShape) -> String {
        let guilty = !self.at_start && !self.chats && *export == self.export;
        let foreign = self.import.map_or("", |foreign| foreign.body);
        let body = if guilty { self.misdeed.body() } else { "" };
        let used = if guilty { foreign } else { "" };
        let result = match (guilty, self.misdeed) {
            (true, Misdeed::HugeResult | Misdeed::Amplify) => huge_result(*export),
            (true, Misdeed::ManyItems) => MANY,
            (true, Misdeed::SplitHeader) => SPLIT,
            (true, Misdeed::BadTags) => FOUL,
            (true, Misdeed::BeyondMemory) => BEYOND,
            (true, Misdeed::BadText) => BAD_DESCRIPTION,
            _ if self.claims && *export == Export::Identify => CLAIM,
            _ => *result,
        };
        let of_a_telephone = if self.takes_calls { telephone::result(*export) } else { None };
        let result = of_a_telephone.unwrap_or_else(|| format!("(i32.const {result})"));
        let version = &self.contract;
        let signature = if parameters.is_empty() { String::new() } else { format!("(param {parameters})") };
        format!(
            "(func ${name} (export \"jackfield:provider/{interface}@{version}#{name}\") {signature} (result i32)\n  \
             {used}\n  {body}\n  {result})\n"
        )
    }
}

impl Misdeed {
    /// Instructions that do it; they leave nothing on the stack.
    fn body(self) -> &'static str {
        match self {
            Self::Nothing
            | Self::HugeResult
            | Self::BadText
            | Self::BadTags
            | Self::BeyondMemory
            | Self::SplitHeader => "",
            Self::Loop => "(loop $again (br $again))",
            Self::Trap => "unreachable",
            Self::Recurse => "(drop (call $deeper (i32.const 1)))",
            Self::Grow => "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
            Self::GrowTable => {
                "(loop $more (br_if $more (i32.ne (table.grow (ref.null func) (i32.const 64)) (i32.const -1)))) \
                 unreachable"
            }
            Self::Amplify => "(call $amplify (i32.const 65536))",
            // Room for all of them, zeros.
            Self::ManyItems => "(drop (memory.grow (i32.const 256)))",
            Self::Remember => {
                "(if (i32.load (i32.const 256)) (then unreachable)) (i32.store (i32.const 256) (i32.const 1))"
            }
        }
    }
}

/// Thousands of branches, and hundreds of values that are alive across all of them.
fn bomb() -> String {
    let (branches, values) = (20_000, 1_000);
    let branch = "(if (local.get 0) (then (local.set 0 (i32.const 1))))\n".repeat(branches);
    let uses: String = (1..values).map(|value| format!("(drop (i32.eqz (local.get {value})))\n")).collect();
    format!("(func $bomb (param {}) {branch} {uses})", "i32 ".repeat(values))
}

/// Export, interface, name, flat parameters, and where its good result lies.
type ExportShape = (Export, &'static str, &'static str, &'static str, u32);

const ACCOUNT: &str = "i32 i32 i32 i32 i32 i32";
const EXPORTS: [ExportShape; 9] = [
    (Export::Describe, "manifest", "describe", "", DESCRIPTION),
    (Export::Check, "manifest", "check", ACCOUNT, ZEROS),
    (Export::Identify, "webhooks", "identify", "i32 i32 i32 i32 i32 i32 i32 i32", ZEROS),
    (
        Export::Authenticate,
        "webhooks",
        "authenticate",
        "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64",
        PROOF,
    ),
    (Export::Read, "webhooks", "read", "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32", ZEROS),
    (Export::Reply, "webhooks", "reply", "i32", REPLY),
    (Export::Open, "media", "open", "i32", SETUP),
    (Export::Decode, "media", "decode", "i32 i32 i32", ZEROS),
    (Export::Encode, "media", "encode", "i32 i32 i32", ZEROS),
];

/// Name and flat parameters of what `chat` has. Zeros are a good result of each.
const CHAT: [(&str, &str); 3] = [
    ("fetch", "i32 i32 i32 i32 i32 i32 i32 i32"),
    ("send", "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32"),
    ("listen", "i32 i32 i32 i32 i32 i32 i32 i32"),
];

// Where things lie in the first pages of memory. Zeros are an empty list, a `none`, or an `ok` with an empty list.
const ZEROS: u32 = 1024;
const DESCRIPTION: u32 = 2048;
const BAD_DESCRIPTION: u32 = 2304;
const CLAIM: u32 = 2496;
const PROOF: u32 = 2560;
const CHECKS: u32 = 2688;
const REPLY: u32 = 2816;
const SETUP: u32 = 2944;
const HUGE: u32 = 3072;
const MANY: u32 = 3616;
const SPLIT: u32 = 3632;
const FOUL: u32 = 3712;
const FOUL_WORDS: usize = 64;
/// On the last page of 4 GiB.
const BEYOND: u32 = 0xFFFF_FF00;
const TEXT: u32 = 4096;
/// Zeros, and more of them than any result may have.
const WASTE: u32 = 65_536;
const WASTE_BYTES: u32 = 1 << 20;
/// So many list items lie there, of whatever type.
const WASTE_ITEMS: u32 = 8_192;

/// Where the result lies that is too large, by the shape of what the export returns.
fn huge_result(export: Export) -> u32 {
    match export {
        Export::Check => HUGE,
        Export::Read | Export::Decode => HUGE + 64,
        Export::Reply => HUGE + 128,
        Export::Authenticate => HUGE + 192,
        Export::Identify => HUGE + 256,
        Export::Open => HUGE + 320,
        Export::Describe => HUGE + 384,
        Export::Encode => HUGE + 512,
    }
}

/// Memory of 2 MiB, an allocator that never frees, the function that never ends, and the one that fills half a megabyte
/// with texts that are all the same.
const MEMORY: &str = r#"
  (memory (export "memory") 32)
  (table 1 funcref)
  (global $top (mut i32) (i32.const 1310720))
  (func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $align))))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $top) (i32.const 2097152)) (then unreachable))
    (local.get $at))
  (func $amplify (param $at i32)
    (loop $next
      (i32.store (local.get $at) (i32.const 65536))
      (i32.store offset=4 (local.get $at) (i32.const 1048576))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (i32.const 589824)))))
  (func $deeper (param i32) (result i32)
    (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
"#;

/// Everything that good results point to.
fn data(name: &str) -> String {
    let text = |offset: u32, length: usize| [TEXT + offset, u32::try_from(length).unwrap_or(0)];
    let mut description = [text(0, name.len()), text(0, name.len()), text(64, 5), text(0, 0)].concat();
    let bad = [text(0, name.len()), text(96, 4), text(64, 5), text(0, 0)].concat();
    // No fields, no identifying field, no abilities, no hosts, no media format, nothing extra.
    description.resize(24, 0);
    let segments = [
        (DESCRIPTION, words(&description)),
        (BAD_DESCRIPTION, words(&bad)),
        // An identity that names nothing.
        (CLAIM, words(&[1, 0, 0, 0, 0, 0, 0])),
        // ok, then a list of one check; no time, no key.
        (PROOF, words(&[0, 0, CHECKS, 1])),
        // `verified`.
        (CHECKS, words(&[3])),
        // ok, status 200, no headers, no body.
        (REPLY, words(&[0, 200, TEXT, 0, TEXT, 0])),
        // ok, PCMU at 8000 Hz both ways, 20 ms, 100 ms ahead, no subprotocol.
        (SETUP, words(&[0, 0, 0, 0, 8000, 0, 0, 0, 8000, 20, 100, 0, 0, 0])),
        // A list; a list in an ok; a body; a list of checks; an account's name; a subprotocol; a plugin's name; messages.
        (HUGE, words(&[WASTE, WASTE_ITEMS])),
        (HUGE + 64, words(&[0, WASTE, WASTE_ITEMS])),
        (HUGE + 128, words(&[0, 200, TEXT, 0, WASTE, WASTE_BYTES])),
        (HUGE + 192, words(&[0, 0, WASTE, WASTE_ITEMS])),
        (HUGE + 256, words(&[1, 1, WASTE, WASTE_BYTES])),
        (HUGE + 320, words(&[0, 0, 0, 0, 8000, 0, 0, 0, 8000, 20, 100, 1, WASTE, WASTE_BYTES])),
        (HUGE + 384, words(&[WASTE, WASTE_BYTES])),
        (HUGE + 512, words(&[0, WASTE, WASTE_ITEMS * 8])),
        // A list of 2^20 items: zeros, wherever they lie.
        (MANY, words(&[WASTE, 1 << 20])),
        // ok, status 200, one header, no body; its name and value.
        (SPLIT, words(&[0, 200, SPLIT + 32, 1, TEXT, 0, 0, 0, TEXT + 128, 12, TEXT + 160, 27])),
        (FOUL, words(&[u32::MAX; FOUL_WORDS])),
        (TEXT, escaped(name.as_bytes())),
        (TEXT + 64, escaped(b"0.0.1")),
        (TEXT + 96, escaped(&[0xFF, 0xFE, 0xC0, 0x80])),
        (TEXT + 128, escaped(b"content-type")),
        (TEXT + 160, escaped(b"text/plain\r\nset-cookie: a=b")),
    ];
    segments
        .iter()
        .chain(&telephone::data())
        .map(|(at, bytes)| format!("  (data (i32.const {at}) \"{bytes}\")\n"))
        .collect()
}

fn words(words: &[u32]) -> String {
    escaped(&words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>())
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// The contract, as it is in this build.
const CONTRACT: [&str; 8] = [
    include_str!("../../../wit/calls.wit"),
    include_str!("../../../wit/desk.wit"),
    include_str!("../../../wit/manifest.wit"),
    include_str!("../../../wit/media.wit"),
    include_str!("../../../wit/socket.wit"),
    include_str!("../../../wit/types.wit"),
    include_str!("../../../wit/webhooks.wit"),
    include_str!("../../../wit/worlds.wit"),
];

/// Its files as one text.
fn contract() -> String {
    let package = "package jackfield:provider@0.1.0;";
    let parts: String = CONTRACT.iter().map(|part| part.replacen(package, "", 1)).collect();
    format!("{package}\n{parts}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_fixture_is_a_component_that_validates() {
        assert!(Hostile::in_chat("hostile", Misdeed::Loop).build().is_ok());
        let exports = EXPORTS.iter().map(|shape| shape.0);
        for export in exports {
            for misdeed in Misdeed::AT_WORK {
                assert!(Hostile::new("hostile", export, misdeed).build().is_ok(), "{export:?} {misdeed:?}");
            }
        }
    }

    #[test]
    fn a_fixture_names_the_contract_and_the_import_it_was_built_with() {
        let shows = |bytes: &[u8], name: &str| bytes.windows(name.len()).any(|part| part == name.as_bytes());
        let other = Hostile::harmless("hostile").built_for("9.9.0").build().unwrap();
        assert!(shows(&other, "jackfield:provider/manifest@9.9.0"));
        let greedy = Hostile::harmless("hostile").wanting_sockets().build().unwrap();
        assert!(shows(&greedy, "wasi:sockets/tcp@0.2.0"));
    }
}
