//! Every folder in `vectors/` is a case.

use jackfield_sdk::vectors::Vectors;
use plugin_twilio::Twilio;

#[test]
fn every_vector_holds() {
    let vectors = Vectors::below(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
        .manifest::<Twilio>()
        .webhooks::<Twilio>()
        .calls::<Twilio>()
        .media::<Twilio>();
    if let Err(failures) = vectors.run() {
        panic!("{failures}");
    }
}
