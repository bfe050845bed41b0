//! Attacks of plugins that were let in: each costs the request it answers, and nothing else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_hostile::{EXPORTS_AT_WORK, Export, Hostile, Misdeed, provoke};
use jackfield_plugins::Generation;

use super::{House, Row, row};

const ONE_REQUEST: &str = "that request fails, others do not";

pub(super) fn rows(house: &House) -> Vec<Row> {
    let neighbour = match house.admitted(&Hostile::harmless("neighbour")) {
        Ok(neighbour) => neighbour,
        Err(why) => return vec![row("none".to_owned(), "is let in", || Err(why))],
    };
    let everywhere = Misdeed::AT_WORK.into_iter().map(|misdeed| (misdeed, &EXPORTS_AT_WORK[..]));
    let once = [(Misdeed::ManyItems, &[Export::Check][..])];
    let mut rows: Vec<Row> = everywhere
        .chain(once)
        .map(|(misdeed, exports)| {
            let attack = match exports {
                [_] => misdeed.words().to_owned(),
                _ => format!("{} in each export", misdeed.words()),
            };
            row(attack, ONE_REQUEST, || stopped(house, &neighbour, misdeed, exports))
        })
        .collect();
    rows.push(row(Misdeed::Remember.words().to_owned(), "it finds nothing of it", || forgotten(house)));
    rows.extend(second_tier(house, &neighbour));
    rows
}

/// A misdeed in exports, one after the other. The neighbour is asked after each.
fn stopped(house: &House, neighbour: &Arc<Generation>, misdeed: Misdeed, exports: &[Export]) -> Result<String, String> {
    let mut slowest = Duration::ZERO;
    for export in exports {
        let generation = house.admitted(&Hostile::new("zoo", *export, misdeed))?;
        let began = Instant::now();
        let outcome = provoke(&generation, *export);
        let took = began.elapsed();
        match outcome {
            Err(error) if misdeed.ends_in(&error) => slowest = slowest.max(took),
            Err(error) => return Err(format!("in {export:?} it ended in: {error}")),
            Ok(()) => return Err(format!("in {export:?} it went through")),
        }
        // A machine that is busy elsewhere stretches CPU time; wall time is bounded too.
        let most = house.host.limits().wall * 11 / 10;
        if took > most {
            return Err(format!("in {export:?} it ran for {} ms of at most {}", took.as_millis(), most.as_millis()));
        }
        provoke(neighbour, *export).map_err(|error| format!("another plugin failed: {error}"))?;
    }
    Ok(format!("{} of {} stopped, the slowest after {} ms", exports.len(), exports.len(), slowest.as_millis()))
}

fn forgotten(house: &House) -> Result<String, String> {
    for export in [Export::Check, Export::Identify, Export::Authenticate, Export::Read, Export::Reply] {
        let generation = house.admitted(&Hostile::new("zoo", export, Misdeed::Remember))?;
        for _ in 0..20 {
            provoke(&generation, export).map_err(|error| format!("in {export:?}: {error}"))?;
        }
    }
    Ok("each request has memory of its own".to_owned())
}

/// Components that import WASI.
fn second_tier(house: &House, neighbour: &Arc<Generation>) -> Vec<Row> {
    let animals = [
        ("looks at clock, files, environment, chance", Hostile::harmless("zoo").using_wasi(), true),
        ("waits for an hour", Hostile::harmless("zoo").waiting(), false),
        ("asks for handles without end", Hostile::harmless("zoo").flooding_handles(), false),
        ("writes to its error output without end", Hostile::harmless("zoo").flooding_logs(), false),
        ("asks for a gigabyte of randomness", Hostile::harmless("zoo").wanting_randomness(), false),
    ];
    let tried = |(attack, plugin, good): (&str, Hostile, bool)| {
        let promise = if good { "finds nothing, the same each time" } else { ONE_REQUEST };
        row(attack.to_owned(), promise, || {
            let generation = house.admitted(&plugin)?;
            let outcome = provoke(&generation, Export::Check);
            provoke(neighbour, Export::Check).map_err(|error| format!("another plugin failed: {error}"))?;
            match (outcome, good) {
                (Ok(()), true) => Ok("nothing was there".to_owned()),
                (Err(error), false) => Ok(error.to_string()),
                (Ok(()), false) => Err("it went through".to_owned()),
                (Err(error), true) => Err(error.to_string()),
            }
        })
    };
    animals.into_iter().map(tried).collect()
}
