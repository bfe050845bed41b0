//! Cloudonix speaks the messages of Twilio Media Streams.

use jackfield_sdk::types::{Account, Call, Fault, MediaCommand, MediaEvent, Message, StreamSetup};
use jackfield_sdk::{Media, account};

use crate::Cloudonix;
use crate::config::DOMAIN_ID;

impl Media for Cloudonix {
    fn open(&mut self, account: &Account, call: &Call) -> Result<StreamSetup, Fault> {
        Ok(self.0.open(account::required(account, DOMAIN_ID)?, call))
    }

    fn decode(&mut self, message: Message) -> Result<Vec<MediaEvent>, Fault> {
        self.0.decode(message)
    }

    fn encode(&mut self, command: MediaCommand) -> Result<Vec<Message>, Fault> {
        self.0.encode(command)
    }
}
