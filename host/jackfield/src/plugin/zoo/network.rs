//! Attacks by requests: what a plugin asks the host to send for it.

use std::net::SocketAddr;
use std::time::Instant;

use jackfield_egress::{Egress, EgressError, EgressSettings, Grant, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Row;

/// Addresses that are nobody's API, as they are and in disguise.
const PLACES: [&str; 10] = [
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://127.0.0.1/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://localhost/",
    "http://10.0.0.1/",
    "http://0.0.0.0/",
];

pub(super) async fn rows(settings: &EgressSettings) -> Vec<Row> {
    let began = Instant::now();
    let failed = |found: String| Row {
        attack: "requests".to_owned(),
        promise: "are sent by the host",
        found: Err(found),
        took: began.elapsed(),
    };
    let egress = match Egress::new(settings.clone()) {
        Ok(egress) => egress,
        Err(error) => return vec![failed(error.to_string())],
    };
    let mut rows = Vec::new();
    for place in PLACES {
        rows.push(
            denied(&egress, &format!("a request to {place}"), request(place, Grant::service(place)), settings).await,
        );
    }
    let api = "https://api.example.com/";
    rows.push(denied(&egress, "a request to a host that is not granted", request(api, None), settings).await);
    let header = |name: &str, value: &str| Request {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..request(api, Some(Grant::Host("api.example.com".to_owned())))
    };
    rows.push(denied(&egress, "a header that is two", header("x-a", "b\r\nhost: c"), settings).await);
    rows.push(denied(&egress, "another `host`", header("host", "127.0.0.1"), settings).await);
    match served(settings).await {
        Ok(more) => rows.extend(more),
        Err(error) => rows.push(failed(error.to_string())),
    }
    rows
}

fn request(url: &str, grant: Option<Grant>) -> Request {
    let (method, url) = ("GET".to_owned(), url.to_owned());
    Request { method, url, headers: vec![], body: vec![], authorization: vec![], grants: grant.into_iter().collect() }
}

async fn denied(egress: &Egress, attack: &str, request: Request, settings: &EgressSettings) -> Row {
    let began = Instant::now();
    let opened = settings.danger_allow_private || !settings.networks.is_empty();
    let found = match egress.send(request).await {
        Err(EgressError::Denied(why) | EgressError::NotGranted(why)) => Ok(why),
        _ if opened => Ok("sent: the settings allow addresses that are not public".to_owned()),
        Err(error) => Err(format!("it was tried: {error}")),
        Ok(_) => Err("it was sent".to_owned()),
    };
    Row { attack: attack.to_owned(), promise: "denied, and nothing is sent", found, took: began.elapsed() }
}

/// Services that misbehave, on this machine, where requests may go for once.
async fn served(settings: &EgressSettings) -> std::io::Result<Vec<Row>> {
    let mut settings = settings.clone();
    settings.networks.extend("127.0.0.0/8".parse::<ipnet::IpNet>().ok());
    let most = settings.total_timeout;
    let egress = Egress::new(settings).map_err(std::io::Error::other)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let service = tokio::spawn(serve(listener));
    let ask = async |path: &str| {
        let (url, began) = (format!("http://{address}/{path}"), Instant::now());
        let grant = Grant::service(&url);
        (egress.send(request(&url, grant)).await, began.elapsed())
    };
    let (redirect, large, slow) = tokio::join!(ask("redirect"), ask("large"), ask("slow"));
    service.abort();
    let row = |attack: &str, promise, found, took| Row { attack: attack.to_owned(), promise, found, took };
    let found = match redirect.0 {
        Ok(answer) if answer.status == 302 => Ok("the plugin is shown the redirect".to_owned()),
        other => Err(format!("{other:?}")),
    };
    let mut rows = vec![row("a redirect to another address", "not followed", found, redirect.1)];
    let found = match large.0 {
        Err(EgressError::TooLarge) => Ok("the answer is too large".to_owned()),
        other => Err(format!("{other:?}")),
    };
    rows.push(row("an answer without end", "cut at its size", found, large.1));
    let found = match slow.0 {
        Err(error) if slow.1 < most * 11 / 10 => Ok(error.to_string()),
        other => Err(format!("after {} ms: {other:?}", slow.1.as_millis())),
    };
    rows.push(row("an answer that drips", "cut by its time", found, slow.1));
    Ok(rows)
}

async fn serve(listener: TcpListener) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(answer(socket));
    }
}

async fn answer(mut socket: TcpStream) -> std::io::Result<()> {
    let mut asked = [0; 1_024];
    let read = socket.read(&mut asked).await?;
    let asked = String::from_utf8_lossy(asked.get(..read).unwrap_or_default()).into_owned();
    let own: SocketAddr = socket.local_addr()?;
    if asked.starts_with("GET /redirect") {
        let answer = format!("HTTP/1.1 302 Found\r\nlocation: http://{own}/large\r\ncontent-length: 0\r\n\r\n");
        return socket.write_all(answer.as_bytes()).await;
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
    let slow = asked.starts_with("GET /slow");
    loop {
        if slow {
            socket.write_all(b".").await?;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        } else {
            socket.write_all(&[b'.'; 65_536]).await?;
        }
    }
}
