//! Plivo's exports.
#![no_main]

jackfield_fuzz::exports!(plugin_plivo::Plivo, "plivo": webhooks calls media);
