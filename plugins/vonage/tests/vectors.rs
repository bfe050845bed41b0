//! Every folder in `vectors/` is a case.

use jackfield_sdk::vectors::Vectors;
use plugin_vonage::Vonage;

#[test]
fn every_vector_holds() {
    let vectors = Vectors::below(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
        .manifest::<Vonage>()
        .webhooks::<Vonage>()
        .calls::<Vonage>()
        .media::<Vonage>();
    if let Err(failures) = vectors.run() {
        panic!("{failures}");
    }
}
