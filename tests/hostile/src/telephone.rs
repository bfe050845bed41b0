//! A plugin that takes calls, by the simplest protocol there is: whoever posts a number calls from it, hears where the audio
//! goes, and sends frames there. A text on that socket begins the stream.

use crate::{Export, TEXT, ZEROS, escaped, words};

/// The number that is called.
pub const NUMBER: &str = "+12065550100";

const NUMBER_AT: u32 = 16_384;
const EVENTS: u32 = 16_448;
const EVENT: u32 = 16_512;
const BODY: u32 = 16_640;
const STARTS: u32 = 16_704;
const START: u32 = 16_768;
const AUDIOS: u32 = 16_896;
const AUDIO: u32 = 16_960;
const MESSAGES: u32 = 17_088;
const MESSAGE: u32 = 17_152;

/// Instructions that leave the result's address on the stack, for exports that do more here than elsewhere.
pub(crate) fn result(export: Export) -> Option<String> {
    Some(match export {
        // The body, which comes after the account, method, URL and headers, is the call's id and its caller's number.
        Export::Read => {
            let field = |at: u32, parameter: u32| format!("(i32.store (i32.const {at}) (local.get {parameter}))");
            let fields = [field(EVENT + 8, 12), field(EVENT + 12, 13), field(EVENT + 16, 12), field(EVENT + 20, 13)];
            format!("{} (i32.const {EVENTS})", fields.concat())
        }
        // An action that is a stream has its URL right behind its tag; account and call lie before it.
        Export::Reply => format!(
            "(if (i32.eqz (i32.load8_u offset=80 (local.get 0))) (then \
             (i32.store (i32.const {}) (i32.load offset=84 (local.get 0))) \
             (i32.store (i32.const {}) (i32.load offset=88 (local.get 0))))) (i32.const {BODY})",
            BODY + 16,
            BODY + 20
        ),
        Export::Decode => format!(
            "(i32.store (i32.const {}) (local.get 1)) (i32.store (i32.const {}) (local.get 2)) \
             (select (i32.const {AUDIOS}) (i32.const {STARTS}) (local.get 0))",
            AUDIO + 8,
            AUDIO + 12
        ),
        Export::Encode => format!(
            "(i32.store (i32.const {}) (local.get 1)) (i32.store (i32.const {}) (local.get 2)) \
             (select (i32.const {ZEROS}) (i32.const {MESSAGES}) (local.get 0))",
            MESSAGE + 4,
            MESSAGE + 8
        ),
        _ => return None,
    })
}

/// Where things lie, and what.
pub(crate) fn data() -> [(u32, String); 10] {
    let number = u32::try_from(NUMBER.len()).unwrap_or(0);
    let pcmu = [0, 0, 0, 8_000];
    let start = [&[0, 0, TEXT, 0, 0, 0, 0][..], &pcmu, &pcmu, &[TEXT, 0]].concat();
    [
        (NUMBER_AT, escaped(NUMBER.as_bytes())),
        // ok, then a list of one: incoming, with the id, from and to; no countries, no name, nothing to remember, nothing extra.
        (EVENTS, words(&[0, EVENT, 1])),
        (EVENT, words(&[0, 0, 0, 0, 0, 0, NUMBER_AT, number, TEXT, 0, TEXT, 0, TEXT, 0, TEXT, 0, TEXT, 0])),
        // ok, status 200, no headers, and a body to be filled in.
        (BODY, words(&[0, 200, TEXT, 0, TEXT, 0])),
        // ok, then a list of one: started, with no names, PCMU both ways, no parameters.
        (STARTS, words(&[0, START, 1])),
        (START, words(&start)),
        // ok, then a list of one: audio, to be filled in, of no time and number.
        (AUDIOS, words(&[0, AUDIO, 1])),
        (AUDIO, words(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        // ok, then a list of one: a binary message, to be filled in.
        (MESSAGES, words(&[0, MESSAGE, 1])),
        (MESSAGE, words(&[1, 0, 0])),
    ]
}
