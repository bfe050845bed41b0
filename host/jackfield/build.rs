//! Puts the built plugins into the binary: every `target/plugins/NAME.wasm`, or those in `JACKFIELD_PLUGINS_DIR`.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=JACKFIELD_PLUGINS_DIR");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let folder = match std::env::var_os("JACKFIELD_PLUGINS_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => beside(&out),
    };
    // A folder that is not there yet is looked for at every build.
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut table = String::from("/// The plugins in this binary.\npub(crate) static STOCK: &[StockPlugin] = &[\n");
    for (name, path) in components(&folder)? {
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(table, "    StockPlugin {{ name: {name:?}, bytes: include_bytes!({:?}) }},", path.canonicalize()?)?;
    }
    table.push_str("];\n");
    std::fs::write(out.join("stock.rs"), table)?;
    Ok(())
}

/// `OUT_DIR` is `target/PROFILE/build/PACKAGE/out`, with a triple in between when cross-compiling.
fn beside(out: &Path) -> PathBuf {
    let target = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    target.unwrap_or(out).join("plugins")
}

fn components(folder: &Path) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        // A second build of the same plugin, for swaps in demo and tests.
        if path.extension().is_some_and(|extension| extension == "wasm") && !name.ends_with("-next") {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}
