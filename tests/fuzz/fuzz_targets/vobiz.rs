//! Vobiz's exports.
#![no_main]

jackfield_fuzz::exports!(plugin_vobiz::Vobiz, "vobiz": webhooks calls media);
