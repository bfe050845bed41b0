//! Secrets guessed from their beginning, by the time that it takes to be told no.

use std::time::{Duration, Instant};

use jackfield_plugins::proof;
use jackfield_plugins::types::{Check, EqualCheck, Proof};

use super::{Row, row};

/// So long that comparing it from its beginning would show.
const SECRET: usize = 64 << 10;
const GUESSES: usize = 501;
/// Medians are this near each other, one way or the other.
const APART: f64 = 1.5;

pub(super) fn rows() -> Vec<Row> {
    let attack = "guesses a secret from its beginning".to_owned();
    vec![row(attack, "no guess is told from another by time", guessed)]
}

/// A guess that is wrong from the start, and one that is right but for its end, in turns.
fn guessed() -> Result<String, String> {
    let secret = "s".repeat(SECRET);
    let far = proof_by(format!("x{}", &secret[1..]));
    let near = proof_by(format!("{}x", &secret[1..]));
    let known = |_: &str| Some(secret.as_str());
    let (mut times_far, mut times_near) = (Vec::with_capacity(GUESSES), Vec::with_capacity(GUESSES));
    for _ in 0..GUESSES {
        for (guess, times) in [(&far, &mut times_far), (&near, &mut times_near)] {
            let began = Instant::now();
            let held = proof::holds(guess, &known);
            times.push(began.elapsed());
            if held {
                return Err("a wrong secret was taken for the right one".to_owned());
            }
        }
    }
    let (far, near) = (median(times_far), median(times_near));
    let apart = near.as_secs_f64() / far.as_secs_f64().max(f64::MIN_POSITIVE);
    let found = format!("{apart:.2} times as long when all but the end is right");
    if (1.0 / APART..APART).contains(&apart) { Ok(found) } else { Err(found) }
}

fn proof_by(value: String) -> Proof {
    let check = Check::Equal(EqualCheck { secret: "secret".to_owned(), value });
    Proof { any_of: vec![check], signed_at: None, replay_key: None }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
