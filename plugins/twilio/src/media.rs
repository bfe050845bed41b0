//! Twilio Media Streams.

use jackfield_sdk::types::{Account, Call, Fault, MediaCommand, MediaEvent, Message, StreamSetup};
use jackfield_sdk::{Media, account};

use crate::Twilio;
use crate::config::ACCOUNT_SID;

impl Media for Twilio {
    fn open(&mut self, account: &Account, call: &Call) -> Result<StreamSetup, Fault> {
        Ok(self.0.open(account::required(account, ACCOUNT_SID)?, call))
    }

    fn decode(&mut self, message: Message) -> Result<Vec<MediaEvent>, Fault> {
        self.0.decode(message)
    }

    fn encode(&mut self, command: MediaCommand) -> Result<Vec<Message>, Fault> {
        self.0.encode(command)
    }
}
