//! Where the host listens: one address for everybody, or one of their own for operators.

use std::io::Write;
use std::net::SocketAddr;

use jackfield_server::{App, Audience};
use tokio::net::TcpListener;

use crate::config::Settings;

/// The listeners. What comes waits at them until they are served.
pub(crate) struct Doors {
    listener: TcpListener,
    /// Where providers come.
    pub(crate) address: SocketAddr,
    operators: Option<(TcpListener, SocketAddr)>,
}

impl Doors {
    /// Takes the addresses that the settings name.
    ///
    /// # Errors
    /// A sentence about the setting whose address cannot be had.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, String> {
        let (listener, address) = listen(settings.listen, "`listen` (JACKFIELD_LISTEN)").await?;
        let operators = match settings.admin_listen {
            Some(address) => Some(listen(address, "`admin_listen` (JACKFIELD_ADMIN_LISTEN)").await?),
            None => None,
        };
        Ok(Self { listener, address, operators })
    }

    /// To people and scripts on standard output, and to the log. The token is in no log.
    pub(crate) fn announce(&self, fresh_token: Option<&str>) {
        let address = self.address;
        let token = fresh_token.map(|token| format!("jackfield: admin token (shown this once): {token}\n"));
        let mut text = format!("{}jackfield: listening on http://{address}\n", token.unwrap_or_default());
        tracing::info!("listening on http://{address}");
        if let Some((_, address)) = self.operators {
            text.push_str(&format!("jackfield: operators are served on http://{address}\n"));
            tracing::info!("operators are served on http://{address}");
        }
        let mut out = std::io::stdout();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
    }

    /// Serves until the drain is over, on all of them.
    pub(crate) async fn serve(self, app: App) {
        match self.operators {
            None => jackfield_server::serve(self.listener, app, Audience::All).await,
            Some((operators, _)) => {
                let world = jackfield_server::serve(self.listener, app.clone(), Audience::World);
                tokio::join!(world, jackfield_server::serve(operators, app, Audience::Operators));
            }
        }
    }
}

async fn listen(address: SocketAddr, setting: &str) -> Result<(TcpListener, SocketAddr), String> {
    let listener = TcpListener::bind(address).await;
    let listener = listener
        .map_err(|error| format!("{address} cannot be listened on: {error}. Set {setting} to a free address."))?;
    let address = listener.local_addr().map_err(|error| format!("the system gives no address: {error}"))?;
    Ok((listener, address))
}
