//! Claims about the connection to a bot, with bots on the loopback.
#![allow(clippy::unwrap_used, reason = "tests")]

mod bot;

use std::time::Duration;

use bot::{WIRE, pair, start, text};
use futures_util::{SinkExt, StreamExt};
use jackfield_agents::{Connector, FromAgent, ToAgent, connect};
use jackfield_egress::Networks;
use jackfield_media::{Codec, Format};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

#[tokio::test]
async fn a_bot_without_subprotocol_hears_who_calls_and_both_sides_speak() {
    let (mut link, mut bot) = pair("websocket", &Value::Null, &[]).await;
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
async fn a_huge_message_is_thrown_away_and_the_call_goes_on() {
    let (mut link, mut bot) = pair("websocket", &Value::Null, &[]).await;
    text(&mut bot).await;
    bot.send(Message::binary(vec![0; 5 << 20])).await.unwrap();
    bot.send(Message::text("x".repeat((1 << 20) + 1))).await.unwrap();
    bot.send(Message::binary(vec![3, 4])).await.unwrap();
    let (mut problems, mut audio) = (0, None);
    while audio.is_none() {
        match link.next().await {
            FromAgent::Problem(what) if what.contains("1048576 bytes") => problems += 1,
            FromAgent::Audio(bytes) => audio = Some(bytes),
            other => panic!("{other:?}"),
        }
    }
    // Both may have been in one read.
    assert!((1..=2).contains(&problems));
    assert_eq!(audio, Some(vec![3, 4]));
    assert!(text(&mut bot).await["data"]["message"].as_str().unwrap().contains("1048576 bytes"));
}

#[tokio::test]
async fn audio_after_a_hang_up_is_refused_and_counted() {
    let (mut link, mut bot) = pair("websocket", &Value::Null, &[]).await;
    text(&mut bot).await;
    bot.send(Message::text(r#"{"type":"hangup"}"#)).await.unwrap();
    bot.send(Message::binary(vec![1, 2])).await.unwrap();
    assert_eq!(link.next().await, FromAgent::HangUp { after_playout: true });
    assert!(matches!(link.next().await, FromAgent::Problem(_)));
    assert_eq!(text(&mut bot).await["data"]["message"], "audio after the hang-up is not played");
}

#[tokio::test]
async fn barge_in_overtakes_audio_that_the_host_does_not_take() {
    let (mut link, mut bot) = pair("websocket", &Value::Null, &[]).await;
    link.hold_audio(true);
    bot.send(Message::binary(vec![1, 2])).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), link.next()).await.is_err());
    bot.send(Message::text(r#"{"type":"killAudio"}"#)).await.unwrap();
    assert_eq!(link.next().await, FromAgent::Clear);
    link.hold_audio(false);
    bot.send(Message::binary(vec![3, 4])).await.unwrap();
    assert_eq!(link.next().await, FromAgent::Audio(vec![3, 4]));
}

#[tokio::test]
async fn a_user_in_the_url_is_sent_as_basic_auth_and_not_as_a_host() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("ws://alice:s3cr%3At@{address}/listen?x=1");
    let connector = Connector::parse("websocket", Some(&url), &Value::Null, None).unwrap();
    assert!(!format!("{connector:?}").contains("s3cr"));
    let head = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 2_048];
        let length = socket.read(&mut head).await.unwrap();
        socket.write_all(b"HTTP/1.1 401 Unauthorized\r\n\r\n").await.unwrap();
        String::from_utf8(head[..length].to_vec()).unwrap()
    });
    let error =
        connect(&connector, &start(), WIRE, Duration::from_secs(5), &Networks::any()).await.unwrap_err().to_string();
    assert!(error.contains("401") && !error.contains("s3cr"), "{error}");
    let head = head.await.unwrap();
    assert!(head.starts_with(&format!("GET /listen?x=1 HTTP/1.1\r\nHost: {address}\r\n")), "{head}");
    assert!(head.contains("\r\nAuthorization: Basic YWxpY2U6czNjcjp0\r\n"), "{head}");
}

#[tokio::test]
async fn a_bot_that_fails_did_not_say_goodbye() {
    for code in [CloseCode::Error, CloseCode::Away] {
        let (mut link, mut bot) = pair("websocket", &Value::Null, &[]).await;
        bot.close(Some(CloseFrame { code, reason: "".into() })).await.unwrap();
        assert_eq!(link.next().await, FromAgent::Closed { normal: false });
    }
}

