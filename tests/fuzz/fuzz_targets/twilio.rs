//! Twilio's exports.
#![no_main]

jackfield_fuzz::exports!(plugin_twilio::Twilio, "twilio": webhooks calls media);
