//! A bot on the loopback, and the host's link to it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jackfield_agents::{Connector, Link, Start, connect};
use jackfield_egress::Networks;
use jackfield_media::{Codec, Format};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

pub(crate) const WIRE: Format = Format { codec: Codec::Pcmu, rate: 8_000 };

pub(crate) type Bot = WebSocketStream<TcpStream>;

pub(crate) fn start() -> Start {
    Start {
        call_id: "call_1".into(),
        from: "+14155550123".into(),
        to: "+12065550188".into(),
        direction: "inbound".into(),
        provider: "twilio".into(),
        agent_name: "bot".into(),
    }
}

/// A bot that selects no subprotocol, with what it says before the host may call it ready.
pub(crate) async fn pair(connector: &str, settings: &Value, first: &[Value]) -> (Link, Bot) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/listen?x=1", listener.local_addr().unwrap());
    let first = first.to_vec();
    let bot = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut bot = tokio_tungstenite::accept_async(socket).await.unwrap();
        for event in first {
            bot.send(Message::text(event.to_string())).await.unwrap();
        }
        bot
    });
    let connector = Connector::parse(connector, Some(&url), settings, None).unwrap();
    let link = connect(&connector, &start(), WIRE, Duration::from_secs(5), &Networks::any()).await.unwrap();
    (link, bot.await.unwrap())
}

pub(crate) async fn text(bot: &mut Bot) -> Value {
    match bot.next().await.unwrap().unwrap() {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}