#[tokio::test]
async fn a_tone_speaks_by_itself_and_ends_the_call() {
    let settings = serde_json::json!({ "seconds": 1 });
    let connector = Connector::parse("tone", None, &settings, None).unwrap();
    let mut link = connect(&connector, &start(), WIRE, Duration::from_secs(1), &Networks::any()).await.unwrap();
    assert_eq!(link.audio().from_agent, Format { codec: Codec::L16, rate: 8_000 });
    let (began, mut bytes) = (std::time::Instant::now(), 0);
    while let FromAgent::Audio(audio) = link.next().await {
        bytes += audio.len();
    }
    assert_eq!(bytes, 16_000);
    assert!(began.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn a_file_is_played_to_its_end_at_its_own_rate_and_ends_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hello.wav");
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let samples: Vec<i16> = (0..4_000).collect();
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
    let settings = serde_json::json!({ "path": path });
    let connector = Connector::parse("play", None, &settings, None).unwrap();
    let mut link = connect(&connector, &start(), WIRE, Duration::from_secs(1), &Networks::any()).await.unwrap();
    let format = link.audio().from_agent;
    assert_eq!(format, Format { codec: Codec::L16, rate: 16_000 });
    let mut heard = Vec::new();
    let end = loop {
        match link.next().await {
            FromAgent::Audio(audio) => heard.extend(format.decode(&audio)),
            other => break other,
        }
    };
    assert_eq!((heard, end), (samples, FromAgent::HangUp { after_playout: true }));
}

#[tokio::test]
async fn a_model_that_does_not_grant_the_session_is_no_agent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut model = tokio_tungstenite::accept_async(socket).await.unwrap();
        let error = r#"{"type":"error","error":{"type":"invalid_request_error","code":"invalid_api_key"}}"#;
        model.send(Message::text(error)).await.unwrap();
        while let Some(Ok(_)) = model.next().await {}
    });
    let connector = Connector::parse("openai-realtime", Some(&url), &Value::Null, None).unwrap();
    let refused = connect(&connector, &start(), WIRE, Duration::from_secs(5), &Networks::any()).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("invalid_api_key")));
}

#[tokio::test]
async fn a_normal_close_is_the_last_thing_a_bot_says() {
    let (mut link, mut bot) = pair("websocket", &Value::Null, &[]).await;
    bot.close(None).await.unwrap();
    assert_eq!(link.next().await, FromAgent::Closed { normal: true });
    assert!(tokio::time::timeout(Duration::from_millis(200), link.next()).await.is_err());
}

#[tokio::test]
async fn a_bot_that_reads_nothing_loses_the_oldest_audio_and_no_word() {
    let (mut link, mut bot) = pair("websocket", &Value::Null, &[]).await;
    text(&mut bot).await;
    for index in 0..200_000u32 {
        link.send(ToAgent::Audio(index.to_le_bytes().to_vec()));
        if index % 1_000 == 0 {
            tokio::task::yield_now().await;
        }
    }
    link.send(ToAgent::Dtmf("5".into()));
    assert!(link.lost() > 0);
    drop(link);
    let (mut latest, mut keys) = (0, 0);
    while let Some(Ok(message)) = bot.next().await {
        match message {
            Message::Binary(bytes) => latest = u32::from_le_bytes(bytes.as_ref().try_into().unwrap()),
            Message::Text(_) => keys += 1,
            _ => {}
        }
    }
    assert_eq!((latest, keys), (199_999, 1));
}

#[tokio::test]
async fn a_call_that_is_over_says_so_and_closes() {
    let (mut link, mut bot) = pair("websocket", &Value::Null, &[]).await;
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
    let connector = Connector::parse("websocket", Some(&url), &Value::Null, None).unwrap();
    let mute = connect(&connector, &start(), WIRE, Duration::from_millis(100), &Networks::any()).await;
    assert!(mute.is_err_and(|error| error.to_string().contains("100 ms")));
    drop(listener);
    assert!(connect(&connector, &start(), WIRE, Duration::from_secs(1), &Networks::any()).await.is_err());
}
