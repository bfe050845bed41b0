//! A TCP connection that holds back little.
//!
//! A kernel takes megabytes for a peer that does not read, and the peer gets all of it once it reads again: seconds or
//! minutes of audio that nobody waits for any more, and that nobody can take back. Here a write is refused while more than
//! a little waits to leave, so that the rest waits where it can be dropped. What has left and is not acknowledged yet
//! is not bounded by this: a long way to the peer costs nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::SendFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that may wait in the kernel for another write to be taken: with it, four frames of G.711 in JSON, or 80 ms.
/// None at all would leave a connection that has just lost a packet with nothing to fill its next one.
const UNSENT: u32 = 1 << 10;
/// The kernel looks at how much waits only when it begins a new piece, and adds writes to the last piece that waits, up to
/// 64 KiB. Writes that end a piece each are all looked at (measured: 1.3 KB in place of 65 KB).
const WRITE: SendFlags = SendFlags::EOR.union(SendFlags::NOSIGNAL);

/// The connection. Small writes leave at once.
#[derive(Debug)]
pub struct Shallow(TcpStream);

impl Shallow {
    /// Takes a connection.
    ///
    /// # Errors
    /// When the system does not have the option.
    pub fn new(connection: TcpStream) -> io::Result<Self> {
        connection.set_nodelay(true)?;
        socket2::SockRef::from(&connection).set_tcp_notsent_lowat(UNSENT)?;
        Ok(Self(connection))
    }
}

impl AsyncRead for Shallow {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, out)
    }
}

impl AsyncWrite for Shallow {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let connection = &self.get_mut().0;
        loop {
            ready!(connection.poll_write_ready(context))?;
            let written = connection.try_io(Interest::WRITABLE, || Ok(rustix::net::send(connection, bytes, WRITE)?));
            match written {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// A connection, and its peer with a small buffer.
    async fn pair() -> (Shallow, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let (peer, accepted) = tokio::join!(socket.connect(listener.local_addr().unwrap()), listener.accept());
        (Shallow::new(accepted.unwrap().0).unwrap(), peer.unwrap())
    }

    /// Writes messages until one is not taken.
    fn fill(socket: &mut Shallow, message: &[u8]) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        let mut taken = 0;
        while let Poll::Ready(written) = Pin::new(&mut *socket).poll_write(&mut context, message) {
            taken += written.unwrap();
        }
        taken
    }

    #[tokio::test]
    async fn little_is_held_for_a_peer_that_does_not_read_and_writing_goes_on_when_it_does() {
        let (mut socket, mut peer) = pair().await;
        let message = [b'x'; 330];
        // Larger windows are what lets a kernel join writes into large pieces.
        for _ in 0..500 {
            socket.write_all(&message).await.unwrap();
            peer.read_exact(&mut [0; 330]).await.unwrap();
        }
        let held = fill(&mut socket, &message);
        assert!(held < 32 << 10, "{held} bytes");
        let mut rest = vec![0; held];
        let more = [b'y'; 100_000];
        let (read, written) = tokio::join!(peer.read_exact(&mut rest), socket.write_all(&more[..1_000]));
        assert!(read.is_ok() && written.is_ok());
        let mut large = vec![0; more.len() + 1_000];
        let (read, written) = tokio::join!(peer.read_exact(&mut large), socket.write_all(&more));
        assert!(read.is_ok() && written.is_ok() && large.iter().all(|byte| *byte == b'y'));
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_an_error_and_not_a_wait() {
        let (mut socket, peer) = pair().await;
        fill(&mut socket, &[b'x'; 330]);
        drop(peer);
        assert!(socket.write_all(&[b'x'; 330]).await.is_err());
    }
}
