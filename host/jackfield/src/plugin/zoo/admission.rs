//! Attacks at the door: what is refused before it serves, at which stage, or does no harm.

use jackfield_hostile::{EXPORTS_AT_WORK, Export, Hostile, Misdeed, provoke};

use super::{House, Row, row};

const NAME: &str = "zoo";
const MUTANTS: usize = 300;

pub(super) fn rows(house: &House) -> Vec<Row> {
    let mut rows: Vec<Row> = damaged().into_iter().map(|animal| refused(house, animal)).collect();
    rows.extend(plugins().into_iter().map(|animal| refused(house, animal)));
    rows.push(row(
        "a function that is hard to compile".to_owned(),
        "compiled in a child within 10 s of CPU time, or not",
        || match let_in(house, built(&Hostile::harmless(NAME).bomb())) {
            Ok(()) => Ok("it compiled".to_owned()),
            Err(("compile", why)) => Ok(why),
            Err((stage, why)) => Err(format!("{stage}: {why}")),
        },
    ));
    rows.push(row(format!("{MUTANTS} files with bytes changed"), "refused, or harmless", || mutants(house)));
    rows
}

struct Animal {
    attack: String,
    bytes: Result<Vec<u8>, String>,
    stage: &'static str,
}

fn refused(house: &House, animal: Animal) -> Row {
    let Animal { attack, bytes, stage: wanted } = animal;
    row(attack, "refused, and the stage is named", || match let_in(house, bytes) {
        Err((stage, _)) if stage == wanted => Ok(format!("at `{stage}`")),
        Err((stage, why)) => Err(format!("at `{stage}`, not at `{wanted}`: {why}")),
        Ok(()) => Err("it was let in".to_owned()),
    })
}

fn let_in(house: &House, bytes: Result<Vec<u8>, String>) -> Result<(), (&'static str, String)> {
    let bytes = bytes.map_err(|error| ("made", error))?;
    let checked = house.runtime.block_on(house.host.check(NAME, bytes, "zoo", 0));
    checked.map(drop).map_err(|refusal| (refusal.stage, refusal.message))
}

fn built(plugin: &Hostile) -> Result<Vec<u8>, String> {
    plugin.build().map_err(|error| format!("{error:#}"))
}

/// Files that are no plugins.
fn damaged() -> Vec<Animal> {
    let whole = || built(&Hostile::harmless(NAME));
    let animal = |attack: &str, bytes, stage| Animal { attack: attack.to_owned(), bytes, stage };
    vec![
        animal("text", Ok(b"#!/bin/sh\nexit 0\n".to_vec()), "contract"),
        animal(
            "a file that ends early",
            whole().map(|mut bytes| {
                bytes.truncate(bytes.len() / 2);
                bytes
            }),
            "contract",
        ),
        animal("a core module", Ok(b"\0asm\x01\0\0\0".to_vec()), "contract"),
    ]
}

/// Components that are right in all but one thing.
fn plugins() -> Vec<Animal> {
    let animal = |attack: String, plugin: &Hostile, stage| Animal { attack, bytes: built(plugin), stage };
    let mut animals = vec![
        animal("built for another contract".to_owned(), &Hostile::harmless(NAME).built_for("9.9.0"), "contract"),
        animal("wants the network".to_owned(), &Hostile::harmless(NAME).wanting_sockets(), "imports"),
        animal("another provider's plugin".to_owned(), &Hostile::harmless("other"), "describe"),
    ];
    for misdeed in [Misdeed::Loop, Misdeed::Trap, Misdeed::Recurse, Misdeed::Grow, Misdeed::GrowTable] {
        let plugin = Hostile::new(NAME, Export::Describe, misdeed).at_start();
        animals.push(animal(format!("{} at its start", misdeed.words()), &plugin, "instantiate"));
    }
    for misdeed in Misdeed::AT_WORK.into_iter().filter(|misdeed| *misdeed != Misdeed::Amplify).chain([Misdeed::BadText])
    {
        let plugin = Hostile::new(NAME, Export::Describe, misdeed);
        animals.push(animal(format!("{} in `describe`", misdeed.words()), &plugin, "describe"));
    }
    animals
}

/// The same every time: whoever sees one broken can see it again.
fn mutants(house: &House) -> Result<String, String> {
    let good = built(&Hostile::harmless(NAME))?;
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut number = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap_or(0)
    };
    let mut let_in = 0;
    for _ in 0..MUTANTS {
        let mut bytes = good.clone();
        for _ in 0..=number(8) {
            let at = number(bytes.len());
            bytes[at] = u8::try_from(number(256)).unwrap_or(0);
        }
        let checked = house.runtime.block_on(house.host.check(NAME, bytes, "zoo", 0));
        let Ok(candidate) = checked else { continue };
        let_in += 1;
        // Whatever it does now, it comes back from it.
        for export in EXPORTS_AT_WORK {
            provoke(candidate.generation(), export).ok();
        }
    }
    Ok(format!("{} refused, {let_in} harmless", MUTANTS - let_in))
}
