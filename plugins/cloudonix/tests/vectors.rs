//! Every folder in `vectors/` is a case.

use jackfield_sdk::vectors::Vectors;
use plugin_cloudonix::Cloudonix;

#[test]
fn every_vector_holds() {
    let vectors = Vectors::below(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
        .manifest::<Cloudonix>()
        .webhooks::<Cloudonix>()
        .calls::<Cloudonix>()
        .media::<Cloudonix>();
    if let Err(failures) = vectors.run() {
        panic!("{failures}");
    }
}
