//! Vonage's exports.
#![no_main]

jackfield_fuzz::exports!(plugin_vonage::Vonage, "vonage": webhooks calls media);
