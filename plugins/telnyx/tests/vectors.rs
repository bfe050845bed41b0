//! Every folder in `vectors/` is a case.

use jackfield_sdk::vectors::Vectors;
use plugin_telnyx::Telnyx;

#[test]
fn every_vector_holds() {
    let vectors = Vectors::below(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
        .manifest::<Telnyx>()
        .webhooks::<Telnyx>()
        .calls::<Telnyx>()
        .media::<Telnyx>();
    if let Err(failures) = vectors.run() {
        panic!("{failures}");
    }
}
