//! Calls over the plugin that takes any: [`crate::hostile`]'s, good or not.

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::api::Api;
use crate::carrier::{Carrier, Webhook};
use crate::hostile::{Hostile, NUMBER};
use crate::http::Answer;

/// An account of such a plugin, and a number that an agent answers.
#[derive(Debug, Clone)]
pub struct Telephone {
    carrier: Carrier,
    url: String,
}

impl Telephone {
    /// Puts the plugin in, and whoever calls it through to that agent.
    pub async fn install(api: &Api, carrier: &Carrier, plugin: &Hostile, agent: &str) -> Result<Self> {
        let name = plugin.name.as_str();
        api.put_plugin(name, plugin.clone().taking_calls().build()?).await?.expect(200)?;
        let account = json!({ "name": name, "provider": name, "fields": {} });
        let configuration = api.create("telephony/configurations", &account).await?;
        api.add_number(NUMBER, &configuration, Some(agent)).await?;
        let url = format!("{}/api/v1/telephony/inbound/{configuration}", carrier.gateway.public_url);
        Ok(Self { carrier: carrier.clone(), url })
    }

    /// What somebody hears who calls: the audio's URL, or nothing.
    pub async fn dial(&self, caller: &str) -> Result<Answer> {
        self.carrier.post(&Webhook::new(&self.url, vec![("caller".to_owned(), caller.to_owned())])).await
    }

    /// Puts a call through.
    pub async fn call(&self, caller: &str) -> Result<Line> {
        let answer = self.dial(caller).await?;
        let url = answer.text();
        ensure!(answer.status == 200 && url.starts_with("ws"), "{}: {url}", answer.status);
        let socket = TcpStream::connect(self.carrier.gateway.address).await?;
        let url = url.replacen("wss://", "ws://", 1);
        let (mut socket, _) = tokio_tungstenite::client_async(url, socket).await.context("no media socket")?;
        socket.send(Message::text("hello")).await?;
        Ok(Line { socket })
    }
}

/// A call that is up.
#[derive(Debug)]
pub struct Line {
    socket: WebSocketStream<TcpStream>,
}

impl Line {
    /// Sends a frame of PCMU.
    pub async fn say(&mut self, frame: Vec<u8>) -> Result<()> {
        Ok(self.socket.send(Message::binary(frame)).await?)
    }

    /// The next frame, or none when the line is dead.
    pub async fn hear(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(frame))) => return Some(frame.to_vec()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }
}
