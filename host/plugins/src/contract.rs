//! Reads what a component says about itself before anything of it is compiled or run: which version of the contract
//! it was built for, which interfaces it has, and what it asks of the host.

use wasmparser::{Encoding, Parser, Payload};

use crate::wasi;

/// The contract this host speaks.
pub const CONTRACT: &str = "0.1.0";
const PACKAGE: &str = "jackfield:provider/";
/// Bytes of a WebAssembly page.
const PAGE: u64 = 64 << 10;

/// The interfaces of the contract that a component has and wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surface {
    /// Names with versions, as exported.
    pub exports: Vec<String>,
    /// Names with versions, as imported.
    pub imports: Vec<String>,
    /// Bytes of linear memory an instance begins with.
    pub memory: u64,
}

/// Why bytes are not a plugin this host can take.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unfit {
    #[error("the file is not WebAssembly, or is damaged: {0}. Upload the component that the build made, whole.")]
    Damaged(String),
    #[error(
        "the file is a core WebAssembly module, not a component. Turn it into one with wit-component (`cargo xtask build` does)."
    )]
    CoreModule,
    #[error(
        "the component exports no `jackfield:provider/manifest`, so it is not a Jackfield plugin. Build it with jackfield-sdk."
    )]
    NotAPlugin,
    #[error(
        "the plugin was built for contract {built} and this host speaks {CONTRACT}. Build it with the SDK of {CONTRACT}, or run a host that speaks {built}."
    )]
    OtherContract { built: String },
    #[error(
        "the plugin imports `{0}`, which plugins are not granted. A plugin may import `jackfield:provider/http`; a language that \
         cannot do without WASI may import `cli`, `clocks`, `filesystem`, `io` and `random`, which lead nowhere."
    )]
    ForbiddenImport(String),
}

impl Surface {
    /// Reads the names at the component's outer level; nested components are its own affair.
    pub fn read(bytes: &[u8]) -> Result<Self, Unfit> {
        let mut surface = Self { exports: Vec::new(), imports: Vec::new(), memory: 0 };
        let mut depth = 0usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|error| Unfit::Damaged(error.to_string()))? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => return Err(Unfit::CoreModule),
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::MemorySection(section) => {
                    for memory in section {
                        let memory = memory.map_err(|error| Unfit::Damaged(error.to_string()))?;
                        surface.memory = surface.memory.saturating_add(memory.initial.saturating_mul(PAGE));
                    }
                }
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        let import = import.map_err(|error| Unfit::Damaged(error.to_string()))?;
                        surface.imports.push(import.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        let export = export.map_err(|error| Unfit::Damaged(error.to_string()))?;
                        surface.exports.push(export.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(surface)
    }

    /// Is it a plugin, and one for this contract? A refusal names both versions.
    pub fn check_contract(&self) -> Result<(), Unfit> {
        let named = self.exports.iter().chain(&self.imports).filter_map(|name| name.strip_prefix(PACKAGE));
        for name in named {
            let built = name.split_once('@').map_or("unversioned", |(_, version)| version);
            if !speaks(built) {
                return Err(Unfit::OtherContract { built: built.to_owned() });
            }
        }
        if self.exports("manifest") { Ok(()) } else { Err(Unfit::NotAPlugin) }
    }

    /// Only what the contract offers; `types` holds nothing that could be called.
    pub fn check_imports(&self) -> Result<(), Unfit> {
        let allowed = |name: &str| {
            name.strip_prefix(PACKAGE)
                .and_then(|rest| rest.split_once('@'))
                .is_some_and(|(interface, _)| matches!(interface, "types" | "http"))
                || wasi::is_denied(name)
        };
        match self.imports.iter().find(|name| !allowed(name)) {
            Some(name) => Err(Unfit::ForbiddenImport(name.clone())),
            None => Ok(()),
        }
    }

    /// Is it of the second tier?
    pub fn imports_wasi(&self) -> bool {
        self.imports.iter().any(|name| name.starts_with("wasi:"))
    }

    /// Does it export this interface of the contract?
    pub fn exports(&self, interface: &str) -> bool {
        self.exports
            .iter()
            .filter_map(|name| name.strip_prefix(PACKAGE))
            .any(|rest| rest.split_once('@').is_some_and(|(name, _)| name == interface))
    }

    /// Does it import this interface of the contract?
    pub fn imports(&self, interface: &str) -> bool {
        self.imports
            .iter()
            .filter_map(|name| name.strip_prefix(PACKAGE))
            .any(|rest| rest.split_once('@').is_some_and(|(name, _)| name == interface))
    }
}

/// Same track, and not newer than this host: wasmtime's own look-up would take a newer one as long as names exist.
fn speaks(built: &str) -> bool {
    let track = |version: &str| {
        let mut parts = version.split('.').map(str::parse::<u64>);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => Some((major, minor, patch)),
            _ => None,
        }
    };
    match (track(built), track(CONTRACT)) {
        (Some(built), Some(ours)) => (built.0, built.1) == (ours.0, ours.1) && built.2 <= ours.2,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surface(exports: &[&str], imports: &[&str]) -> Surface {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Surface { exports: own(exports), imports: own(imports), memory: 0 }
    }

    #[test]
    fn a_plugin_for_another_contract_is_refused_with_both_versions() {
        for built in ["0.2.0", "9.9.0", "0.1.1", "1.0.0", "0.1.0-rc.1", "0.1"] {
            let name = format!("jackfield:provider/manifest@{built}");
            let refusal = surface(&[&name], &[]).check_contract().map_err(|unfit| unfit.to_string());
            let message = refusal.err().unwrap_or_default();
            assert!(message.contains(built) && message.contains(CONTRACT), "{built}: {message}");
        }
    }

    #[test]
    fn a_component_without_a_manifest_is_not_a_plugin() {
        let other = surface(&["wasi:cli/run@0.2.0"], &[]);
        assert_eq!(other.check_contract(), Err(Unfit::NotAPlugin));
    }

    #[test]
    fn an_import_that_is_not_granted_is_named() {
        let greedy = surface(
            &["jackfield:provider/manifest@0.1.0"],
            &["jackfield:provider/http@0.1.0", "wasi:sockets/tcp@0.2.0"],
        );
        assert_eq!(greedy.check_contract(), Ok(()));
        assert_eq!(greedy.check_imports(), Err(Unfit::ForbiddenImport("wasi:sockets/tcp@0.2.0".to_owned())));
    }

    #[test]
    fn bytes_that_are_no_component_are_told_apart() {
        assert!(matches!(Surface::read(b"hello"), Err(Unfit::Damaged(_))));
        assert!(matches!(Surface::read(b""), Err(Unfit::Damaged(_))));
        assert_eq!(Surface::read(b"\0asm\x01\0\0\0"), Err(Unfit::CoreModule));
    }
}
