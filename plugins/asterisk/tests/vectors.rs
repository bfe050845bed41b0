//! Every folder in `vectors/` is a case.

use jackfield_sdk::vectors::Vectors;
use plugin_asterisk::Asterisk;

#[test]
fn every_vector_holds() {
    let vectors = Vectors::below(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
        .manifest::<Asterisk>()
        .calls::<Asterisk>()
        .media::<Asterisk>()
        .socket::<Asterisk>();
    if let Err(failures) = vectors.run() {
        panic!("{failures}");
    }
}
