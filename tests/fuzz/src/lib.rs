//! Runs a plugin's exports natively on inputs that a fuzzer made up, and holds what comes out to what is promised.
//!
//! An input is text with its parts between bytes `0x1E`. Its first byte says who is asked:
//!
//! | first byte | parts |
//! |---|---|
//! | `w` webhooks | hook, time, repetitions, method, URL, headers, body |
//! | `r` webhooks, the answer | call, action, its texts |
//! | `m` media | call, then a step each: `t`ext or `b`inary of the provider, or a command (`A`, `M`, `C`, `D`, `S`) |
//! | `s` socket | time, message |
//! | `c` calls | function, call, three texts, then the provider's answers |
//! | `d` desk | function, person, text, then the provider's answers |
//! | `h` chat | function, two texts, then the provider's answers |
//! | `a` manifest | the account's fields, a line each |
//!
//! Whatever is missing is empty, so that every input is one. The account is that of the plugin's test vectors, and so
//! are the seeds: `../src/bin/seeds.rs` writes them.

mod account;
mod calls;
mod exports;
mod input;
mod media;
mod people;
mod provider;
mod socket;
mod webhooks;

pub use exports::Exports;
#[doc(hidden)]
pub use libfuzzer_sys::fuzz_target;

/// A fuzz target of one plugin: its type, its folder, and the interfaces it has.
#[macro_export]
macro_rules! exports {
    ($plugin:ty, $name:literal: $($interface:ident)+) => {
        static EXPORTS: std::sync::LazyLock<$crate::Exports> = std::sync::LazyLock::new(|| {
            let account = include_str!(concat!("../../../plugins/", $name, "/vectors/account.json"));
            $crate::Exports::of::<$plugin>(account)$(.$interface::<$plugin>())+
        });
        $crate::fuzz_target!(|input: &[u8]| EXPORTS.ask(input));
    };
}

/// The answer to a question, asked twice: a plugin has no clock and no dice, so it says the same both times.
pub(crate) fn twice<T: PartialEq + std::fmt::Debug>(ask: impl Fn() -> T) -> T {
    let answer = ask();
    assert_eq!(answer, ask(), "the same question has two answers");
    answer
}
