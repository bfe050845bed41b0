//! A proxy that stands before a database and injects faults: it passes, delays, cuts or refuses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The proxy. Ends with the process.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    faults: Arc<Faults>,
}

#[derive(Debug)]
struct Faults {
    /// Milliseconds before each piece of an answer goes on.
    delay: AtomicU64,
    /// New connections are closed at once.
    down: AtomicUsize,
    /// Raised to cut every connection there is.
    cuts: watch::Sender<u64>,
}

impl Proxy {
    /// Towards `to`, as in `127.0.0.1:5432`.
    pub async fn start(to: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (cuts, _) = watch::channel(0);
        let faults = Arc::new(Faults { delay: AtomicU64::new(0), down: AtomicUsize::new(0), cuts });
        let proxy = Self { address: listener.local_addr()?, faults: Arc::clone(&faults) };
        let to = to.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if faults.down.load(Ordering::Acquire) == 0 {
                    tokio::spawn(carry(client, to.clone(), Arc::clone(&faults)));
                }
            }
        });
        Ok(proxy)
    }

    /// Each piece of an answer comes so much later.
    pub fn delay(&self, by: Duration) {
        self.faults.delay.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Cuts every connection; new ones are taken.
    pub fn cut(&self) {
        self.faults.cuts.send_modify(|count| *count += 1);
    }

    /// Cuts every connection and takes no new one; or takes them again.
    pub fn down(&self, down: bool) {
        self.faults.down.store(usize::from(down), Ordering::Release);
        self.cut();
    }
}

async fn carry(client: TcpStream, to: String, faults: Arc<Faults>) -> Result<()> {
    let mut cut = faults.cuts.subscribe();
    let server = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let ask = async {
        tokio::io::copy(&mut from_client, &mut to_server).await?;
        anyhow::Ok(())
    };
    let answer = async {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let count = from_server.read(&mut bytes).await?;
            if count == 0 {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(faults.delay.load(Ordering::Acquire))).await;
            to_client.write_all(&bytes[..count]).await?;
        }
    };
    tokio::select! {
        _ = ask => {}
        _ = answer => {}
        _ = cut.changed() => {}
    }
    Ok(())
}
