//! Claims about the connection to a bot, with bots on the loopback.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jackfield_agents::{Connector, FromAgent, Link, Start, ToAgent, connect};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

fn start() -> Start {
    Start {
        call_id: "call_1".into(),
        from: "+14155550123".into(),
        to: "+12065550188".into(),
        direction: "inbound".into(),
        provider: "twilio".into(),
        sample_rate: 8_000,
        agent_name: "bot".into(),
    }
}

/// A bot that selects no subprotocol, and the host's link to it.
async fn pair() -> (Link, WebSocketStream<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/listen?x=1", listener.local_addr().unwrap());
    let bot = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        tokio_tungstenite::accept_async(socket).await.unwrap()
    });
    let connector = Connector::parse("websocket", Some(&url)).unwrap();
    let link = connect(&connector, &start(), Duration::from_secs(5)).await.unwrap();
    (link, bot.await.unwrap())
}

async fn text(bot: &mut WebSocketStream<TcpStream>) -> Value {
    match bot.next().await.unwrap().unwrap() {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_bot_without_subprotocol_hears_who_calls_and_both_sides_speak() {
    let (mut link, mut bot) = pair().await;
    let hello = text(&mut bot).await;
    assert_eq!((&hello["callSid"], &hello["sampleRate"]), (&"call_1".into(), &8_000.into()));
    link.send(ToAgent::Audio(vec![1, 2]));
    assert_eq!(bot.next().await.unwrap().unwrap(), Message::binary(vec![1, 2]));
    bot.send(Message::binary(vec![3, 4])).await.unwrap();
    assert_eq!(link.next().await, FromAgent::Audio(vec![3, 4]));
    bot.send(Message::text("nonsense")).await.unwrap();
    assert!(matches!(link.next().await, FromAgent::Problem(_)));
    assert_eq!(text(&mut bot).await["type"], "error");
}

#[tokio::test]
async fn a_normal_close_is_the_last_thing_a_bot_says() {
    let (mut link, mut bot) = pair().await;
    bot.close(None).await.unwrap();
    assert_eq!(link.next().await, FromAgent::Closed { normal: true });
    assert!(tokio::time::timeout(Duration::from_millis(200), link.next()).await.is_err());
}

#[tokio::test]
async fn a_bot_that_reads_nothing_loses_the_oldest_audio_and_no_word() {
    let (mut link, mut bot) = pair().await;
    text(&mut bot).await;
    for index in 0..200_000u32 {
        link.send(ToAgent::Audio(index.to_le_bytes().to_vec()));
        if index % 1_000 == 0 {
            tokio::task::yield_now().await;
        }
    }
    link.send(ToAgent::Mark { name: "last".into(), cleared: false });
    assert!(link.lost() > 0);
    drop(link);
    let (mut latest, mut marks) = (0, 0);
    while let Some(Ok(message)) = bot.next().await {
        match message {
            Message::Binary(bytes) => latest = u32::from_le_bytes(bytes.as_ref().try_into().unwrap()),
            Message::Text(_) => marks += 1,
            _ => {}
        }
    }
    assert_eq!((latest, marks), (199_999, 1));
}

#[tokio::test]
async fn a_call_that_is_over_says_so_and_closes() {
    let (mut link, mut bot) = pair().await;
    text(&mut bot).await;
    link.send(ToAgent::Stop { reason: "call over".into() });
    drop(link);
    assert_eq!(text(&mut bot).await["type"], "stop");
    assert!(matches!(bot.next().await, Some(Ok(Message::Close(_)))));
}

#[tokio::test]
async fn a_bot_that_is_not_there_or_is_no_bot_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let connector = Connector::parse("websocket", Some(&url)).unwrap();
    let mute = connect(&connector, &start(), Duration::from_millis(100)).await;
    assert!(mute.is_err_and(|error| error.to_string().contains("100 ms")));
    drop(listener);
    assert!(connect(&connector, &start(), Duration::from_secs(1)).await.is_err());
}
